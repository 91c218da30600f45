//! Reads the one kind of STUN message that the port must understand: binding requests (RFC 8489, RFC 8445 section 7.3).
//!
//! Everything here works on bytes of strangers: no length is believed before it is compared with what there is.

use rtc::crypto::Mac;
use rtc::stun::fingerprint::fingerprint_value;

/// Longer requests are not read: what is checked costs time by the byte. Those of ICE have about 100 bytes.
const REQUEST_BYTES_MAX: usize = 1_024;
const HEADER_BYTES: usize = 20;
const COOKIE: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];
const BINDING_REQUEST: [u8; 2] = [0x00, 0x01];
const ATTRIBUTE_HEADER_BYTES: usize = 4;
const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const FINGERPRINT: u16 = 0x8028;
const INTEGRITY_BYTES: usize = 20;
const FINGERPRINT_BYTES: usize = 4;

/// Whether this claims to be a binding request. Nothing else that comes over the port begins like one (RFC 7983).
pub(super) fn is_binding_request(data: &[u8]) -> bool {
    data.get(..2) == Some(&BINDING_REQUEST[..]) && data.get(4..8) == Some(&COOKIE[..])
}

/// A well-formed binding request with user name and message integrity, none of which is checked yet.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BindingRequest<'a> {
    /// Who is meant: the part of the user name before the colon.
    pub(super) ufrag: &'a [u8],
    /// The message up to its integrity attribute.
    signed: &'a [u8],
    integrity: &'a [u8],
    /// The message up to its fingerprint, and this.
    fingerprint: Option<(&'a [u8], u32)>,
}

impl<'a> BindingRequest<'a> {
    /// `None` where it is not one, or one without user name or integrity.
    pub(super) fn read(data: &'a [u8]) -> Option<Self> {
        if !is_binding_request(data) || data.len() > REQUEST_BYTES_MAX {
            return None;
        }
        let length = usize::from(u16::from_be_bytes(data.get(2..4)?.try_into().ok()?));
        if length % 4 != 0 || data.len() != HEADER_BYTES + length {
            return None;
        }
        let mut user_name = None;
        let mut integrity = None;
        let mut fingerprint = None;
        let mut at = HEADER_BYTES;
        while at < data.len() {
            // A fingerprint is the last attribute (RFC 8489 section 14.7).
            if fingerprint.is_some() {
                return None;
            }
            let attribute = Attribute::read(data.get(at..)?)?;
            match attribute.kind {
                FINGERPRINT => {
                    let value: [u8; FINGERPRINT_BYTES] = attribute.value.try_into().ok()?;
                    fingerprint = Some((data.get(..at)?, u32::from_be_bytes(value)));
                }
                // What else follows the integrity is not protected by it and counts for nothing (RFC 8489 section 14.5).
                _ if integrity.is_some() => {}
                USERNAME if user_name.is_none() => user_name = Some(attribute.value),
                MESSAGE_INTEGRITY if attribute.value.len() == INTEGRITY_BYTES => {
                    integrity = Some((data.get(..at)?, attribute.value));
                }
                MESSAGE_INTEGRITY => return None,
                _ => {}
            }
            at += attribute.padded_bytes;
        }
        let (signed, integrity) = integrity?;
        let ufrag = user_name?.split(|byte| *byte == b':').next()?;
        Some(Self {
            ufrag,
            signed,
            integrity,
            fingerprint,
        })
    }

    /// Whether the fingerprint, if there is one, is right. Costs next to nothing and proves nothing: it sorts out noise.
    pub(super) fn is_intact(&self) -> bool {
        self.fingerprint
            .is_none_or(|(before, value)| fingerprint_value(before) == value)
    }

    /// Whether whoever sent this knows the password that `mac` (HMAC-SHA1) is keyed with.
    pub(super) fn is_signed_with(&self, mac: &mut dyn Mac) -> bool {
        let Some((header, attributes)) = self.signed.split_at_checked(HEADER_BYTES) else {
            return false;
        };
        let (Some(kind), Some(rest)) = (header.get(..2), header.get(4..)) else {
            return false;
        };
        // The length is signed as if the integrity were the last attribute (RFC 8489 section 14.5).
        let length = attributes.len() + ATTRIBUTE_HEADER_BYTES + INTEGRITY_BYTES;
        let Ok(length) = u16::try_from(length) else {
            return false;
        };
        mac.verify(
            &[kind, &length.to_be_bytes(), rest, attributes],
            self.integrity,
        )
        .is_ok()
    }
}

struct Attribute<'a> {
    kind: u16,
    value: &'a [u8],
    /// With its header.
    padded_bytes: usize,
}

impl<'a> Attribute<'a> {
    /// The first of these attributes.
    fn read(data: &'a [u8]) -> Option<Self> {
        let (kind, rest) = data.split_first_chunk::<2>()?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_be_bytes(*length));
        Some(Self {
            kind: u16::from_be_bytes(*kind),
            value: rest.get(..length)?,
            padded_bytes: ATTRIBUTE_HEADER_BYTES + length.next_multiple_of(4),
        })
    }
}

#[cfg(test)]
mod tests;
