//! How much of a script's values the host reads at once.
//!
//! A list of the same list twice, two dozen levels deep, is a few objects to a script and millions of values once it is
//! written out, and a list may say that it is four thousand million long. Whatever turns values of scripts into the
//! host's own therefore reads them under one of these. It also ends the reading when the call is stopped at its limit,
//! which ends the script's code but no native work.

use boa_engine::builtins::typed_array::TypedArray;
use boa_engine::error::RuntimeLimitError;
use boa_engine::object::builtins::JsTypedArray;
use boa_engine::property::PropertyKey;
use boa_engine::{Context, JsError, JsNativeError, JsObject, JsResult, JsString};

use crate::js::thread::Thread;

/// Values that one conversion may read.
const VALUES_MAX: usize = 500_000;
/// Bytes of text that one conversion may make.
const BYTES_MAX: usize = 32 << 20;
/// After so many values, or before a text of so many bytes, the call's limits are looked at.
const LOOK_AFTER: usize = 4_096;

/// What is left for a conversion to read.
#[derive(Debug)]
pub(super) struct Allowance {
    values: usize,
    bytes: usize,
}

impl Default for Allowance {
    fn default() -> Self {
        Self {
            values: VALUES_MAX,
            bytes: BYTES_MAX,
        }
    }
}

impl Allowance {
    /// Takes one more value.
    ///
    /// # Errors
    /// A range error when it is one too many; that of the limit when the call was stopped meanwhile.
    pub(super) fn value(&mut self) -> JsResult<()> {
        self.values = self.values.checked_sub(1).ok_or_else(too_large)?;
        if self.values.is_multiple_of(LOOK_AFTER) {
            go_on()?;
        }
        Ok(())
    }

    /// Takes a text, and gives it as the host's.
    ///
    /// # Errors
    /// A range error when that is too much.
    pub(super) fn text(&mut self, text: &JsString) -> JsResult<String> {
        self.bytes(text.len())?;
        Ok(text.to_std_string_lossy())
    }

    /// Takes so many bytes.
    ///
    /// # Errors
    /// A range error when that is too much.
    pub(super) fn bytes(&mut self, bytes: usize) -> JsResult<()> {
        self.bytes = self.bytes.checked_sub(bytes).ok_or_else(too_large)?;
        if bytes >= LOOK_AFTER {
            go_on()?;
        }
        Ok(())
    }

    /// Gives back the length of a list that there is room for.
    ///
    /// # Errors
    /// A range error for a longer one.
    pub(super) fn length(&self, length: u64) -> JsResult<u64> {
        if length > self.values as u64 {
            return Err(too_large());
        }
        Ok(length)
    }

    /// The keys of an object; the elements of typed arrays and the characters of text objects are keys of theirs.
    ///
    /// # Errors
    /// A range error when there are too many; what the script's code throws.
    pub(super) fn keys(
        &self,
        object: &JsObject,
        context: &mut Context,
    ) -> JsResult<Vec<PropertyKey>> {
        if object.is::<TypedArray>()
            && let Ok(array) = JsTypedArray::from_object(object.clone())
        {
            self.length(array.length(context)? as u64)?;
        }
        let characters = object.downcast_ref::<JsString>().map(|text| text.len());
        self.length(characters.unwrap_or_default() as u64)?;
        object.own_property_keys(context)
    }
}

/// An error when the call was stopped at its limit.
fn go_on() -> JsResult<()> {
    let stopped = Thread::current().and_then(|thread| thread.watch_fired());
    match stopped {
        Some(_) => Err(RuntimeLimitError::LoopIteration.into()),
        None => Ok(()),
    }
}

fn too_large() -> JsError {
    JsNativeError::range()
        .with_message("the value is too large")
        .into()
}
