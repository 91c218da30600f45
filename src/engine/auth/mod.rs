//! Sign-in: tokens, passwords, and the rules that hold for auth collections.

mod cache;
mod factor;
mod password;
pub mod providers;
pub mod system;
mod token;

pub(super) use cache::AuthCache;
pub use password::PasswordSignIn;
pub(super) use system::hooks as system_hooks;
pub use token::TokenClaims;
