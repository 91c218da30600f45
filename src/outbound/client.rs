//! The client.

use std::error::Error as StdError;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::{Attempt, Policy};
use url::{Host, Url};

use super::addresses::Allowlist;

/// Longest answer, in bytes.
const ANSWER_BYTES_MAX: u64 = 32 << 20;
/// Most redirects that are followed.
const REDIRECTS_MAX: usize = 10;
/// How long a connection may take to come about.
const CONNECT_MAX: Duration = Duration::from_secs(30);

/// A request to another server.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub method: String,
    /// `http` or `https`.
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
    /// For everything until the last byte of the answer.
    pub timeout: Duration,
    /// Gives redirects as answers instead of following them.
    pub keeps_redirects: bool,
}

/// What another server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    /// Where it came from in the end.
    pub url: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

/// Why there is no answer. The texts are for whoever made the request.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    #[error("the request is not valid: {0}")]
    Invalid(String),
    /// The address is not public and not allowed.
    #[error(
        "requests to {0} are not allowed: the address is private; it can be allowed with --httpAllowPrivate"
    )]
    Refused(String),
    #[error("the request timed out: deadline exceeded")]
    Timeout,
    #[error("the answer is longer than {ANSWER_BYTES_MAX} bytes")]
    TooLong,
    #[error("the request failed: {0}")]
    Failed(String),
}

/// A handle to the client; clones share its connections. The first request makes it.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    allowed: Arc<Allowlist>,
    following: OnceLock<Result<reqwest::Client, Error>>,
    keeping: OnceLock<Result<reqwest::Client, Error>>,
}

/// An address that is not to be asked; found again among the causes of a failed request.
#[derive(Debug, thiserror::Error)]
#[error("the address of {0} is private")]
struct PrivateAddress(String);

impl Client {
    /// A client that may ask public addresses and these.
    #[must_use]
    pub fn new(allowed: Allowlist) -> Self {
        Self(Arc::new(Inner {
            allowed: Arc::new(allowed),
            following: OnceLock::new(),
            keeping: OnceLock::new(),
        }))
    }

    /// Sends a request. Statuses of failure are answers.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn send(&self, request: Request) -> Result<Answer, Error> {
        let url: Url = request
            .url
            .parse()
            .map_err(|error| Error::Invalid(format!("{error}")))?;
        check(&self.0.allowed, &url).map_err(|error| Error::Refused(error.0))?;
        let method = reqwest::Method::from_bytes(request.method.as_bytes())
            .map_err(|_| Error::Invalid("unknown method".to_owned()))?;
        let mut headers = HeaderMap::new();
        for (name, value) in &request.headers {
            let name = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| Error::Invalid(format!("\"{name}\" is no header")))?;
            let value = HeaderValue::from_str(value)
                .map_err(|_| Error::Invalid(format!("the header {name} has no valid value")))?;
            headers.append(name, value);
        }
        let client = self.client(request.keeps_redirects)?;
        let mut sending = client
            .request(method, url)
            .headers(headers)
            .timeout(request.timeout);
        if !request.body.is_empty() {
            sending = sending.body(request.body);
        }
        let response = sending.send().await.map_err(|error| told(&error))?;
        read(response).await
    }

    fn client(&self, keeps_redirects: bool) -> Result<&reqwest::Client, Error> {
        let slot = if keeps_redirects {
            &self.0.keeping
        } else {
            &self.0.following
        };
        let client = slot.get_or_init(|| {
            let allowed = Arc::clone(&self.0.allowed);
            let policy = if keeps_redirects {
                Policy::none()
            } else {
                Policy::custom(move |attempt| follow(&allowed, attempt))
            };
            reqwest::Client::builder()
                .user_agent(concat!("Rotunda/", env!("CARGO_PKG_VERSION")))
                // A proxy would resolve names itself.
                .no_proxy()
                .redirect(policy)
                .connect_timeout(CONNECT_MAX)
                .dns_resolver(Arc::new(Resolver(Arc::clone(&self.0.allowed))))
                .build()
                .map_err(|error| told(&error))
        });
        client.as_ref().map_err(Clone::clone)
    }
}

async fn read(mut response: reqwest::Response) -> Result<Answer, Error> {
    let headers = response.headers().iter();
    let headers = headers
        .map(|(name, value)| {
            let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.as_str().to_owned(), text)
        })
        .collect();
    let (status, url) = (response.status().as_u16(), response.url().to_string());
    if response
        .content_length()
        .is_some_and(|length| length > ANSWER_BYTES_MAX)
    {
        return Err(Error::TooLong);
    }
    let mut body = BytesMut::new();
    while let Some(piece) = response.chunk().await.map_err(|error| told(&error))? {
        if (body.len() + piece.len()) as u64 > ANSWER_BYTES_MAX {
            return Err(Error::TooLong);
        }
        body.extend_from_slice(&piece);
    }
    Ok(Answer {
        status,
        url,
        headers,
        body: body.freeze(),
    })
}

/// Refuses URLs that name an address which is not to be asked. Names are looked at when they are resolved.
fn check(allowed: &Allowlist, url: &Url) -> Result<(), PrivateAddress> {
    let address = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => IpAddr::V6(address),
        _ => return Ok(()),
    };
    if allowed.permits(None, address) {
        Ok(())
    } else {
        Err(PrivateAddress(address.to_string()))
    }
}

fn follow(allowed: &Allowlist, attempt: Attempt<'_>) -> reqwest::redirect::Action {
    if attempt.previous().len() > REDIRECTS_MAX {
        return attempt.error("stopped after 10 redirects");
    }
    match check(allowed, attempt.url()) {
        Ok(()) => attempt.follow(),
        Err(error) => attempt.error(error),
    }
}

/// Resolves names to the addresses that may be asked; no others are connected to.
struct Resolver(Arc<Allowlist>);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let allowed = Arc::clone(&self.0);
        Box::pin(async move {
            let host = name.as_str();
            let found = tokio::net::lookup_host((host, 0)).await?;
            let mut refused = false;
            let addresses: Vec<SocketAddr> = found
                .filter(|address| {
                    let permitted = allowed.permits(Some(host), address.ip());
                    refused |= !permitted;
                    permitted
                })
                .collect();
            if addresses.is_empty() && refused {
                return Err(PrivateAddress(host.to_owned()).into());
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// A failure in words, without the URL, whose query may hold secrets.
fn told(error: &reqwest::Error) -> Error {
    if error.is_timeout() {
        return Error::Timeout;
    }
    let mut text = String::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(private) = error.downcast_ref::<PrivateAddress>() {
            return Error::Refused(private.0.clone());
        }
        text = error.to_string();
        cause = error.source();
    }
    if text.is_empty() {
        text = "no connection".to_owned();
    }
    Error::Failed(text)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// A server that gives one answer to all; its port.
    async fn server(answer: &'static str) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let mut request = [0; 4096];
                let _ = socket.read(&mut request).await;
                let _ = socket.write_all(answer.as_bytes()).await;
                if answer.is_empty() {
                    tokio::time::sleep(Duration::from_secs(60)).await;
                }
            }
        });
        port
    }

    async fn get(allowed: &str, url: &str) -> Result<Answer, Error> {
        let client = Client::new(Allowlist::parse(allowed.split(',')).unwrap());
        let request = Request {
            method: "GET".to_owned(),
            url: url.to_owned(),
            timeout: Duration::from_secs(5),
            ..Request::default()
        };
        client.send(request).await
    }

    const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-One: 1\r\n\r\nhello";

    #[tokio::test]
    async fn allowed_addresses_answer() {
        let port = server(HELLO).await;
        for (allowed, host) in [
            ("*", "127.0.0.1"),
            ("127.0.0.0/8", "127.0.0.1"),
            ("localhost", "localhost"),
        ] {
            let answer = get(allowed, &format!("http://{host}:{port}/"))
                .await
                .unwrap();
            assert_eq!((answer.status, &answer.body[..]), (200, &b"hello"[..]));
            assert!(
                answer
                    .headers
                    .contains(&("x-one".to_owned(), "1".to_owned()))
            );
        }
    }

    #[tokio::test]
    async fn private_addresses_are_refused_by_number_and_by_name() {
        let port = server(HELLO).await;
        for host in [
            "127.0.0.1",
            "localhost",
            "[::1]",
            "2130706433",
            "0x7f.1",
            "[::ffff:127.0.0.1]",
        ] {
            let answer = get("", &format!("http://{host}:{port}/")).await;
            assert!(
                matches!(answer, Err(Error::Refused(_))),
                "{host}: {answer:?}"
            );
        }
    }

    #[tokio::test]
    async fn redirects_to_private_addresses_are_refused() {
        let port = server(
            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.2:9/\r\nContent-Length: 0\r\n\r\n",
        )
        .await;
        let answer = get("127.0.0.1", &format!("http://127.0.0.1:{port}/")).await;
        assert!(matches!(answer, Err(Error::Refused(_))), "{answer:?}");
    }

    #[tokio::test]
    async fn answers_are_bounded_in_length() {
        let port = server("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n").await;
        let answer = get("*", &format!("http://127.0.0.1:{port}/")).await;
        assert!(matches!(answer, Err(Error::TooLong)), "{answer:?}");
    }

    #[tokio::test]
    async fn servers_that_do_not_answer_are_given_up() {
        let port = server("").await;
        let client = Client::new(Allowlist::parse(["*"]).unwrap());
        let answer = client
            .send(Request {
                method: "GET".to_owned(),
                url: format!("http://127.0.0.1:{port}/"),
                timeout: Duration::from_millis(50),
                ..Request::default()
            })
            .await;
        assert!(matches!(answer, Err(Error::Timeout)), "{answer:?}");
    }
}
