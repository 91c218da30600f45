//! Why a text is no filter, and where.

use std::fmt;

use super::ast::Span;

/// A text is no filter. It prints as `<what> at <byte offset>`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at {}", span.start)]
pub struct ParseError {
    /// The offending part of the source.
    pub span: Span,
    /// What is wrong with it.
    pub kind: ParseErrorKind,
}

/// What is wrong with a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseErrorKind {
    /// Nothing but white space and comments, in the whole text or in a group.
    Empty,
    /// The text or group ends where more must follow.
    Incomplete {
        /// What must follow.
        expected: &'static str,
    },
    /// A token stands where another one must.
    UnexpectedToken {
        /// What must stand there.
        expected: &'static str,
        /// What stands there.
        found: &'static str,
    },
    /// A character that starts no token.
    UnexpectedCharacter(char),
    /// Such as `-`, `1.` or `-.`.
    InvalidNumber,
    /// It ends with `.` or `:`, or is a lone `@`, `_` or `#`.
    InvalidIdentifier,
    /// A run of `= ? ! > < ~` that is no operator.
    InvalidOperator,
    /// A run of `&` and `|` that is neither `&&` nor `||`.
    InvalidJoin,
    /// A `/` without a second one.
    InvalidComment,
    /// A quoted text without its closing quote.
    UnterminatedText,
    /// A `(` without its `)`.
    UnterminatedGroup,
    /// A function call without its `)`.
    UnterminatedCall,
    /// A `{:` without a name and `}`.
    InvalidPlaceholder,
    /// A placeholder that nobody gave a value.
    UnknownPlaceholder,
    /// A placeholder's number is infinite or not a number.
    NotFinite,
    /// Longer than [`Limits::bytes_max`](super::Limits::bytes_max).
    TooLong,
    /// Deeper than [`Limits::depth_max`](super::Limits::depth_max).
    TooDeep,
    /// Function calls deeper than [`FUNCTION_DEPTH_MAX`](super::FUNCTION_DEPTH_MAX).
    CallsTooDeep,
    /// More than [`Limits::comparisons_max`](super::Limits::comparisons_max).
    TooManyComparisons,
}

impl fmt::Display for ParseErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Incomplete { expected } => {
                return write!(f, "incomplete expression, expected {expected}");
            }
            Self::UnexpectedToken { expected, found } => {
                return write!(f, "unexpected {found}, expected {expected}");
            }
            Self::UnexpectedCharacter(c) => return write!(f, "unexpected character {c:?}"),
            Self::Empty => "empty expression",
            Self::InvalidNumber => "invalid number",
            Self::InvalidIdentifier => "invalid identifier",
            Self::InvalidOperator => "invalid operator",
            Self::InvalidJoin => "invalid operator, expected && or ||",
            Self::InvalidComment => "invalid comment, expected //",
            Self::UnterminatedText => "text without closing quote",
            Self::UnterminatedGroup => "group without closing parenthesis",
            Self::UnterminatedCall => "function call without closing parenthesis",
            Self::InvalidPlaceholder => "invalid placeholder, expected {:name}",
            Self::UnknownPlaceholder => "placeholder without value",
            Self::NotFinite => "placeholder's number is not finite",
            Self::TooLong => "expression too long",
            Self::TooDeep => "groups nested too deep",
            Self::CallsTooDeep => "function calls nested too deep",
            Self::TooManyComparisons => "too many comparisons",
        };
        f.write_str(text)
    }
}
