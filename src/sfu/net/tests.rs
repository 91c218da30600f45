//! The port over real sockets.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::BytesMut;
use tokio::time::timeout;

use super::requests::request;
use super::*;

const PATIENCE: Duration = Duration::from_secs(5);

fn port(bind: &str) -> (Port, Arc<Counters>) {
    let counters = Arc::new(Counters::default());
    let port = Port::bind(bind.parse().unwrap(), &[], Arc::clone(&counters)).unwrap();
    (port, counters)
}

fn client() -> UdpSocket {
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client
}

/// Takes until there are so many.
async fn take(inbox: &Inbox, count: usize) -> Vec<Datagram> {
    let mut all = Vec::new();
    let mut some = Vec::new();
    while all.len() < count {
        timeout(PATIENCE, inbox.take(&mut some)).await.unwrap();
        all.append(&mut some);
    }
    all
}

async fn reaches(counter: &AtomicU64, count: u64) {
    let reached = async {
        while counter.load(Relaxed) < count {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, reached).await.unwrap();
    assert_eq!(counter.load(Relaxed), count);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_clients_and_sessions_share_the_port() {
    const PACKETS: usize = 200;
    let (port, counters) = port("127.0.0.1:0");
    let inboxes = [Inbox::new(), Inbox::new()];
    let clients: Vec<_> = (0..6_u32)
        .map(|tag| {
            let ufrag = format!("peer{tag}");
            let inbox = &inboxes[tag as usize % 2];
            let registration = port.register(&ufrag, "password", tag, inbox);
            // The registration is in force as soon as it is made.
            let client = client();
            let sent = client.send_to(&request(&ufrag, "password"), port.addr());
            sent.unwrap();
            (client, registration)
        })
        .collect();
    for round in 0..PACKETS {
        for (client, _) in &clients {
            client
                .send_to(&[0x80, u8::try_from(round).unwrap()], port.addr())
                .unwrap();
        }
        // More at once than the system's buffer holds would be lost.
        if round % 20 == 19 {
            let sent = clients.len() * (round + 2);
            reaches(&counters.incoming.packets, sent as u64).await;
        }
    }
    for (index, inbox) in inboxes.iter().enumerate() {
        let datagrams = take(inbox, 3 * (PACKETS + 1)).await;
        for (tag, (client, _)) in clients
            .iter()
            .enumerate()
            .filter(|(tag, _)| tag % 2 == index)
        {
            let from_one: Vec<_> = datagrams
                .iter()
                .filter(|datagram| datagram.tag as usize == tag)
                .collect();
            assert_eq!(from_one.len(), PACKETS + 1);
            assert!(
                from_one
                    .iter()
                    .all(|datagram| datagram.from == client.local_addr().unwrap())
            );
            for (round, datagram) in from_one.iter().skip(1).enumerate() {
                assert_eq!(usize::from(datagram.data[1]), round, "in order");
            }
        }
    }
    let metrics = counters.metrics();
    assert_eq!(metrics.packets_received, 6 * (PACKETS as u64 + 1));
    assert_eq!((metrics.packets_unknown, metrics.packets_dropped), (0, 0));
}

#[tokio::test]
async fn what_is_pushed_leaves_in_batches_and_in_order() {
    let (port, counters) = port("127.0.0.1:0");
    let clients = [client(), client(), client()];
    let mut outgoing = Outgoing::new(&port);
    for round in 0..100_u8 {
        for client in &clients {
            let data = vec![round; usize::from(round) + 1];
            outgoing.push(client.local_addr().unwrap(), BytesMut::from(&data[..]));
        }
    }
    outgoing.flush();
    outgoing.flush();
    let mut buffer = [0; 200];
    for client in &clients {
        for round in 0..100_u8 {
            let (length, from) = client.recv_from(&mut buffer).unwrap();
            assert_eq!(from, port.addr());
            assert_eq!((length, buffer[0]), (usize::from(round) + 1, round));
        }
    }
    let metrics = counters.metrics();
    assert_eq!((metrics.packets_sent, metrics.packets_dropped), (300, 0));
    assert_eq!(metrics.bytes_sent, 3 * (1..=100).sum::<u64>());
}

#[tokio::test]
async fn a_destination_that_fails_does_not_stop_the_others() {
    let (port, counters) = port("127.0.0.1:0");
    let client = client();
    let to = client.local_addr().unwrap();
    let mut outgoing = Outgoing::new(&port);
    let small = || BytesMut::from(&b"ok"[..]);
    outgoing.push(to, small());
    outgoing.push(to, BytesMut::zeroed(70_000));
    // A socket that is bound to loopback reaches no other network.
    outgoing.push(SocketAddr::from(([192, 0, 2, 9], 9)), small());
    outgoing.push("[::1]:9".parse().unwrap(), small());
    outgoing.push(to, small());
    outgoing.flush();
    let mut buffer = [0; 8];
    for _ in 0..2 {
        assert_eq!(client.recv_from(&mut buffer).unwrap().0, 2);
    }
    let metrics = counters.metrics();
    assert_eq!((metrics.packets_sent, metrics.packets_dropped), (2, 3));
}

#[tokio::test]
async fn clients_that_are_gone_do_not_stop_the_port() {
    let (port, _) = port("127.0.0.1:0");
    let gone = client().local_addr().unwrap();
    let mut outgoing = Outgoing::new(&port);
    for _ in 0..100 {
        outgoing.push(gone, BytesMut::from(&b"anybody?"[..]));
    }
    outgoing.flush();
    let inbox = Inbox::new();
    let _registration = port.register("ann", "password", 7, &inbox);
    let client = client();
    client
        .send_to(&request("ann", "password"), port.addr())
        .unwrap();
    assert_eq!(take(&inbox, 1).await[0].tag, 7);
}

#[tokio::test]
async fn strangers_and_what_is_too_long_are_counted_and_dropped() {
    let (port, counters) = port("127.0.0.1:0");
    let inbox = Inbox::new();
    let registration = port.register("ann", "password", 1, &inbox);
    let client = client();
    client.send_to(b"hello", port.addr()).unwrap();
    client.send_to(&[], port.addr()).unwrap();
    reaches(&counters.incoming.unknown, 2).await;
    client
        .send_to(&request("ann", "guess"), port.addr())
        .unwrap();
    reaches(&counters.incoming.refused, 1).await;
    client
        .send_to(&request("ann", "password"), port.addr())
        .unwrap();
    client.send_to(&[0x80; 3_000], port.addr()).unwrap();
    client.send_to(&[0x80; 2_000], port.addr()).unwrap();
    let lengths: Vec<_> = take(&inbox, 2)
        .await
        .iter()
        .map(|datagram| datagram.data.len())
        .collect();
    assert_eq!(lengths[1], 2_000);
    reaches(&counters.incoming.unknown, 3).await;
    drop(registration);
    client.send_to(&[0x80], port.addr()).unwrap();
    reaches(&counters.incoming.unknown, 4).await;
}

#[tokio::test]
async fn a_dual_stack_port_shows_ipv4_clients_as_such() {
    let (port, _) = port("[::]:0");
    let number = port.addr().port();
    let inbox = Inbox::new();
    let _registration = port.register("ann", "password", 1, &inbox);
    let mut outgoing = Outgoing::new(&port);
    for ip in ["127.0.0.1", "::1"] {
        let ip: IpAddr = ip.parse().unwrap();
        let client = UdpSocket::bind((ip, 0)).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client
            .send_to(&request("ann", "password"), (ip, number))
            .unwrap();
        let from = take(&inbox, 1).await[0].from;
        assert_eq!(from, client.local_addr().unwrap());
        outgoing.push(from, BytesMut::from(&b"welcome"[..]));
        outgoing.flush();
        let mut buffer = [0; 16];
        let (length, from) = client.recv_from(&mut buffer).unwrap();
        assert_eq!((length, from), (7, SocketAddr::new(ip, number)));
    }
}

#[tokio::test]
async fn a_closed_port_can_be_bound_again() {
    let (port, counters) = port("127.0.0.1:0");
    let inbox = Inbox::new();
    let registration = port.register("ann", "password", 1, &inbox);
    let mut outgoing = Outgoing::new(&port);
    port.close();
    timeout(PATIENCE, port.closed()).await.unwrap();
    let mut late = Outgoing::new(&port);
    late.push(port.addr(), BytesMut::from(&b"x"[..]));
    late.flush();
    assert_eq!(counters.metrics().packets_dropped, 1);
    outgoing.push(client().local_addr().unwrap(), BytesMut::from(&b"bye"[..]));
    outgoing.flush();
    assert_eq!(counters.metrics().packets_sent, 1);
    drop(outgoing);
    drop(port.register("bob", "password", 2, &inbox));
    drop(registration);
    let again = Port::bind(port.addr(), &[], counters).unwrap();
    assert_eq!(again.addr(), port.addr());
}

#[tokio::test]
async fn clients_are_told_where_the_port_is() {
    let counters = Arc::new(Counters::default());
    let public: Vec<IpAddr> = vec![
        "203.0.113.1".parse().unwrap(),
        "2001:db8::1".parse().unwrap(),
    ];
    let told = Port::bind("127.0.0.1:0".parse().unwrap(), &public, counters).unwrap();
    let number = told.addr().port();
    let expected: Vec<_> = public
        .iter()
        .map(|ip| SocketAddr::new(*ip, number))
        .collect();
    assert_eq!(told.candidates(), expected);

    let (one, _) = port("127.0.0.1:0");
    assert_eq!(one.candidates(), [one.addr()]);

    let (all, _) = port("0.0.0.0:0");
    let ips: Vec<_> = all.candidates().iter().map(SocketAddr::ip).collect();
    assert!(ips.iter().all(IpAddr::is_ipv4));
    assert_eq!(ips.last().copied(), Some("127.0.0.1".parse().unwrap()));
    let (both, _) = port("[::]:0");
    assert!(both.candidates().iter().any(SocketAddr::is_ipv4));
    assert!(
        both.candidates()
            .iter()
            .all(|at| !at.ip().is_unspecified() && at.port() == both.addr().port())
    );
}
