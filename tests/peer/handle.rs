//! The handle of a peer.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::net::UdpSocket;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};

use crate::connection::Connection;
use crate::driver::Driver;
use crate::plan::{Direction, Loss, Payload, Plan, Publication, Reading, Source};
use crate::stats::Stats;

/// How long a peer waits for what is awaited of it.
pub const DEADLINE: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(10);
const COMMANDS_MAX: usize = 1_024;

/// What a handle asks of its task.
pub(crate) enum Command {
    Answer(String, oneshot::Sender<Result<String>>),
    Offer(
        Vec<Publication>,
        Vec<Direction>,
        oneshot::Sender<Result<String>>,
    ),
    Accept(String, oneshot::Sender<Result<()>>),
    Publish(Publication, oneshot::Sender<Result<()>>),
    Unpublish(Source, oneshot::Sender<Result<()>>),
    Level(u8),
    Layer(usize, bool),
    OpenChannel(String, bool, oneshot::Sender<Result<()>>),
    CloseChannel(String, oneshot::Sender<Result<()>>),
    Send(String, Payload, oneshot::Sender<Result<()>>),
    KeyFrame(Option<String>, oneshot::Sender<Result<()>>),
    Reading(Reading),
    Loss(Loss),
    Garbage(usize),
    Stats(oneshot::Sender<Stats>),
    Latencies(oneshot::Sender<Vec<u32>>),
    Close(oneshot::Sender<()>),
    Vanish(oneshot::Sender<()>),
}

/// Received messages by label, and who waits for them.
#[derive(Default)]
pub(crate) struct Inbox {
    messages: Mutex<HashMap<String, VecDeque<Payload>>>,
    came: Notify,
}

impl Inbox {
    pub(crate) fn put(&self, label: &str, payload: Payload) {
        let mut messages = self.lock();
        if let Some(queue) = messages.get_mut(label) {
            queue.push_back(payload);
        } else {
            messages.insert(label.to_owned(), VecDeque::from([payload]));
        }
        drop(messages);
        self.came.notify_waiters();
    }

    fn take(&self, label: &str) -> Option<Payload> {
        self.lock().get_mut(label)?.pop_front()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, VecDeque<Payload>>> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A peer. Dropped, it vanishes without a word.
pub struct Peer {
    commands: mpsc::Sender<Command>,
    inbox: Arc<Inbox>,
}

impl Peer {
    /// A peer that answers a server's offer; the second part is its answer.
    ///
    /// # Errors
    /// When the socket cannot be bound or the offer is refused.
    pub async fn answer(offer: &str, plan: Plan) -> Result<(Self, String)> {
        let publish = plan.publish.clone();
        Self::start(plan, |connection, now| {
            connection.answer(offer, &publish, now)
        })
        .await
    }

    /// A peer that makes the first offer itself: of what its plan publishes and of sections to receive on.
    ///
    /// # Errors
    /// When the socket cannot be bound.
    pub async fn offer(plan: Plan, receive: &[Direction]) -> Result<(Self, String)> {
        let publish = plan.publish.clone();
        Self::start(plan, |connection, now| {
            connection.offer(&publish, receive, now)
        })
        .await
    }

    async fn start(
        plan: Plan,
        describe: impl FnOnce(&mut Connection, std::time::Instant) -> Result<String>,
    ) -> Result<(Self, String)> {
        let socket = UdpSocket::bind((plan.bind, 0)).await?;
        // The kernel gives as much as it allows.
        let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(plan.receive_buffer_bytes);
        let now = std::time::Instant::now();
        let mut connection = Connection::new(&plan, socket.local_addr()?, now)?;
        let sdp = describe(&mut connection, now)?;
        let (commands, taken) = mpsc::channel(COMMANDS_MAX);
        let inbox = Arc::new(Inbox::default());
        let driver = Driver::new(plan, socket, connection, taken, inbox.clone())?;
        tokio::spawn(driver.run());
        Ok((Self { commands, inbox }, sdp))
    }

    /// Answers a later offer. An own offer under way is taken back, as glare asks for.
    ///
    /// # Errors
    /// When the offer is refused or the peer is gone.
    pub async fn reoffer(&self, offer: &str) -> Result<String> {
        let offer = offer.to_owned();
        self.ask(|reply| Command::Answer(offer, reply)).await?
    }

    /// Makes an own offer in a running connection, with more to publish and to receive on sections of their own.
    ///
    /// # Errors
    /// When another negotiation is under way or the peer is gone.
    pub async fn renegotiate(
        &self,
        publish: Vec<Publication>,
        receive: Vec<Direction>,
    ) -> Result<String> {
        self.ask(|reply| Command::Offer(publish, receive, reply))
            .await?
    }

    /// Takes the answer to the own offer.
    ///
    /// # Errors
    /// When it is refused or the peer is gone.
    pub async fn accept(&self, answer: &str) -> Result<()> {
        let answer = answer.to_owned();
        self.ask(|reply| Command::Accept(answer, reply)).await?
    }

    /// Publishes on the section that the server receives that source on. It flows once [`Peer::renegotiate`] and
    /// [`Peer::accept`], or [`Peer::reoffer`], have negotiated it.
    ///
    /// # Errors
    /// When that source is published already or the peer is gone.
    pub async fn publish(&self, publication: Publication) -> Result<()> {
        self.ask(|reply| Command::Publish(publication, reply))
            .await?
    }

    /// Publishes a source no more, from now on; the next negotiation tells the server.
    ///
    /// # Errors
    /// When it is not published or the peer is gone.
    pub async fn unpublish(&self, source: Source) -> Result<()> {
        self.ask(|reply| Command::Unpublish(source, reply)).await?
    }

    /// How loud its audio says it is, in -dBov.
    pub async fn set_level(&self, level: u8) {
        self.tell(Command::Level(level)).await;
    }

    /// Whether a simulcast layer (0 is the lowest) of its camera sends.
    pub async fn set_layer(&self, layer: usize, is_on: bool) {
        self.tell(Command::Layer(layer, is_on)).await;
    }

    /// Opens a reliable data channel.
    ///
    /// # Errors
    /// When the peer is gone.
    pub async fn open_channel(&self, label: &str) -> Result<()> {
        let label = label.to_owned();
        self.ask(|reply| Command::OpenChannel(label, true, reply))
            .await?
    }

    /// Opens a data channel without order and retransmission.
    ///
    /// # Errors
    /// When the peer is gone.
    pub async fn open_fast_channel(&self, label: &str) -> Result<()> {
        let label = label.to_owned();
        self.ask(|reply| Command::OpenChannel(label, false, reply))
            .await?
    }

    /// Closes the channel that [`Peer::send`] would use.
    ///
    /// # Errors
    /// When there is none or the peer is gone.
    pub async fn close_channel(&self, label: &str) -> Result<()> {
        let label = label.to_owned();
        self.ask(|reply| Command::CloseChannel(label, reply))
            .await?
    }

    /// Sends on the channel of that label: on its own where both sides opened one.
    ///
    /// # Errors
    /// When no such channel is open or the peer is gone.
    pub async fn send(&self, label: &str, payload: Payload) -> Result<()> {
        let label = label.to_owned();
        self.ask(|reply| Command::Send(label, payload, reply))
            .await?
    }

    /// The next message on channels of that label.
    ///
    /// # Errors
    /// When none comes within [`DEADLINE`].
    pub async fn message(&self, label: &str) -> Result<Payload> {
        timeout(DEADLINE, async {
            loop {
                let came = self.inbox.came.notified();
                tokio::pin!(came);
                came.as_mut().enable();
                if let Some(payload) = self.inbox.take(label) {
                    return payload;
                }
                came.await;
            }
        })
        .await
        .with_context(|| format!("no message on {label} within {} s", DEADLINE.as_secs()))
    }

    /// The next message on channels of that label, if one is there already.
    #[must_use]
    pub fn try_message(&self, label: &str) -> Option<Payload> {
        self.inbox.take(label)
    }

    /// Asks the senders of received video for a key frame (PLI): of one stream, or of all.
    ///
    /// # Errors
    /// When the peer is gone.
    pub async fn request_key_frame(&self, stream_id: Option<&str>) -> Result<()> {
        let stream_id = stream_id.map(str::to_owned);
        self.ask(|reply| Command::KeyFrame(stream_id, reply))
            .await?
    }

    /// How much it reads from now on.
    pub async fn set_reading(&self, reading: Reading) {
        self.tell(Command::Reading(reading)).await;
    }

    pub async fn set_loss(&self, loss: Loss) {
        self.tell(Command::Loss(loss)).await;
    }

    /// Sends so many datagrams of nonsense to the server from its socket: noise, and what only begins like STUN, DTLS, RTP or
    /// RTCP.
    pub async fn send_garbage(&self, datagrams: usize) {
        self.tell(Command::Garbage(datagrams)).await;
    }

    /// What it has seen. Of a peer that is gone: nothing but that.
    pub async fn stats(&self) -> Stats {
        self.ask(Command::Stats)
            .await
            .unwrap_or_else(|_| Stats::default())
    }

    /// Latencies since the last call, in microseconds: from the publisher's stamp, set as a packet leaves, to here. Decoding peers
    /// alone know them, of media that peers of this process published.
    pub async fn latencies_us(&self) -> Vec<u32> {
        self.ask(Command::Latencies).await.unwrap_or_default()
    }

    /// Waits for ICE and DTLS.
    ///
    /// # Errors
    /// When they are not done within [`DEADLINE`].
    pub async fn connected(&self) -> Result<()> {
        self.until("a connection", |stats| stats.is_connected)
            .await?;
        Ok(())
    }

    /// Waits until a channel of that label is open.
    ///
    /// # Errors
    /// When none is within [`DEADLINE`].
    pub async fn opened(&self, label: &str) -> Result<()> {
        self.until("an open channel", |stats| {
            stats.open.iter().any(|open| open == label)
        })
        .await?;
        Ok(())
    }

    /// Waits until the server has ended the connection, or it failed.
    ///
    /// # Errors
    /// When it goes on for longer than [`DEADLINE`].
    pub async fn ended(&self) -> Result<crate::Ended> {
        let stats = self.until("an end", |stats| stats.ended.is_some()).await?;
        stats.ended.context("no end")
    }

    /// Waits until what it has seen is as wanted; gives it.
    ///
    /// # Errors
    /// When it is not within [`DEADLINE`]: with what was awaited and what was seen.
    pub async fn until(&self, what: &str, is_so: impl Fn(&Stats) -> bool) -> Result<Stats> {
        let began = Instant::now();
        loop {
            let stats = self.stats().await;
            if is_so(&stats) {
                return Ok(stats);
            }
            if began.elapsed() > DEADLINE {
                bail!("{what}: not within {} s: {stats:#?}", DEADLINE.as_secs());
            }
            sleep(POLL).await;
        }
    }

    /// Closes the connection as `RTCPeerConnection.close()` does: SCTP abort, DTLS close_notify. The peer is gone then.
    pub async fn close(&self) {
        let _ = self.ask(Command::Close).await;
    }

    /// Ends without a word, as a killed browser does. The peer is gone then.
    pub async fn vanish(&self) {
        let _ = self.ask(Command::Vanish).await;
    }

    async fn tell(&self, command: Command) {
        let _ = self.commands.send(command).await;
    }

    fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> impl Future<Output = Result<T>> {
        let (reply, answer) = oneshot::channel();
        let command = command(reply);
        async move {
            let sent = self.commands.send(command).await;
            sent.ok().context("the peer is gone")?;
            answer.await.context("the peer is gone")
        }
    }
}
