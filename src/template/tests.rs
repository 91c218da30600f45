use serde_json::{Value as Json, json};

use super::*;

fn render(text: &str, data: Json) -> Result<String, String> {
    let template = Template::parse([("root", text)]).map_err(|error| error.to_string())?;
    template
        .render(&data.into(), &mut ())
        .map_err(|error| error.to_string())
}

#[track_caller]
fn check(cases: &[(&str, Json, &str)]) {
    for (text, data, expected) in cases {
        assert_eq!(
            render(text, data.clone()).as_deref(),
            Ok(*expected),
            "{text}"
        );
    }
}

#[test]
fn values_are_printed_as_go_prints_them() {
    check(&[
        (
            "{{.name}}, {{.n}} of {{.f}}",
            json!({"name": "Ann", "n": 3, "f": 1.5}),
            "Ann, 3 of 1.5",
        ),
        (
            "[{{.nope}}][{{.nul}}][{{.a.b.c}}]",
            json!({"nul": null}),
            "[][][]",
        ),
        (
            "{{.}}",
            json!({"b": [1, "x", null], "a": true}),
            "map[a:true b:[1 x &lt;nil&gt;]]",
        ),
        (
            "{{1e21}} {{1e-7}} {{0x10}} {{'a'}} {{-2}}",
            json!({}),
            "1e&#43;21 1e-07 16 97 -2",
        ),
        (
            r#"{{printf "%05.2f|%s|%q|%d|%-4d|%x|%t|%v%%" 3.14159 "s" "q\"" 7 7 255 true .m}}"#,
            json!({"m": [1]}),
            "03.14|s|&#34;q\\&#34;&#34;|7|7   |ff|true|[1]%",
        ),
        (
            r#"{{printf "%d" "x"}} {{printf "%s"}}"#,
            json!({}),
            "%!d(string=x) %!s(MISSING)",
        ),
        (
            "{{print 1 2 `a` `b`}} {{println 1 `a`}}",
            json!({}),
            "1 2ab 1 a\n",
        ),
    ]);
}

#[test]
fn conditions_and_loops() {
    check(&[
        (
            "{{if .yes}}yes{{else}}no{{end}}{{if not .yes}}x{{else if eq .n 2}}two{{end}}{{if and .yes (gt .n 1)}}both{{end}}",
            json!({"yes": true, "n": 2}),
            "yestwoboth",
        ),
        (
            "{{range $i, $e := .l}}{{if $i}}, {{end}}{{$i}}:{{$e.name}}{{end}}{{range .none}}x{{else}}nothing{{end}}",
            json!({"l": [{"name": "a"}, {"name": "b"}], "none": []}),
            "0:a, 1:bnothing",
        ),
        (
            "{{range $k, $v := .}}{{$k}}={{$v}};{{end}}",
            json!({"b": 2, "a": 1}),
            "a=1;b=2;",
        ),
        ("{{range 3}}{{.}}{{end}}", json!({}), "012"),
        (
            "{{range .}}{{if eq . 2}}{{continue}}{{end}}{{if eq . 4}}{{break}}{{end}}{{.}}{{end}}",
            json!([1, 2, 3, 4, 5]),
            "13",
        ),
        (
            "{{with .user}}{{.name}}{{$.x}}{{else}}none{{end}}{{with .nope}}a{{else with .x}}{{.}}{{end}}",
            json!({"user": {"name": "u"}, "x": 1}),
            "u11",
        ),
        (
            "{{$x := 1}}{{if true}}{{$x = 2}}{{$y := 3}}{{$y}}{{end}}{{$x}}",
            json!({}),
            "32",
        ),
        (
            "{{len .l}}{{index .l 1}}{{index .m \"k\"}}{{slice .s 1 3}}{{or .nope \"default\"}}",
            json!({"l": ["p", "q"], "m": {"k": 5}, "s": "text"}),
            "2q5exdefault",
        ),
        (
            "{{eq 1 2 1}}{{ne \"a\" \"b\"}}{{le 1 1.5}}{{lt \"a\" \"b\"}}",
            json!({}),
            "truetruetruetrue",
        ),
        (
            "{{(index .l 0).name}}{{.s | printf \"%s-%s\" \"a\"}}",
            json!({"l": [{"name": "n"}], "s": "b"}),
            "na-b",
        ),
    ]);
}

#[test]
fn markers_take_white_space_and_comments_are_left_out() {
    check(&[
        (
            "a  {{- 1 -}}  b {{/* a comment */}}{{`raw text`}}",
            json!({}),
            "a1b raw text",
        ),
        ("a {{- /* x */ -}} b", json!({}), "ab"),
        ("a<!-- {{.}} -->b", json!("x"), "ab"),
    ]);
}

#[test]
fn templates_are_used_by_name() {
    check(&[
        (
            r#"{{define "cell"}}<td>{{.}}</td>{{end}}{{range .}}{{template "cell" .}}{{end}}"#,
            json!(["1", "2"]),
            "<td>1</td><td>2</td>",
        ),
        (
            r#"{{block "t" .}}no {{.}}{{end}}"#,
            json!("title"),
            "no title",
        ),
    ]);
    let files = [
        (
            "layout",
            r#"<title>{{block "title" .}}none{{end}}</title>{{template "body" .}}"#,
        ),
        (
            "page",
            "{{define \"title\"}}{{.title}}{{end}}\n{{define \"body\"}}<p>{{.text}}</p>{{end}}",
        ),
    ];
    let template = Template::parse(files).unwrap();
    let data = Value::from(json!({"title": "A & B", "text": "<x>"}));
    let page = template.render(&data, &mut ()).unwrap();
    assert_eq!(page, "<title>A &amp; B</title><p>&lt;x&gt;</p>");
}

#[test]
fn values_are_escaped_for_their_place() {
    check(&[
        (
            r#"{{.a}} {{.a|raw}} <a href="/?q={{.q}}" title="{{.a}}">x</a>"#,
            json!({"a": "<b>&\"'", "q": "a b&c"}),
            r#"&lt;b&gt;&amp;&#34;&#39; <b>&"' <a href="/?q=a%20b%26c" title="&lt;b&gt;&amp;&#34;&#39;">x</a>"#,
        ),
        (
            r#"<a href="{{.}}">"#,
            json!("javascript:alert(1)"),
            r##"<a href="#ZgotmplZ">"##,
        ),
        (
            r#"<a href="{{.}}">"#,
            json!("https://x.test/a b?c=d&e"),
            r#"<a href="https://x.test/a%20b?c=d&amp;e">"#,
        ),
        (
            r#"<a href="/x/{{.}}/y">"#,
            json!("a/b c"),
            r#"<a href="/x/a/b%20c/y">"#,
        ),
        ("<p title={{.}}>", json!("a b=c"), "<p title=a&#32;b&#61;c>"),
        (
            "<script>let x = {{.}};</script>{{.}}",
            json!("</script>'"),
            "<script>let x = \"\\u003c\\/script\\u003e\\u0027\";</script>&lt;/script&gt;&#39;",
        ),
        (
            "<script>let x = '{{.}}';</script>",
            json!("a'b"),
            "<script>let x = 'a\\u0027b';</script>",
        ),
        (
            "<script>f({{.}})</script>",
            json!({"a": [1, null, "<"]}),
            "<script>f({\"a\":[1,null,\"\\u003c\"]})</script>",
        ),
        (
            r#"<b onclick="f({{.}})">"#,
            json!("\"x"),
            r#"<b onclick="f(&#34;\u0022x&#34;)">"#,
        ),
        (
            "<style>p {color: {{.}}}</style>",
            json!("red"),
            "<style>p {color: red}</style>",
        ),
        (
            r#"<p style="color: {{.}}">"#,
            json!("red; x:expression(1)"),
            r#"<p style="color: ZgotmplZ">"#,
        ),
        ("<input {{.}}>", json!("onfocus=x"), "<input ZgotmplZ>"),
        (
            "<textarea>{{.}}</textarea><b>{{.}}</b>",
            json!("</textarea>"),
            "<textarea>&lt;/textarea&gt;</textarea><b>&lt;/textarea&gt;</b>",
        ),
    ]);
}

#[test]
fn mistakes_are_errors() {
    for text in [
        "{{.a",
        "{{if .a}}",
        "{{end}}",
        "{{else}}",
        "{{nope 1}}",
        "{{.a | }}",
        "{{template \"nope\"}}",
        "{{$x}}",
        "{{\"a}}",
        "{{(1}}",
        "{{break}}",
        "{{1 2}}",
        "{{len 1}}",
        "{{define \"x\"}}",
        "{{range 1.5}}{{end}}",
        "{{/* x }}",
        "{{eq 1 \"a\"}}",
    ] {
        assert!(render(text, json!({})).is_err(), "{text}");
    }
    let endless = r#"{{define "x"}}{{template "x" .}}{{end}}{{template "x" .}}"#;
    assert!(render(endless, json!({})).is_err());
    let deep = "{{if 1}}".repeat(5_000);
    assert!(render(&deep, json!({})).is_err());
}
