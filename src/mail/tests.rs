//! Sending to a mail server on a loopback port, and to a folder.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::sink::{Manners, Sink};
use super::{Address, AuthMethod, Error, Mail, Mailer, Route, Smtp};

fn mailer() -> (Mailer, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("mails");
    (Mailer::new(folder, Handle::current()), dir)
}

fn mail() -> Mail {
    Mail {
        from: Address::plain("support@example.com"),
        to: vec![Address::plain("ann@example.com")],
        subject: "Hello".to_owned(),
        html: "<p>The content</p>".to_owned(),
        ..Mail::default()
    }
}

#[tokio::test]
async fn a_mail_reaches_the_server() {
    let mut sink = Sink::start(Manners::default()).await;
    let (mailer, _dir) = mailer();
    let route = Route::Smtp(Smtp {
        local_name: "rotunda.test".to_owned(),
        ..sink.smtp()
    });
    mailer.send(&route, &mail()).await.unwrap();
    let received = sink.next().await;
    let commands = received.commands.join("\n");
    assert!(commands.starts_with("EHLO rotunda.test\n"), "{commands}");
    assert!(commands.contains("MAIL FROM:<support@example.com>"));
    assert!(commands.contains("RCPT TO:<ann@example.com>"));
    assert!(!commands.contains("AUTH"));
    assert!(received.message.contains("Subject: Hello\r\n"));
    assert!(received.message.contains("<p>The content</p>"));
    assert!(sink.is_empty());
}

#[tokio::test]
async fn the_server_is_told_who_sends() {
    // "\0ann\0secret", "ann" and "secret" in base64.
    for (auth, method, expected) in [
        ("PLAIN", AuthMethod::Plain, "AUTH PLAIN AGFubgBzZWNyZXQ="),
        ("LOGIN", AuthMethod::Login, "AUTH LOGIN\nYW5u\nc2VjcmV0\n"),
    ] {
        let mut sink = Sink::start(Manners {
            auth,
            ..Manners::default()
        })
        .await;
        let (mailer, _dir) = mailer();
        let route = Route::Smtp(Smtp {
            username: "ann".to_owned(),
            password: "secret".to_owned(),
            auth_method: method,
            ..sink.smtp()
        });
        mailer.send(&route, &mail()).await.unwrap();
        let commands = sink.next().await.commands.join("\n");
        assert!(commands.contains(expected), "{commands}");
    }
}

#[tokio::test]
async fn credentials_are_not_sent_to_a_server_that_cannot_check_them() {
    let sink = Sink::start(Manners::default()).await;
    let (mailer, _dir) = mailer();
    let route = Route::Smtp(Smtp {
        username: "ann".to_owned(),
        password: "secret".to_owned(),
        ..sink.smtp()
    });
    let error = mailer.send(&route, &mail()).await.unwrap_err();
    assert!(matches!(error, Error::Smtp(_)));
    assert!(!error.reason().contains("secret"), "{}", error.reason());
}

#[tokio::test]
async fn a_refusal_and_a_closed_port_are_told() {
    let sink = Sink::start(Manners {
        refusal: "550 no such sender",
        ..Manners::default()
    })
    .await;
    let (mailer, _dir) = mailer();
    let error = mailer.send(&sink.route(), &mail()).await.unwrap_err();
    assert!(
        error.reason().contains("no such sender"),
        "{}",
        error.reason()
    );
    let closed = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    let route = Route::Smtp(Smtp {
        port,
        ..sink.smtp()
    });
    let error = mailer.send(&route, &mail()).await.unwrap_err();
    assert!(matches!(error, Error::Smtp(_)), "{error}");
}

#[tokio::test]
async fn a_silent_server_costs_no_more_than_the_timeout() {
    let sink = Sink::start(Manners {
        silent: true,
        ..Manners::default()
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let patience = Duration::from_millis(20);
    let mailer = Mailer::with_timeout(dir.path().to_owned(), Handle::current(), patience);
    let sent = mailer.send(&sink.route(), &mail()).await;
    assert!(matches!(sent, Err(Error::Timeout)), "{sent:?}");
}

#[tokio::test]
async fn without_a_server_mails_become_files() {
    let (mailer, dir) = mailer();
    mailer.send(&Route::Folder, &mail()).await.unwrap();
    let files: Vec<_> = std::fs::read_dir(dir.path().join("mails"))
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    assert_eq!(files.len(), 1);
    assert!(files[0].contains("<p>The content</p>"));
}

#[tokio::test]
async fn a_changed_server_is_used_from_the_next_mail_on() {
    let mut first = Sink::start(Manners::default()).await;
    let mut second = Sink::start(Manners::default()).await;
    let (mailer, _dir) = mailer();
    mailer.send(&first.route(), &mail()).await.unwrap();
    mailer.send(&second.route(), &mail()).await.unwrap();
    mailer.send(&second.route(), &mail()).await.unwrap();
    first.next().await;
    second.next().await;
    second.next().await;
    assert!(first.is_empty());
}

#[tokio::test]
async fn later_work_is_bounded_and_waited_for() {
    let (mailer, _dir) = mailer();
    let done = Arc::new(AtomicUsize::new(0));
    let go = Arc::new(Notify::new());
    let mut taken = 0;
    loop {
        let (done, go) = (Arc::clone(&done), Arc::clone(&go));
        let work = async move {
            go.notified().await;
            done.fetch_add(1, Ordering::Relaxed);
            go.notify_one();
        };
        match mailer.later(work) {
            Ok(()) => taken += 1,
            Err(error) => {
                assert!(matches!(error, Error::Busy));
                break;
            }
        }
    }
    assert_eq!(taken, 1_000);
    assert!(!mailer.drain(Duration::from_millis(10)).await);
    go.notify_one();
    assert!(mailer.drain(Duration::from_secs(20)).await);
    assert_eq!(done.load(Ordering::Relaxed), taken);
}
