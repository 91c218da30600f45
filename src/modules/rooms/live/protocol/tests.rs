use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;

const ROOM: &str = "room1";

fn from_json(message: &Json) -> Result<Message, Problem> {
    read(&Payload::Text(message.to_string().into()), ROOM)
}

fn from_messagepack(message: &impl Serialize) -> Result<Message, Problem> {
    let bytes = rmp_serde::to_vec(message).unwrap();
    read(&Payload::Binary(bytes.into()), ROOM)
}

fn refused(message: &Json) -> (&'static str, Option<String>) {
    let problem = from_json(message).expect_err("a refusal");
    assert_eq!(from_messagepack(message).expect_err("a refusal"), problem);
    (problem.code, problem.in_reply_to)
}

#[test]
fn messages_are_read_from_both_encodings() {
    for message in [
        json!({"type": "chat", "room_id": ROOM, "data": {"message": "hi"}, "timestamp": 1_700_000_000}),
        json!({"type": "chat", "data": {"message": "hi"}, "timestamp": 1_700_000_000_123_u64}),
        json!({"type": "chat", "room_id": null, "data": {"message": "hi"}, "timestamp": null}),
        json!({"type": "chat", "room_id": "", "data": {"message": "hi"}, "timestamp": 1.5e9, "more": [1]}),
    ] {
        for read in [from_json(&message), from_messagepack(&message)] {
            assert!(
                matches!(read, Ok(Message::Chat { ref text }) if text == "hi"),
                "{message}"
            );
        }
    }
}

#[test]
fn what_is_no_message_is_refused_with_a_code() {
    for (message, code, kind) in [
        (json!([]), "malformed", None),
        (json!("chat"), "malformed", None),
        (json!({"data": {}}), "malformed", None),
        (json!({"type": 5}), "malformed", None),
        (json!({"type": ""}), "malformed", None),
        (json!({"type": "x".repeat(65)}), "malformed", None),
        (json!({"type": "dance"}), "unknown_type", Some("dance")),
        (
            json!({"type": "chat", "room_id": "room2", "data": {"message": "x"}}),
            "wrong_room",
            Some("chat"),
        ),
        (
            json!({"type": "chat", "room_id": 5, "data": {"message": "x"}}),
            "malformed",
            Some("chat"),
        ),
        (
            json!({"type": "chat", "data": []}),
            "malformed",
            Some("chat"),
        ),
        (json!({"type": "chat"}), "malformed", Some("chat")),
        (
            json!({"type": "chat", "data": {"message": ""}}),
            "malformed",
            Some("chat"),
        ),
        (
            json!({"type": "chat", "data": {"message": 5}}),
            "malformed",
            Some("chat"),
        ),
        (
            json!({"type": "chat", "data": {"message": "x".repeat(CHAT_BYTES_MAX + 1)}}),
            "malformed",
            Some("chat"),
        ),
        (
            json!({"type": "reaction", "data": {}}),
            "malformed",
            Some("reaction"),
        ),
        (
            json!({"type": "state", "data": {"audio_muted": "yes"}}),
            "malformed",
            Some("state"),
        ),
        (
            json!({"type": "location", "data": {"location": 5}}),
            "malformed",
            Some("location"),
        ),
        (
            json!({"type": "custom", "data": {"to": 5}}),
            "malformed",
            Some("custom"),
        ),
        (
            json!({"type": "answer", "data": {"sdp": {"type": "answer"}}}),
            "malformed",
            Some("answer"),
        ),
        (
            json!({"type": "answer", "data": {"sdp": "x", "seq": "1"}}),
            "malformed",
            Some("answer"),
        ),
        (
            json!({"type": "candidate", "data": {"candidate": 5}}),
            "malformed",
            Some("candidate"),
        ),
        (
            json!({"type": "candidate", "data": {"sdpMLineIndex": 70_000}}),
            "malformed",
            Some("candidate"),
        ),
        (
            json!({"type": "subscribe", "data": {}}),
            "malformed",
            Some("subscribe"),
        ),
        (
            json!({"type": "subscribe", "data": {"participant_id": "a", "kind": "smell"}}),
            "malformed",
            Some("subscribe"),
        ),
        (
            json!({"type": "subscribe", "data": {"participant_id": "a", "layer": "x"}}),
            "malformed",
            Some("subscribe"),
        ),
    ] {
        assert_eq!(
            refused(&message),
            (code, kind.map(str::to_owned)),
            "{message}"
        );
    }
}

#[test]
fn a_chat_fits_a_message_in_either_encoding() {
    for (text, fits) in [
        ("x".repeat(CHAT_BYTES_MAX - 2), true),
        ("x".repeat(CHAT_BYTES_MAX - 1), false),
        ("\u{1}".repeat(CHAT_BYTES_MAX / 6 - 1), true),
        ("\u{1}".repeat(CHAT_BYTES_MAX / 6 + 1), false),
    ] {
        let message = json!({"type": "chat", "data": {"message": text}});
        assert_eq!(from_messagepack(&message).is_ok(), fits, "{}", text.len());
        if fits {
            let data = Data::map([("message", text.into()), ("name", "n".repeat(800).into())]);
            let notice = Notice {
                kind: "chat",
                room: ROOM,
                data,
                timestamp: 0,
            };
            assert!(notice.encode(Encoding::Json).is_some());
        }
    }
}

#[test]
fn signalling_is_read() {
    let message = json!({"type": "answer", "data": {"sdp": "v=0", "seq": 3.0}});
    assert!(
        matches!(from_json(&message), Ok(Message::Answer { sdp, seq: Some(3) }) if sdp == "v=0")
    );
    let message =
        json!({"type": "candidate", "data": {"candidate": "c", "sdpMid": "0", "sdpMLineIndex": 0}});
    let Ok(Message::Candidate(candidate)) = from_messagepack(&message) else {
        panic!("no candidate");
    };
    assert_eq!(
        (candidate.candidate.as_str(), candidate.line),
        ("c", Some(0))
    );
    let end = json!({"type": "candidate", "data": {"candidate": null}});
    assert!(matches!(from_json(&end), Ok(Message::Candidate(end)) if end.candidate.is_empty()));
    for (data, sources, choice) in [
        (json!({"participant_id": "a"}), vec![], Choice::Auto),
        (
            json!({"participant_id": "a", "kind": "video", "layer": "h"}),
            vec![Source::Camera, Source::Screen],
            Choice::Layer(Layer::Half),
        ),
        (
            json!({"participant_id": "a", "kind": "audio", "layer": "off"}),
            vec![Source::Mic],
            Choice::Off,
        ),
        (
            json!({"participant_id": "a", "kind": "screen", "off": true}),
            vec![Source::Screen],
            Choice::Off,
        ),
    ] {
        let read = from_json(&json!({"type": "subscribe", "data": data}));
        let Ok(Message::Subscribe(wish)) = read else {
            panic!("no wish in {data}");
        };
        assert_eq!((wish.sources, wish.choice), (sources, choice));
    }
}

#[test]
fn truncated_messages_are_malformed() {
    let message = json!({"type": "custom", "data": {"a": [1, 2.5, "text", null, {"b": true}]}});
    let bytes = Bytes::from(rmp_serde::to_vec(&message).unwrap());
    for end in 0..bytes.len() {
        let problem = read(&Payload::Binary(bytes.slice(..end)), ROOM).expect_err("cut");
        assert_eq!(problem.code, "malformed");
    }
    let mut longer = bytes.to_vec();
    longer.push(0xc0);
    assert!(read(&Payload::Binary(longer.into()), ROOM).is_err());
    assert!(read(&Payload::Text("{\"type\":\"custom\"} x".into()), ROOM).is_err());
}

#[test]
fn claims_of_size_cost_nothing() {
    // A map of 4 billion members, a list of them, a text of 4 GB.
    for bytes in [
        vec![0xdf, 0xff, 0xff, 0xff, 0xff],
        vec![0xdd, 0xff, 0xff, 0xff, 0xff, 0xc0],
        vec![0x81, 0xdb, 0xff, 0xff, 0xff, 0xff, b'a'],
        vec![0x81, 0xc6, 0xff, 0xff, 0xff, 0xff, 1],
    ] {
        assert!(read(&Payload::Binary(bytes.into()), ROOM).is_err());
    }
    let many = vec![0xc0; MESSAGE_BYTES_MAX - 100];
    let mut message = rmp_serde::to_vec(&json!({"type": "custom"})).unwrap();
    message[0] += 1;
    message.extend_from_slice(&rmp_serde::to_vec("data").unwrap());
    message.push(0xdd);
    message.extend_from_slice(&u32::try_from(many.len()).unwrap().to_be_bytes());
    message.extend_from_slice(&many);
    assert!(read(&Payload::Binary(message.into()), ROOM).is_err());
    let long = format!(
        "{{\"type\":\"custom\",\"data\":{{\"a\":\"{}\"}}}}",
        "x".repeat(MESSAGE_BYTES_MAX)
    );
    assert!(read(&Payload::Text(long.into()), ROOM).is_err());
}

#[test]
fn nesting_is_bounded() {
    for depth in [DEPTH_MAX - 2, DEPTH_MAX, 200, 50_000] {
        let nested = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let text = format!("{{\"type\":\"custom\",\"data\":{{\"a\":{nested}}}}}");
        let is_read = read(&Payload::Text(text.into()), ROOM).is_ok();
        assert_eq!(is_read, depth == DEPTH_MAX - 2, "{depth}");
        let mut bytes = rmp_serde::to_vec(&json!({"type": "custom", "data": {"a": 0}})).unwrap();
        bytes.pop();
        bytes.extend(std::iter::repeat_n(0x91, depth));
        bytes.push(0xc0);
        let is_read = read(&Payload::Binary(bytes.into()), ROOM).is_ok();
        assert_eq!(is_read, depth == DEPTH_MAX - 2, "{depth}");
    }
}

#[test]
fn numbers_can_be_keys_and_other_things_cannot() {
    let custom = |key: &[u8]| {
        let mut bytes = rmp_serde::to_vec(&json!({"type": "custom"})).unwrap();
        bytes[0] += 1;
        bytes.extend_from_slice(&rmp_serde::to_vec("data").unwrap());
        bytes.push(0x81);
        bytes.extend_from_slice(key);
        bytes.push(0xc3);
        read(&Payload::Binary(bytes.into()), ROOM)
    };
    let Ok(Message::Custom { data, .. }) = custom(&[0x05]) else {
        panic!("refused");
    };
    assert_eq!(data.flag("5"), Some(true));
    // null, a list, bytes, an extension, an unused byte.
    for key in [&[0xc0][..], &[0x90], &[0xc4, 1, 7], &[0xd4, 1, 1], &[0xc1]] {
        assert!(custom(key).is_err(), "{key:?}");
    }
}

#[test]
fn bytes_are_bytes_in_messagepack_and_base64_in_json() {
    let notice = Notice {
        kind: "custom",
        room: ROOM,
        data: Data::map([
            ("bytes", Data::Binary(Bytes::from_static(&[1, 2, 3]))),
            ("nan", Data::Float(f64::NAN)),
            ("large", u64::MAX.into()),
        ]),
        timestamp: 7,
    };
    let Some(Payload::Text(text)) = notice.encode(Encoding::Json) else {
        panic!("no text");
    };
    let shown: Json = serde_json::from_str(&text).unwrap();
    let expected = json!({"type": "custom", "room_id": ROOM, "timestamp": 7,
        "data": {"bytes": "AQID", "nan": null, "large": u64::MAX}});
    assert_eq!(shown, expected);
    let packed = notice.encode(Encoding::MessagePack).unwrap();
    let Ok(Message::Custom { data, .. }) = read(&packed, ROOM) else {
        panic!("not read");
    };
    assert_eq!(
        data.get("bytes"),
        Some(&Data::Binary(Bytes::from_static(&[1, 2, 3])))
    );
    assert_eq!(data.get("large"), Some(&Data::Large(u64::MAX)));
}

#[test]
fn what_is_longer_than_a_message_is_not_written() {
    let notice = Notice {
        kind: "custom",
        room: ROOM,
        data: Data::map([("a", "x".repeat(MESSAGE_BYTES_MAX).into())]),
        timestamp: 7,
    };
    assert!(notice.encode(Encoding::Json).is_none());
    assert!(notice.encode(Encoding::MessagePack).is_none());
}

fn values() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        (-1e300..1e300).prop_map(Json::from),
        ".{0,20}".prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
            prop::collection::btree_map(".{0,8}", inner, 0..6)
                .prop_map(|map| map.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn no_bytes_are_too_odd(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(&Payload::Text(String::from_utf8_lossy(&bytes).into()), ROOM);
        let _ = read(&Payload::Binary(bytes.into()), ROOM);
    }

    #[test]
    fn no_changed_message_is_too_odd(value in values(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let message = json!({"type": "custom", "room_id": ROOM, "data": {"a": value}});
        let mut bytes = rmp_serde::to_vec(&message).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = read(&Payload::Binary(bytes.into()), ROOM);
    }

    #[test]
    fn what_is_said_in_one_encoding_is_read_in_the_other(value in values()) {
        let message = json!({"type": "custom", "room_id": ROOM, "data": {"a": value.clone()}});
        let Ok(Message::Custom { data, .. }) = from_messagepack(&message) else {
            return Err(TestCaseError::fail("not read"));
        };
        let notice = Notice { kind: "custom", room: ROOM, data: data.into(), timestamp: 0 };
        let Some(Payload::Text(text)) = notice.encode(Encoding::Json) else {
            return Err(TestCaseError::fail("not written"));
        };
        let shown: Json = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&shown["data"]["a"], &value);
    }
}
