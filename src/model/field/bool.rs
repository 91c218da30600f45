//! `bool` fields; `required` means that the value must be true.

use super::BoolOptions;
use crate::model::{FieldError, rules};

impl BoolOptions {
    pub(super) fn validate(&self, flag: bool) -> Option<FieldError> {
        rules::required(self.required && !flag)
    }
}
