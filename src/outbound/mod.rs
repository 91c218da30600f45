//! Requests that the server sends to others on behalf of scripts, and later of webhooks.
//!
//! Whoever may choose such a request's address could reach into the network behind the server. So addresses that are not
//! public are refused unless the operator allows them: in the URL, after each redirect, and after name resolution, where
//! only the addresses that were looked at are connected to. Answers are bounded in length and time.

mod addresses;
mod client;

pub use addresses::{Allowed, Allowlist, is_public};
pub use client::{Answer, Client, Error, Request};
