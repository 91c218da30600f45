//! Codecs, and where in a stream decoding can begin. Readers of payloads take any bytes.

/// A codec that is forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Codec {
    Opus,
    Vp8,
    Vp9,
    H264,
    Av1,
}

impl Codec {
    /// From `video/VP8` and the like; the case is ignored (RFC 6838 section 4.2).
    pub(crate) fn from_mime(mime_type: &str) -> Option<Self> {
        let (_, name) = mime_type.split_once('/')?;
        [Self::Opus, Self::Vp8, Self::Vp9, Self::H264, Self::Av1]
            .into_iter()
            .find(|codec| codec.name().eq_ignore_ascii_case(name))
    }

    fn name(self) -> &'static str {
        match self {
            Self::Opus => "opus",
            Self::Vp8 => "VP8",
            Self::Vp9 => "VP9",
            Self::H264 => "H264",
            Self::Av1 => "AV1",
        }
    }

    /// Ticks of the RTP timestamp per second.
    pub(crate) fn clock_rate(self) -> u32 {
        match self {
            Self::Opus => 48_000,
            Self::Vp8 | Self::Vp9 | Self::H264 | Self::Av1 => 90_000,
        }
    }
}

/// Whether decoding can begin with this packet: it is the first of a key frame. Each packet of Opus is one.
pub(crate) fn is_key_frame(codec: Codec, payload: &[u8]) -> bool {
    let found = match codec {
        Codec::Opus => Some(!payload.is_empty()),
        Codec::Vp8 => vp8(payload),
        Codec::Vp9 => vp9(payload),
        Codec::H264 => h264(payload),
        Codec::Av1 => av1(payload),
    };
    found.unwrap_or(false)
}

/// RFC 7741: the first partition's start, whose first bit says that it is not a key frame.
fn vp8(payload: &[u8]) -> Option<bool> {
    const EXTENDED: u8 = 0x80;
    const START: u8 = 0x10;
    const PARTITION: u8 = 0x07;
    let first = *payload.first()?;
    if first & START == 0 || first & PARTITION != 0 {
        return Some(false);
    }
    let mut at = 1;
    if first & EXTENDED != 0 {
        let present = *payload.get(at)?;
        at += 1;
        if present & 0x80 != 0 {
            // A picture id of 7 or 15 bits.
            at += if *payload.get(at)? & 0x80 != 0 { 2 } else { 1 };
        }
        if present & 0x40 != 0 {
            at += 1;
        }
        if present & 0x30 != 0 {
            at += 1;
        }
    }
    Some(payload.get(at)? & 0x01 == 0)
}

/// RFC 9628 section 4.2: the begin of a frame that predicts from no other picture, of the lowest spatial layer.
fn vp9(payload: &[u8]) -> Option<bool> {
    const PICTURE_ID: u8 = 0x80;
    const PREDICTED: u8 = 0x40;
    const LAYERS: u8 = 0x20;
    const BEGIN: u8 = 0x08;
    let first = *payload.first()?;
    if first & PREDICTED != 0 || first & BEGIN == 0 {
        return Some(false);
    }
    if first & LAYERS == 0 {
        return Some(true);
    }
    let mut at = 1;
    if first & PICTURE_ID != 0 {
        at += if *payload.get(at)? & 0x80 != 0 { 2 } else { 1 };
    }
    let spatial = (*payload.get(at)? >> 1) & 0x07;
    Some(spatial == 0)
}

/// RFC 6184: a sequence parameter set or the start of an IDR slice, alone, aggregated (STAP-A) or fragmented (FU-A).
fn h264(payload: &[u8]) -> Option<bool> {
    const STAP_A: u8 = 24;
    const FU_A: u8 = 28;
    let is_start = |header: u8| matches!(header & 0x1f, 5 | 7);
    let first = *payload.first()?;
    match first & 0x1f {
        STAP_A => {
            let mut rest = payload.get(1..)?;
            while let [high, low, unit @ ..] = rest {
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                if is_start(*unit.first()?) {
                    return Some(true);
                }
                rest = unit.get(length..)?;
            }
            Some(false)
        }
        FU_A => {
            let header = *payload.get(1)?;
            Some(header & 0x80 != 0 && is_start(header))
        }
        _ => Some(is_start(first)),
    }
}

/// AV1's RTP payload format 1.0, section 4.4: a new coded video sequence, or a sequence header among the units.
fn av1(payload: &[u8]) -> Option<bool> {
    const CONTINUES: u8 = 0x80;
    const NEW_SEQUENCE: u8 = 0x08;
    const SEQUENCE_HEADER: u8 = 1;
    let first = *payload.first()?;
    if first & NEW_SEQUENCE != 0 {
        return Some(first & CONTINUES == 0);
    }
    // How many units there are; the last has no length. None says that all have one.
    let count = usize::from((first >> 4) & 0x03);
    let mut rest = payload.get(1..)?;
    let mut index = 0;
    while !rest.is_empty() {
        index += 1;
        let is_last = index == count;
        let length = if is_last {
            rest.len()
        } else {
            let (length, after) = leb128(rest)?;
            rest = after;
            length
        };
        let is_rest_of_unit = index == 1 && first & CONTINUES != 0;
        if length > 0 && !is_rest_of_unit && (*rest.first()? >> 3) & 0x0f == SEQUENCE_HEADER {
            return Some(true);
        }
        rest = rest.get(length..)?;
        if is_last {
            break;
        }
    }
    Some(false)
}

/// A number of at most five bytes of seven bits each, and what follows.
fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().take(5).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(value).ok()?, bytes.get(index + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn mime_types_are_read_in_any_case() {
        assert_eq!(Codec::from_mime("video/VP8"), Some(Codec::Vp8));
        assert_eq!(Codec::from_mime("audio/opus"), Some(Codec::Opus));
        assert_eq!(Codec::from_mime("VIDEO/av1"), Some(Codec::Av1));
        assert_eq!(Codec::from_mime("video/rtx"), None);
        assert_eq!(Codec::from_mime(""), None);
    }

    #[test]
    fn key_frames_are_told_from_others() {
        let rows: &[(Codec, &[u8], bool)] = &[
            (Codec::Opus, &[0xfc], true),
            (Codec::Opus, &[], false),
            // VP8: plain, with a long picture id, TL0PICIDX and TID; a delta frame; a later packet; another partition.
            (Codec::Vp8, &[0x10, 0x00], true),
            (
                Codec::Vp8,
                &[0x90, 0xe0, 0x81, 0x02, 0x05, 0x20, 0x10],
                true,
            ),
            (Codec::Vp8, &[0x90, 0x80, 0x01, 0x10], true),
            (
                Codec::Vp8,
                &[0x90, 0xe0, 0x81, 0x02, 0x05, 0x20, 0x11],
                false,
            ),
            (Codec::Vp8, &[0x10, 0x01], false),
            (Codec::Vp8, &[0x00, 0x00], false),
            (Codec::Vp8, &[0x11, 0x00], false),
            (Codec::Vp8, &[0x90, 0x80, 0x81], false),
            // VP9: flexible and not; predicted; not the begin; the second spatial layer.
            (Codec::Vp9, &[0x08], true),
            (Codec::Vp9, &[0x8f, 0x81, 0x02], true),
            (Codec::Vp9, &[0xa8, 0x81, 0x02, 0x01], true),
            (Codec::Vp9, &[0xa8, 0x81, 0x02, 0x03], false),
            (Codec::Vp9, &[0x48], false),
            (Codec::Vp9, &[0x80, 0x01], false),
            (Codec::Vp9, &[0xa8, 0x81], false),
            // H.264: IDR, SPS, a P slice; STAP-A with SPS first, with SPS last, without; FU-A start, middle, P slice.
            (Codec::H264, &[0x65, 0x88], true),
            (Codec::H264, &[0x67, 0x42], true),
            (Codec::H264, &[0x61, 0x88], false),
            (Codec::H264, &[0x78, 0, 2, 0x67, 0x42, 0, 1, 0x68], true),
            (Codec::H264, &[0x78, 0, 1, 0x68, 0, 2, 0x67, 0x42], true),
            (Codec::H264, &[0x78, 0, 1, 0x68, 0, 1, 0x61], false),
            (Codec::H264, &[0x78, 0, 9, 0x68], false),
            (Codec::H264, &[0x7c, 0x85, 1], true),
            (Codec::H264, &[0x7c, 0x05, 1], false),
            (Codec::H264, &[0x7c, 0x81, 1], false),
            // AV1: the N bit; a sequence header as the only unit, as the second; a frame; the rest of a unit.
            (Codec::Av1, &[0x18, 0x0a], true),
            (Codec::Av1, &[0x10, 0x0a, 1], true),
            (Codec::Av1, &[0x20, 2, 0x12, 0, 0x0a], true),
            (Codec::Av1, &[0x00, 2, 0x12, 0, 1, 0x0a], true),
            (Codec::Av1, &[0x10, 0x32], false),
            (Codec::Av1, &[0x90, 0x0a], false),
            (
                Codec::Av1,
                &[0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0a],
                false,
            ),
        ];
        for (codec, payload, expected) in rows {
            assert_eq!(
                is_key_frame(*codec, payload),
                *expected,
                "{codec:?} {payload:02x?}"
            );
        }
    }

    proptest! {
        #[test]
        fn readers_take_any_bytes(payload in proptest::collection::vec(any::<u8>(), 0..64)) {
            for codec in [Codec::Opus, Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Av1] {
                let _ = is_key_frame(codec, &payload);
            }
        }
    }
}
