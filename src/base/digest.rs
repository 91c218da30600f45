//! Digests of texts in hexadecimal, as scripts ask for them.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac as _};
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

/// MD5 (RFC 1321). No security rests on it.
#[must_use]
pub fn md5(text: &str) -> String {
    hex(&Md5::digest(text.as_bytes()))
}

/// SHA-256 (FIPS 180-4).
#[must_use]
pub fn sha256(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

/// SHA-512 (FIPS 180-4).
#[must_use]
pub fn sha512(text: &str) -> String {
    hex(&Sha512::digest(text.as_bytes()))
}

/// HMAC-SHA-256 (RFC 2104); empty if it cannot be computed.
#[must_use]
pub fn hs256(text: &str, key: &str) -> String {
    hmac(text.as_bytes(), key.as_bytes(), Algorithm::HS256)
}

/// HMAC-SHA-256 (RFC 2104) of bytes; empty if it cannot be computed.
#[must_use]
pub fn hmac_sha256(bytes: &[u8], key: &[u8]) -> String {
    hmac(bytes, key, Algorithm::HS256)
}

/// HMAC-SHA-512 (RFC 2104); empty if it cannot be computed.
#[must_use]
pub fn hs512(text: &str, key: &str) -> String {
    hmac(text.as_bytes(), key.as_bytes(), Algorithm::HS512)
}

/// HMAC-SHA-1 (RFC 2104) in base64, as TURN servers compute passwords; empty if it cannot be computed.
#[must_use]
pub fn hs1_base64(text: &str, key: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(key.as_bytes()) else {
        return String::new();
    };
    mac.update(text.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

fn hmac(bytes: &[u8], key: &[u8], algorithm: Algorithm) -> String {
    let key = EncodingKey::from_secret(key);
    crypto::sign(bytes, &key, algorithm)
        .ok()
        .and_then(|signature| URL_SAFE_NO_PAD.decode(signature).ok())
        .map(|bytes| hex(&bytes))
        .unwrap_or_default()
}

/// Whether two texts are equal; how long it takes tells nothing but their lengths.
#[must_use]
pub fn equal(one: &str, other: &str) -> bool {
    let bytes = one.bytes().zip(other.bytes());
    let differing = bytes.fold(0, |found, (one, other)| found | (one ^ other));
    std::hint::black_box(differing) == 0 && one.len() == other.len()
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
    ];
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .filter_map(|digit| DIGITS.get(usize::from(digit)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_texts_have_known_digests() {
        // RFC 2202, test case 2.
        assert_eq!(
            hs1_base64("what do ya want for nothing?", "Jefe"),
            "7/zfauXrL6LSdBbV8YTfnCWafHk="
        );
        assert_eq!(md5("text"), "1cb251ec0d568de6a929b520c4aed8d1");
        assert_eq!(
            sha256("text"),
            "982d9e3eb996f559e633f4d194def3761d909f5a3b647d1a851fead67c32c9d1"
        );
        assert!(sha512("").starts_with("cf83e1357eefb8bd"));
        // RFC 4231, test case 2.
        assert_eq!(
            hs256("what do ya want for nothing?", "Jefe"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert!(hs512("what do ya want for nothing?", "Jefe").starts_with("164b7a7bfcf819e2"));
        assert_eq!(
            hs256("", ""),
            "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"
        );
    }

    #[test]
    fn equal_texts_are_equal() {
        for (one, other, expected) in [
            ("a", "a", true),
            ("a", "b", false),
            ("a", "ab", false),
            ("", "", true),
        ] {
            assert_eq!(equal(one, other), expected);
        }
    }
}
