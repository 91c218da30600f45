//! Server-sent events: from a bus subscriber to the wire (WHATWG HTML, "Server-sent events").
//!
//! Nothing is encoded here per subscriber but an id line: events come encoded from the bus and are copied into one chunk
//! with whatever else waits.

mod body;
mod encode;
mod position;

#[cfg(test)]
mod tests;

pub use body::{SseBody, SseOptions, respond};
pub use encode::{Encode, Positions, Sees, frame, frames, one_topic, resumable, several_topics};
pub use position::{parse_positions, print_positions};
