//! What the rows of `rooms` and `roomMembers` say.

/// What a member may decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Owner,
    Admin,
    Participant,
}

impl Role {
    const ALL: [Self; 3] = [Self::Owner, Self::Admin, Self::Participant];

    /// The name on the wire.
    #[must_use]
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Participant => "participant",
        }
    }

    /// Reads a name.
    #[must_use]
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }

    /// Whether it is the owner's or an admin's.
    #[must_use]
    pub(crate) fn is_host(self) -> bool {
        self != Self::Participant
    }
}

/// What a member may do in the live session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Permissions {
    pub speak: bool,
    pub video: bool,
    pub screen: bool,
    pub chat: bool,
    pub invite: bool,
}

impl Default for Permissions {
    fn default() -> Self {
        Self {
            speak: true,
            video: true,
            screen: true,
            chat: true,
            invite: true,
        }
    }
}
