//! What the system does for script threads: it survives scripts that use up the native stack, and lets threads that are
//! left behind run only when nobody else wants to.
//!
//! The interpreter looks properties up along prototypes and proxies by calling itself, a few hundred bytes of stack for
//! each link, and counts only the calls of scripts. A chain of a million links, which a script makes in a second, runs into
//! the guard page below the stack, and that ends the process. Here it ends the thread's work only: the thread is stopped
//! where it is for ever, its stack is given back, and the watchdog, which is told, has it replaced as one that got stuck.
//!
//! A thread in native code that does not end (a regular expression that backtracks for ever) cannot be stopped at all: it
//! may hold a lock. It is put into the class of threads that run when a processor has nothing else to do.
//!
//! # Safety
//! A handler of SIGSEGV and SIGBUS takes the place of the standard library's, and hands on all faults but those in the
//! guard pages of script threads.
//! - It runs on the alternative stack that the standard library gives each of its threads; a thread without one is not
//!   guarded. It uses nothing that a signal handler may not: a variable of the thread that has a constant initial value
//!   and nothing to drop, atomics, `madvise`, `pause`.
//! - It never returns to the code that faulted, so no state of that code is seen again by its own thread. Locks that it
//!   holds stay locked: the interpreter takes none while it looks for a property, and the allocator has none.
//! - What it gives back to the system is the stack below the innermost call of a script ([`Guard::enter`]). Nothing but
//!   the interpreter's frames is there, and nobody else holds a reference into those. While a call waits for the host,
//!   which puts timers and wakers that others reach on the stack, nothing is given back ([`Guard::wait`]).
//! - The address of the handler before is read from what `sigaction` gave, and called with the arguments that came.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// What of the stack around the beginning of a call is kept: its own frame.
const KEPT_BYTES: usize = 64 << 10;

thread_local! {
    static GUARD: Cell<Option<&'static Guard>> = const { Cell::new(None) };
}

/// The handlers before, of SIGSEGV and SIGBUS.
static BEFORE: OnceLock<[libc::sigaction; 2]> = OnceLock::new();

/// A script thread's stack.
#[derive(Debug, Default)]
pub(super) struct Guard {
    /// The addresses at which a fault is an overflow; none where the thread is not guarded.
    from: usize,
    to: usize,
    /// Where the innermost call begins; 0 while it waits for the host.
    call: AtomicUsize,
    hit: AtomicBool,
    /// The system's number of the thread; 0 where there is none.
    number: libc::pid_t,
}

impl Guard {
    /// Guards the calling thread from now on, where the system allows it. What this gives is never freed.
    pub(super) fn this_thread() -> &'static Self {
        GUARD.with(|guard| {
            guard.get().unwrap_or_else(|| {
                let (from, to) = if install() { guard_pages() } else { (0, 0) };
                let new: &'static Self = Box::leak(Box::new(Self {
                    from,
                    to,
                    number: number_of_this_thread(),
                    ..Self::default()
                }));
                guard.set(Some(new));
                new
            })
        })
    }

    /// Whether the thread has used up its stack and stands still.
    pub(super) fn is_hit(&self) -> bool {
        self.hit.load(Ordering::Acquire)
    }

    /// Lets the thread, which does not end, run only while a processor is idle.
    #[cfg(target_os = "linux")]
    pub(super) fn demote(&self) {
        if self.number == 0 {
            return;
        }
        // SAFETY: all zeros is a valid parameter, and the one that this class wants.
        let parameter: libc::sched_param = unsafe { MaybeUninit::zeroed().assume_init() };
        // SAFETY: the pointer is to a whole local value. Should the thread have ended meanwhile, there is no such number.
        unsafe { libc::sched_setscheduler(self.number, libc::SCHED_IDLE, &raw const parameter) };
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn demote(&self) {}

    /// Notes that a call of a script begins here; gives what [`Guard::leave`] takes at its end.
    pub(super) fn enter(&self) -> usize {
        let here = 0_u8;
        let before = self.call.load(Ordering::Relaxed);
        let address = std::ptr::from_ref(&here).addr();
        self.call.store(address, Ordering::Relaxed);
        before
    }

    /// Notes that the innermost call waits for the host; gives what [`Guard::leave`] takes when it goes on.
    pub(super) fn wait(&self) -> usize {
        self.call.swap(0, Ordering::Relaxed)
    }

    pub(super) fn leave(&self, before: usize) {
        self.call.store(before, Ordering::Relaxed);
    }
}

#[cfg(target_os = "linux")]
fn number_of_this_thread() -> libc::pid_t {
    // SAFETY: it takes nothing and gives a number.
    unsafe { libc::gettid() }
}

#[cfg(not(target_os = "linux"))]
fn number_of_this_thread() -> libc::pid_t {
    0
}

/// Puts the handler in place, once; gives whether it is.
fn install() -> bool {
    let before = BEFORE.get_or_init(|| {
        [libc::SIGSEGV, libc::SIGBUS].map(|signal| {
            // SAFETY: all zeros is a valid `sigaction`: the default action, no flags, an empty mask.
            let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
            let mut before = action;
            action.sa_sigaction = handle as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            // SAFETY: both point to whole values, and the handler has the type that SA_SIGINFO asks for.
            unsafe { libc::sigaction(signal, &raw const action, &raw mut before) };
            before
        })
    });
    let has_handler = |action: &libc::sigaction| action.sa_flags & libc::SA_SIGINFO != 0;
    // Where the standard library has put no handler in place, it gives threads no alternative stack either.
    before.iter().all(has_handler) && has_alternative_stack()
}

fn has_alternative_stack() -> bool {
    let mut stack = MaybeUninit::<libc::stack_t>::uninit();
    // SAFETY: a null pointer asks for the present one, which is written on success and read only then.
    unsafe {
        libc::sigaltstack(std::ptr::null(), stack.as_mut_ptr()) == 0
            && stack.assume_init().ss_flags & libc::SS_DISABLE == 0
    }
}

/// The pages below the calling thread's stack. The C libraries differ in whether the bounds of the stack that they tell
/// include its guard, so this is one guard's size to both sides of the lower bound.
#[cfg(target_os = "linux")]
fn guard_pages() -> (usize, usize) {
    let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
    let (mut low, mut size, mut guard) = (std::ptr::null_mut(), 0, 0);
    // SAFETY: the attributes are read only after they were written, and destroyed once; the rest points to local values.
    unsafe {
        if libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) != 0 {
            return (0, 0);
        }
        let attributes_read =
            libc::pthread_attr_getstack(attributes.as_ptr(), &raw mut low, &raw mut size)
                | libc::pthread_attr_getguardsize(attributes.as_ptr(), &raw mut guard);
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
        if attributes_read != 0 {
            return (0, 0);
        }
    }
    let low = low.addr();
    (low.saturating_sub(guard), low + guard)
}

#[cfg(not(target_os = "linux"))]
fn guard_pages() -> (usize, usize) {
    (0, 0)
}

extern "C" fn handle(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes a valid pointer, and these signals come with an address.
    let address = unsafe { (*info).si_addr() }.addr();
    let guard = GUARD.try_with(Cell::get).ok().flatten();
    let Some(guard) = guard.filter(|guard| (guard.from..guard.to).contains(&address)) else {
        return hand_on(signal, info, context);
    };
    let end = guard
        .call
        .load(Ordering::Relaxed)
        .saturating_sub(KEPT_BYTES)
        & !0xffff;
    if end > guard.to {
        // SAFETY: see the module's text. The range is within this thread's stack, which does not run on.
        unsafe {
            let begin = std::ptr::with_exposed_provenance_mut::<c_void>(guard.to);
            libc::madvise(begin, end - guard.to, libc::MADV_DONTNEED);
        }
    }
    guard.hit.store(true, Ordering::Release);
    loop {
        // SAFETY: it takes nothing and only waits.
        unsafe { libc::pause() };
    }
}

/// Leaves a fault to the handler before.
fn hand_on(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let index = usize::from(signal == libc::SIGBUS);
    let Some(before) = BEFORE.get().and_then(|before| before.get(index)) else {
        return;
    };
    if before.sa_flags & libc::SA_SIGINFO != 0 {
        type Handler = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);
        // SAFETY: with SA_SIGINFO, what the system told of the handler before is a function of this type.
        let handler = unsafe { std::mem::transmute::<usize, Handler>(before.sa_sigaction) };
        return handler(signal, info, context);
    }
    // SAFETY: it puts back what was there; the fault comes again when this returns, and has its usual end.
    unsafe { libc::sigaction(signal, before, std::ptr::null_mut()) };
}
