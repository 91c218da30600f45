//! What is measured of a session.

use std::time::Instant;

use super::Task;
use super::forward::worst_loss;
use super::tracks::Published;
use crate::session::{Flow, Layer, PeerStats, Source};

impl Task {
    pub(super) fn stats(&mut self, now: Instant) -> Vec<PeerStats> {
        let mut all = Vec::with_capacity(self.peers.len());
        for (key, peer) in &self.peers {
            let Some(flows) = self.tracks.flows.get_mut(key) else {
                continue;
            };
            let published: Vec<&Published> = self
                .tracks
                .all
                .values()
                .filter(|track| track.publisher == *key)
                .collect();
            let layer = self
                .tracks
                .all
                .values()
                .filter(|track| track.info.source != Source::Mic);
            let layer = layer
                .flat_map(|track| &track.subscribers)
                .filter(|subscriber| subscriber.peer == *key);
            let layer: Option<Layer> = layer
                .filter_map(|subscriber| subscriber.switch.current())
                .max();
            let downlink = &peer.downlink;
            all.push(PeerStats {
                peer: peer.id.clone(),
                rtt_ms: downlink.rtt().map(|rtt| rtt.as_secs_f64() * 1_000.0),
                up: Flow {
                    bitrate_bps: flows.up.bps(now),
                    loss: worst_loss(&published),
                    packets: flows.up.packets(),
                    retransmitted: 0,
                },
                down: Flow {
                    bitrate_bps: flows.down.bps(now),
                    loss: downlink.loss(),
                    packets: flows.down.packets(),
                    retransmitted: downlink.resent(),
                },
                available_bps: downlink.estimate_bps(),
                layer,
                is_connected: peer.is_connected,
                is_speaking: self.tracks.speakers.is_speaking(key),
            });
        }
        all
    }
}
