//! From one layer to another for one subscriber and one track: only at a key frame of the new one, which is asked for until it
//! comes. Until then the old one goes on.

use std::time::{Duration, Instant};

use super::layers::Rates;
use crate::session::Layer;

/// How often a key frame is asked for. Requests to the publisher are merged and limited elsewhere.
const ASK_EVERY: Duration = Duration::from_millis(300);

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is of no layer that is sent.
    Drop,
    Forward,
    /// It is the first of a new layer, or after a pause: the rewriter has to be cut before it.
    Start,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Switch {
    current: Option<Layer>,
    target: Option<Layer>,
    asked: Option<Instant>,
}

impl Switch {
    /// What is sent now.
    pub(crate) fn current(&self) -> Option<Layer> {
        self.current
    }

    /// What is to be sent.
    pub(crate) fn target(&self) -> Option<Layer> {
        self.target
    }

    /// Sets what is to be sent. `None` pauses at once.
    pub(crate) fn aim(&mut self, target: Option<Layer>) {
        if self.target != target {
            self.target = target;
            self.asked = None;
        }
        if target.is_none() {
            self.current = None;
        }
    }

    /// What becomes of a packet of a layer. Each packet of each layer of the track comes here.
    pub(crate) fn packet(&mut self, layer: Layer, is_key_frame: bool) -> Verdict {
        if self.target == Some(layer) && self.current != Some(layer) && is_key_frame {
            self.current = Some(layer);
            self.asked = None;
            return Verdict::Start;
        }
        if self.current == Some(layer) {
            Verdict::Forward
        } else {
            Verdict::Drop
        }
    }

    /// The layer whose publisher is to be asked for a key frame now. Where the target is no longer sent, the next lower layer
    /// that is takes its place, else the next higher. To be asked on each target, and a few times per second.
    pub(crate) fn poll(&mut self, now: Instant, rates: &Rates) -> Option<Layer> {
        let target = self.target?;
        let is_sent = |layer: &Layer| rates.get(*layer as usize).copied().flatten().is_some();
        if !is_sent(&target) {
            let lower = Layer::ALL.into_iter().rev().filter(|layer| *layer < target);
            let higher = Layer::ALL.into_iter().filter(|layer| *layer > target);
            if let Some(instead) = lower.chain(higher).find(is_sent) {
                self.aim(Some(instead));
            }
        }
        let target = self.target?;
        let is_due = self
            .asked
            .is_none_or(|at| now.saturating_duration_since(at) >= ASK_EVERY);
        if self.current == Some(target) || !is_due {
            return None;
        }
        self.asked = Some(now);
        Some(target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Rates = [Some(1), Some(1), Some(1)];

    #[test]
    fn the_old_layer_goes_on_until_the_new_one_has_a_key_frame() {
        let now = Instant::now();
        let mut switch = Switch::default();
        assert_eq!(switch.packet(Layer::Half, true), Verdict::Drop);
        switch.aim(Some(Layer::Half));
        assert_eq!(switch.packet(Layer::Half, false), Verdict::Drop);
        assert_eq!(switch.packet(Layer::Half, true), Verdict::Start);
        assert_eq!(switch.packet(Layer::Half, true), Verdict::Forward);
        assert_eq!(switch.poll(now, &ALL), None);
        switch.aim(Some(Layer::Full));
        assert_eq!(switch.poll(now, &ALL), Some(Layer::Full));
        assert_eq!(switch.packet(Layer::Half, false), Verdict::Forward);
        assert_eq!(switch.packet(Layer::Full, false), Verdict::Drop);
        assert_eq!(switch.packet(Layer::Full, true), Verdict::Start);
        assert_eq!(switch.packet(Layer::Half, true), Verdict::Drop);
        assert_eq!(switch.current(), Some(Layer::Full));
    }

    #[test]
    fn a_key_frame_is_asked_for_until_it_comes_but_not_too_often() {
        let mut now = Instant::now();
        let mut switch = Switch::default();
        switch.aim(Some(Layer::Quarter));
        let mut asked = 0;
        for _ in 0..100 {
            now += Duration::from_millis(10);
            asked += usize::from(switch.poll(now, &ALL).is_some());
        }
        assert_eq!(asked, 4);
        switch.packet(Layer::Quarter, true);
        assert_eq!(switch.poll(now + ASK_EVERY, &ALL), None);
    }

    #[test]
    fn a_pause_is_at_once_and_ends_with_a_key_frame() {
        let mut switch = Switch::default();
        switch.aim(Some(Layer::Full));
        switch.packet(Layer::Full, true);
        switch.aim(None);
        assert_eq!(switch.packet(Layer::Full, true), Verdict::Drop);
        switch.aim(Some(Layer::Full));
        assert_eq!(switch.packet(Layer::Full, false), Verdict::Drop);
        assert_eq!(switch.packet(Layer::Full, true), Verdict::Start);
    }

    #[test]
    fn a_target_that_is_not_sent_is_replaced() {
        let now = Instant::now();
        let mut switch = Switch::default();
        switch.aim(Some(Layer::Full));
        let rates = [Some(1), Some(1), None];
        assert_eq!(switch.poll(now, &rates), Some(Layer::Half));
        switch.aim(Some(Layer::Quarter));
        assert_eq!(switch.poll(now, &[None, None, Some(1)]), Some(Layer::Full));
        // Nothing is sent at all: it waits for what it wants.
        switch.aim(Some(Layer::Half));
        assert_eq!(switch.poll(now, &[None; 3]), Some(Layer::Half));
    }
}
