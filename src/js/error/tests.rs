use std::path::Path;

use boa_engine::{Script, Source};

use super::*;
use crate::js::strip::to_javascript;

/// Runs a source as the file of that name, and gives the error.
fn failure(path: &str, source: &str) -> ScriptError {
    let code = to_javascript(path, source).unwrap();
    let maps: HashMap<_, _> = code
        .map
        .map(|map| (path.to_owned(), map))
        .into_iter()
        .collect();
    let mut context = Context::default();
    crate::js::runtime::install(&mut context).unwrap();
    let source = Source::from_bytes(&code.text).with_path(Path::new(path));
    let script = match Script::parse(source, None, &mut context) {
        Ok(script) => script,
        Err(error) => return ScriptError::from_parse(&error, &mut context, path, &maps),
    };
    let error = script.evaluate(&mut context).expect_err(&code.text);
    ScriptError::from_js(&error, &mut context, &maps)
}

#[test]
fn errors_say_what_and_where() {
    let table = [
        ("throw new Error('no')", "Error: no (a.js:1:7)"),
        ("\n  throw new TypeError('é')", "TypeError: é (a.js:2:9)"),
        (
            "function f() {\n  null.x\n}\nf()",
            "TypeError: cannot convert 'null' or 'undefined' to object (a.js:2:8)",
        ),
        ("x", "ReferenceError: x is not defined (a.js)"),
        ("throw 'text'", "Uncaught 'text' (a.js:1:7)"),
        ("throw { a: 1 }", "Uncaught { a: 1 } (a.js:1:7)"),
        ("throw null", "Uncaught null (a.js:1:7)"),
        (
            "throw { name: 'ApiError', message: 'no', status: 404 }",
            "ApiError: no (a.js:1:7)",
        ),
        (
            "throw new (class NotFound extends Error {})('gone')",
            "NotFound: gone (a.js:1:7)",
        ),
        (
            "throw new (class NotFound { message = 'gone' })()",
            "NotFound: gone (a.js:1:7)",
        ),
        (
            "throw Object.assign(new Error('a'), { name: 'B' })",
            "B: a (a.js:1:21)",
        ),
        ("throw new Error('')", "Error (a.js:1:7)"),
        ("JSON.parse('{')", "SyntaxError"),
        (
            "'a'.repeat(-1)",
            "RangeError: the count of repetitions is negative or infinite (a.js:1:11)",
        ),
        (
            "[1].map(function inner() {\n throw new RangeError('deep') })",
            "RangeError: deep (a.js:2:8)",
        ),
    ];
    for (source, expected) in table {
        let shown = failure("a.js", source).to_string();
        assert!(shown.starts_with(expected), "{source}: {shown}");
    }
}

#[test]
fn errors_of_typescript_are_where_it_was_written() {
    let source = "interface A { x: number }\ntype B = A;\n\nenum C { D }\nfunction f(a: A): never {\n  throw new Error(`${a.x}`);\n}\nfunction g(): void {\n  f({ x: C.D });\n}\ng();\n";
    let error = failure("dir/a b.ts", source);
    assert_eq!(error.to_string(), "Error: 0 (dir/a b.ts:6:9)");
    let calls: Vec<_> = error
        .stack
        .iter()
        .map(|frame| (frame.function.as_str(), frame.line))
        .collect();
    assert_eq!(
        calls,
        [("f", Some(6)), ("g", Some(9)), ("<main>", Some(11))]
    );
}

#[test]
fn errors_of_parsing_have_file_and_position() {
    let table = [
        (
            "\nlet x = ;",
            "SyntaxError: unexpected token ';', primary expression (a.js:2:9)",
        ),
        ("let a; let a", "SyntaxError"),
        ("function f( {", "SyntaxError"),
        (
            "'unterminated",
            "SyntaxError: unterminated string literal (a.js)",
        ),
        ("await 1", "SyntaxError"),
    ];
    for (source, expected) in table {
        let error = failure("a.js", source);
        assert!(error.to_string().starts_with(expected), "{source}: {error}");
        assert_eq!(error.file.as_deref(), Some("a.js"), "{source}");
        assert!(!error.message.contains(" at line "), "{source}: {error}");
    }
    let error = to_javascript("a.ts", "let x: = 1").unwrap_err();
    assert!(
        ScriptError::from_syntax(error, "a.ts")
            .to_string()
            .ends_with("(a.ts:1:8)")
    );
}

#[test]
fn what_was_thrown_is_kept_as_json() {
    let table = [
        (
            "throw { status: 400, data: { a: [1, null, undefined] }, f() {} }",
            Some("{\"status\":400,\"data\":{\"a\":[1,null,null]}}"),
        ),
        (
            "throw Object.assign(new Error('x'), { status: 404 })",
            Some("{\"status\":404}"),
        ),
        ("throw new Error('x')", None),
        ("throw 'x'", None),
        ("throw {}", None),
        (
            "throw [1, new Date(0), 2n, NaN]",
            Some("[1,\"1970-01-01T00:00:00.000Z\",\"2\",null]"),
        ),
        (
            "const o = { a: 1 }; o.o = o; throw o",
            Some("{\"a\":1,\"o\":null}"),
        ),
    ];
    for (source, expected) in table {
        let thrown = failure("a.js", source)
            .thrown
            .map(|thrown| thrown.to_string());
        assert_eq!(thrown.as_deref(), expected, "{source}");
    }
}

#[test]
fn thrown_values_run_no_code_and_have_bounds() {
    let table = [
        "throw { get message() { for (;;); }, get name() { for (;;); }, toString() { for (;;); } }",
        "const e = new Error(); Object.defineProperty(e, 'message', { get() { for (;;); } }); throw e",
        "throw new Proxy({}, { get() { for (;;); }, getPrototypeOf() { for (;;); }, ownKeys() { for (;;); } })",
        "throw Object.create(new Proxy({}, { get() { for (;;); }, has() { for (;;); } }))",
        "throw { a: new Array(2 ** 32 - 1) }",
        "let o = {}; for (let i = 0; i < 20000; i++) o = { o }; throw o",
        "let o = []; for (let i = 0; i < 40; i++) o = [o, o]; throw o",
        "let o = {}; for (let i = 0; i < 20000; i++) o = { o }; throw Object.assign(new Error(), { message: o, name: o })",
        "let o = {}; for (let i = 0; i < 20000; i++) o = { o }; throw new Map([[o, o]])",
        "let o = {}; for (let i = 0; i < 20000; i++) o = { o }; throw Object.assign(() => 1, { o })",
        "const p = Promise.reject({}); p.catch(() => 1); throw { p }",
        "throw new Error('x'.repeat(1e6))",
        "throw 'x'.repeat(1e6)",
        "throw Symbol('s')",
        "throw 2n ** 100000n",
        "throw () => 1",
        "Error.prototype.toString = () => { for (;;); }; Object.defineProperty(Error.prototype, 'stack', { get() { for (;;); } }); throw new Error('x')",
    ];
    for source in table {
        let start = std::time::Instant::now();
        let error = failure("a.js", source);
        assert!(
            error.message.chars().count() <= MESSAGE_CHARS_MAX + 1,
            "{source}"
        );
        assert!(
            start.elapsed().as_secs() < 5,
            "{source}: {:?}",
            start.elapsed()
        );
    }
}
