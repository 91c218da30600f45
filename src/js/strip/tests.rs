use boa_engine::{Context, Source};

use super::*;

/// What a source gives, as text.
fn run(path: &str, source: &str) -> String {
    let code = to_javascript(path, source).unwrap_or_else(|error| panic!("{source}: {error}"));
    let mut context = Context::default();
    match context.eval(Source::from_bytes(&code.text)) {
        Ok(value) => value.display().to_string(),
        Err(error) => panic!("{source}\n{}\n{error}", code.text),
    }
}

fn refused(path: &str, source: &str) -> SyntaxError {
    to_javascript(path, source).expect_err(source)
}

#[test]
fn typescript_runs_with_its_types_gone() {
    let table = [
        ("let x: number = 1; x as any as number", "1"),
        ("const f = <T,>(x: T): T => x; f<number>(2)!", "2"),
        ("enum E { A, B = 5, C } E.C + E[5].length", "7"),
        ("enum E { A = 'a', B = `b` } E.A + E.B", "\"ab\""),
        ("const enum E { A = 1 << 3, B = A | 1 } E.B", "9"),
        ("enum E { A = 1 } enum E { B = 2 } E.A + E.B", "3"),
        (
            "namespace N { export const x = 3; export namespace M { export const y = x } } N.M.y",
            "3",
        ),
        (
            "class A { constructor(readonly x: number, private y = 2) {} sum() { return this.x + this.y } } new A(1).sum()",
            "3",
        ),
        (
            "abstract class A { abstract f(): number; g() { return this.f() } } class B extends A { f() { return 4 } } new B().g()",
            "4",
        ),
        (
            "function f(x: string): string; function f(x: number): number; function f(x: any) { return x } f(5)",
            "5",
        ),
        (
            "const p = { a: 1 } satisfies Record<string, number>; p.a",
            "1",
        ),
        (
            "interface I { a: number } type T = I | null; declare const q: T; declare function z(): void; 6",
            "6",
        ),
        (
            "class A { declare x: number; y?: string; static z: number = 7; #p = 1; get p() { return this.#p } } A.z + new A().p",
            "8",
        ),
        (
            "function f(this: { x: number }) { return this.x } f.call({ x: 8 })",
            "8",
        ),
        ("let a: { b?: { c: number } } = {}; a?.b?.c ?? 9", "9"),
        (
            "import type { X } from './x'; import { type Y } from './y'; import { Z } from 'z'; let x: X, y: Y, z: Z; 10",
            "10",
        ),
        (
            "export {}; export type T = number; export interface I {} 11",
            "11",
        ),
        (
            "function isText(x: unknown): x is string { return typeof x === 'string' } isText('a')",
            "true",
        ),
        (
            "const t = ['a', 'b'] as const; type L = (typeof t)[number]; t.length",
            "2",
        ),
        (
            "class A<T extends object = {}> { m<const U>(u: U) { return u } } new A<{}>().m<12>(12)",
            "12",
        ),
        (
            "let s = 0; for (const [k, v] of Object.entries({ a: 1, b: 2 }) as [string, number][]) s += v; s",
            "3",
        ),
        (
            "async function f(): Promise<void> { await null } typeof f()",
            "\"object\"",
        ),
        (
            "function add(c: any) { c.n = 13 } @add class A { static n: number } A.n",
            "13",
        ),
        (
            "function twice(t: any, k: string, d: any) { const f = d.value; d.value = function () { return 2 * f.call(this) } } class A { @twice f() { return 7 } } new A().f()",
            "14",
        ),
        (
            "'use strict'; function add(c: any) { c.n = this === undefined } @add class A { static n: any } (function () { return A.n && this === undefined })()",
            "true",
        ),
        ("let x = <any>{ a: 15 }; x.a", "15"),
        (
            "type A = { [K in 'a' | 'b']: K }; let a: A['a'] = 'a'; a",
            "\"a\"",
        ),
    ];
    for (source, expected) in table {
        assert_eq!(run("a.ts", source), expected, "{source}");
    }
}

#[test]
fn require_of_typescript_becomes_a_call() {
    let code = to_javascript("a.ts", "import fs = require('fs'); export = fs.x;").unwrap();
    assert_eq!(
        code.text,
        "const fs = require(\"fs\");\nmodule.exports = fs.x;\n"
    );
}

#[test]
fn javascript_stays_as_it_is() {
    let source = "var x = 1 // import\nexports.y = 'export'";
    let code = to_javascript("a.pb.js", source).unwrap();
    assert_eq!((code.text.as_str(), code.map.is_none()), (source, true));
    // Errors are the interpreter's to tell.
    assert!(to_javascript("a.js", "var = import").is_ok());
}

#[test]
fn imports_and_exports_are_refused_where_they_stand() {
    for path in ["a.js", "a.ts"] {
        let error = refused(path, "var é = 1\n  import { x } from 'y'; x()");
        assert!(error.message.contains("require"), "{error}");
        assert_eq!((error.line, error.column), (2, 3), "{path}");
        for source in [
            "export const x = 1",
            "export default 1",
            "export * from 'x'",
        ] {
            let error = refused(path, source);
            assert!(error.message.contains("module.exports"), "{error}");
            assert_eq!((error.line, error.column), (1, 1), "{source}");
        }
    }
}

#[test]
fn errors_of_typescript_have_their_position() {
    let table = [
        ("let x: = 1", 1, 8),
        ("let a = 1;\nlet a = 2;", 1, 5),
        ("\n\nfunction f( {", 3, 14),
        ("// é\n/* é */ enum { }", 2, 14),
    ];
    for (source, line, column) in table {
        let error = refused("a.ts", source);
        assert_eq!(
            (error.line, error.column),
            (line, column),
            "{source}: {error}"
        );
    }
}

#[test]
fn positions_in_the_code_lead_back_to_the_source() {
    let source = "interface A {\n  x: number;\n}\n\ntype B = A;\nenum E { A }\nfunction f(a: A): never {\n  throw new Error('é' + a.x);\n}\nf({ x: 1 });\n";
    let code = to_javascript("a.ts", source).unwrap();
    let map = code.map.unwrap();
    let of = |needle: &str| {
        let line = code
            .text
            .lines()
            .position(|line| line.contains(needle))
            .unwrap();
        let column = code.text.lines().nth(line).unwrap().find(needle).unwrap();
        map.original(line as u32 + 1, column as u32 + 1)
    };
    assert_eq!(of("throw"), (8, 3));
    assert_eq!(of("new Error"), (8, 9));
    assert_eq!(of("f({"), (10, 1));
    assert_eq!(LineMap::default().original(3, 4), (3, 4));
    let decorated = to_javascript("a.ts", "function d(c: any) {}\n@d class A {}\nthrow 1").unwrap();
    let line = decorated
        .text
        .lines()
        .position(|line| line.contains("throw 1"))
        .unwrap();
    assert_eq!(decorated.map.unwrap().original(line as u32 + 1, 1), (3, 1));
}

#[test]
fn sources_that_nest_too_deeply_are_refused() {
    let nested = format!("\n{}1{}", "(".repeat(100_000), ")".repeat(100_000));
    for path in ["a.js", "a.ts"] {
        let error = refused(path, &nested);
        assert_eq!((error.line, error.column), (2, 501), "{error}");
        assert!(to_javascript(path, &format!("{}1{}", "(".repeat(90), ")".repeat(90))).is_ok());
        refused(path, &" ".repeat(5 << 20));
    }
}
