//! Limits on request bodies.

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header::CONTENT_LENGTH;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;

use super::error::ApiError;

/// Most bytes of a request body where a route says nothing else: 32 MiB, as in PocketBase.
pub const BODY_BYTES_MAX: u64 = 32 << 20;

/// The limit of a route, given as its app data: `web::resource(..).app_data(BodyLimit(1 << 20))`. 0 is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyLimit(pub u64);

impl Default for BodyLimit {
    fn default() -> Self {
        Self(BODY_BYTES_MAX)
    }
}

impl BodyLimit {
    /// The limit of the route a request was sent to.
    pub fn of(request: &HttpRequest) -> Self {
        request.app_data::<Self>().copied().unwrap_or_default()
    }

    /// Refuses a body that says itself that it is too long.
    ///
    /// # Errors
    /// 413.
    pub fn check_length(self, request: &HttpRequest) -> Result<(), ApiError> {
        match content_length(request) {
            Some(length) if self.is_below(length) => Err(ApiError::too_large()),
            _ => Ok(()),
        }
    }

    /// Whether so many bytes are too many.
    pub fn is_below(self, bytes: u64) -> bool {
        self.0 > 0 && bytes > self.0
    }
}

/// The length the client announced.
pub fn content_length(request: &HttpRequest) -> Option<u64> {
    request
        .headers()
        .get(CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

/// A body read piece by piece within its limit.
pub struct LimitedBody<'p> {
    payload: &'p mut Payload,
    limit: BodyLimit,
    read_bytes: u64,
}

impl<'p> LimitedBody<'p> {
    /// Reads `payload` up to `limit`.
    pub fn new(payload: &'p mut Payload, limit: BodyLimit) -> Self {
        Self {
            payload,
            limit,
            read_bytes: 0,
        }
    }

    /// The next piece, `None` at the end.
    ///
    /// # Errors
    /// 413 past the limit, 400 when the body breaks off.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        let Some(piece) = self.payload.next().await else {
            return Ok(None);
        };
        let piece = piece.map_err(broken)?;
        self.read_bytes += piece.len() as u64;
        if self.limit.is_below(self.read_bytes) {
            return Err(ApiError::too_large());
        }
        Ok(Some(piece))
    }
}

/// The whole body, within its limit.
///
/// # Errors
/// 413 past the limit, 400 when the body breaks off.
pub async fn read_all(
    request: &HttpRequest,
    payload: &mut Payload,
    limit: BodyLimit,
) -> Result<Bytes, ApiError> {
    /// What is set aside on the client's word alone.
    const TRUSTED_LENGTH_MAX: u64 = 1 << 20;
    limit.check_length(request)?;
    let mut body = LimitedBody::new(payload, limit);
    let Some(first) = body.next().await? else {
        return Ok(Bytes::new());
    };
    // Most bodies arrive in one piece, which is then not copied.
    let Some(second) = body.next().await? else {
        return Ok(first);
    };
    let announced = content_length(request).unwrap_or(0).min(TRUSTED_LENGTH_MAX);
    let mut all = BytesMut::with_capacity(
        usize::try_from(announced)
            .unwrap_or(0)
            .max(first.len() + second.len()),
    );
    all.extend_from_slice(&first);
    all.extend_from_slice(&second);
    while let Some(piece) = body.next().await? {
        all.extend_from_slice(&piece);
    }
    Ok(all.freeze())
}

fn broken(error: PayloadError) -> ApiError {
    match error {
        PayloadError::Overflow => ApiError::too_large(),
        other => {
            ApiError::bad_request("").with_cause(format!("the request body broke off: {other}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::ResponseError;
    use actix_web::test::TestRequest;

    use super::*;

    async fn read(length_header: Option<&str>, body: &[u8], limit: u64) -> Result<Bytes, u16> {
        let mut request = TestRequest::post().set_payload(body.to_vec());
        if let Some(length) = length_header {
            request = request.insert_header((CONTENT_LENGTH, length));
        }
        let (request, mut payload) = request.to_http_parts();
        let read = read_all(&request, &mut payload, BodyLimit(limit)).await;
        read.map_err(|error| error.status_code().as_u16())
    }

    #[actix_web::test]
    async fn bodies_up_to_the_limit_are_read() {
        assert_eq!(read(Some("3"), b"abc", 3).await, Ok(Bytes::from("abc")));
        assert_eq!(read(None, b"abc", 0).await, Ok(Bytes::from("abc")));
        assert_eq!(read(None, b"", 3).await, Ok(Bytes::new()));
    }

    #[actix_web::test]
    async fn longer_bodies_are_refused_announced_or_not() {
        assert_eq!(read(Some("4"), b"", 3).await, Err(413));
        assert_eq!(read(None, b"abcd", 3).await, Err(413));
    }
}
