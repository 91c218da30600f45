//! Topic names.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Longest topic name, in bytes.
const TOPIC_BYTES_MAX: usize = 255;

/// The name of a topic: 1 to 255 bytes without control characters, so that it can stand in an SSE `event:` line.
///
/// Cloning is one reference count.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Topic(Arc<str>);

/// Why a text is no topic name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// The text is empty.
    #[error("a topic needs a name")]
    Empty,
    /// The text has more than 255 bytes.
    #[error("a topic name has at most {TOPIC_BYTES_MAX} bytes")]
    TooLong,
    /// The text holds a control character, such as a line break.
    #[error("a topic name has no control characters")]
    ControlCharacter,
}

impl Topic {
    /// Checks and takes a name.
    ///
    /// # Errors
    /// [`TopicError`] says which bound the name breaks.
    pub fn new(name: &str) -> Result<Self, TopicError> {
        if name.is_empty() {
            return Err(TopicError::Empty);
        }
        if name.len() > TOPIC_BYTES_MAX {
            return Err(TopicError::TooLong);
        }
        if name.chars().any(char::is_control) {
            return Err(TopicError::ControlCharacter);
        }
        Ok(Self(Arc::from(name)))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Topic {
    type Err = TopicError;

    fn from_str(name: &str) -> Result<Self, TopicError> {
        Self::new(name)
    }
}

impl Borrow<str> for Topic {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Topic({:?})", &*self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded_and_fit_on_one_line() {
        assert_eq!(Topic::new(""), Err(TopicError::Empty));
        assert_eq!(Topic::new("a\nb"), Err(TopicError::ControlCharacter));
        assert_eq!(Topic::new("a\u{85}b"), Err(TopicError::ControlCharacter));
        assert_eq!(Topic::new(&"x".repeat(256)), Err(TopicError::TooLong));
        assert_eq!(
            Topic::new(&"x".repeat(255)).map(|t| t.as_str().len()),
            Ok(255)
        );
        assert_eq!(
            "user/ann".parse::<Topic>().map(|t| t.to_string()),
            Ok("user/ann".into())
        );
    }
}
