//! How the script thread sleeps, and how it and those who wait for it are patient first.
//!
//! A call goes to and fro between two threads, and most steps take a few microseconds: less than it costs to put a thread
//! to sleep and to wake it. So while calls for the writer follow each other closely, both threads look for a moment and
//! sleep if nothing has come. Looking takes a core, which the other thread may need as well: a call that comes alone is
//! handed over by sleeping, and where looking has been in vain lately, it is left out.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Wake;
use std::thread::Thread;
use std::time::{Duration, Instant};

/// For how long to look before sleeping.
const LOOK_MAX: Duration = Duration::from_micros(50);
/// Looks between two looks at the clock.
const LOOKS: u32 = 32;
/// After so many times in vain it is tried only now and then.
const VAIN_MAX: u32 = 2;
/// How often then: once in so many times.
const TRIED_ONCE_IN: u32 = 16;

/// Calls for the writer follow each other closely when one is under way that soon after the end of the one before.
const CLOSE: Duration = Duration::from_micros(200);

/// When the last call for the writer ended. Calls for others do not count: those who wait for them do not look.
#[derive(Debug)]
pub(super) struct Pace {
    start: Instant,
    /// Nanoseconds since `start`.
    ended: AtomicU64,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            ended: AtomicU64::new(0),
        }
    }
}

impl Pace {
    /// A call ends.
    pub(super) fn end(&self) {
        let now = u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.ended.store(now, Ordering::Relaxed);
    }

    /// Whether calls follow each other closely.
    pub(super) fn is_close(&self) -> bool {
        let ended = Duration::from_nanos(self.ended.load(Ordering::Relaxed));
        self.start.elapsed().saturating_sub(ended) < CLOSE
    }
}

/// Whether it pays to look for what is waited for at one place.
#[derive(Debug, Default)]
pub(super) struct Patience {
    /// How often it was in vain since it last was not, and how often it was left out since. Both are only roughly right
    /// where several threads wait at the place.
    vain: AtomicU32,
    left_out: AtomicU32,
}

impl Patience {
    /// Looks for something: once, or for a moment where that has paid lately.
    pub(super) fn look_for<T>(
        &self,
        pace: &Pace,
        mut look: impl FnMut() -> Option<T>,
    ) -> Option<T> {
        let found = look();
        if found.is_some() || !pace.is_close() || !self.is_due() {
            return found;
        }
        let began = Instant::now();
        while began.elapsed() < LOOK_MAX {
            for _ in 0..LOOKS {
                let found = look();
                if found.is_some() {
                    self.vain.store(0, Ordering::Relaxed);
                    return found;
                }
                std::hint::spin_loop();
            }
        }
        let vain = self.vain.load(Ordering::Relaxed);
        self.vain.store(vain.saturating_add(1), Ordering::Relaxed);
        None
    }

    fn is_due(&self) -> bool {
        self.vain.load(Ordering::Relaxed) < VAIN_MAX
            || self
                .left_out
                .fetch_add(1, Ordering::Relaxed)
                .is_multiple_of(TRIED_ONCE_IN)
    }
}

/// Rung whenever something was queued, whatever the lane. The script thread is the only one that listens.
#[derive(Debug, Default)]
pub(super) struct Bell {
    rung: AtomicBool,
    listener: Mutex<Option<Thread>>,
    pub(super) pace: Pace,
    /// For the next call, where there is none.
    idle: Patience,
    /// For the answer to a call.
    answer: Patience,
}

impl Bell {
    /// From now on the calling thread is the one that listens.
    pub(super) fn listen(&self) {
        let listener = std::thread::current();
        *self.listener.lock().unwrap_or_else(PoisonError::into_inner) = Some(listener);
    }

    pub(super) fn ring(&self) {
        self.rung.store(true, Ordering::Release);
        let listener = self.listener.lock();
        if let Some(listener) = &*listener.unwrap_or_else(PoisonError::into_inner) {
            listener.unpark();
        }
    }

    /// Forgets what rang; to be done before the lanes are looked at.
    pub(super) fn hush(&self) {
        self.rung.store(false, Ordering::Release);
    }

    /// Sleeps until the bell rings, if it has not done so since [`Bell::hush`]. May wake without a reason.
    pub(super) fn wait(&self) {
        let rung = self
            .idle
            .look_for(&self.pace, || self.has_rung().then_some(()));
        if rung.is_none() {
            std::thread::park();
        }
    }

    fn has_rung(&self) -> bool {
        self.rung.load(Ordering::Acquire)
    }
}

/// Wakes a thread for a future that it waits for.
#[derive(Debug)]
pub(super) struct Alarm {
    due: AtomicBool,
    thread: Thread,
}

impl Alarm {
    /// The calling thread's alarm for a future that has not been looked at yet.
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            due: AtomicBool::new(true),
            thread: std::thread::current(),
        })
    }

    /// Whether the future is to be looked at; once for each time that it asked for it.
    pub(super) fn take(&self) -> bool {
        self.due.swap(false, Ordering::AcqRel)
    }

    /// Sleeps until the future asks or the bell rings, for `longest` at most. May wake without a reason.
    pub(super) fn wait(&self, bell: &Bell, longest: Duration) {
        let woken = || self.due.load(Ordering::Acquire) || bell.has_rung();
        let woken = bell.answer.look_for(&bell.pace, || woken().then_some(()));
        if woken.is_none() {
            std::thread::park_timeout(longest);
        }
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.due.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bell_that_rang_before_is_not_slept_through() {
        let bell = Bell::default();
        bell.listen();
        bell.hush();
        bell.ring();
        bell.wait();
    }

    #[test]
    fn a_bell_wakes_its_listener_from_another_thread() {
        let bell = Arc::new(Bell::default());
        let (ready, listening) = std::sync::mpsc::channel();
        let listener = std::thread::spawn({
            let bell = Arc::clone(&bell);
            move || {
                bell.listen();
                bell.hush();
                let _ = ready.send(());
                while !bell.has_rung() {
                    bell.wait();
                }
            }
        });
        listening.recv().unwrap();
        bell.ring();
        listener.join().unwrap();
    }

    /// The pace right after a call.
    fn close() -> Pace {
        let pace = Pace::default();
        pace.end();
        pace
    }

    #[test]
    fn calls_that_come_alone_are_not_looked_for() {
        let pace = Pace {
            start: Instant::now().checked_sub(CLOSE * 2).unwrap(),
            ended: AtomicU64::new(0),
        };
        let mut looks = 0;
        let found = Patience::default().look_for(&pace, || {
            looks += 1;
            None::<()>
        });
        assert_eq!((found, looks), (None, 1));
    }

    #[test]
    fn looking_ends() {
        let (patience, pace) = (Patience::default(), close());
        assert_eq!(patience.look_for(&pace, || None::<()>), None);
        let mut looks = 0;
        let third = patience.look_for(&close(), || {
            looks += 1;
            (looks == 3).then_some(looks)
        });
        assert_eq!(third, Some(3));
    }

    #[test]
    fn looking_is_left_out_where_it_is_in_vain() {
        let patience = Patience::default();
        let mut looks = 0;
        let mut count = |patience: &Patience| {
            looks = 0;
            let found = patience.look_for(&close(), || {
                looks += 1;
                None::<()>
            });
            assert_eq!(found, None);
            looks
        };
        for _ in 0..VAIN_MAX {
            assert!(count(&patience) > 1);
        }
        let tried = (0..TRIED_ONCE_IN).filter(|_| count(&patience) > 1).count();
        assert_eq!(tried, 1);
        // Once it pays again, it is done each time.
        patience.vain.store(0, Ordering::Relaxed);
        assert!(count(&patience) > 1);
    }
}
