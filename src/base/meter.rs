//! How many bytes a thread has in use: an allocator around the real one, which counts for the threads that ask.
//!
//! Scripts have a memory limit, and the size of the process says little about one script: an upload or a big answer
//! elsewhere would count as well. So the allocator keeps a number for the script threads. For all others it costs a look
//! at one variable of the thread.
//!
//! The number is what the thread has allocated less what it has freed. What it hands to another thread which frees it
//! stays in it, and the other way round, so only differences over one piece of work mean something.
//!
//! # Safety
//! This is an allocator, which takes `unsafe` by its nature. Every request goes to the inner allocator with the very
//! arguments that came, and its answer is given back as it is; so what callers owe this allocator they owe to that one,
//! and what that one promises this one promises. Counting has no part in it: it allocates nothing (the variable of the
//! thread has a constant initial value and nothing to drop, so it is neither made nor registered at first use), cannot
//! panic (wrapping arithmetic, `try_with`), and touches no memory but a number that lives as long as the process.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::sync::atomic::{AtomicI64, Ordering};

#[global_allocator]
static ALLOCATOR: Metered<mimalloc::MiMalloc> = Metered(mimalloc::MiMalloc);

thread_local! {
    static METER: Cell<Option<&'static Meter>> = const { Cell::new(None) };
}

/// The bytes of a thread, to be read by any.
#[derive(Debug)]
pub struct Meter(AtomicI64);

impl Meter {
    /// The meter of the calling thread, which counts from the first call on. It is never freed: for threads that live
    /// long.
    #[must_use]
    pub fn of_this_thread() -> &'static Self {
        METER.with(|meter| {
            meter.get().unwrap_or_else(|| {
                let new: &'static Self = Box::leak(Box::new(Self(AtomicI64::new(0))));
                meter.set(Some(new));
                new
            })
        })
    }

    /// The bytes allocated less those freed by the thread since it has a meter.
    #[must_use]
    pub fn bytes(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Only the meter's own thread writes, so this needs no atomic addition.
    fn add(&self, bytes: i64) {
        let sum = self.bytes().wrapping_add(bytes);
        self.0.store(sum, Ordering::Relaxed);
    }
}

/// Counts a change; sizes are below `isize::MAX` (see [`Layout`]).
fn count(more: usize, less: usize) {
    let _ = METER.try_with(|meter| {
        if let Some(meter) = meter.get() {
            meter.add((more as i64).wrapping_sub(less as i64));
        }
    });
}

/// An allocator that counts.
struct Metered<A>(A);

// SAFETY: see the module's text. Each method passes its arguments on and gives the answer back unchanged.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Metered<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as promised by the caller.
        let memory = unsafe { self.0.alloc(layout) };
        if !memory.is_null() {
            count(layout.size(), 0);
        }
        memory
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as promised by the caller.
        let memory = unsafe { self.0.alloc_zeroed(layout) };
        if !memory.is_null() {
            count(layout.size(), 0);
        }
        memory
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: as promised by the caller.
        unsafe { self.0.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as promised by the caller.
        let moved = unsafe { self.0.realloc(memory, layout, size) };
        if !moved.is_null() {
            count(size, layout.size());
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_told_of_its_own_bytes_alone() {
        let meter = Meter::of_this_thread();
        let before = meter.bytes();
        let mut kept = vec![1_u8; 1 << 20];
        assert_eq!(meter.bytes() - before, 1 << 20);
        kept.reserve_exact(1 << 20);
        assert_eq!(meter.bytes() - before, 2 << 20);
        drop(kept);
        let zeros = vec![0_u8; 1 << 20];
        assert_eq!(meter.bytes() - before, 1 << 20);
        drop(zeros);
        let at = meter.bytes();
        std::thread::scope(|scope| {
            let elsewhere = scope.spawn(|| vec![1_u8; 64 << 20].len());
            assert_eq!(elsewhere.join().unwrap(), 64 << 20);
        });
        assert!((meter.bytes() - at).abs() < 64 << 10);
        assert!(std::ptr::eq(meter, Meter::of_this_thread()));
    }
}
