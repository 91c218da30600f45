//! The pure parts of forwarding: no sockets, no clocks, no connection. Time comes as an argument, so that every part can be driven
//! packet by packet; every state has a bound, and no input makes one panic.
//!
//! | file | decides |
//! | --- | --- |
//! | `codec` | which codec a track has, and whether decoding can begin at a packet |
//! | `rewrite` | the sequence number and timestamp that a subscriber sees |
//! | `vp8` | the picture ids that a subscriber of VP8 sees |
//! | `estimate`, `delay` | what the way to a subscriber carries |
//! | `layers` | which layer a subscriber gets of each track |
//! | `switch` | when the change from one layer to another happens |
//! | `keyframes` | when a publisher is asked for a key frame |
//! | `speaker` | who speaks |
//! | `meter` | rates and loss |

pub(crate) mod codec;
mod delay;
pub(crate) mod estimate;
pub(crate) mod keyframes;
pub(crate) mod layers;
pub(crate) mod meter;
#[cfg(test)]
mod path;
pub(crate) mod rewrite;
pub(crate) mod speaker;
pub(crate) mod switch;
pub(crate) mod vp8;
