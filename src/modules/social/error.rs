//! What the operations refuse.

use crate::base::code::BODY_INVALID;
use crate::engine;
use crate::model::{FieldError, FieldErrors};

/// A refused or failed operation.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such post, or the caller may not see it.
    #[error("no such post")]
    NoPost,
    /// The caller does not like the post.
    #[error("not liked")]
    NotLiked,
    #[error("reactions are like, love, fire, wow, sad and angry")]
    Reaction,
    /// A reply and the comment it answers are of different posts, or there is no such comment.
    #[error("the parent comment belongs to another post")]
    Parent,
    /// The caller is a record of another collection than `users`.
    #[error("only users can post, like and comment")]
    NoUser,
    /// What the engine refuses or fails at.
    #[error(transparent)]
    Engine(#[from] engine::Error),
}

impl From<Error> for engine::Error {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        let field = |name: &str, code: &str| {
            let errors = FieldErrors::one(name, FieldError::new(code, sentence(&text)));
            Self::validation(BODY_INVALID, errors)
        };
        match error {
            Error::NoPost | Error::NotLiked => Self::NotFound(text),
            Error::Reaction => field("reaction", "validation_invalid_value"),
            Error::Parent => field("parentComment", "validation_invalid_parent"),
            Error::NoUser => Self::Forbidden(text),
            Error::Engine(error) => error,
        }
    }
}

impl From<Error> for crate::http::ApiError {
    fn from(error: Error) -> Self {
        engine::Error::from(error).into()
    }
}

impl From<crate::store::Error> for Error {
    fn from(error: crate::store::Error) -> Self {
        Self::Engine(error.into())
    }
}

fn sentence(text: &str) -> String {
    crate::base::text::sentenize(text)
}
