use boa_engine::Source;

use super::*;

fn shown(source: &str) -> String {
    let mut context = Context::default();
    crate::js::runtime::install(&mut context).unwrap();
    let source = format!("({source})");
    let value = context.eval(Source::from_bytes(&source)).unwrap();
    let array = boa_engine::object::builtins::JsArray::from_object(value.as_object().unwrap());
    let values = match array {
        Ok(array) => (0..array.length(&mut context).unwrap())
            .map(|index| array.get(index, &mut context).unwrap())
            .collect(),
        Err(_) => vec![value],
    };
    format_values(&values, &mut context)
}

#[test]
fn values_look_as_they_are_written() {
    let table = [
        (
            "['a', 1, 1.5, -0, true, null, undefined, 10n, Symbol('s')]",
            "a 1 1.5 -0 true null undefined 10n Symbol(s)",
        ),
        (
            "[['a', \"it's\", 'x\\ny'], [], [,1,,,2]]",
            "[ 'a', \"it's\", 'x\\ny' ] [] [ <1 empty item>, 1, <2 empty items>, 2 ]",
        ),
        (
            "[{}, { a: 1, 'b-c': { d: [2] }, 3: 4, [Symbol('k')]: 5 }]",
            "{} { '3': 4, a: 1, 'b-c': { d: [ 2 ] }, [Symbol(k)]: 5 }",
        ),
        (
            "[{ a: { b: { c: { d: { e: 1 } } } } }]",
            "{ a: { b: { c: { d: [Object] } } } }",
        ),
        (
            "[function f() {}, () => {}, class A {}, Math.max]",
            "[Function: f] [Function (anonymous)] [class A] [Function: max]",
        ),
        (
            "[new (class Point { x = 1 })(), Object.create(null)]",
            "Point { x: 1 } [Object: null prototype] {}",
        ),
        (
            "[new Date(0), new Date(NaN), /a\\/b/gi]",
            "1970-01-01T00:00:00.000Z Invalid Date /a\\/b/gi",
        ),
        (
            "[new Map([['a', 1]]), new Set([1, 'b']), new Map()]",
            "Map(1) { 'a' => 1 } Set(2) { 1, 'b' } Map(0) {}",
        ),
        (
            "[new Uint8Array([1, 2]), Promise.resolve(1), new Promise(() => {})]",
            "Uint8Array(2) [ 1, 2 ] Promise { 1 } Promise { <pending> }",
        ),
        (
            "[new TypeError('no'), Object.assign(new Error('x', { cause: 1 }), { status: 4 })]",
            "TypeError: no Error: x [cause]: 1 { status: 4 }",
        ),
        (
            "(() => { const a = { b: 1 }; a.a = a; return [a] })()",
            "{ b: 1, a: [Circular] }",
        ),
        ("[new URL('http://a.b/c')]", "URL 'http://a.b/c'"),
        (
            "['%s is %d%% of %o%c', 'x', '50', { a: 1 }, 'css', 'more', 1]",
            "x is 50% of { a: 1 } more 1",
        ),
        ("['100%', 1]", "100% 1"),
        ("['%j %i %x', { a: [1] }, 1.9, 2]", "{\"a\":[1]} 1 %x 2"),
        ("['%s']", "%s"),
    ];
    for (source, expected) in table {
        assert_eq!(shown(source), expected, "{source}");
    }
}

#[test]
fn no_code_of_the_script_runs() {
    let loops = "get() { for (;;); }";
    let table = [
        (
            format!("[Object.defineProperty({{}}, 'x', {{ enumerable: true, {loops} }})]"),
            "{ x: [Getter] }",
        ),
        (
            "[new Proxy({}, { get() { for (;;); }, ownKeys() { for (;;); } })]".to_owned(),
            "[Proxy]",
        ),
        (
            "[{ toString() { for (;;); }, toJSON() { for (;;); } }]".to_owned(),
            "{ toString: [Function: toString], toJSON: [Function: toJSON] }",
        ),
        (
            format!("[Object.defineProperty(new Error('a'), 'message', {{ {loops} }})]"),
            "Error",
        ),
        (
            format!("[Object.create({{}}, {{ constructor: {{ {loops} }} }})]"),
            "{}",
        ),
    ];
    for (source, expected) in table {
        assert_eq!(shown(&source), expected, "{source}");
    }
}

#[test]
fn large_values_are_shown_in_part() {
    assert_eq!(shown("['x'.repeat(1e6)]").chars().count(), 32 * 1024 + 24);
    assert!(shown("[[...Array(1000).keys()]]").ends_with("99, ... 900 more items ]"));
    assert_eq!(
        shown("[new Array(2 ** 32 - 1)]").len(),
        "[ ... 4294967295 more items ]".len()
    );
    assert!(
        shown("[new Map([...Array(1000).keys()].map(x => [x, x]))]")
            .ends_with("... 900 more items }")
    );
    let wide = "(() => { let o = {}; for (let i = 0; i < 4; i++) { const p = {}; for (let j = 0; j < 90; j++) p['k' + j] = o; o = p } return [o] })()";
    assert!(shown(wide).len() < 200 * 1024);
    assert_eq!(shown("[2n ** 5000n]"), "[BigInt]");
    let deep = "(() => { let o = []; for (let i = 0; i < 50000; i++) o = [o]; return [o] })()";
    assert_eq!(shown(deep), "[ [ [ [ [Array] ] ] ] ]");
}
