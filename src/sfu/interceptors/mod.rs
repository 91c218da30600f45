//! What stands between the wire and a connection's tracks: parts of the crate's chain of interceptors. They see packets one by one
//! and read no clocks.
//!
//! | file | does |
//! | --- | --- |
//! | `registry` | which codecs, extensions and interceptors a connection has |
//! | `rtx` | turns retransmissions of publishers back into what was lost, before loss is looked for |
//! | `resend` | answers the NACKs of subscribers from what was sent |
//! | `feedback` | hands key-frame requests to the application, and notes what else subscribers report |
//! | `bandwidth` | numbers what leaves, and estimates what the path to the subscriber carries |

pub(crate) mod bandwidth;
pub(crate) mod feedback;
pub(crate) mod registry;
pub(crate) mod resend;
pub(crate) mod rtx;

mod queue;

#[cfg(test)]
mod tests;
