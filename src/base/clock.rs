//! The time, as a handle: the system's in production, a set one in tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::date::DateTime;

/// Tells the time. Clones are cheap and share one source.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// Milliseconds since 1970 when the clock is a set one; the system's clock otherwise.
    set_ms: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self { set_ms: None }
    }

    /// A clock that stands at `at` until it is moved with [`Clock::set`] or [`Clock::advance_ms`].
    pub fn fixed(at: DateTime) -> Self {
        Self {
            set_ms: Some(Arc::new(AtomicI64::new(at.unix_ms()))),
        }
    }

    /// The present moment.
    pub fn now(&self) -> DateTime {
        match &self.set_ms {
            Some(ms) => DateTime::from_unix_ms(ms.load(Ordering::Acquire)),
            None => DateTime::now(),
        }
    }

    /// Moves a fixed clock, for all its clones. Does nothing on the system's clock.
    pub fn set(&self, at: DateTime) {
        if let Some(ms) = &self.set_ms {
            ms.store(at.unix_ms(), Ordering::Release);
        }
    }

    /// Moves a fixed clock forward (or back, when negative), for all its clones. Does nothing on the system's clock.
    pub fn advance_ms(&self, by_ms: i64) {
        self.set(self.now().add_ms(by_ms));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_clock_moves_for_all_its_clones() {
        let clock = Clock::fixed(DateTime::from_unix_ms(1_000));
        let other = clock.clone();
        other.advance_ms(500);
        assert_eq!(clock.now().unix_ms(), 1_500);
        clock.set(DateTime::from_unix_ms(7));
        assert_eq!(other.now().unix_ms(), 7);
    }

    #[test]
    fn the_system_clock_cannot_be_set() {
        let clock = Clock::system();
        clock.set(DateTime::from_unix_ms(5));
        assert!(clock.now().unix_ms() > 1_600_000_000_000);
    }
}
