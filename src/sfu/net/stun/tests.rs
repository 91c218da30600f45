use proptest::prelude::*;
use rtc::crypto::{HmacAlgorithm, default_provider};

use super::super::requests::{request, request_without_fingerprint};
use super::*;

const PASSWORD: &str = "a-password-of-24-letters";

fn mac(password: &str) -> Box<dyn Mac> {
    default_provider()
        .unwrap()
        .crypto()
        .new_hmac(HmacAlgorithm::Sha1, password.as_bytes())
        .unwrap()
}

/// A message of these attributes, with the right length in its header.
fn message(attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (kind, value) in attributes {
        body.extend(kind.to_be_bytes());
        body.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        body.extend(*value);
        body.resize(body.len().next_multiple_of(4), 0);
    }
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [&BINDING_REQUEST[..], &length, &COOKIE, &[7; 12], &body].concat()
}

#[test]
fn reads_who_is_meant_and_whether_the_password_is_known() {
    for sent in [
        request("here", PASSWORD),
        request_without_fingerprint("here", PASSWORD),
    ] {
        let read = BindingRequest::read(&sent).unwrap();
        assert_eq!(read.ufrag, b"here");
        assert!(read.is_intact());
        assert!(read.is_signed_with(&mut *mac(PASSWORD)));
        assert!(!read.is_signed_with(&mut *mac("another-password")));
    }
}

/// RFC 5769 section 2.1, a sample request.
#[test]
fn checks_the_sample_of_the_rfc() {
    let sample = b"\x00\x01\x00\x58\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae\
        \x80\x22\x00\x10STUN test client\
        \x00\x24\x00\x04\x6e\x00\x01\xff\
        \x80\x29\x00\x08\x93\x2f\xf9\xb1\x51\x26\x3b\x36\
        \x00\x06\x00\x09\x65\x76\x74\x6a\x3a\x68\x36\x76\x59\x20\x20\x20\
        \x00\x08\x00\x14\x9a\xea\xa7\x0c\xbf\xd8\xcb\x56\x78\x1e\xf2\xb5\xb2\xd3\xf2\x49\xc1\xb5\x71\xa2\
        \x80\x28\x00\x04\xe5\x7a\x3b\xcf";
    let read = BindingRequest::read(sample).unwrap();
    assert_eq!(read.ufrag, b"evtj");
    assert!(read.is_intact());
    assert!(read.is_signed_with(&mut *mac("VOkJxbRl1RmTxUk/WvJxBt")));
}

#[test]
fn what_follows_the_integrity_counts_for_nothing() {
    let late_name = message(&[(MESSAGE_INTEGRITY, &[0; 20]), (USERNAME, b"a:b")]);
    assert_eq!(BindingRequest::read(&late_name), None);
    let two_names = message(&[
        (USERNAME, b"a:b"),
        (MESSAGE_INTEGRITY, &[0; 20]),
        (USERNAME, b"c:d"),
    ]);
    assert_eq!(BindingRequest::read(&two_names).unwrap().ufrag, b"a");
}

#[test]
fn refuses_what_is_not_well_formed() {
    let cases: [(&str, Vec<u8>); 8] = [
        ("no name", message(&[(MESSAGE_INTEGRITY, &[0; 20])])),
        ("no integrity", message(&[(USERNAME, b"a:b")])),
        (
            "integrity of a wrong length",
            message(&[(USERNAME, b"a:b"), (MESSAGE_INTEGRITY, &[0; 32])]),
        ),
        (
            "a fingerprint of a wrong length",
            message(&[
                (USERNAME, b"a:b"),
                (MESSAGE_INTEGRITY, &[0; 20]),
                (FINGERPRINT, &[0; 8]),
            ]),
        ),
        (
            "a fingerprint that is not the last",
            message(&[
                (USERNAME, b"a:b"),
                (FINGERPRINT, &[0; 4]),
                (MESSAGE_INTEGRITY, &[0; 20]),
            ]),
        ),
        ("longer than it says", [message(&[]), vec![0; 4]].concat()),
        ("too long", {
            let filler = [0; REQUEST_BYTES_MAX];
            message(&[
                (USERNAME, b"a:b"),
                (0x8022, &filler),
                (MESSAGE_INTEGRITY, &[0; 20]),
            ])
        }),
        ("nothing", Vec::new()),
    ];
    for (case, data) in cases {
        assert_eq!(BindingRequest::read(&data), None, "{case}");
    }
}

/// Bytes that get past the first look.
fn nearly_requests() -> impl Strategy<Value = Vec<u8>> {
    let attribute = (
        prop_oneof![
            Just(USERNAME),
            Just(MESSAGE_INTEGRITY),
            Just(FINGERPRINT),
            any::<u16>()
        ],
        prop_oneof![Just(0), Just(4), Just(20), any::<u16>()],
        proptest::collection::vec(any::<u8>(), 0..24),
    );
    proptest::collection::vec(attribute, 0..8).prop_map(|attributes| {
        let mut data = message(&[]);
        for (kind, length, value) in attributes {
            data.extend(kind.to_be_bytes());
            data.extend(length.to_be_bytes());
            data.extend(value);
        }
        data.resize(data.len().next_multiple_of(4), 0);
        let length = u16::try_from(data.len() - HEADER_BYTES).unwrap();
        data[2..4].copy_from_slice(&length.to_be_bytes());
        data
    })
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(data in proptest::collection::vec(any::<u8>(), 0..1_500)) {
        let _ = BindingRequest::read(&data);
    }

    #[test]
    fn no_attributes_make_it_panic(data in nearly_requests()) {
        if let Some(read) = BindingRequest::read(&data) {
            read.is_intact();
            prop_assert!(!read.is_signed_with(&mut *mac(PASSWORD)));
        }
    }

    #[test]
    fn a_cut_request_is_none(length in 0_usize..100) {
        let sent = request("here", PASSWORD);
        prop_assume!(length < sent.len());
        prop_assert_eq!(BindingRequest::read(&sent[..length]), None);
    }

    #[test]
    fn a_changed_byte_is_noticed(index in any::<prop::sample::Index>(), by in 1_u8..) {
        let mut sent = request_without_fingerprint("here", PASSWORD);
        let index = index.index(sent.len());
        sent[index] ^= by;
        if let Some(read) = BindingRequest::read(&sent) {
            prop_assert!(!read.is_signed_with(&mut *mac(PASSWORD)));
        }
    }
}
