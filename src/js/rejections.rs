//! Promises that were rejected while nobody looked.

use std::cell::RefCell;
use std::rc::Rc;

use boa_engine::builtins::promise::PromiseState;
use boa_engine::object::builtins::JsPromise;
use boa_engine::{Context, JsError, JsObject};

use super::runtime::Rejections;
use super::scope::Scope;
use super::thread::{Thread, Turn};

/// Rejections that one turn may leave; more are not told of.
const REJECTIONS_MAX: usize = 1_000;

/// The promises rejected in this turn that have no handler yet.
#[derive(Default)]
pub(super) struct Unhandled {
    promises: RefCell<Vec<(JsPromise, Option<Rc<Scope>>)>>,
}

impl Unhandled {
    pub(super) fn clear(&self) {
        let promises = self.promises.take();
        drop(promises);
    }
}

impl Rejections for Unhandled {
    fn rejected(&self, promise: JsPromise, _: &mut Context) {
        let scope = Thread::current().and_then(|thread| thread.on_behalf().scope);
        let mut promises = self.promises.borrow_mut();
        if promises.len() < REJECTIONS_MAX {
            promises.push((promise, scope));
        }
    }

    fn handled(&self, promise: &JsPromise) {
        self.promises
            .borrow_mut()
            .retain(|(known, _)| !JsObject::equals(known, promise));
    }
}

impl Turn<'_> {
    /// Reports what is still without a handler at the end of a turn.
    pub(super) fn tell_rejections(&mut self) {
        let unhandled = self.thread.rejections.promises.take();
        for (promise, scope) in unhandled {
            if let (PromiseState::Rejected(reason), Some(scope)) = (promise.state(), scope) {
                self.report(&scope, &JsError::from_opaque(reason));
            }
        }
    }
}
