//! Binding requests for tests, made by an independent implementation.

use rtc::crypto::default_provider;
use rtc::stun::attributes::ATTR_USERNAME;
use rtc::stun::fingerprint::FINGERPRINT;
use rtc::stun::integrity::MessageIntegrity;
use rtc::stun::message::{BINDING_REQUEST, Message, Setter, TransactionId};
use rtc::stun::textattrs::Username;

/// As a client sends it which was told `ufrag` and `password`.
pub(super) fn request(ufrag: &str, password: &str) -> Vec<u8> {
    build(ufrag, password, &[Box::new(FINGERPRINT)])
}

pub(super) fn request_without_fingerprint(ufrag: &str, password: &str) -> Vec<u8> {
    build(ufrag, password, &[])
}

fn build(ufrag: &str, password: &str, last: &[Box<dyn Setter>]) -> Vec<u8> {
    let provider = default_provider().unwrap();
    let user_name = format!("{ufrag}:client");
    let integrity = MessageIntegrity::new_short_term_integrity_with_provider(
        password.to_owned(),
        provider.crypto(),
    );
    let mut message = Message::new();
    message.set_type(BINDING_REQUEST);
    TransactionId::new().add_to(&mut message).unwrap();
    message.write_header();
    Username::new(ATTR_USERNAME, user_name)
        .add_to(&mut message)
        .unwrap();
    integrity.add_to(&mut message).unwrap();
    for attribute in last {
        attribute.add_to(&mut message).unwrap();
    }
    message.raw.to_vec()
}
