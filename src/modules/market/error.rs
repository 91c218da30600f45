//! What the operations refuse.

use serde_json::Map;

use crate::base::code::BODY_INVALID;
use crate::base::money::MoneyError;
use crate::base::text::sentenize;
use crate::engine;
use crate::model::{FieldError, FieldErrors};

/// A refused or failed operation.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such article, or nobody sells it any more.
    #[error("no such article")]
    NoArticle,
    /// There is no such sale, or the caller takes no part in it.
    #[error("no such sale")]
    NoSale,
    /// There is no charge of this id.
    #[error("no such charge")]
    NoCharge,
    #[error("out of stock")]
    OutOfStock,
    #[error("nobody can buy an own article")]
    OwnArticle,
    /// The article's `dueDate` is over.
    #[error("the article is not on sale any more")]
    PastDue,
    #[error("insufficient balance")]
    InsufficientBalance,
    /// What was asked for does not follow from the state of the sale or charge.
    #[error("{what} is {state} already")]
    State { what: &'static str, state: String },
    /// The time to pay is over; the stock went back.
    #[error("the sale has expired")]
    Expired,
    /// A row of the ledger cannot be changed by itself.
    #[error("the operation is changed with its sale")]
    OfSale,
    #[error("a ledger keeps its rows")]
    Kept,
    /// An idempotency key came with another request before.
    #[error("the idempotency key belongs to another request")]
    KeyReused,
    #[error("an idempotency key has 1 to 255 visible characters")]
    BadKey,
    /// Only a payment provider or a superuser says that something is paid.
    #[error("payments are settled by an external provider")]
    SettledElsewhere,
    #[error("only a superuser or the payment provider can do this")]
    NotYours,
    /// The caller is a record of another collection than `users`.
    #[error("only users can buy and sell")]
    NoUser,
    /// Payer and payee are the same, or one is missing.
    #[error("a charge needs two different users")]
    Parties,
    /// A script changed what the market has computed.
    #[error("a hook changed what the market computes")]
    Meddled,
    /// The provider names another amount than the sale's.
    #[error("the amount differs")]
    AmountDiffers,
    /// A signature that is missing, wrong or too old.
    #[error("the signature is not valid")]
    Signature,
    #[error("no such payment provider")]
    NoProvider,
    /// A value that is refused by its field.
    #[error("{1}")]
    Field(&'static str, String),
    /// A value that is missing.
    #[error("cannot be blank")]
    Required(&'static str),
    /// What the engine refuses or fails at.
    #[error(transparent)]
    Engine(#[from] engine::Error),
}

impl Error {
    pub(super) fn money(field: &'static str, error: MoneyError) -> Self {
        Self::Field(field, error.to_string())
    }

    pub(super) fn state(what: &'static str, state: &str) -> Self {
        Self::State {
            what,
            state: state.to_owned(),
        }
    }
}

impl From<Error> for engine::Error {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        let field = |name: &str, code: &str| {
            let errors = FieldErrors::one(name, FieldError::new(code, sentenize(&text)));
            Self::validation(BODY_INVALID, errors)
        };
        let status = |status: u16| Self::Custom {
            status,
            message: text.clone(),
            data: Map::new(),
            cause: None,
        };
        match error {
            Error::NoArticle | Error::NoSale | Error::NoCharge | Error::NoProvider => {
                Self::NotFound(text)
            }
            Error::OutOfStock
            | Error::OwnArticle
            | Error::BadKey
            | Error::Parties
            | Error::Kept
            | Error::Meddled => Self::BadRequest(text),
            Error::Signature => Self::Unauthorized(text),
            Error::InsufficientBalance => status(402),
            Error::SettledElsewhere | Error::NotYours | Error::NoUser => Self::Forbidden(text),
            Error::State { .. }
            | Error::Expired
            | Error::OfSale
            | Error::KeyReused
            | Error::AmountDiffers => status(409),
            Error::PastDue => status(410),
            Error::Field(name, _) => field(name, "validation_invalid_value"),
            Error::Required(name) => field(name, "validation_required"),
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
