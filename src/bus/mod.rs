//! The publish/subscribe bus that carries everything live. Publishing never waits for a subscriber.
