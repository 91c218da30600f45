//! A UDP relay between a client and the server: it sees all, and repeats, replays and breaks what it likes. To the server it is
//! the client.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{Rng as _, RngCore as _, SeedableRng as _};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

#[derive(Default)]
struct State {
    client: Option<SocketAddr>,
    repeat_up: usize,
    seen_up: Vec<Vec<u8>>,
    mutation: Option<SmallRng>,
}

pub(crate) struct Relay {
    /// Where clients send to.
    pub(crate) addr: SocketAddr,
    server: SocketAddr,
    outside: Arc<UdpSocket>,
    state: Arc<Mutex<State>>,
    tasks: Vec<JoinHandle<()>>,
}

const SEEN_MAX: usize = 5_000;

impl Relay {
    pub(crate) async fn start(server: SocketAddr) -> Self {
        let inside = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let outside = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let state = Arc::<Mutex<State>>::default();
        let up = tokio::spawn({
            let (inside, outside, state) = (inside.clone(), outside.clone(), state.clone());
            async move {
                let mut buffer = vec![0; 2_048];
                while let Ok((length, from)) = inside.recv_from(&mut buffer).await {
                    let datagrams = state.lock().unwrap().up(from, &buffer[..length]);
                    for datagram in datagrams {
                        let _ = outside.send_to(&datagram, server).await;
                    }
                }
            }
        });
        let down = tokio::spawn({
            let (inside, outside, state) = (inside.clone(), outside.clone(), state.clone());
            async move {
                let mut buffer = vec![0; 2_048];
                while let Ok((length, _)) = outside.recv_from(&mut buffer).await {
                    let client = state.lock().unwrap().client;
                    if let Some(client) = client {
                        let _ = inside.send_to(&buffer[..length], client).await;
                    }
                }
            }
        });
        Self {
            addr: inside.local_addr().unwrap(),
            server,
            outside,
            state,
            tasks: vec![up, down],
        }
    }

    /// The offer with this address in place of the server's.
    pub(crate) fn redirected(&self, offer: &str) -> String {
        offer.replace(
            &format!("127.0.0.1 {} typ host", self.server.port()),
            &format!("127.0.0.1 {} typ host", self.addr.port()),
        )
    }

    /// Each datagram of the client goes out so many times.
    pub(crate) fn repeat(&self, times: usize) {
        self.state.lock().unwrap().repeat_up = times;
    }

    /// All that the client has sent lately, once more, in another order.
    pub(crate) async fn replay_all(&self) {
        let mut seen = self.state.lock().unwrap().seen_up.clone();
        seen.reverse();
        for (index, datagram) in seen.iter().enumerate() {
            let _ = self.outside.send_to(datagram, self.server).await;
            if index % 64 == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }

    /// From now on mutated copies go out before, after and in place of what the client sends.
    pub(crate) fn mutate(&self, seed: u64) {
        self.state.lock().unwrap().mutation = Some(SmallRng::seed_from_u64(seed));
    }

    /// A datagram of the client's address.
    pub(crate) async fn send(&self, datagram: &[u8]) {
        let _ = self.outside.send_to(datagram, self.server).await;
    }

    /// Sends as fast as it can for a while, from the client's address: what looks like media and DTLS.
    pub(crate) fn flood(&self, time: Duration) -> JoinHandle<()> {
        let (outside, server) = (self.outside.clone(), self.server);
        tokio::task::spawn_blocking(move || {
            let began = Instant::now();
            let mut rng = SmallRng::seed_from_u64(1);
            let mut noise = vec![0; 300];
            rng.fill_bytes(&mut noise);
            while began.elapsed() < time {
                for first in [0x80_u8, 0x90, 22, 23, 0x81] {
                    noise[0] = first;
                    let _ = outside.try_send_to(&noise, server);
                }
            }
        })
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl State {
    fn up(&mut self, from: SocketAddr, datagram: &[u8]) -> Vec<Vec<u8>> {
        self.client = Some(from);
        if self.seen_up.len() < SEEN_MAX {
            self.seen_up.push(datagram.to_vec());
        }
        let mut out = vec![datagram.to_vec(); 1 + self.repeat_up];
        if let Some(rng) = &mut self.mutation {
            match rng.random_range(0..12) {
                0 => out = vec![mutated(datagram, rng)],
                1..=5 => out.insert(0, mutated(datagram, rng)),
                6..=8 => out.push(mutated(datagram, rng)),
                9 => {
                    let at = rng.random_range(0..self.seen_up.len());
                    out.push(mutated(&self.seen_up[at].clone(), rng));
                }
                _ => {}
            }
        }
        out
    }
}

/// A copy with a few faults: flipped bits, cut, doubled, swapped or random parts, extreme lengths.
pub(crate) fn mutated(datagram: &[u8], rng: &mut SmallRng) -> Vec<u8> {
    let mut data = datagram.to_vec();
    for _ in 0..rng.random_range(1..4) {
        if data.is_empty() {
            break;
        }
        let at = rng.random_range(0..data.len());
        let to = rng.random_range(at..data.len()) + 1;
        match rng.random_range(0..7) {
            0 => data[at] ^= 1 << rng.random_range(0..8),
            1 => data.truncate(at),
            2 => {
                let part = data[at..to].to_vec();
                data.extend_from_slice(&part);
            }
            3 => data[at..to].reverse(),
            4 => rng.fill_bytes(&mut data[at..to]),
            5 => data[at] = [0, 1, 0x7f, 0x80, 0xff][rng.random_range(0..5)],
            _ => {
                data.drain(at..to);
            }
        }
    }
    data.truncate(1_900);
    data
}
