//! A mail and its form on the wire: RFC 5322, with plain text beside HTML (RFC 2046, section 5.1.4).

use bytes::Bytes;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment as Part, Mailbox, MultiPart, SinglePart};

use super::{Error, plain_text};
use crate::base::id::random_id;

/// A mailbox: an address such as `ann@example.com`, and a name to show or an empty one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Address {
    pub name: String,
    pub address: String,
}

/// A file that comes with a mail.
#[derive(Clone, Debug)]
pub struct Attachment {
    pub name: String,
    /// A media type; what cannot be read as one counts as `application/octet-stream`.
    pub content_type: String,
    pub content: Bytes,
}

/// What to send to whom.
#[derive(Clone, Debug, Default)]
pub struct Mail {
    pub from: Address,
    pub to: Vec<Address>,
    pub cc: Vec<Address>,
    /// Receivers that the others do not see.
    pub bcc: Vec<Address>,
    pub subject: String,
    /// A whole HTML document.
    pub html: String,
    /// What programs without HTML show; empty: made from `html`.
    pub text: String,
    /// Further headers by name.
    pub headers: Vec<(String, String)>,
    pub attachments: Vec<Attachment>,
}

impl Address {
    /// An address without a name.
    #[must_use]
    pub fn plain(address: &str) -> Self {
        Self {
            name: String::new(),
            address: address.to_owned(),
        }
    }

    fn mailbox(&self) -> Result<Mailbox, Error> {
        let address = self
            .address
            .parse()
            .map_err(|cause| Error::Invalid(format!("an address is not valid ({cause})")))?;
        let name = one_line(&self.name);
        Ok(Mailbox::new((!name.is_empty()).then_some(name), address))
    }
}

impl Mail {
    /// The message to hand over. Nothing of the mail can add header lines or receivers to it.
    pub(super) fn build(&self) -> Result<lettre::Message, Error> {
        let from = self.from.mailbox()?;
        let domain = from.email.domain();
        let mut message = lettre::Message::builder()
            .message_id(Some(format!("<{}@{domain}>", random_id())))
            .subject(one_line(&self.subject))
            .date_now();
        for (name, value) in &self.headers {
            let name = HeaderName::new_from_ascii(name.clone())
                .map_err(|_| Error::Invalid("a header's name is not valid".to_owned()))?;
            message = message.raw_header(HeaderValue::new(name, one_line(value)));
        }
        message = message.from(from);
        for to in &self.to {
            message = message.to(to.mailbox()?);
        }
        for cc in &self.cc {
            message = message.cc(cc.mailbox()?);
        }
        for bcc in &self.bcc {
            message = message.bcc(bcc.mailbox()?);
        }
        let text = if self.text.is_empty() {
            plain_text(&self.html)
        } else {
            self.text.clone()
        };
        let body = MultiPart::alternative_plain_html(text, self.html.clone());
        let built = if self.attachments.is_empty() {
            message.multipart(body)
        } else {
            let mixed = MultiPart::mixed().multipart(body);
            message.multipart(
                self.attachments
                    .iter()
                    .fold(mixed, |mixed, file| mixed.singlepart(file.part())),
            )
        };
        built.map_err(|cause| Error::Invalid(cause.to_string()))
    }
}

impl Attachment {
    fn part(&self) -> SinglePart {
        let content_type = ContentType::parse(&self.content_type)
            .or_else(|_| ContentType::parse("application/octet-stream"))
            .unwrap_or(ContentType::TEXT_PLAIN);
        Part::new(one_line(&self.name)).body(self.content.to_vec(), content_type)
    }
}

/// Line breaks and other control characters would end a header line early.
fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail() -> Mail {
        Mail {
            from: Address {
                name: "Acme, Inc. \"ü\"".to_owned(),
                address: "support@example.com".to_owned(),
            },
            to: vec![Address::plain("ann@example.com")],
            subject: "Hello".to_owned(),
            html: "<p>Hello <a href=\"https://x.test\">there</a></p>".to_owned(),
            ..Mail::default()
        }
    }

    fn written(mail: &Mail) -> String {
        String::from_utf8(mail.build().unwrap().formatted()).unwrap()
    }

    /// The lines before the first empty one.
    fn head(text: &str) -> Vec<&str> {
        text.lines().take_while(|line| !line.is_empty()).collect()
    }

    #[test]
    fn a_mail_has_a_plain_and_an_html_part() {
        let text = written(&mail());
        for expected in [
            "To: ann@example.com\r\n",
            "Subject: Hello\r\n",
            "MIME-Version: 1.0\r\n",
            "Content-Type: multipart/alternative;",
            "Content-Type: text/plain; charset=utf-8\r\n",
            "Content-Type: text/html; charset=utf-8\r\n",
            "Hello [there](https://x.test)\r\n",
            "<p>Hello <a href=",
        ] {
            assert!(text.contains(expected), "{expected}\n{text}");
        }
        assert!(text.find("text/plain") < text.find("text/html"));
        let id = head(&text)
            .into_iter()
            .find(|line| line.starts_with("Message-ID: <"));
        assert!(id.unwrap().ends_with("@example.com>"), "{id:?}");
        assert!(text.lines().any(|line| line.starts_with("Date: ")));
        assert!(text.is_ascii(), "{text}");
    }

    #[test]
    fn line_breaks_add_no_header() {
        let mut mail = mail();
        mail.subject = "a\r\nBcc: eve@example.com\r\n\r\nbody".to_owned();
        mail.from.name = "x\nX-From: 1".to_owned();
        mail.headers = vec![("X-One".to_owned(), "a\r\nX-Two: b".to_owned())];
        let text = written(&mail);
        for line in head(&text) {
            for prefix in ["Bcc:", "X-From:", "X-Two:"] {
                assert!(!line.starts_with(prefix), "{text}");
            }
        }
        assert!(text.contains("X-One: a  X-Two: b\r\n"), "{text}");
        let built = mail.build().unwrap();
        assert_eq!(built.envelope().to().len(), 1);
        mail.headers = vec![("X One:\r\nA".to_owned(), "a".to_owned())];
        assert!(matches!(mail.build(), Err(Error::Invalid(_))));
    }

    #[test]
    fn hidden_receivers_are_in_the_envelope_only() {
        let mut mail = mail();
        mail.cc = vec![Address::plain("bob@example.com")];
        mail.bcc = vec![Address::plain("eve@example.com")];
        let built = mail.build().unwrap();
        assert_eq!(built.envelope().to().len(), 3);
        let text = written(&mail);
        assert!(text.contains("Cc: bob@example.com\r\n"));
        assert!(!text.contains("eve@example.com"));
    }

    #[test]
    fn attachments_come_after_the_body() {
        let mut mail = mail();
        mail.attachments = vec![Attachment {
            name: "a.txt".to_owned(),
            content_type: "no type".to_owned(),
            content: Bytes::from_static(b"content"),
        }];
        let text = written(&mail);
        assert!(text.contains("multipart/mixed"));
        assert!(text.contains("Content-Disposition: attachment; filename=\"a.txt\""));
        assert!(text.contains("Content-Type: application/octet-stream"));
    }

    #[test]
    fn a_mail_without_receivers_or_with_bad_addresses_is_refused() {
        let mut empty = mail();
        empty.to.clear();
        assert!(matches!(empty.build(), Err(Error::Invalid(_))));
        for address in [
            "",
            "ann",
            "ann@example.com\r\nBcc: x@example.com",
            "<a@b.c>",
        ] {
            let mut mail = mail();
            mail.to = vec![Address::plain(address)];
            assert!(matches!(mail.build(), Err(Error::Invalid(_))), "{address}");
        }
    }
}
