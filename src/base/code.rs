//! The table of application error codes: each one's HTTP status and the text shown when nothing better is known.
//!
//! The texts are PocketBase's, word for word: clients show them and tests compare them.

/// "The request requires valid record authorization token."
pub const AUTH_REQUIRED: &str = "The request requires valid record authorization token.";
/// "The authorized record is not allowed to perform this action."
pub const AUTH_NOT_ALLOWED: &str = "The authorized record is not allowed to perform this action.";
/// "The request requires superuser or record authorization token."
pub const OWNER_OR_SUPERUSER_REQUIRED: &str =
    "The request requires superuser or record authorization token.";
/// "An error occurred while loading the submitted data."
pub const BODY_UNREADABLE: &str = "An error occurred while loading the submitted data.";
/// "An error occurred while validating the submitted data."
pub const BODY_INVALID: &str = "An error occurred while validating the submitted data.";

/// What went wrong, as far as a client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// The request cannot be understood, or its data is refused (400).
    BadRequest,
    /// The caller is a guest or its credentials are not valid (401).
    Unauthorized,
    /// The caller is known and may not do this (403).
    Forbidden,
    /// There is no such thing, or the caller may not know of it (404).
    NotFound,
    /// The request took too long to arrive (408).
    Timeout,
    /// The thing is in a state that excludes the operation (409).
    Conflict,
    /// A condition the caller set, such as `If-Match`, does not hold (412).
    PreconditionFailed,
    /// The body is over its limit (413).
    TooLarge,
    /// The body's media type is not handled here (415).
    UnsupportedMedia,
    /// The byte range asked for is outside the file (416).
    RangeNotSatisfiable,
    /// The caller is over a rate limit (429).
    TooManyRequests,
    /// A fault of the server (500).
    Internal,
    /// The server cannot take the request now: it is full or stopping (503).
    Unavailable,
}

impl Code {
    /// The code that fits a status best; refusals without a code of their own are bad requests.
    #[must_use]
    pub const fn of_status(status: u16) -> Self {
        match status {
            401 => Self::Unauthorized,
            403 => Self::Forbidden,
            // A wrong method is answered as an unknown path is.
            404 | 405 => Self::NotFound,
            408 => Self::Timeout,
            409 => Self::Conflict,
            412 => Self::PreconditionFailed,
            413 => Self::TooLarge,
            415 => Self::UnsupportedMedia,
            416 => Self::RangeNotSatisfiable,
            429 => Self::TooManyRequests,
            503 => Self::Unavailable,
            0..500 => Self::BadRequest,
            _ => Self::Internal,
        }
    }

    /// The HTTP status.
    pub const fn status(self) -> u16 {
        self.row().0
    }

    /// The text shown to the client when the error brings none of its own.
    pub const fn message(self) -> &'static str {
        self.row().1
    }

    /// A stable name for logs and metrics.
    pub const fn name(self) -> &'static str {
        self.row().2
    }

    /// True for faults of the server: these are logged where they become a response.
    pub const fn is_server_fault(self) -> bool {
        self.status() >= 500
    }

    const fn row(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::BadRequest => (
                400,
                "Something went wrong while processing your request.",
                "bad_request",
            ),
            Self::Unauthorized => (401, "Missing or invalid authentication.", "unauthorized"),
            Self::Forbidden => (
                403,
                "You are not allowed to perform this request.",
                "forbidden",
            ),
            Self::NotFound => (404, "The requested resource wasn't found.", "not_found"),
            Self::Timeout => (408, "Request Timeout.", "timeout"),
            Self::Conflict => (409, "Conflict.", "conflict"),
            Self::PreconditionFailed => (412, "Precondition Failed.", "precondition_failed"),
            Self::TooLarge => (413, "Request entity too large.", "too_large"),
            Self::UnsupportedMedia => (415, "Unsupported Media Type.", "unsupported_media"),
            Self::RangeNotSatisfiable => (
                416,
                "Requested Range Not Satisfiable.",
                "range_not_satisfiable",
            ),
            Self::TooManyRequests => (429, "Too Many Requests.", "too_many_requests"),
            Self::Internal => (
                500,
                "Something went wrong while processing your request.",
                "internal",
            ),
            Self::Unavailable => (503, "Service Unavailable.", "unavailable"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Code; 13] = [
        Code::BadRequest,
        Code::Unauthorized,
        Code::Forbidden,
        Code::NotFound,
        Code::Timeout,
        Code::Conflict,
        Code::PreconditionFailed,
        Code::TooLarge,
        Code::UnsupportedMedia,
        Code::RangeNotSatisfiable,
        Code::TooManyRequests,
        Code::Internal,
        Code::Unavailable,
    ];

    #[test]
    fn each_code_has_an_error_status_a_sentence_and_a_name_of_its_own() {
        let mut names = std::collections::HashSet::new();
        for code in ALL {
            assert!((400..600).contains(&code.status()), "{code:?}");
            assert_eq!(
                super::super::text::sentenize(code.message()),
                code.message()
            );
            assert!(names.insert(code.name()), "{code:?}");
        }
    }

    #[test]
    fn only_5xx_codes_are_faults_of_the_server() {
        assert!(Code::Internal.is_server_fault());
        assert!(!Code::TooManyRequests.is_server_fault());
    }
}
