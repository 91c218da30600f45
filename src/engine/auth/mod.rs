//! Sign-in: tokens, passwords, and the rules that hold for auth collections.

mod alert;
mod cache;
mod email_change;
mod factor;
mod flow;
mod otp;
mod password;
pub mod providers;
mod reset;
pub mod system;
#[cfg(test)]
mod tests;
mod token;
mod verification;

pub use alert::Origin;
pub(super) use cache::AuthCache;
pub use email_change::EmailChange;
pub(super) use flow::find_by_email;
pub use otp::{OtpAttempt, OtpSignIn, new_otp};
pub use password::PasswordSignIn;
pub use reset::PasswordReset;
pub(super) use system::hooks as system_hooks;
pub use token::TokenClaims;
