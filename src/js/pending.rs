//! Script values that wait on their thread while the host works elsewhere.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

/// A place for values that may not leave the thread; the host carries their number about.
pub(super) struct Pending<T> {
    last: Cell<u64>,
    parked: RefCell<HashMap<u64, T>>,
}

impl<T> Default for Pending<T> {
    fn default() -> Self {
        Self {
            last: Cell::new(0),
            parked: RefCell::default(),
        }
    }
}

impl<T> Pending<T> {
    pub(super) fn park(&self, value: T) -> u64 {
        let id = self.last.get() + 1;
        self.last.set(id);
        self.parked.borrow_mut().insert(id, value);
        id
    }

    pub(super) fn take(&self, id: u64) -> Option<T> {
        self.parked.borrow_mut().remove(&id)
    }

    pub(super) fn clear(&self) {
        let parked = self.parked.take();
        drop(parked);
    }
}
