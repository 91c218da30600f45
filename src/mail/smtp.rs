//! The SMTP server to send through (RFC 5321; authentication RFC 4954, STARTTLS RFC 3207).

use std::fmt;
use std::time::Duration;

use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, Tokio1Executor};

use super::Error;

/// How long the server may take to accept a connection, and for each answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// How to tell the server who sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AuthMethod {
    #[default]
    Plain,
    /// For servers that know nothing else.
    Login,
}

/// A mail server. Without a user name and a password nobody signs in.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Smtp {
    pub host: String,
    pub port: u16,
    pub username: String,
    pub password: String,
    pub auth_method: AuthMethod,
    /// TLS from the start; otherwise STARTTLS where the server offers it.
    pub tls: bool,
    /// The name given in EHLO; empty: `localhost`.
    pub local_name: String,
}

/// Without the credentials.
impl fmt::Debug for Smtp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Smtp")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

pub(super) type Transport = AsyncSmtpTransport<Tokio1Executor>;

impl Smtp {
    /// Prepares connections. Reads the system's certificates, so it belongs off the async threads.
    pub(super) fn transport(&self) -> Result<Transport, Error> {
        let parameters = TlsParameters::new(self.host.clone()).map_err(Error::Smtp)?;
        let name = match self.local_name.as_str() {
            "" => "localhost",
            name => name,
        };
        let mut builder = Transport::builder_dangerous(&self.host)
            .port(self.port)
            .timeout(Some(ANSWER_TIMEOUT))
            .hello_name(ClientId::Domain(name.to_owned()))
            .tls(match self.security() {
                Security::Tls => Tls::Wrapper(parameters),
                Security::StartTls => Tls::Required(parameters),
                Security::IfOffered => Tls::Opportunistic(parameters),
            });
        if self.signs_in() {
            let credentials = Credentials::new(self.username.clone(), self.password.clone());
            builder =
                builder
                    .credentials(credentials)
                    .authentication(vec![match self.auth_method {
                        AuthMethod::Plain => Mechanism::Plain,
                        AuthMethod::Login => Mechanism::Login,
                    }]);
        }
        Ok(builder.build())
    }

    fn signs_in(&self) -> bool {
        !self.username.is_empty() || !self.password.is_empty()
    }

    /// A password never crosses a network in the clear: somebody in between could take the offer of STARTTLS away.
    fn security(&self) -> Security {
        let local = matches!(self.host.as_str(), "localhost" | "127.0.0.1" | "::1");
        match (self.tls, self.signs_in() && !local) {
            (true, _) => Security::Tls,
            (false, true) => Security::StartTls,
            (false, false) => Security::IfOffered,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Security {
    Tls,
    StartTls,
    IfOffered,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(host: &str) -> Smtp {
        Smtp {
            host: host.to_owned(),
            port: 587,
            ..Smtp::default()
        }
    }

    #[test]
    fn passwords_need_an_encrypted_or_local_connection() {
        let mut smtp = server("mail.example.com");
        assert_eq!(smtp.security(), Security::IfOffered);
        smtp.username = "ann".to_owned();
        assert_eq!(smtp.security(), Security::StartTls);
        smtp.host = "127.0.0.1".to_owned();
        assert_eq!(smtp.security(), Security::IfOffered);
        smtp.tls = true;
        assert_eq!(smtp.security(), Security::Tls);
    }

    #[test]
    fn debug_output_has_no_credentials() {
        let mut smtp = server("mail.example.com");
        smtp.username = "ann".to_owned();
        smtp.password = "secret".to_owned();
        let text = format!("{smtp:?}");
        assert!(!text.contains("secret") && !text.contains("ann"), "{text}");
    }
}
