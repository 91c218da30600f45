//! Stopping asynchronous generators.
//!
//! The interpreter resumes them under an assertion that this never ends in an error. The error of a limit is one: when the
//! watchdog stops a script inside such a generator, the assertion fails, and the unwinding would cost the whole script
//! thread. It is the last thing that resuming does, after the interpreter's stacks are in order again, so this one panic is
//! caught where it begins and goes on as the limit's own error.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use boa_engine::error::RuntimeLimitError;
use boa_engine::{Context, JsResult, NativeFunction};

use super::bounds::{method, put};

/// What the assertion says.
const ASSERTION: &str = "assertion failed: !result.is_throw_completion()";

/// Puts the guard in front of the methods that resume.
///
/// # Errors
/// None, unless a built-in function is missing its name.
pub(super) fn install(context: &mut Context) -> JsResult<()> {
    let prototype = context.intrinsics().objects().async_generator();
    for name in ["next", "return", "throw"] {
        let Some(original) = method(&prototype, name) else {
            continue;
        };
        let guarded = NativeFunction::from_copy_closure_with_captures(
            |this, args, original, context| {
                let resumed = AssertUnwindSafe(|| original.call(this, args, context));
                catch_unwind(resumed).unwrap_or_else(|panic| {
                    if is_assertion(&*panic) {
                        return Err(RuntimeLimitError::LoopIteration.into());
                    }
                    resume_unwind(panic)
                })
            },
            original.clone(),
        );
        put(&prototype, name, &original, guarded, context)?;
    }
    Ok(())
}

fn is_assertion(panic: &(dyn Any + Send)) -> bool {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text == Some(ASSERTION)
}
