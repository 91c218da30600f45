//! Script threads that come to a bad end.

use serde_json::json;

use super::House;
use crate::js::lane::Route;

/// Lets the interpreter's thread panic, as an assertion of the interpreter's does.
async fn panic_once(house: &House) {
    let lost = house.scripts.on_thread(|_| panic!("of a test")).await;
    assert!(lost.is_none_or(|()| false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn panics_without_number_leave_no_thread_and_no_script_behind() {
    let house = House::open().await;
    house.script("a.js", "function f() { return 7 }").await;
    for _ in 0..40 {
        panic_once(&house).await;
    }
    let given = house.scripts.call("a", "f", Vec::new()).await;
    assert_eq!(given.unwrap(), json!(7));
    assert_eq!(house.run("return 1 + 1").await, json!(2));
    assert_eq!(house.scripts.inner.host.epoch(), 40);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_ends_the_calls_that_wait_below_it() {
    let house = House::open().await;
    let text = "function nap() { storage.set('naps', true); sleep(60000) }";
    house.script("a.js", text).await;
    let scripts = house.scripts.clone();
    let nap = tokio::spawn(async move { scripts.call("a", "nap", Vec::new()).await });
    while house.run("return storage.get('naps') ?? false").await != json!(true) {
        tokio::task::yield_now().await;
    }
    let host = &house.scripts.inner.host;
    let job = Box::new(|_: &mut crate::js::thread::Turn<'_>| panic!("of a test"));
    host.submit(&Route::General, job).unwrap();
    assert!(nap.await.unwrap().is_err());
    assert_eq!(house.run("return 1 + 1").await, json!(2));
}
