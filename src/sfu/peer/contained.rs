//! Steps of the connection that may panic. The library is young and reads what strangers send: a panic in it costs the peer alone,
//! and must not fill the log, since whoever has found one can repeat it.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

/// How often a panic is told of, at most.
const TOLD_EVERY: Duration = Duration::from_secs(10);

thread_local! {
    static IS_INSIDE: Cell<bool> = const { Cell::new(false) };
}

static PANICS: AtomicU64 = AtomicU64::new(0);
static TOLD_AT: Mutex<Option<Instant>> = Mutex::new(None);

/// Runs a step of the connection; nothing comes of one that panics, and the connection must not be used any more then.
pub(super) fn contained<T>(step: impl FnOnce() -> T) -> Option<T> {
    let was_inside = IS_INSIDE.replace(true);
    let done = catch_unwind(AssertUnwindSafe(step)).ok();
    IS_INSIDE.set(was_inside);
    done
}

/// How many steps have panicked in this process.
pub(crate) fn panics() -> u64 {
    PANICS.load(Relaxed)
}

/// From now on panics in contained steps are counted and told of seldom, by their place and without their text, which may hold
/// what a client has sent. All others go where they went before.
pub(crate) fn silence_contained() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let others = take_hook();
        set_hook(Box::new(move |panic| {
            if IS_INSIDE.get() {
                note(panic);
            } else {
                others(panic);
            }
        }));
    });
}

fn note(panic: &PanicHookInfo<'_>) {
    let count = PANICS.fetch_add(1, Relaxed) + 1;
    let now = Instant::now();
    {
        let mut told_at = TOLD_AT.lock().unwrap_or_else(PoisonError::into_inner);
        if told_at.is_some_and(|at| now.saturating_duration_since(at) < TOLD_EVERY) {
            return;
        }
        *told_at = Some(now);
    }
    let place = panic
        .location()
        .map(ToString::to_string)
        .unwrap_or_default();
    tracing::error!(
        %place,
        count,
        "A step of a WebRTC connection has panicked; the connection is closed."
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_ends_its_step_alone_and_is_counted() {
        silence_contained();
        let before = panics();
        assert_eq!(contained(|| -> u8 { panic!("text of a client") }), None);
        assert_eq!(contained(|| 7), Some(7));
        assert!(panics() > before);
        assert!(!IS_INSIDE.get());
        let outside = catch_unwind(|| panic!("of somebody else"));
        assert!(outside.is_err());
    }
}
