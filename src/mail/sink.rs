//! A mail server for tests: takes mails on a loopback port and keeps them.

use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use super::{Route, Smtp};

/// How the sink behaves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Manners {
    /// The answer to `MAIL FROM`; empty: it is taken.
    pub(crate) refusal: &'static str,
    /// The mechanism offered for signing in; empty: none.
    pub(crate) auth: &'static str,
    /// Never answers.
    pub(crate) silent: bool,
}

/// What a client said and sent in one connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Received {
    /// The lines outside of the message.
    pub(crate) commands: Vec<String>,
    pub(crate) message: String,
}

impl Received {
    /// The message with the line breaks of quoted-printable and its escapes of `=` undone.
    pub(crate) fn readable(&self) -> String {
        self.message.replace("=\r\n", "").replace("=3D", "=")
    }
}

pub(crate) struct Sink {
    pub(crate) port: u16,
    received: UnboundedReceiver<Received>,
}

impl Sink {
    pub(crate) async fn start(manners: Manners) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, received) = mpsc::unbounded_channel();
        let manners = Arc::new(manners);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (manners, sender) = (Arc::clone(&manners), sender.clone());
                tokio::spawn(async move {
                    let _ = talk(stream, &manners, &sender).await;
                });
            }
        });
        Self { port, received }
    }

    pub(crate) fn smtp(&self) -> Smtp {
        Smtp {
            host: "127.0.0.1".to_owned(),
            port: self.port,
            ..Smtp::default()
        }
    }

    pub(crate) fn route(&self) -> Route {
        Route::Smtp(self.smtp())
    }

    /// The next mail; waits for it.
    pub(crate) async fn next(&mut self) -> Received {
        let deadline = std::time::Duration::from_secs(20);
        tokio::time::timeout(deadline, self.received.recv())
            .await
            .expect("no mail came in time")
            .unwrap()
    }

    /// Whether no further mail has come.
    pub(crate) fn is_empty(&mut self) -> bool {
        self.received.try_recv().is_err()
    }
}

async fn talk(
    stream: TcpStream,
    manners: &Manners,
    sender: &UnboundedSender<Received>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    if manners.silent {
        std::future::pending::<()>().await;
    }
    stream.write_all(b"220 sink ESMTP\r\n").await?;
    let mut received = Received::default();
    let mut in_message = false;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        if in_message {
            if line == ".\r\n" {
                in_message = false;
                let _ = sender.send(std::mem::take(&mut received));
                stream.write_all(b"250 taken\r\n").await?;
            } else {
                received.message.push_str(&line);
            }
            continue;
        }
        received.commands.push(line.trim_end().to_owned());
        let command = line.to_ascii_uppercase();
        let answer = match command.split([' ', '\r']).next().unwrap_or("") {
            "EHLO" if manners.auth.is_empty() => "250-sink\r\n250 8BITMIME\r\n".to_owned(),
            "EHLO" => format!("250-sink\r\n250-8BITMIME\r\n250 AUTH {}\r\n", manners.auth),
            "MAIL" if !manners.refusal.is_empty() => format!("{}\r\n", manners.refusal),
            "DATA" => {
                in_message = true;
                "354 go on\r\n".to_owned()
            }
            "AUTH" if manners.auth == "LOGIN" => {
                for prompt in ["334 VXNlcm5hbWU6\r\n", "334 UGFzc3dvcmQ6\r\n"] {
                    stream.write_all(prompt.as_bytes()).await?;
                    let mut line = String::new();
                    stream.read_line(&mut line).await?;
                    received.commands.push(line.trim_end().to_owned());
                }
                "235 welcome\r\n".to_owned()
            }
            "AUTH" => "235 welcome\r\n".to_owned(),
            "QUIT" => {
                stream.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            _ => "250 fine\r\n".to_owned(),
        };
        stream.write_all(answer.as_bytes()).await?;
    }
}
