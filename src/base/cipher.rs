//! Encryption of settings at rest: AES-256-GCM (NIST SP 800-38D), in PocketBase's format.
//!
//! The text is base64 (standard alphabet, padded) of nonce (12 bytes), ciphertext and tag (16 bytes).

use aes_gcm::aead::consts::U12;
use aes_gcm::aead::{Aead, KeyInit};
use aes_gcm::aes::Aes192;
use aes_gcm::{Aes128Gcm, Aes256Gcm, AesGcm, Nonce};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::RngCore;

/// A key of the settings has this many bytes; 16 and 24 will do as well, for AES-128 and AES-192.
pub const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;

/// Why a text could not be encrypted or decrypted. Says nothing about the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CipherError {
    /// The key has not 16, 24 or 32 bytes.
    #[error("the encryption key must have 16, 24 or 32 characters")]
    BadKey,
    /// The text is not base64 or too short.
    #[error("the encrypted text is malformed")]
    Malformed,
    /// The key is another one, or the text was changed.
    #[error("the encrypted text does not match the key")]
    Mismatch,
}

/// Encrypts `plain` with a fresh random nonce.
pub fn encrypt(plain: &[u8], key: &str) -> Result<String, CipherError> {
    let mut nonce = [0u8; NONCE_BYTES];
    rand::rng().fill_bytes(&mut nonce);
    let sealed = cipher(key)?
        .encrypt(nonce, plain)
        .ok_or(CipherError::Malformed)?;
    let mut whole = Vec::with_capacity(NONCE_BYTES + sealed.len());
    whole.extend_from_slice(&nonce);
    whole.extend_from_slice(&sealed);
    Ok(STANDARD.encode(whole))
}

/// Decrypts what [`encrypt`], or PocketBase, made with the same key.
pub fn decrypt(text: &str, key: &str) -> Result<Vec<u8>, CipherError> {
    let cipher = cipher(key)?;
    let whole = STANDARD
        .decode(text.trim())
        .map_err(|_| CipherError::Malformed)?;
    let (nonce, sealed) = whole
        .split_first_chunk::<NONCE_BYTES>()
        .ok_or(CipherError::Malformed)?;
    cipher.decrypt(*nonce, sealed).ok_or(CipherError::Mismatch)
}

/// AES of the key's length.
enum Cipher {
    Aes128(Box<Aes128Gcm>),
    Aes192(Box<Aes192Gcm>),
    Aes256(Box<Aes256Gcm>),
}

type Aes192Gcm = AesGcm<Aes192, U12>;

fn cipher(key: &str) -> Result<Cipher, CipherError> {
    let key = key.as_bytes();
    Ok(match key.len() {
        16 => Cipher::Aes128(Box::new(of_key(key)?)),
        24 => Cipher::Aes192(Box::new(of_key(key)?)),
        KEY_BYTES => Cipher::Aes256(Box::new(of_key(key)?)),
        _ => return Err(CipherError::BadKey),
    })
}

fn of_key<C: KeyInit>(key: &[u8]) -> Result<C, CipherError> {
    C::new_from_slice(key).map_err(|_| CipherError::BadKey)
}

impl Cipher {
    fn encrypt(&self, nonce: [u8; NONCE_BYTES], plain: &[u8]) -> Option<Vec<u8>> {
        let nonce = Nonce::from(nonce);
        match self {
            Self::Aes128(cipher) => cipher.encrypt(&nonce, plain),
            Self::Aes192(cipher) => cipher.encrypt(&nonce, plain),
            Self::Aes256(cipher) => cipher.encrypt(&nonce, plain),
        }
        .ok()
    }

    fn decrypt(&self, nonce: [u8; NONCE_BYTES], sealed: &[u8]) -> Option<Vec<u8>> {
        let nonce = Nonce::from(nonce);
        match self {
            Self::Aes128(cipher) => cipher.decrypt(&nonce, sealed),
            Self::Aes192(cipher) => cipher.decrypt(&nonce, sealed),
            Self::Aes256(cipher) => cipher.decrypt(&nonce, sealed),
        }
        .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "abcdefghijklmnopqrstuvwxyz012345";

    #[test]
    fn what_was_encrypted_is_decrypted_with_the_same_key_only() {
        let text = encrypt(b"secret", KEY).unwrap();
        assert_ne!(text, encrypt(b"secret", KEY).unwrap());
        assert_eq!(decrypt(&text, KEY).unwrap(), b"secret");
        let other = KEY.to_uppercase();
        assert_eq!(decrypt(&text, &other), Err(CipherError::Mismatch));
        assert_eq!(decrypt(&text, "short"), Err(CipherError::BadKey));
    }

    #[test]
    fn texts_pocketbase_encrypted_are_decrypted() {
        let text = "SdQRkwa32A1nEyfvkn2pLHK4R32QF6lwCEALKgOQ0QtvDNhdZcZoLyfv";
        assert_eq!(decrypt(text, KEY).unwrap(), "secret text é".as_bytes());
    }

    #[test]
    fn malformed_texts_are_errors() {
        assert_eq!(decrypt("!", KEY), Err(CipherError::Malformed));
        assert_eq!(decrypt("AAAA", KEY), Err(CipherError::Malformed));
        assert_eq!(
            decrypt("AAAAAAAAAAAAAAAAAAAA", KEY),
            Err(CipherError::Mismatch)
        );
    }
}
