use std::sync::mpsc;

use boa_engine::Source;

use super::*;

const BUDGET: Duration = Duration::from_millis(100);

fn watchdog() -> Watchdog {
    Watchdog::start(0, |_| {}).unwrap()
}

fn eval(context: &mut Context, source: &str) -> Result<String, String> {
    let result = context.eval(Source::from_bytes(source));
    result
        .map(|value| value.display().to_string())
        .map_err(|error| error.to_string())
}

#[test]
fn an_endless_script_is_stopped_and_its_context_goes_on() {
    let (watchdog, mut context) = (watchdog(), Context::default());
    let watch = watchdog.watch(1);
    for _ in 0..2 {
        let start = Instant::now();
        let source =
            "for (;;) { try { while (true) {} } catch (e) {} finally { while (true) {} } }";
        let ran = watch.run(&mut context, BUDGET, |context| eval(context, source));
        assert_eq!((ran.fired, ran.stuck), (Some(Fired::TimeLimit), false));
        assert!(ran.value.unwrap_err().starts_with("RuntimeLimitError"));
        let took = start.elapsed();
        assert!(took >= BUDGET && took < 10 * BUDGET, "{took:?}");
        let ran = watch.run(&mut context, BUDGET, |context| eval(context, "1 + 1"));
        assert_eq!((ran.fired, ran.value), (None, Ok("2".to_owned())));
    }
}

#[test]
fn the_limits_of_the_context_come_back() {
    let (watchdog, mut context) = (watchdog(), Context::default());
    context.runtime_limits_mut().set_recursion_limit(77);
    let ran = watchdog.watch(1).run(&mut context, BUDGET, |context| {
        let inside = context.runtime_limits().recursion_limit();
        (inside, eval(context, "while (true) {}"))
    });
    assert_eq!(ran.value.0, RECURSION_MAX);
    assert_eq!(context.runtime_limits().recursion_limit(), 77);
    assert_eq!(context.runtime_limits().loop_iteration_limit(), u64::MAX);
}

#[test]
fn neither_the_host_nor_a_nested_call_uses_up_the_time_of_a_call() {
    let watchdog = watchdog();
    let watch = watchdog.watch(1);
    let (mut outer, mut inner) = (Context::default(), Context::default());
    let ran = watch.run(&mut outer, BUDGET, |outer| {
        {
            let _pause = watch.pause();
            thread::sleep(2 * BUDGET);
            // Another script is called by the host while the outer one waits, and itself waits for the host.
            let nested = watch.run(&mut inner, BUDGET, |inner| {
                drop(watch.pause());
                eval(inner, "while (true) {}")
            });
            assert_eq!(nested.fired, Some(Fired::TimeLimit));
            thread::sleep(2 * BUDGET);
        }
        let nested = watch.run(&mut inner, 3 * BUDGET, |_| thread::sleep(2 * BUDGET));
        assert_eq!(nested.fired, None);
        assert_eq!(watch.fired(), None);
        let nested = watch.run(outer, BUDGET, |outer| eval(outer, "while (true) {}"));
        assert_eq!(nested.fired, Some(Fired::TimeLimit));
        let before = eval(outer, "1");
        (before, eval(outer, "while (true) {}"), watch.fired())
    });
    assert_eq!(ran.value.0, Ok("1".to_owned()));
    assert!(ran.value.1.is_err());
    assert_eq!(ran.value.2, Some(Fired::TimeLimit));
    assert_eq!(ran.fired, Some(Fired::TimeLimit));
}

#[test]
fn a_script_that_takes_too_much_memory_is_stopped() {
    let watchdog = Watchdog::start(64 << 20, |_| {}).unwrap();
    let mut context = Context::default();
    let source = "let all = []; for (;;) all.push(new Uint8Array(1024 * 1024).fill(1))";
    let ran = watchdog
        .watch(1)
        .run(&mut context, Duration::from_secs(20), |context| {
            eval(context, source)
        });
    assert_eq!(ran.fired, Some(Fired::MemoryLimit));
    assert!(ran.value.is_err());
}

#[test]
fn a_script_is_not_blamed_for_memory_taken_elsewhere() {
    let watchdog = Watchdog::start(64 << 20, |_| {}).unwrap();
    let watch = watchdog.watch(1);
    let (mut outer, mut inner) = (Context::default(), Context::default());
    let ran = thread::scope(|scope| {
        let (go_on, wait) = mpsc::channel::<()>();
        let upload = scope.spawn(move || {
            let body = vec![1_u8; 512 << 20];
            let _ = wait.recv();
            body.len()
        });
        let ran = watch.run(&mut outer, 3 * BUDGET, |context| {
            eval(context, "while (true) {}")
        });
        drop(go_on);
        assert_eq!(upload.join().unwrap(), 512 << 20);
        ran
    });
    assert_eq!(ran.fired, Some(Fired::TimeLimit));
    // Nor for what a call on top of it keeps.
    let keeps =
        "globalThis.kept = []; for (let i = 0; i < 48; i++) kept.push(new Uint8Array(1024 * 1024))";
    let ran = watch.run(&mut outer, Duration::from_secs(20), |outer| {
        for _ in 0..3 {
            let nested = watch.run(&mut inner, Duration::from_secs(20), |inner| {
                let keeps = keeps
                    .replace("kept", "more")
                    .replace("more = []", "more ??= []");
                eval(inner, &keeps)
            });
            assert_eq!(nested.fired, None);
        }
        let result = eval(outer, keeps);
        thread::sleep(10 * TICK);
        result
    });
    assert_eq!(ran.fired, None);
}

#[test]
fn native_work_without_end_is_reported_once() {
    let (sender, stuck) = mpsc::channel();
    let watchdog = Watchdog::start(0, move |stuck| sender.send(stuck).unwrap()).unwrap();
    let mut context = Context::default();
    let reported = std::rc::Rc::new(stuck);
    let wait = std::rc::Rc::clone(&reported);
    let ran = watchdog.watch(7).run(&mut context, BUDGET, |_| {
        wait.recv_timeout(Duration::from_secs(30)).unwrap()
    });
    assert_eq!((ran.value.thread, ran.value.fired), (7, Fired::TimeLimit));
    assert_eq!((ran.fired, ran.stuck), (Some(Fired::TimeLimit), true));
    assert!(reported.try_recv().is_err());
}

#[test]
fn a_script_is_seen_after_a_long_rest() {
    let (watchdog, mut context) = (watchdog(), Context::default());
    let watch = watchdog.watch(1);
    let deadline = Instant::now() + Duration::from_secs(60);
    while !watchdog.shared.asleep.load(Ordering::SeqCst) {
        assert!(Instant::now() < deadline, "it sleeps in the end");
        thread::sleep(TICK);
    }
    let ran = watch.run(&mut context, BUDGET, |context| {
        eval(context, "while (true) {}")
    });
    assert_eq!(ran.fired, Some(Fired::TimeLimit));
}

#[test]
fn a_panic_ends_its_call() {
    let (watchdog, mut context) = (watchdog(), Context::default());
    let watch = watchdog.watch(1);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        watch.run(&mut context, BUDGET, |_| panic!("of the host"))
    }));
    assert!(panicked.is_err());
    assert!(lock(&watch.watched.calls).is_empty());
}

#[test]
fn a_call_costs_less_than_a_microsecond_to_watch() {
    let (watchdog, mut context) = (watchdog(), Context::default());
    let watch = watchdog.watch(1);
    let mut best = Duration::MAX;
    for _ in 0..20 {
        let start = Instant::now();
        for _ in 0..10_000 {
            watch.run(&mut context, BUDGET, |_| ());
        }
        best = best.min(start.elapsed() / 10_000);
    }
    println!("a watched call: {best:?}");
    // Without optimisation and beside other tests; it takes a tenth of this in a release build.
    assert!(best < Duration::from_micros(3), "{best:?}");
}
