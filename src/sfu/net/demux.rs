//! Which peer a datagram belongs to: the tables, owned by the receive task alone, and pure.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rtc::crypto::{HmacAlgorithm, Mac, RTCCryptoProvider};

use super::inbox::{Datagram, Inbox};
use super::stun::{self, BindingRequest};

/// Addresses of one peer: a client has a few, and some more while it roams. The one that was silent longest makes room.
pub(super) const ADDRESSES_MAX: usize = 16;
/// How many checks of a password one peer's name is worth at once, and again in [`CHECKS_PERIOD`]. A client needs one per address.
pub(super) const CHECKS_MAX: u32 = 128;
const CHECKS_PERIOD: Duration = Duration::from_secs(1);

/// A peer that is to be found.
pub(super) struct Peer {
    /// Unique over all registrations.
    pub(super) id: u64,
    pub(super) ufrag: Box<[u8]>,
    pub(super) password: Box<[u8]>,
    pub(super) tag: u32,
    pub(super) inbox: Inbox,
}

/// What became of the datagrams of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) packets: u64,
    pub(super) bytes: u64,
    pub(super) unknown: u64,
    pub(super) refused: u64,
    pub(super) overflowed: u64,
}

/// Why a datagram goes nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stray {
    /// Its source is bound to nobody, or it names nobody.
    Unknown,
    /// It names a peer, and did not prove the password.
    Refused,
}

pub(super) struct Demux {
    crypto: Arc<dyn RTCCryptoProvider>,
    by_ufrag: HashMap<Box<[u8]>, u64>,
    by_address: HashMap<SocketAddr, Binding>,
    peers: HashMap<u64, Entry>,
    inboxes: HashMap<usize, Pending>,
    /// Inboxes that the present batch has datagrams for.
    touched: Vec<usize>,
    tally: Tally,
}

/// What an address is bound to, with all that a datagram needs.
struct Binding {
    peer: u64,
    tag: u32,
    inbox: usize,
    heard: Instant,
}

struct Entry {
    ufrag: Box<[u8]>,
    mac: Box<dyn Mac>,
    tag: u32,
    inbox: usize,
    addresses: Vec<SocketAddr>,
    checks_left: u32,
    checks_since: Instant,
}

struct Pending {
    inbox: Inbox,
    datagrams: Vec<Datagram>,
    peers: usize,
}

impl Demux {
    pub(super) fn new(crypto: Arc<dyn RTCCryptoProvider>) -> Self {
        Self {
            crypto,
            by_ufrag: HashMap::new(),
            by_address: HashMap::new(),
            peers: HashMap::new(),
            inboxes: HashMap::new(),
            touched: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// Lets a peer be found. One of the same ufrag is found no longer.
    pub(super) fn register(&mut self, peer: Peer, now: Instant) {
        let mac = match self
            .crypto
            .crypto()
            .new_hmac(HmacAlgorithm::Sha1, &peer.password)
        {
            Ok(mac) => mac,
            Err(error) => {
                tracing::error!(%error, "A peer cannot be reached: its key is not usable.");
                return;
            }
        };
        let inbox = peer.inbox.identity();
        self.inboxes
            .entry(inbox)
            .or_insert_with(|| Pending {
                inbox: peer.inbox,
                datagrams: Vec::new(),
                peers: 0,
            })
            .peers += 1;
        self.by_ufrag.insert(peer.ufrag.clone(), peer.id);
        let entry = Entry {
            ufrag: peer.ufrag,
            mac,
            tag: peer.tag,
            inbox,
            addresses: Vec::new(),
            checks_left: CHECKS_MAX,
            checks_since: now,
        };
        self.peers.insert(peer.id, entry);
    }

    /// Forgets a peer and its addresses.
    pub(super) fn unregister(&mut self, id: u64) {
        let Some(entry) = self.peers.remove(&id) else {
            return;
        };
        if self.by_ufrag.get(&entry.ufrag) == Some(&id) {
            self.by_ufrag.remove(&entry.ufrag);
        }
        for address in &entry.addresses {
            self.by_address.remove(address);
        }
        if let Some(pending) = self.inboxes.get_mut(&entry.inbox) {
            pending.peers = pending.peers.saturating_sub(1);
            if pending.peers == 0 && pending.datagrams.is_empty() {
                self.inboxes.remove(&entry.inbox);
            }
        }
    }

    /// Puts a datagram to those of its inbox; [`Demux::flush`] hands them over. `from` is as clients are known: IPv4 not mapped.
    pub(super) fn put(&mut self, from: SocketAddr, data: &[u8], now: Instant) {
        self.tally.packets += 1;
        self.tally.bytes += data.len() as u64;
        match self.route(from, data, now) {
            Ok((inbox, tag)) => {
                let Some(pending) = self.inboxes.get_mut(&inbox) else {
                    return;
                };
                if pending.datagrams.is_empty() {
                    self.touched.push(inbox);
                }
                pending.datagrams.push(Datagram {
                    tag,
                    from,
                    data: BytesMut::from(data),
                    at: now,
                });
            }
            Err(Stray::Unknown) => self.tally.unknown += 1,
            Err(Stray::Refused) => self.tally.refused += 1,
        }
    }

    /// Hands the batch over: one lock and one wake per inbox. Gives what was counted since the last time.
    pub(super) fn flush(&mut self) -> Tally {
        for inbox in self.touched.drain(..) {
            if let Some(pending) = self.inboxes.get_mut(&inbox) {
                self.tally.overflowed += pending.inbox.put(&mut pending.datagrams) as u64;
            }
        }
        std::mem::take(&mut self.tally)
    }

    /// The inbox and the tag that a datagram goes to. Binds its address where it proves whose it is.
    fn route(
        &mut self,
        from: SocketAddr,
        data: &[u8],
        now: Instant,
    ) -> Result<(usize, u32), Stray> {
        let bound = self.by_address.get_mut(&from);
        if !stun::is_binding_request(data) {
            let binding = bound.ok_or(Stray::Unknown)?;
            binding.heard = now;
            return Ok((binding.inbox, binding.tag));
        }
        let request = BindingRequest::read(data).ok_or(Stray::Unknown)?;
        let id = *self.by_ufrag.get(request.ufrag).ok_or(Stray::Unknown)?;
        if let Some(binding) = bound.filter(|binding| binding.peer == id) {
            binding.heard = now;
            return Ok((binding.inbox, binding.tag));
        }
        let peer = self.peers.get_mut(&id).ok_or(Stray::Unknown)?;
        if !request.is_intact() || !peer.may_check(now) || !request.is_signed_with(&mut *peer.mac) {
            return Err(Stray::Refused);
        }
        let to = (peer.inbox, peer.tag);
        self.bind(from, id, now);
        Ok(to)
    }

    /// Binds an address to a peer, whoever had it before.
    fn bind(&mut self, address: SocketAddr, id: u64, now: Instant) {
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        if peer.addresses.len() >= ADDRESSES_MAX {
            let heard = |address: &SocketAddr| self.by_address.get(address).map(|at| at.heard);
            let silent = (0..peer.addresses.len())
                .min_by_key(|index| peer.addresses.get(*index).and_then(heard));
            if let Some(index) = silent {
                self.by_address.remove(&peer.addresses.swap_remove(index));
            }
        }
        peer.addresses.push(address);
        let binding = Binding {
            peer: id,
            tag: peer.tag,
            inbox: peer.inbox,
            heard: now,
        };
        if let Some(before) = self.by_address.insert(address, binding)
            && let Some(loser) = self.peers.get_mut(&before.peer)
        {
            loser.addresses.retain(|of_loser| *of_loser != address);
        }
    }
}

impl Entry {
    /// Whether another password may be checked in this peer's name; it counts.
    fn may_check(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.checks_since) >= CHECKS_PERIOD {
            self.checks_left = CHECKS_MAX;
            self.checks_since = now;
        }
        let may = self.checks_left > 0;
        self.checks_left = self.checks_left.saturating_sub(1);
        may
    }
}

#[cfg(test)]
mod tests;
