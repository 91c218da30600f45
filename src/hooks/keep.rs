//! What scripts keep about a request from one handler to the next: `e.set()` and `e.get()`.

use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use boa_engine::{Context, JsObject};

use super::world::World;
use crate::js::host::Host;
use crate::js::lane::Route;

/// The host's handle to an object on the script thread, which lives as long as this.
pub(super) struct Keep {
    id: u64,
    used: AtomicBool,
    host: Host,
}

impl Keep {
    /// A handle whose object is made when a script asks for it.
    pub(super) fn new(host: &Host) -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self {
            id: LAST.fetch_add(1, Ordering::Relaxed),
            used: AtomicBool::new(false),
            host: host.clone(),
        }
    }

    /// The object, the same one each time.
    pub(super) fn object(&self, world: &Rc<World>, context: &mut Context) -> JsObject {
        self.used.store(true, Ordering::Relaxed);
        let mut kept = world.kept.borrow_mut();
        let object = kept
            .entry(self.id)
            .or_insert_with(|| JsObject::with_object_proto(context.intrinsics()));
        object.clone()
    }
}

impl Drop for Keep {
    fn drop(&mut self) {
        if !self.used.load(Ordering::Relaxed) {
            return;
        }
        let id = self.id;
        self.host.continue_with(
            &Route::General,
            Box::new(move |turn| {
                if let Some(world) = World::of(turn) {
                    world.kept.borrow_mut().remove(&id);
                }
            }),
        );
    }
}
