//! Why the media plane refuses something.

/// A refusal. The texts are for clients.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("The session is closed.")]
    Closed,
    #[error("There is no such participant.")]
    UnknownPeer,
    #[error("The participant is there already.")]
    PeerExists,
    #[error("The session is full.")]
    Full,
    /// An answer without an offer, or to an offer that is no longer the current one.
    #[error("There is no offer that this could answer.")]
    WrongState,
    /// Both sides made an offer at once; the server's stands.
    #[error("retry")]
    Glare,
    /// What is wrong with a description, without its text.
    #[error("The session description is not usable: {0}.")]
    BadDescription(&'static str),
    #[error("The candidate is not usable.")]
    BadCandidate,
    /// A fault of ours.
    #[error("The connection failed.")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}
