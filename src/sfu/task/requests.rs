//! What is asked of a session.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use super::Task;
use crate::Error;
use crate::peer::{Changes, Credentials, Peer, PeerKey};
use crate::session::{Candidate, Join, Leave, PeerId, Request};

/// The longest id of a peer, in bytes.
const ID_MAX: usize = 64;
/// The longest candidate, in bytes.
const CANDIDATE_MAX: usize = 512;

impl Task {
    pub(super) fn answer(&mut self, request: Request, now: Instant) {
        match request {
            Request::Join(join, reply) => {
                let _ = reply.send(self.join(&join, now));
            }
            Request::Answer {
                peer,
                sdp,
                seq,
                reply,
            } => {
                let result = self.with_peer(&peer, |peer| peer.accept_answer(&sdp, seq, now));
                let _ = reply.send(self.changed(&peer, result, now));
            }
            Request::Offer { peer, sdp, reply } => {
                let result = self.with_peer(&peer, |peer| peer.accept_offer(&sdp, now));
                let (answer, changes) = match result {
                    Ok((answer, changes)) => (Some(answer), Ok(changes)),
                    Err(error) => (None, Err(error)),
                };
                let changed = self.changed(&peer, changes, now);
                let _ = reply.send(changed.and_then(|()| answer.ok_or(Error::WrongState)));
            }
            Request::Candidate {
                peer,
                candidate,
                reply,
            } => {
                let result = self.with_peer(&peer, |_| check(&candidate));
                let _ = reply.send(result);
            }
            Request::Remove { peer, why, reply } => {
                let _ = reply.send(
                    self.key(&peer)
                        .map(|key| self.drop_peer(key, Leave::Removed(why))),
                );
            }
            Request::Behind { peer, label, reply } => {
                let _ = reply.send(self.with_peer(&peer, |peer| Ok(peer.behind(label))));
            }
            Request::Send(message) => self.send(&message, now),
            Request::Subscribe(subscription, reply) => {
                let _ = reply.send(self.subscribe(&subscription, now));
            }
            Request::Allow {
                peer,
                publishing,
                reply,
            } => {
                let result = self.key(&peer).map(|key| self.allow(key, publishing));
                let _ = reply.send(result);
            }
            Request::Tracks(reply) => {
                let _ = reply.send(self.published());
            }
            Request::Stats(reply) => {
                let _ = reply.send(self.stats(now));
            }
            // The loop's own.
            Request::Close(reply) => {
                let _ = reply.send(());
            }
        }
    }

    fn join(&mut self, join: &Join, now: Instant) -> Result<String, Error> {
        let id = join.peer.as_str();
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if id.is_empty() || id.len() > ID_MAX || !id.bytes().all(is_token) {
            return Err(Error::UnknownPeer);
        }
        if self.keys.contains_key(&join.peer) {
            return Err(Error::PeerExists);
        }
        if self.peers.len() >= self.peers_max {
            return Err(Error::Full);
        }
        let key = self.next_key;
        let credentials = Credentials::random();
        let registration =
            self.port
                .register(&credentials.ufrag, &credentials.pwd, key, &self.inbox);
        let mut peer = Peer::new(key, join, &self.setup, &credentials, registration, now)?;
        self.offer_present_tracks(&mut peer);
        let (sdp, _) = peer
            .make_offer(now)
            .inspect_err(|_| self.forget_subscriber(key))?;
        self.add_flows(key, now);
        self.next_key += 1;
        self.counters.work.peers.fetch_add(1, Relaxed);
        self.keys.insert(join.peer.clone(), key);
        self.peers.insert(key, peer);
        Ok(sdp)
    }

    /// After a description: tracks that ended, sections that are known now.
    fn changed(
        &mut self,
        peer: &PeerId,
        changes: Result<Changes, Error>,
        now: Instant,
    ) -> Result<(), Error> {
        let key = self.key(peer)?;
        if self.peers.get(&key).is_some_and(|peer| peer.is_broken) {
            self.drop_peer(key, Leave::Faulty);
        }
        for uplink in changes?.ended {
            self.unpublish(key, uplink);
        }
        self.start_slots(key, now);
        if let Some(peer) = self.peers.get_mut(&key) {
            // A description starts transports, and their timers.
            peer.deadline = Some(now);
        }
        Ok(())
    }

    pub(super) fn key(&self, peer: &PeerId) -> Result<PeerKey, Error> {
        self.keys.get(peer).copied().ok_or(Error::UnknownPeer)
    }

    fn with_peer<T>(
        &mut self,
        peer: &PeerId,
        step: impl FnOnce(&mut Peer) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let key = self.key(peer)?;
        step(self.peers.get_mut(&key).ok_or(Error::UnknownPeer)?)
    }
}

/// A candidate is checked and no more: the server waits for the client's checks (ICE lite), and learns its addresses from them.
fn check(candidate: &Candidate) -> Result<(), Error> {
    let text = candidate.candidate.trim();
    if text.is_empty() {
        return Ok(());
    }
    let text = text.strip_prefix("a=").unwrap_or(text);
    let Some(rest) = text.strip_prefix("candidate:") else {
        return Err(Error::BadCandidate);
    };
    // RFC 8839 section 5.1: foundation component transport priority address port typ TYPE.
    let parts: Vec<&str> = rest.split_ascii_whitespace().collect();
    let is_one = text.len() <= CANDIDATE_MAX
        && parts.len() >= 8
        && parts
            .get(1)
            .is_some_and(|component| component.parse::<u16>().is_ok())
        && parts
            .get(3)
            .is_some_and(|priority| priority.parse::<u32>().is_ok())
        && parts.get(5).is_some_and(|port| port.parse::<u16>().is_ok())
        && parts.get(6) == Some(&"typ");
    if is_one {
        Ok(())
    } else {
        Err(Error::BadCandidate)
    }
}
