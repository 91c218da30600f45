//! Scripts that do all they can not to end: each is over at its limit with a clean error, and its context goes on.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use boa_engine::context::ContextBuilder;
use boa_engine::object::builtins::JsPromise;
use boa_engine::{Context, Source};

use super::error::ScriptError;
use super::runtime::{self, Hooks, Rejections};
use super::strip::to_javascript;
use super::watchdog::{Fired, Ran, THREAD_STACK_BYTES, ThreadWatch, Watchdog};

const BUDGET: Duration = Duration::from_millis(200);

struct Nobody;

impl Rejections for Nobody {
    fn rejected(&self, _: JsPromise, _: &mut Context) {}
    fn handled(&self, _: &JsPromise) {}
}

fn context() -> Context {
    let hooks = Hooks::new(Rc::new(Nobody));
    let mut context = ContextBuilder::new().host_hooks(hooks).build().unwrap();
    runtime::install(&mut context).unwrap();
    context
}

/// As a script thread does: on a large stack.
fn on_script_thread(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(THREAD_STACK_BYTES);
    thread.spawn(test).unwrap().join().unwrap();
}

fn run(
    watch: &ThreadWatch,
    context: &mut Context,
    budget: Duration,
    source: &str,
) -> Ran<Result<String, ScriptError>> {
    watch.run(context, budget, |context| {
        let code = to_javascript("a.js", source)
            .map_err(|error| ScriptError::from_syntax(error, "a.js"))?;
        let result = context.eval(Source::from_bytes(&code.text));
        let result = result.and_then(|value| context.run_jobs().map(|()| value));
        match result {
            Ok(value) => Ok(runtime::format_values(&[value], context)),
            Err(error) => Err(ScriptError::from_js(&error, context, &())),
        }
    })
}

fn assert_usable(watch: &ThreadWatch, context: &mut Context, source: &str) {
    let ran = run(
        watch,
        context,
        Duration::from_secs(5),
        "[3, 1, 2].map(x => x * 2).sort().join()",
    );
    assert_eq!(ran.value.as_deref(), Ok("2,4,6"), "after {source}");
    assert_eq!(ran.fired, None, "after {source}");
}

#[test]
fn endless_scripts_are_stopped_at_their_time_limit() {
    on_script_thread(|| {
        let watchdog = Watchdog::start(0, |_| {}).unwrap();
        let watch = watchdog.watch(1);
        let mut kept = context();
        for source in ENDLESS {
            let start = Instant::now();
            // A context of its own, so that what one leaves (promise jobs, say) is not the next one's.
            let mut context = context();
            let ran = run(&watch, &mut context, BUDGET, source);
            assert_eq!(
                ran.fired,
                Some(Fired::TimeLimit),
                "{source}: {:?}",
                ran.value
            );
            assert!(!ran.stuck, "{source}");
            let took = start.elapsed();
            assert!(took < BUDGET + Duration::from_secs(2), "{source}: {took:?}");
            assert_usable(&watch, &mut context, source);
            assert_usable(&watch, &mut kept, source);
        }
    });
}

#[test]
fn runaway_recursion_is_an_error() {
    on_script_thread(|| {
        let watchdog = Watchdog::start(0, |_| {}).unwrap();
        let watch = watchdog.watch(1);
        for source in RECURSIVE {
            let mut context = context();
            let ran = run(&watch, &mut context, Duration::from_secs(20), source);
            let message = ran.value.map_err(|error| error.message);
            let clean = message.as_ref().is_err_and(|message| {
                message.starts_with("RangeError")
                    || message.starts_with("SyntaxError: brackets")
                    || message.starts_with("SyntaxError: recursion")
                    || message.starts_with("InternalError")
            });
            assert!(clean, "{source}: {message:?}");
            assert_usable(&watch, &mut context, source);
        }
        let deep = format!("{}1{}", "(".repeat(50_000), ")".repeat(50_000));
        let ran = run(&watch, &mut context(), BUDGET, &deep);
        assert_eq!(
            ran.value.unwrap_err().message,
            "SyntaxError: brackets nest too deeply"
        );
    });
}

#[test]
fn long_chains_in_a_source_fit_the_stack() {
    on_script_thread(|| {
        let chains = [
            format!("{}1", "!".repeat(5_000)),
            format!("1{}", "+1".repeat(20_000)),
            format!("var a; {}1", "a = ".repeat(2_000)),
            format!("{}1", "1 ? 1 : ".repeat(2_000)),
            format!("{}0", "x => ".repeat(5_000)),
            format!("{};", "if (1) ".repeat(2_000)),
            format!("{}{{}}", "if (0) {} else ".repeat(2_000)),
            format!("var a = {{}}; a{}", "?.a".repeat(10_000)),
            format!("2{}", " ** 1".repeat(10_000)),
        ];
        for chain in &chains {
            let mut context = context();
            // Whatever it gives: the process lives.
            let _ = context
                .eval(Source::from_bytes(chain))
                .map_err(|error| error.to_string());
            let _ = to_javascript("a.ts", chain);
        }
    });
}

#[test]
fn scripts_that_take_memory_are_stopped_at_their_limit() {
    on_script_thread(|| {
        let watchdog = Watchdog::start(96 << 20, |_| {}).unwrap();
        let watch = watchdog.watch(1);
        for source in GREEDY {
            let mut context = context();
            let ran = run(&watch, &mut context, Duration::from_secs(30), source);
            assert_eq!(
                ran.fired,
                Some(Fired::MemoryLimit),
                "{source}: {:?}",
                ran.value
            );
            assert_usable(&watch, &mut context, source);
            drop(context);
            boa_gc::force_collect();
        }
    });
}

#[test]
fn native_work_that_cannot_be_stopped_is_reported() {
    on_script_thread(|| {
        let stuck = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stuck);
        let watchdog = Watchdog::start(0, move |_| told.store(true, Ordering::SeqCst)).unwrap();
        let watch = watchdog.watch(1);
        let mut context = context();
        // Each one takes twice as long as the one before.
        for length in 16..48 {
            let source = format!("/^(a+)+$/.test('a'.repeat({length}) + 'b')");
            let ran = run(&watch, &mut context, Duration::from_millis(20), &source);
            if ran.stuck {
                assert_eq!(ran.fired, Some(Fired::TimeLimit));
                break;
            }
        }
        assert!(stuck.load(Ordering::SeqCst));
        assert_usable(&watch, &mut context, "a regular expression");
    });
}

const ENDLESS: &[&str] = &[
    "(async () => { for await (const x of (async function* () { for (;;) yield 1 })()) {} })()",
    "(async () => { for await (const x of (async function* () { for (;;); })()) {} })()",
    "(async function* () { for (;;); })().next()",
    "(async function* () { try { for (;;); } finally { for (;;); } })().next()",
    "(async function* () { for (const x of [1]) { await null; for (;;); } })().next()",
    "const g = (async function* () { try { yield 1 } finally { for (;;); } })(); g.next().then(() => g.return(2))",
    "const g = (async function* () { try { yield 1 } catch { for (;;); } })(); g.next().then(() => g.throw(2))",
    "const g = (async function* () { yield* (async function* () { for (;;); })() })(); g.next(); g.next()",
    "const g = (async function* () { yield 1; for (;;); })(); g.next(); g.next(); g.return()",
    "while (true) {}",
    "for (;;);",
    "do {} while (true)",
    "a: while (true) { continue a }",
    "for (;;) { try { while (true) {} } catch (e) {} finally { while (true) {} } }",
    "a: for (;;) { try { throw 1 } catch { continue a } }",
    "function f(n) { return n < 2 ? n : f(n - 1) + f(n - 2) } f(60)",
    "[1].forEach(() => { while (true) {} })",
    "const a = Array.from({ length: 1e5 }, (_, i) => i % 7); a.sort((x, y) => { for (let i = 0; i < 1e4; i++); return x - y })",
    "(function next() { Promise.resolve().then(next) })()",
    "(async () => { for (;;) await null })()",
    "(async () => { await null; while (true) {} })()",
    "function* g() { while (true) yield 1 } for (const x of g());",
    "const i = { [Symbol.iterator]: () => ({ next: () => ({ done: false }) }) }; for (const x of i);",
    "const i = { [Symbol.iterator]: () => ({ next: () => ({ done: false }) }) }; const [...a] = { [Symbol.iterator]: () => ({ next() { for (;;); } }) }",
    "const m = new Map([[0, 0]]); m.forEach((v, k) => { m.delete(k); m.set(k + 1, 0) })",
    "const s = new Set([0]); for (const x of s) { s.delete(x); s.add(x + 1) }",
    "({ get x() { for (;;); } }).x",
    "({ set x(v) { for (;;); } }).x = 1",
    "new Proxy({}, { get() { for (;;); } }).x",
    "new Proxy({}, { has() { for (;;); } }), 'x' in new Proxy({}, { has() { for (;;); } })",
    "`${{ toString() { for (;;); } }}`",
    "+{ valueOf() { for (;;); } }",
    "JSON.stringify({ toJSON() { for (;;); } })",
    "JSON.stringify({ a: 1 }, () => { for (;;); })",
    "JSON.parse('[1]', () => { for (;;); })",
    "'aaa'.replace(/a/g, () => { for (;;); })",
    "[1, 2].reduce(() => { for (;;); })",
    "[2, 1].toSorted(() => { for (;;); })",
    "new (class { constructor() { for (;;); } })()",
    "new (class { x = (() => { for (;;); })() })()",
    "class A { static { for (;;); } }",
    "with ({ get x() { for (;;); } }) { x }",
    "(function f(x = (() => { for (;;); })()) {})()",
    "const { x = (() => { for (;;); })() } = {}",
    "try { throw 1 } finally { for (;;); }",
    "switch (1) { case (() => { for (;;); })(): }",
    "Array.from({ length: 3 }, () => { for (;;); })",
    "queueMicrotask(function again() { queueMicrotask(again) })",
    "new Promise(() => { for (;;); })",
    "Promise.resolve({ then() { for (;;); } })",
    "Reflect.ownKeys(new Proxy({}, { ownKeys() { for (;;); } }))",
    "Object.defineProperty([], 'length', { value: { valueOf() { for (;;); } } })",
    "let s = ''; for (let i = 0; ; i++) { s = 'a' + i }",
    "new Date({ [Symbol.toPrimitive]() { for (;;); } })",
    "new URL({ toString() { for (;;); } })",
    "new URLSearchParams({ get a() { for (;;); } })",
    "structuredClone({ get a() { for (;;); } })",
    "Array.prototype.join.call({ get length() { for (;;); } })",
];

const RECURSIVE: &[&str] = &[
    "(function f() { return f() })()",
    "(function f() { try { f() } catch { f() } finally { f() } })()",
    "({ get x() { return this.x } }).x",
    "new Proxy({}, { get(t, k, r) { return r[k] } }).x",
    "JSON.stringify({ toJSON() { return JSON.stringify(this) } })",
    "new (class A { constructor() { return new A() } })()",
    "const f = () => [1].map(() => Reflect.apply(f, null, [])); f()",
    "const f = () => [2, 1].sort(() => String({ toString() { return f() } })); f()",
    "const f = () => 'a'.replace(/a/g, () => JSON.stringify({ toJSON() { return f() } })); f()",
    "const f = () => { for (const x of { [Symbol.iterator]: f }); }; f()",
    "const o = { get a() { return `${[{ toString() { return o.a } }]}` } }; o.a",
    "const f = (...a) => f.call.call(f.apply, f, null, a); f()",
    "const f = async () => { await f() }; f().x; f()",
    "const o = { *[Symbol.iterator]() { yield* this } }; [...o]",
    "JSON.parse('['.repeat(200000) + ']'.repeat(200000))",
    "let o = []; for (let i = 0; i < 20000; i++) o = [o]; String(o)",
    "let o = {}; for (let i = 0; i < 20000; i++) o = { o }; JSON.stringify(o)",
    "let o = {}; for (let i = 0; i < 20000; i++) o = { o }; structuredClone(o)",
];

const GREEDY: &[&str] = &[
    "let s = 'a'; for (;;) s += s",
    "const a = []; for (;;) a.push('abcdefghij'.repeat(100000))",
    "const m = new Map(); for (let i = 0; ; i++) m.set(i, { i })",
    "const o = {}; for (let i = 0; ; i++) o['k' + i] = [i]",
    "let l = null; for (;;) l = { l }",
];
