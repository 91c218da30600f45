//! What pickers keep, and what excerpts say.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn pick(fields: &str, value: Value) -> String {
    FieldPicker::parse(fields).unwrap().pick(value).to_string()
}

fn excerpt(args: &str, html: &str) -> String {
    Excerpt::parse(&format!("excerpt({args})"))
        .unwrap()
        .of(html)
}

#[test]
fn named_fields_stay_and_the_rest_goes() {
    let record = || json!({"a": 1, "b": 2, "c": "x"});
    assert_eq!(pick("a,  c  ,missing", record()), r#"{"a":1,"c":"x"}"#);
    assert_eq!(pick("missing", record()), "{}");
    assert_eq!(pick("a", json!([record(), {"b": 1}])), r#"[{"a":1},{}]"#);
}

#[test]
fn no_field_keeps_everything() {
    for fields in ["", " ", ",", " , ,"] {
        assert!(FieldPicker::parse(fields).unwrap().is_empty());
        assert_eq!(
            pick(fields, json!({"b": 1, "a": [2]})),
            r#"{"a":[2],"b":1}"#
        );
    }
}

#[test]
fn what_is_no_object_stays() {
    for value in [
        json!("x"),
        json!(1),
        json!(null),
        json!(["a", "b"]),
        json!([[1]]),
        json!([]),
    ] {
        assert_eq!(pick("a,b", value.clone()), value.to_string());
    }
    assert_eq!(pick("a.b", json!({"a": 5, "c": 1})), r#"{"a":5}"#);
    assert_eq!(
        pick("a.b", json!({"a": [1, {"b": 1, "c": 1}]})),
        r#"{"a":[1,{"b":1,"c":1}]}"#
    );
    assert_eq!(pick("a", json!([{"a": 1, "b": 1}, 7])), r#"[{"a":1},7]"#);
}

#[test]
fn dots_lead_into_objects_and_lists_of_objects() {
    let value = json!({
        "rel": {"id": "1", "name": "x", "tags": [{"id": "2", "n": 1}, {"id": "3"}, {"n": 2}]},
        "other": {"id": "4"},
    });
    assert_eq!(
        pick("rel.tags.id,rel.name,other", value),
        r#"{"other":{"id":"4"},"rel":{"name":"x","tags":[{"id":"2"},{"id":"3"},{}]}}"#
    );
}

#[test]
fn a_star_stands_for_the_fields_that_are_not_named() {
    let value =
        || json!({"id": "1", "t": "x", "rel": {"id": "2", "t": "y", "sub": {"id": "3", "t": "z"}}});
    assert_eq!(
        pick("*", value()),
        r#"{"id":"1","rel":{"id":"2","sub":{"id":"3","t":"z"},"t":"y"},"t":"x"}"#
    );
    assert_eq!(
        pick("*,rel.id", value()),
        r#"{"id":"1","rel":{"id":"2"},"t":"x"}"#
    );
    assert_eq!(
        pick("id,rel.*", value()),
        r#"{"id":"1","rel":{"id":"2","sub":{"id":"3","t":"z"},"t":"y"}}"#
    );
    assert_eq!(
        pick("rel.*,rel.sub.id", value()),
        r#"{"rel":{"id":"2","sub":{"id":"3"},"t":"y"}}"#
    );
    assert_eq!(pick("*.id", value()), "{}");
}

#[test]
fn a_whole_field_wins_over_its_parts_and_the_last_mention_counts() {
    let value = || json!({"a": {"b": "long", "c": 1}, "s": "long"});
    assert_eq!(pick("a.b,a", value()), r#"{"a":{"b":"long","c":1}}"#);
    assert_eq!(pick("s:excerpt(1),s", value()), r#"{"s":"long"}"#);
    assert_eq!(pick("s,s:excerpt(1)", value()), r#"{"s":"l"}"#);
    assert_eq!(pick("a.", value()), r#"{"a":{"b":"long","c":1}}"#);
}

#[test]
fn keys_may_have_dots() {
    let value = || json!({"a.b": {"c": 1, "d": 2}, "a": {"b": {"c": 3, "d": 4}}});
    assert_eq!(
        pick("a.b.c", value()),
        r#"{"a":{"b":{"c":3}},"a.b":{"c":1}}"#
    );
    assert_eq!(
        pick("a.b", value()),
        r#"{"a":{"b":{"c":3,"d":4}},"a.b":{"c":1,"d":2}}"#
    );
}

#[test]
fn keys_come_out_sorted_on_every_level() {
    let value = json!({"z": 1, "m": {"y": [{"b": 1, "a": 2}], "x": 3}, "B": 1});
    assert_eq!(
        pick("*", value),
        r#"{"B":1,"m":{"x":3,"y":[{"a":2,"b":1}]},"z":1}"#
    );
}

#[test]
fn excerpts_apply_to_texts_only() {
    let value =
        || json!({"id": "123", "n": 12345, "rel": {"t": "<p>rel_title</p>", "u": "sub_title"}});
    assert_eq!(
        pick("*:excerpt(2),rel.t:excerpt(3, true)", value()),
        r#"{"id":"12","n":12345,"rel":{"t":"rel..."}}"#
    );
    assert_eq!(
        pick("*:excerpt(2)", value()),
        r#"{"id":"12","n":12345,"rel":{"t":"<p>rel_title</p>","u":"sub_title"}}"#
    );
}

#[test]
fn selections_tell_what_happens_to_a_field() {
    let picker = FieldPicker::parse("a,b:excerpt(5),c.d").unwrap();
    assert_eq!(picker.select("a"), Selection::Keep);
    assert!(matches!(picker.select("b"), Selection::Excerpt(_)));
    assert_eq!(picker.select("x"), Selection::Drop);
    let Selection::Within(inner) = picker.select("c") else {
        panic!("c is not gone into");
    };
    assert_eq!(
        (inner.select("d"), inner.select("e")),
        (Selection::Keep, Selection::Drop)
    );
    assert_eq!(FieldPicker::default().select("x"), Selection::Keep);
}

#[test]
fn broken_expressions_are_refused() {
    for (fields, expected) in [
        ("a,(b", FieldsError::Unbalanced),
        ("a:excerpt(3", FieldsError::Unbalanced),
        ("a,'b", FieldsError::Unbalanced),
        ("a:", FieldsError::EmptyModifier),
        ("a:()", FieldsError::EmptyModifier),
        ("a:short(3)", FieldsError::UnknownModifier),
        ("a:Excerpt(3)", FieldsError::UnknownModifier),
        ("a:excerpt", FieldsError::InvalidArguments),
        ("a:excerpt(0)", FieldsError::InvalidArguments),
        ("a:excerpt(-1)", FieldsError::InvalidArguments),
        ("a:excerpt(many)", FieldsError::InvalidArguments),
        ("a:excerpt(.5)", FieldsError::InvalidArguments),
        ("a:excerpt('3')", FieldsError::InvalidArguments),
        ("a:excerpt(1,true,2)", FieldsError::InvalidArguments),
        (
            "a:excerpt(99999999999999999999)",
            FieldsError::InvalidArguments,
        ),
    ] {
        assert_eq!(FieldPicker::parse(fields), Err(expected), "{fields}");
    }
    let deepest = vec!["a"; FIELD_DEPTH_MAX].join(".");
    assert!(FieldPicker::parse(&deepest).is_ok());
    assert_eq!(
        FieldPicker::parse(&(deepest + ".a")),
        Err(FieldsError::TooDeep)
    );
}

#[test]
fn commas_in_quotes_and_parentheses_separate_nothing() {
    let value = || json!({"'a,b'": 1, "(c,d)": 2, "e": 3, "f)": 4});
    assert_eq!(pick("'a,b',(c,d)", value()), r#"{"'a,b'":1,"(c,d)":2}"#);
    assert_eq!(pick("f),e", value()), r#"{"e":3,"f)":4}"#);
    assert_eq!(pick(r"\',e", value()), r#"{"e":3}"#);
    assert_eq!(
        pick("e:excerpt 3 true", json!({"e": "abcd"})),
        r#"{"e":"abc..."}"#
    );
}

#[test]
fn excerpts_are_the_visible_text_with_blocks_as_words() {
    for (html, expected) in [
        ("plain  text\n", "plain text"),
        ("<p>One</p><p>two</p>", "One two"),
        ("a<b>b</b><span> c</span>d", "ab cd"),
        ("a<br>b<u>c</u>d", "ab c d"),
        ("<ul><li>x<li>y</ul>z", "x y z"),
        ("<table><tr><td>1<td>2<tr><td>3</table>4", "1 2 3 4"),
        ("a<!-- <p>x</p> -->b<?x y?>c</>d", "abcd"),
        (
            "<h1 title='a > b'>T</h1 x>&lt;p&gt; &amp;c &eacute;&#33;",
            "T <p> &c é!",
        ),
        ("1 < 2 & 3 <", "1 < 2 & 3 <"),
        ("no <b", "no"),
        ("", ""),
    ] {
        assert_eq!(excerpt("100", html), expected, "{html}");
    }
}

#[test]
fn what_is_not_text_is_left_out() {
    for (html, expected) in [
        ("a<script>if (1<2) {'</p>'}</script>b", "ab"),
        ("<style>p{}</style><title>t</title>a", "a"),
        ("a<SCRIPT>x</Script >b", "ab"),
        ("a<img src='x>y'>b<input>c", "abc"),
        ("a<form><p>x</form>b", "ab"),
        ("a<form><div>x</form>y</div>b", "ab"),
        ("a<svg><path/><title>x</title></svg>b", "ab"),
        ("a<svg>x<p>b", "a b"),
        ("a<select><option>x<option>y</select>b", "ab"),
        ("a<iframe><p>x</iframe>b<textarea><p></textarea>c", "abc"),
        ("a<button>x<button>y</button>b", "ab"),
        ("<p>a<template>x<td>y</template>b", "ab"),
        ("a<plaintext></p>", "a </p>"),
    ] {
        assert_eq!(excerpt("100", html), expected, "{html}");
    }
}

#[test]
fn excerpts_end_after_so_many_characters() {
    assert_eq!(excerpt("3", "abcd"), "abc");
    assert_eq!(excerpt("4,true", "abcd"), "abcd");
    assert_eq!(excerpt("3,t", "abcd"), "abc...");
    assert_eq!(excerpt("3,yes", "abcd"), "abc");
    assert_eq!(excerpt("2.9", "abcd"), "ab");
    assert_eq!(excerpt("3,1", "ab cd"), "ab...");
    assert_eq!(excerpt("4,true", "аб\nв "), "аб в");
    assert_eq!(excerpt("3,true", "аб\nв "), "аб...");
    assert_eq!(
        excerpt("22", "&nbsp; жж<b>x</b>"),
        "жжx",
        "space at the start does not count"
    );
}

#[test]
fn html_too_deep_or_too_long_is_looked_at_no_further() {
    assert_eq!(
        excerpt("5", &("a".to_owned() + &"<div>".repeat(512) + "b")),
        "a b"
    );
    assert_eq!(
        excerpt("5", &("a".to_owned() + &"<div>".repeat(513) + "b")),
        "a"
    );
    assert_eq!(
        excerpt("5", &("a".to_owned() + &"<br>".repeat(99_998) + "b")),
        "ab"
    );
    assert_eq!(
        excerpt("5", &("a".to_owned() + &"<br>".repeat(99_999) + "b")),
        "a"
    );
}

#[test]
fn hostile_html_takes_bounded_time_and_stack() {
    for html in [
        "<div>".repeat(100_000),
        "<div>".repeat(500) + &"<p></p>".repeat(200_000),
        "<b>".repeat(500) + &"</i>".repeat(200_000),
        "<!--".to_owned() + &"-".repeat(1_000_000),
        "<title></".repeat(100_000),
        "<".repeat(1_000_000),
        "<a ".to_owned() + &"=".repeat(1_000_000),
    ] {
        assert!(excerpt("5", &html).len() <= 5);
    }
}

fn tag_soup() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(
        &[
            "a",
            " ",
            "é",
            "\u{a0}",
            "<p>",
            "</p>",
            "<b>",
            "</b>",
            "<u>",
            "<a x='>'>",
            "</a>",
            "<table>",
            "<tr>",
            "<td>",
            "</table>",
            "<svg>",
            "</svg>",
            "<math><mi>",
            "<form>",
            "</form>",
            "<script>",
            "</script>",
            "<title>",
            "<li>",
            "<select>",
            "<template>",
            "</template>",
            "<!--",
            "-->",
            "<![CDATA[",
            "]]>",
            "&amp",
            "&#x",
            ";",
            "<",
            "/>",
            "\"",
            "<br/>",
            "</body>",
            "<plaintext>",
            "<option>",
            "<h1>",
            "</h2>",
            "<dd>",
            "\0",
        ][..],
    );
    proptest::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_expression_makes_it_panic(text in any::<String>(), pieces in "[a*.,:()' \\\\]{0,20}", shape in "(a|\\*|b)(\\.(a|\\*|b)){0,3}(:excerpt\\([0-9]{1,2}(,true)?\\))?") {
        for text in [text, pieces, shape] {
            if let Ok(picker) = FieldPicker::parse(&text) {
                picker.pick(json!({"a": [{"a": "<p>x", "b": {"*": 1}}], "b": "y", "*": null, "": []}));
            }
        }
    }

    #[test]
    fn excerpts_keep_their_length(html in prop_oneof![any::<String>(), tag_soup()], max in 1_usize..20) {
        let short = excerpt(&max.to_string(), &html);
        prop_assert!(short.chars().count() <= max);
        prop_assert_eq!(short.trim(), &short);
    }

    #[test]
    fn plain_text_is_its_own_excerpt(text in "[a-zA-Z0-9,.é]{1,8}( [a-zA-Z0-9,.é]{1,8}){0,5}") {
        prop_assert_eq!(excerpt("200", &text), text);
    }
}
