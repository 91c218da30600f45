use proptest::prelude::*;
use rtc::crypto::default_provider;

use super::super::inbox::DATAGRAMS_MAX;
use super::super::requests::{request, request_without_fingerprint};
use super::*;

const RTP: &[u8] = &[0x80, 0x60, 0, 1];

struct Bench {
    demux: Demux,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        Self {
            demux: Demux::new(default_provider().unwrap()),
            now: Instant::now(),
        }
    }

    /// Registers a peer whose password is its ufrag twice.
    fn register(&mut self, id: u64, ufrag: &str, inbox: &Inbox) {
        let peer = Peer {
            id,
            ufrag: ufrag.as_bytes().into(),
            password: password(ufrag).as_bytes().into(),
            tag: u32::try_from(id).unwrap(),
            inbox: inbox.clone(),
        };
        self.demux.register(peer, self.now);
    }

    fn send(&mut self, from: u16, data: &[u8]) -> Tally {
        self.demux.put(address(from), data, self.now);
        self.demux.flush()
    }

    fn knock(&mut self, from: u16, ufrag: &str) -> Tally {
        self.send(from, &request(ufrag, &password(ufrag)))
    }

    fn is_empty(&self) -> bool {
        self.demux.by_address.is_empty()
            && self.demux.by_ufrag.is_empty()
            && self.demux.peers.is_empty()
            && self.demux.inboxes.is_empty()
    }
}

fn password(ufrag: &str) -> String {
    format!("{ufrag}{ufrag}")
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port))
}

/// Tags and sources of what is in the inbox.
fn taken(inbox: &Inbox) -> Vec<(u32, u16)> {
    let mut datagrams = Vec::new();
    inbox.try_take(&mut datagrams);
    datagrams
        .iter()
        .map(|datagram| (datagram.tag, datagram.from.port()))
        .collect()
}

#[test]
fn an_address_is_bound_by_a_request_that_proves_the_password() {
    let mut bench = Bench::new();
    let inbox = Inbox::new();
    bench.register(1, "ann", &inbox);
    assert_eq!(bench.send(5, RTP).unknown, 1);
    assert_eq!(
        bench.knock(5, "ann"),
        Tally {
            packets: 1,
            bytes: 68,
            ..Tally::default()
        }
    );
    bench.send(5, RTP);
    assert_eq!(taken(&inbox), [(1, 5), (1, 5)]);
    bench.send(6, &request_without_fingerprint("ann", "annann"));
    assert_eq!(taken(&inbox), [(1, 6)]);
}

#[test]
fn a_request_without_the_password_binds_nothing() {
    let mut bench = Bench::new();
    let inbox = Inbox::new();
    bench.register(1, "ann", &inbox);
    assert_eq!(bench.send(5, &request("ann", "guess")).refused, 1);
    assert_eq!(bench.send(5, &request("bob", "guess")).unknown, 1);
    let mut damaged = request("ann", "annann");
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(bench.send(5, &damaged).refused, 1);
    assert_eq!(bench.send(5, RTP).unknown, 1);
    assert_eq!(taken(&inbox), []);
}

#[test]
fn a_client_that_roams_is_found_at_its_new_address_and_its_old() {
    let mut bench = Bench::new();
    let inbox = Inbox::new();
    bench.register(1, "ann", &inbox);
    bench.knock(5, "ann");
    bench.knock(6, "ann");
    bench.send(5, RTP);
    bench.send(6, RTP);
    assert_eq!(taken(&inbox), [(1, 5), (1, 6), (1, 5), (1, 6)]);
}

#[test]
fn an_address_goes_over_to_another_peer_only_with_that_peers_password() {
    let mut bench = Bench::new();
    let (anns, bobs) = (Inbox::new(), Inbox::new());
    bench.register(1, "ann", &anns);
    bench.register(2, "bob", &bobs);
    bench.knock(5, "ann");
    assert_eq!(bench.send(5, &request("bob", "annann")).refused, 1);
    bench.send(5, RTP);
    assert_eq!(taken(&anns), [(1, 5), (1, 5)]);
    assert_eq!(taken(&bobs), []);

    bench.knock(5, "bob");
    bench.send(5, RTP);
    assert_eq!(taken(&anns), []);
    assert_eq!(taken(&bobs), [(2, 5), (2, 5)]);
    // The loser's end does not take the address from its new owner.
    bench.demux.unregister(1);
    bench.send(5, RTP);
    assert_eq!(taken(&bobs), [(2, 5)]);
}

#[test]
fn the_end_of_a_registration_frees_all_it_held() {
    let mut bench = Bench::new();
    let inbox = Inbox::new();
    bench.register(1, "ann", &inbox);
    bench.register(2, "bob", &inbox);
    for from in 0..20 {
        bench.knock(from, "ann");
    }
    bench.knock(30, "bob");
    bench.demux.unregister(1);
    assert_eq!(bench.knock(19, "ann").unknown, 1);
    assert_eq!(bench.send(19, RTP).unknown, 1);
    assert_eq!(bench.send(30, RTP).unknown, 0);
    bench.demux.unregister(2);
    bench.demux.unregister(2);
    assert!(bench.is_empty());
}

#[test]
fn a_ufrag_that_is_registered_again_belongs_to_the_newer() {
    let mut bench = Bench::new();
    let inbox = Inbox::new();
    bench.register(1, "ann", &inbox);
    bench.register(2, "ann", &inbox);
    bench.demux.unregister(1);
    bench.knock(5, "ann");
    assert_eq!(taken(&inbox), [(2, 5)]);
}

#[test]
fn the_address_that_was_silent_longest_makes_room() {
    let mut bench = Bench::new();
    let inbox = Inbox::new();
    bench.register(1, "ann", &inbox);
    let most = u16::try_from(ADDRESSES_MAX).unwrap();
    for from in 0..most {
        bench.knock(from, "ann");
        bench.now += Duration::from_millis(1);
    }
    bench.send(0, RTP);
    bench.now += Duration::from_millis(1);
    bench.knock(most, "ann");
    assert_eq!(bench.demux.by_address.len(), ADDRESSES_MAX);
    assert_eq!(bench.send(1, RTP).unknown, 1);
    for from in [0, 2, most] {
        assert_eq!(bench.send(from, RTP).unknown, 0, "{from}");
    }
}

#[test]
fn checks_in_a_peers_name_are_bounded_in_time() {
    let mut bench = Bench::new();
    let inbox = Inbox::new();
    bench.register(1, "ann", &inbox);
    bench.register(2, "bob", &inbox);
    bench.knock(5, "ann");
    let wrong = request("ann", "guess");
    for from in 0..CHECKS_MAX {
        bench.send(u16::try_from(1_000 + from).unwrap(), &wrong);
    }
    assert_eq!(
        bench.knock(6, "ann").refused,
        1,
        "not even the right one is checked"
    );
    assert_eq!(bench.knock(5, "ann").refused, 0, "what is bound stays so");
    assert_eq!(bench.knock(7, "bob").refused, 0, "others are not affected");
    bench.now += CHECKS_PERIOD;
    assert_eq!(bench.knock(6, "ann").refused, 0);
}

#[test]
fn a_full_inbox_drops_for_its_own_session_only() {
    let mut bench = Bench::new();
    let (full, other) = (Inbox::new(), Inbox::new());
    bench.register(1, "ann", &full);
    bench.register(2, "bob", &other);
    bench.knock(5, "ann");
    bench.knock(6, "bob");
    let tallies = (0..DATAGRAMS_MAX).map(|_| bench.send(5, RTP).overflowed);
    assert_eq!(tallies.sum::<u64>(), 1);
    assert_eq!(bench.send(6, RTP).overflowed, 0);
    assert_eq!(taken(&full).len(), DATAGRAMS_MAX);
    assert_eq!(taken(&other).len(), 2);
}

proptest! {
    #[test]
    fn strangers_get_nowhere_whatever_they_send(data in proptest::collection::vec(any::<u8>(), 0..200), is_stun in any::<bool>()) {
        let mut bench = Bench::new();
        let inbox = Inbox::new();
        bench.register(1, "ann", &inbox);
        let mut data = data;
        if is_stun && data.len() >= 20 {
            let length = u16::try_from(data.len() - 20).unwrap();
            data[..2].copy_from_slice(&[0, 1]);
            data[2..4].copy_from_slice(&length.to_be_bytes());
            data[4..8].copy_from_slice(&[0x21, 0x12, 0xA4, 0x42]);
        }
        let tally = bench.send(5, &data);
        prop_assert_eq!(tally.unknown + tally.refused, 1);
        prop_assert_eq!(taken(&inbox), []);
    }

    /// Peers come, knock, lose addresses to each other and go, in any order: the tables always agree with each other.
    #[test]
    fn the_tables_agree(steps in proptest::collection::vec((0_u8..4, 0_u64..4, 0_u16..24), 0..120)) {
        let mut bench = Bench::new();
        let inboxes = [Inbox::new(), Inbox::new()];
        let names = ["ann", "bob", "cat", "dan"];
        let mut live = [None; 4];
        let mut next = 0;
        for (step, who, from) in steps {
            let who = usize::try_from(who).unwrap();
            match step {
                0 => {
                    if let Some(id) = live[who].replace(next) {
                        bench.demux.unregister(id);
                    }
                    bench.register(next, names[who], &inboxes[who % 2]);
                    next += 1;
                }
                1 => if let Some(id) = live[who].take() {
                    bench.demux.unregister(id);
                },
                _ => { bench.knock(from, names[who]); }
            }
            bench.now += Duration::from_millis(100);
            let demux = &bench.demux;
            prop_assert_eq!(demux.peers.len(), live.iter().flatten().count());
            prop_assert_eq!(demux.by_ufrag.len(), demux.peers.len());
            let of_peers: usize = demux.peers.values().map(|peer| peer.addresses.len()).sum();
            prop_assert_eq!(demux.by_address.len(), of_peers);
            for (id, peer) in &demux.peers {
                prop_assert!(peer.addresses.len() <= ADDRESSES_MAX);
                for address in &peer.addresses {
                    prop_assert_eq!(demux.by_address[address].peer, *id);
                }
            }
            for (identity, pending) in &demux.inboxes {
                let peers = demux.peers.values().filter(|peer| peer.inbox == *identity).count();
                prop_assert!(peers > 0 && peers == pending.peers);
            }
        }
        for id in live.into_iter().flatten() {
            bench.demux.unregister(id);
        }
        prop_assert!(bench.is_empty());
    }
}
