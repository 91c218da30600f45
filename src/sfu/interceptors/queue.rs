//! What all interceptors share: packets that passed and wait to be taken on.

use std::collections::VecDeque;

use rtc::interceptor::TaggedPacket;

/// Packets that go on, by direction. The chain empties both after each packet it hands in, so they hold no more than one packet
/// and what it caused.
#[derive(Default)]
pub(super) struct Queues {
    pub(super) read: VecDeque<TaggedPacket>,
    pub(super) write: VecDeque<TaggedPacket>,
}
