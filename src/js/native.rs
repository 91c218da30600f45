//! Host values inside script objects.

use std::ops::Deref;

use boa_engine::{JsData, JsObject, JsString, JsValue};
use boa_gc::{Finalize, GcRefCell, Trace};

/// A host value that a script object or a native function holds. It must not hold script values itself: the collector
/// does not look inside, so that they would be freed under it or, where they root themselves, kept for ever.
#[derive(Finalize, Trace, JsData)]
pub struct Native<T: 'static>(#[unsafe_ignore_trace] pub T);

impl<T: 'static> Native<T> {
    /// The object of a prototype that holds a value.
    pub fn object(prototype: Option<JsObject>, value: T) -> JsObject {
        JsObject::from_proto_and_data(prototype, Self(value))
    }

    /// Works on the value that a script value holds, if it holds one of this type.
    pub fn with<R>(value: &JsValue, work: impl FnOnce(&T) -> R) -> Option<R> {
        let object = value.as_object()?;
        let native = object.downcast_ref::<Self>()?;
        Some(work(&native.0))
    }
}

impl<T: 'static> Deref for Native<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// A host value together with script values that belong to it.
#[derive(Finalize, Trace, JsData)]
pub struct NativeWith<T: 'static> {
    /// Must not hold script values; see [`Native`].
    #[unsafe_ignore_trace]
    pub host: T,
    /// Script values by name.
    pub values: GcRefCell<Vec<(JsString, JsValue)>>,
}

impl<T: 'static> NativeWith<T> {
    /// The object of a prototype that holds a value, and no script values yet.
    pub fn object(prototype: Option<JsObject>, host: T) -> JsObject {
        JsObject::from_proto_and_data(
            prototype,
            Self {
                host,
                values: GcRefCell::default(),
            },
        )
    }
}
