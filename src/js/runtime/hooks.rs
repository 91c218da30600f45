//! What the interpreter asks its host.

use std::rc::Rc;

use boa_engine::builtins::promise::{OperationType, Promise};
use boa_engine::context::HostHooks;
use boa_engine::object::builtins::JsPromise;
use boa_engine::realm::Realm;
use boa_engine::{Context, JsNativeError, JsObject, JsResult, JsString};

/// How many bytes one buffer of a script may have.
const BUFFER_BYTES_MAX: u64 = 32 << 20;

/// Who is told of promises that are rejected while nobody handles them.
pub trait Rejections {
    /// A promise was rejected and has no handler. It may get one before the current jobs are done: report it only if
    /// [`Self::handled`] does not follow by then. Must not run script code.
    fn rejected(&self, promise: JsPromise, context: &mut Context);

    /// A promise that was reported as rejected has got a handler.
    fn handled(&self, promise: &JsPromise);
}

/// The hooks of every context of the script host.
pub struct Hooks {
    rejections: Rc<dyn Rejections>,
}

impl Hooks {
    /// For [`boa_engine::context::ContextBuilder::host_hooks`].
    pub fn new(rejections: Rc<dyn Rejections>) -> Rc<Self> {
        Rc::new(Self { rejections })
    }
}

impl HostHooks for Hooks {
    fn promise_rejection_tracker(
        &self,
        promise: &JsObject<Promise>,
        operation: OperationType,
        context: &mut Context,
    ) {
        let Ok(promise) = JsPromise::from_object(promise.clone().upcast()) else {
            return;
        };
        match operation {
            OperationType::Reject => self.rejections.rejected(promise, context),
            OperationType::Handle => self.rejections.handled(&promise),
        }
    }

    /// Code from texts is out of reach of everything that looks at sources before they run.
    fn ensure_can_compile_strings(
        &self,
        _realm: Realm,
        _parameters: &[JsString],
        _body: &JsString,
        _direct: bool,
        _context: &mut Context,
    ) -> JsResult<()> {
        let error = JsNativeError::eval()
            .with_message("scripts cannot make code from texts (eval, Function)");
        Err(error.into())
    }

    fn max_buffer_size(&self, _context: &mut Context) -> u64 {
        BUFFER_BYTES_MAX
    }
}
