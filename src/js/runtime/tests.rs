use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use boa_engine::context::ContextBuilder;
use boa_engine::object::builtins::JsPromise;
use boa_engine::{JsValue, Source};

use super::*;
use crate::base::meter::Meter;
use crate::js::error::ScriptError;

/// Collects the reasons of unhandled rejections.
#[derive(Default)]
struct Told(RefCell<Vec<String>>);

impl Rejections for Told {
    fn rejected(&self, promise: JsPromise, context: &mut Context) {
        let boa_engine::builtins::promise::PromiseState::Rejected(reason) = promise.state() else {
            panic!("it is rejected");
        };
        let error = boa_engine::JsError::from_opaque(reason);
        let error = ScriptError::from_js(&error, context, &());
        self.0.borrow_mut().push(error.to_string());
    }

    fn handled(&self, _: &JsPromise) {
        self.0.borrow_mut().push("handled".to_owned());
    }
}

fn context() -> (Context, Rc<Told>) {
    let told = Rc::new(Told::default());
    let hooks = Hooks::new(told.clone());
    let mut context = ContextBuilder::new().host_hooks(hooks).build().unwrap();
    install(&mut context).unwrap();
    (context, told)
}

fn eval(context: &mut Context, source: &str) -> String {
    let result = context.eval(Source::from_bytes(source));
    let result = result.and_then(|value| context.run_jobs().map(|()| value));
    match result {
        Ok(value) => format_values(&[value], context),
        Err(error) => ScriptError::from_js(&error, context, &()).message,
    }
}

fn check(table: &[(&str, &str)]) {
    let (mut context, _) = context();
    for (source, expected) in table {
        let source = format!("(() => {{ {source} }})()");
        assert_eq!(eval(&mut context, &source), *expected, "{source}");
    }
}

#[test]
fn dates_of_records_are_read() {
    check(&[
        (
            "return new Date('2024-01-02 03:04:05.678Z')",
            "2024-01-02T03:04:05.678Z",
        ),
        (
            "return Date.parse('2024-01-02 03:04:05.678Z')",
            "1704164645678",
        ),
        (
            "return new Date('2024-01-02 03:04:05Z').getTime()",
            "1704164645000",
        ),
        (
            "return new Date('2024-01-02T03:04:05.678Z').toISOString()",
            "2024-01-02T03:04:05.678Z",
        ),
        ("return new Date('x 2024-01-02 03').getTime()", "NaN"),
        ("return new Date('2024-01-02').getTime()", "1704153600000"),
        (
            "return new Date(0).toISOString() + new Date(2024, 0).getFullYear()",
            "1970-01-01T00:00:00.000Z2024",
        ),
        (
            "return [Date.length, Date.name, Date.parse.length, Date.parse.name, Date.UTC.length].join()",
            "7,Date,1,parse,7",
        ),
        (
            "return new Date() instanceof Date && Date.prototype.constructor === Date",
            "true",
        ),
        (
            "return typeof Date() + typeof Date.now() + Date.UTC(1970, 0)",
            "stringnumber0",
        ),
        (
            "class D extends Date { a() { return this.getTime() } } const d = new D('1970-01-01 00:00:01Z'); return [d.a(), d instanceof D, d instanceof Date].join()",
            "1000,true,true",
        ),
        (
            "return Object.prototype.toString.call(new Date()) + Object.keys(globalThis).includes('Date')",
            "[object Date]false",
        ),
        (
            "return new Date(new Date('2024-01-02 03:04:05.678Z')).getTime()",
            "1704164645678",
        ),
        ("return structuredClone(new Date(5)).getTime()", "5"),
        (
            "return JSON.stringify({ d: new Date(0) })",
            "{\"d\":\"1970-01-01T00:00:00.000Z\"}",
        ),
        (
            "return new Date('2024-01-02 03:04:05').getTime() === new Date('2024-01-02T03:04:05').getTime()",
            "true",
        ),
    ]);
}

#[test]
fn the_platform_beside_the_language_is_there() {
    check(&[
        (
            "const u = new URL('../b?x=1#h', 'http://a.c/d/e'); return u.href",
            "http://a.c/b?x=1#h",
        ),
        ("return btoa('abc') + atob('YWJj')", "YWJjabc"),
        (
            "return new TextDecoder().decode(new TextEncoder().encode('é'))",
            "é",
        ),
        (
            "return structuredClone({ a: [1, new Map([[1, 2]])] })",
            "{ a: [ 1, Map(1) { 1 => 2 } ] }",
        ),
        (
            "return /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(crypto.randomUUID())",
            "true",
        ),
        (
            "const a = new Uint32Array(8); return crypto.getRandomValues(a) === a && a.some(x => x > 0)",
            "true",
        ),
        (
            "const a = new Uint8Array(8); crypto.getRandomValues(a.subarray(4)); return a.slice(0, 4).join() + (crypto.randomUUID() !== crypto.randomUUID())",
            "0,0,0,0true",
        ),
        (
            "try { crypto.getRandomValues(new Uint8Array(65537)) } catch (e) { return e.name }",
            "RangeError",
        ),
        (
            "try { crypto.getRandomValues([]) } catch (e) { return e.name }",
            "TypeError",
        ),
        (
            "const t = performance.now(); return t >= 0 && performance.now() >= t && performance.timeOrigin > 1.7e12",
            "true",
        ),
        (
            "globalThis.q = 0; queueMicrotask(() => { globalThis.q = 1 })",
            "undefined",
        ),
        ("return q", "1"),
        ("return typeof Atomics.wait", "undefined"),
    ]);
}

#[test]
fn search_parameters_are_those_of_the_standard() {
    check(&[
        (
            "return new URLSearchParams('?a=1&b=%20&a=2').getAll('a')",
            "[ '1', '2' ]",
        ),
        (
            "return new URLSearchParams({ a: 1, b: 'x y' }).toString()",
            "a=1&b=x+y",
        ),
        (
            "return new URLSearchParams([['a', 1], ['b', 2]]).get('b')",
            "2",
        ),
        (
            "return new URLSearchParams(new URLSearchParams('a=é')) + ''",
            "a=%C3%A9",
        ),
        (
            "return new URLSearchParams(new Map([['k', 'v']])) + ''",
            "k=v",
        ),
        (
            "const p = new URLSearchParams('a=1&b=2&a=3'); p.set('a', 9); p.append('c', 4); p.delete('b'); return p + ''",
            "a=9&c=4",
        ),
        (
            "const p = new URLSearchParams('b=1&a=2&b=0'); p.sort(); return p + '' + p.size",
            "a=2&b=1&b=03",
        ),
        (
            "const p = new URLSearchParams('a=1'); return [p.has('a'), p.has('a', '2'), p.get('x')].join()",
            "true,false,",
        ),
        (
            "return [...new URLSearchParams('a=1&b=2')]",
            "[ [ 'a', '1' ], [ 'b', '2' ] ]",
        ),
        (
            "const p = new URLSearchParams('a=1'); return [[...p.keys()], [...p.values()], [...p.entries()].length].join()",
            "a,1,1",
        ),
        (
            "let s = ''; new URLSearchParams('a=1&b=2').forEach((v, k) => { s += k + v }); return s",
            "a1b2",
        ),
        (
            "const u = new URL('http://a/?x=1'); u.searchParams.append('y', '2 3'); return u.href",
            "http://a/?x=1&y=2+3",
        ),
        (
            "const u = new URL('http://a/?x=1'), p = u.searchParams; u.search = '?z=1'; p.delete('z'); return u.href + p.size",
            "http://a/0",
        ),
        (
            "return Object.prototype.toString.call(new URLSearchParams()) + typeof URLSearchParams",
            "[object URLSearchParams]function",
        ),
        (
            "try { URLSearchParams() } catch (e) { return e.name }",
            "TypeError",
        ),
        (
            "try { new URLSearchParams().append('a') } catch (e) { return e.name }",
            "TypeError",
        ),
    ]);
}

#[test]
fn bounded_functions_are_otherwise_the_same() {
    check(&[
        (
            "return ['ab'.repeat(3), 'é€'.repeat(2), ''.repeat(1e9), 'a'.repeat(0)].join()",
            "ababab,é€é€,,",
        ),
        (
            "try { 'a'.repeat(-1) } catch (e) { return e.name }",
            "RangeError",
        ),
        (
            "try { 'a'.repeat(Infinity) } catch (e) { return e.name }",
            "RangeError",
        ),
        (
            "return [1, null, undefined, [2, [3]], 'x'].join() + [1, 2].join('') + [[], [[]]]",
            "1,,,2,3,x12,",
        ),
        ("const a = [1]; a.push(a); return a.join()", "1,"),
        (
            "return Array.prototype.join.call({ length: 2, 0: 'a', 1: 'b' }, '-')",
            "a-b",
        ),
        (
            "return [3, 1, 2].sort().map(x => x * 2).filter(x => x > 2).reduce((a, b) => a + b)",
            "10",
        ),
        (
            "return Array.from({ length: 2 }, (_, i) => i).concat([[5]], 6).flat()",
            "[ 0, 1, 5, 6 ]",
        ),
        (
            "return Array.from(new Set([1, 2])).length + Array.from('ab').length",
            "4",
        ),
        (
            "return 'a-b-c'.replaceAll('-', '+') + 'aXbX'.replace(/X/g, m => m + 1) + 'ab'.replace('b', '$&$&')",
            "a+b+caX1bX1abb",
        ),
        (
            "return '5'.padStart(3, '0') + 'a'.padEnd(3) + '|'",
            "005a  |",
        ),
        (
            "return Math.max.apply(null, [1, 5, 2]) + Reflect.apply(Math.min, null, [4, 3])",
            "8",
        ),
        (
            "return JSON.stringify({ a: [1, { b: undefined, c: () => 1 }], d: 'é' }, null, 1).length",
            "35",
        ),
        (
            "const o = { toJSON() { return 1 } }; return JSON.stringify([o])",
            "[1]",
        ),
        (
            "try { const o = {}; o.a = o; JSON.stringify(o) } catch (e) { return e.name }",
            "TypeError",
        ),
        (
            "const o = { n: 1 }; o.a = o; const c = structuredClone(o); return c.a === c && c !== o",
            "true",
        ),
        ("return String.raw`a\\n${1}`", "a\\n1"),
        (
            "return [Array.prototype.map.name, Array.prototype.map.length, ''.repeat.length, Array.prototype.concat.length, JSON.stringify.length].join()",
            "map,1,1,1,3",
        ),
        (
            "return Object.keys(Array.prototype).length + Object.keys(JSON).length",
            "0",
        ),
        (
            "class L extends Array { } return new L(1, 2).map(x => x) instanceof L",
            "true",
        ),
        ("return new Uint8Array([3, 1]).sort().join('-')", "1-3"),
    ]);
}

#[test]
fn unbounded_native_work_is_a_range_error() {
    let (mut context, _) = context();
    let sources = [
        "'a'.repeat(2 ** 30 - 1)",
        "'a'.padStart(2 ** 30 - 1)",
        "'a'.padEnd(1e9, 'xy')",
        "new Array(2 ** 32 - 1).fill(0)",
        "new Array(1e9).join('x')",
        "'a'.repeat(1e6).split('').join('b'.repeat(1e6))",
        "'a'.repeat(1e6).replaceAll('a', 'b'.repeat(1e6))",
        "'a'.repeat(1e6).replace(/a/g, 'b'.repeat(1e6))",
        "'a'.repeat(1e6).replace('a', '$`'.repeat(1e6))",
        "Array.from({ length: 1e9 })",
        "new Array(2 ** 32 - 1).forEach(() => 1)",
        "Array.prototype.indexOf.call({ length: 2 ** 53 - 1 }, 1)",
        "{ const a = []; a.length = 2 ** 32 - 1; a.reverse() }",
        "[].concat(new Array(2 ** 32 - 1))",
        "Array(2 ** 32 - 1).sort()",
        "Array(2 ** 32 - 1).toString()",
        "new Array(2 ** 31).flat(Infinity)",
        "(() => 1).apply(null, { length: 2 ** 32 - 1 })",
        "Reflect.construct(Object, { length: 1e8 })",
        "String.raw({ raw: { length: 2 ** 52 } })",
        "new ArrayBuffer(2 ** 40)",
        "new Uint8Array(1e8)",
        "new Uint8Array({ length: 1e9 })",
        "new Float64Array(3e6).sort()",
        "JSON.stringify(new Array(1e8))",
        "Object.keys(new Float64Array(3e6))",
        "Object.assign({}, 'a'.repeat(3e6))",
        "Reflect.ownKeys(new Uint8Array(3e6))",
        "{ let o = []; for (let i = 0; i < 20000; i++) o = [o]; JSON.stringify(o) }",
        "{ let o = {}; for (let i = 0; i < 20000; i++) o = { o }; structuredClone(o) }",
        "{ let o = []; for (let i = 0; i < 20000; i++) o = [o]; String(o) }",
        "{ let o = []; for (let i = 0; i < 40; i++) o = [o, o]; JSON.stringify(o) }",
        "2n ** 10000000000n",
        "1n << 10000000000n",
    ];
    for source in sources {
        let start = Instant::now();
        let told = eval(&mut context, source);
        assert!(told.starts_with("RangeError"), "{source}: {told}");
        assert!(
            start.elapsed().as_secs() < 5,
            "{source}: {:?}",
            start.elapsed()
        );
    }
}

#[test]
fn code_from_texts_is_refused() {
    let (mut context, _) = context();
    for source in [
        "eval('1')",
        "new Function('1')",
        "(async () => {}).constructor('1')",
        "(0, eval)('1')",
    ] {
        let told = eval(&mut context, source);
        assert!(
            told.starts_with("EvalError: scripts cannot"),
            "{source}: {told}"
        );
    }
}

#[test]
fn unhandled_rejections_are_told() {
    let (mut context, told) = context();
    let source = "Promise.reject(new TypeError('a'));\n(async () => { throw 'b' })();\nconst p = Promise.reject(3); p.catch(() => 1); Promise.resolve(4)";
    eval(&mut context, source);
    let told = told.0.borrow();
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(told[0].starts_with("TypeError: a ("), "{told:?}");
    assert!(told[0].contains(":1:"), "{told:?}");
    assert_eq!(told[1], "Uncaught 'b'");
    assert_eq!(told[2..], ["Uncaught 3", "handled"]);
}

#[test]
fn contexts_give_their_memory_back() {
    let run = || {
        let (mut context, _) = context();
        eval(
            &mut context,
            "class A {}; [new A(), new URL('http://a').searchParams]",
        );
    };
    let bytes = || {
        boa_gc::force_collect();
        Meter::of_this_thread().bytes()
    };
    // A thread of its own: the collector's heap is the thread's.
    let grown = std::thread::spawn(move || {
        (0..100).for_each(|_| run());
        let before = bytes();
        (0..500).for_each(|_| run());
        bytes() - before
    });
    let grown = grown.join().unwrap();
    assert!(grown < 1 << 18, "500 contexts keep {grown} bytes");
}

#[test]
fn a_context_is_made_in_little_time() {
    let mut best = [std::time::Duration::MAX; 2];
    let hooks = Hooks::new(Rc::new(Told::default()));
    for _ in 0..50 {
        let start = Instant::now();
        let mut context = ContextBuilder::new()
            .host_hooks(hooks.clone())
            .build()
            .unwrap();
        best[0] = best[0].min(start.elapsed());
        let start = Instant::now();
        install(&mut context).unwrap();
        best[1] = best[1].min(start.elapsed());
        let _ = JsValue::undefined();
    }
    println!("a context: {:?}, its globals: {:?}", best[0], best[1]);
    assert!(best[1].as_millis() < 10, "{best:?}");
}
