//! Client secrets for "Sign in with Apple": tokens signed with the developer's key, see
//! <https://developer.apple.com/documentation/accountorganizationaldatasharing/creating-a-client-secret>.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Deserialize;
use serde_json::json;

use crate::base::date::DateTime;
use crate::engine::Error;
use crate::engine::checks::{all, at_least, at_most, blank, bytes_between, matches, required};

/// Six months, the longest Apple accepts.
const DURATION_S_MAX: i64 = 15_777_000;
const KEY_START: &str = "-----BEGIN PRIVATE KEY-----";
const KEY_END: &str = "-----END PRIVATE KEY-----";

/// What a client secret is made of.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AppleClientSecret {
    /// The service's identifier.
    pub client_id: String,
    /// 10 characters.
    pub team_id: String,
    /// 10 characters.
    pub key_id: String,
    /// An EC key as PEM (PKCS #8, RFC 5958).
    pub private_key: String,
    /// Seconds, 1 to 15777000.
    pub duration: i64,
}

impl AppleClientSecret {
    /// Signs the secret (RFC 7519, ES256).
    ///
    /// # Errors
    /// `Validation` by field; `BadRequest` when the key is none.
    pub fn sign(&self, now: DateTime) -> Result<String, Error> {
        self.check()?;
        let unusable = |cause: &dyn std::fmt::Display| {
            Error::bad_request(format!(
                "Failed to generate client secret. Raw error: \n{cause}"
            ))
        };
        let key = self
            .key_bytes()
            .ok_or_else(|| unusable(&"the private key is not PKCS8 in PEM form."))?;
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.key_id.clone());
        let claims = json!({
            "iss": self.team_id,
            "sub": self.client_id,
            "aud": ["https://appleid.apple.com"],
            "exp": now.unix().saturating_add(self.duration),
            "iat": now.unix(),
        });
        jsonwebtoken::encode(&header, &claims, &EncodingKey::from_ec_der(&key))
            .map_err(|cause| unusable(&cause))
    }

    fn check(&self) -> Result<(), Error> {
        let ten = |text: &str| required(text).or_else(|| bytes_between(text, 10, 10));
        all([
            ("clientId", required(&self.client_id)),
            ("teamId", ten(&self.team_id)),
            ("keyId", ten(&self.key_id)),
            (
                "privateKey",
                required(&self.private_key)
                    .or_else(|| matches(&self.private_key, |text| key_text(text).is_some())),
            ),
            (
                "duration",
                (self.duration == 0)
                    .then(blank)
                    .or_else(|| at_least(self.duration, 1))
                    .or_else(|| at_most(self.duration, DURATION_S_MAX)),
            ),
        ])
        .into_result()
        .map_err(|fields| Error::validation("Invalid client secret data.", fields))
    }

    fn key_bytes(&self) -> Option<Vec<u8>> {
        let text: String = key_text(&self.private_key)?.split_whitespace().collect();
        STANDARD.decode(text).ok()
    }
}

/// What stands between the marks of a PEM key.
fn key_text(pem: &str) -> Option<&str> {
    let (_, rest) = pem.split_once(KEY_START)?;
    let (text, _) = rest.rsplit_once(KEY_END)?;
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The inside of a key that was made for this test alone.
    const KEY: &str = "\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg8GoAhDQ+zKyWvE45
39KtvoK8adDiCxhhq7BDQ4K3wR+hRANCAAS+d8++M6LixTGEKSU/kIybjyMobHN9
ljwKgYCUlP7fKRHcNbhcSmE9LfLk6krvvsfHn3y9/+JMhWZSNB2tbPJ1\n";

    fn form() -> AppleClientSecret {
        AppleClientSecret {
            client_id: "app".into(),
            team_id: "1234567890".into(),
            key_id: "0123456789".into(),
            private_key: format!("{KEY_START}{KEY}{KEY_END}\n"),
            duration: 60,
        }
    }

    #[test]
    fn a_valid_form_gives_a_token_with_the_key_id() {
        let now = DateTime::from_unix(1_700_000_000).unwrap();
        let token = form().sign(now).unwrap();
        let header = jsonwebtoken::decode_header(&token).unwrap();
        assert_eq!(header.kid.as_deref(), Some("0123456789"));
        assert_eq!(header.alg, Algorithm::ES256);
    }

    #[test]
    fn refused_members_are_named() {
        let form = AppleClientSecret {
            team_id: "1".into(),
            private_key: "x".into(),
            duration: DURATION_S_MAX + 1,
            ..AppleClientSecret::default()
        };
        let Err(Error::Validation { fields, .. }) = form.sign(DateTime::now()) else {
            panic!("accepted");
        };
        for field in ["clientId", "teamId", "keyId", "privateKey", "duration"] {
            assert!(fields.contains(field), "{field}");
        }
    }

    #[test]
    fn a_key_that_is_none_is_a_bad_request() {
        let form = AppleClientSecret {
            private_key: format!("{KEY_START}\nAAAA\n{KEY_END}"),
            ..form()
        };
        assert!(matches!(
            form.sign(DateTime::now()),
            Err(Error::BadRequest(_))
        ));
    }
}
