//! The pure parts of forwarding: no sockets, no clocks, no connection. Time comes as an argument, so that every part can be driven
//! packet by packet; every state has a bound, and no input makes one panic.
//!
//! | file | decides |
//! | --- | --- |
//! | `codec` | which codec a track has, and whether decoding can begin at a packet |
//! | `rewrite` | the sequence number and timestamp that a subscriber sees |
//! | `vp8` | the picture ids that a subscriber of VP8 sees |

pub(crate) mod codec;
mod delay;
pub(crate) mod estimate;
pub(crate) mod meter;
pub(crate) mod rewrite;
pub(crate) mod vp8;
