//! Query strings and urlencoded forms, and the paging parameters of lists.

use std::borrow::Cow;

use actix_web::HttpRequest;

use super::error::ApiError;

/// Items of a page when the client names no number.
pub const PER_PAGE_DEFAULT: u32 = 30;
/// Most items of a page.
pub const PER_PAGE_MAX: u32 = 1_000;

/// The pairs of a query string in their order; a name may occur several times.
///
/// Read as PocketBase's Go does: `+` is a space, a pair with a broken escape or a `;` is left out (and
/// [`Query::is_malformed`] tells), a name without `=` has an empty value, bytes that are no UTF-8 are replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query<'a> {
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    malformed: bool,
}

impl<'a> Query<'a> {
    /// Reads a query string without its `?`.
    pub fn parse(raw: &'a str) -> Self {
        let mut query = Self::default();
        for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match (unescape(name), unescape(value)) {
                (Some(name), Some(value)) if !pair.contains(';') => query.pairs.push((name, value)),
                _ => query.malformed = true,
            }
        }
        query
    }

    /// The query of a request.
    pub fn of(request: &'a HttpRequest) -> Self {
        Self::parse(request.query_string())
    }

    /// The first value of a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_all(name).next()
    }

    /// The first value of a name, `""` if there is none.
    pub fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// All values of a name, in their order.
    pub fn get_all<'q>(&'q self, name: &str) -> impl Iterator<Item = &'q str> {
        self.iter()
            .filter(move |(other, _)| *other == name)
            .map(|(_, value)| value)
    }

    /// All pairs, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs
            .iter()
            .map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    /// Each name with its first value: what `@request.query.*` sees.
    pub fn first_values(&self) -> impl Iterator<Item = (&str, &str)> {
        self.iter()
            .enumerate()
            .filter_map(|(index, (name, value))| {
                let seen = self.iter().take(index).any(|(earlier, _)| earlier == name);
                (!seen).then_some((name, value))
            })
    }

    /// Whether pairs were left out.
    pub fn is_malformed(&self) -> bool {
        self.malformed
    }
}

/// Undoes percent encoding and `+`; `None` on a broken escape.
fn unescape(text: &str) -> Option<Cow<'_, str>> {
    if !text.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return Some(Cow::Borrowed(text));
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let high = char::from(bytes.next()?).to_digit(16)?;
                let low = char::from(bytes.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            plain => plain,
        });
    }
    Some(Cow::Owned(match String::from_utf8(out) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    }))
}

/// The paging parameters of a list, within bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paging {
    /// From 1.
    pub page: u32,
    /// 1 to [`PER_PAGE_MAX`].
    pub per_page: u32,
    /// Whether the totals may be left out.
    pub skip_total: bool,
}

impl Default for Paging {
    fn default() -> Self {
        Self {
            page: 1,
            per_page: PER_PAGE_DEFAULT,
            skip_total: false,
        }
    }
}

impl Paging {
    /// Reads `page`, `perPage` and `skipTotal`. Numbers out of range are brought into it, as PocketBase does.
    ///
    /// # Errors
    /// 400 when one is no number or no truth value, or the query string is malformed.
    pub fn of(query: &Query<'_>) -> Result<Self, ApiError> {
        let mut paging = Self::default();
        if query.is_malformed() {
            return Err(ApiError::bad_request("").with_cause("malformed query string"));
        }
        if let Some(raw) = non_empty(query, "skipTotal") {
            paging.skip_total = parse_bool(raw).ok_or_else(|| refused("skipTotal"))?;
        }
        if let Some(raw) = non_empty(query, "page") {
            let page: i64 = raw.parse().map_err(|_| refused("page"))?;
            // A page beyond any list: kept so that the offset cannot overflow.
            paging.page = u32::try_from(page.clamp(1, i64::from(i32::MAX))).unwrap_or(1);
        }
        if let Some(raw) = non_empty(query, "perPage") {
            let per_page: i64 = raw.parse().map_err(|_| refused("perPage"))?;
            paging.per_page = match u32::try_from(per_page) {
                Ok(0) => PER_PAGE_DEFAULT,
                Ok(some) => some.min(PER_PAGE_MAX),
                Err(_) if per_page < 0 => PER_PAGE_DEFAULT,
                Err(_) => PER_PAGE_MAX,
            };
        }
        Ok(paging)
    }

    /// How many items come before the page.
    pub fn offset(&self) -> u64 {
        u64::from(self.page - 1) * u64::from(self.per_page)
    }
}

fn non_empty<'q>(query: &'q Query<'_>, name: &str) -> Option<&'q str> {
    query.get(name).filter(|raw| !raw.is_empty())
}

fn refused(name: &str) -> ApiError {
    ApiError::bad_request("").with_cause(format!("the query parameter {name} is malformed"))
}

/// Reads a truth value in any of the spellings Go accepts.
pub fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::ResponseError;
    use proptest::prelude::*;

    use super::*;

    fn pairs(raw: &str) -> (Vec<(String, String)>, bool) {
        let query = Query::parse(raw);
        let owned = query
            .iter()
            .map(|(n, v)| (n.to_owned(), v.to_owned()))
            .collect();
        (owned, query.is_malformed())
    }

    #[test]
    fn pairs_keep_their_order_and_repeat() {
        let query = Query::parse("b=1&a=2&b=3&&c&=x");
        let all: Vec<_> = query.iter().collect();
        assert_eq!(
            all,
            [("b", "1"), ("a", "2"), ("b", "3"), ("c", ""), ("", "x")]
        );
        assert_eq!(query.get("b"), Some("1"));
        assert_eq!(query.get_all("b").collect::<Vec<_>>(), ["1", "3"]);
        assert_eq!(query.text("missing"), "");
        let first: Vec<_> = query.first_values().collect();
        assert_eq!(first, [("b", "1"), ("a", "2"), ("c", ""), ("", "x")]);
    }

    #[test]
    fn escapes_are_undone() {
        let query = Query::parse("filter=a%3D%22x%22+%26%26+b&%C3%A9=%ff");
        assert_eq!(query.get("filter"), Some("a=\"x\" && b"));
        assert_eq!(query.get("é"), Some("\u{fffd}"));
    }

    #[test]
    fn broken_pairs_are_left_out_and_reported() {
        for raw in ["a=%&b=1", "a=%4&b=1", "a=%zz&b=1", "%=1&b=1", "a=1;c=2&b=1"] {
            assert_eq!(pairs(raw), (vec![("b".into(), "1".into())], true), "{raw}");
        }
    }

    #[test]
    fn paging_is_brought_into_its_bounds() {
        let of = |raw: &str| {
            Paging::of(&Query::parse(raw))
                .map(|p| (p.page, p.per_page, p.skip_total))
                .unwrap()
        };
        assert_eq!(of(""), (1, 30, false));
        assert_eq!(of("page=&perPage=&skipTotal="), (1, 30, false));
        assert_eq!(of("page=3&perPage=20&skipTotal=1"), (3, 20, true));
        assert_eq!(of("page=-1&perPage=0"), (1, 30, false));
        assert_eq!(of("page=0&perPage=-5&skipTotal=F"), (1, 30, false));
        assert_eq!(of("perPage=1001"), (1, 1000, false));
        assert_eq!(of("perPage=99999999999"), (1, 1000, false));
        assert_eq!(of("page=9223372036854775807"), (i32::MAX as u32, 30, false));
        assert_eq!(
            Paging {
                page: 3,
                per_page: 20,
                skip_total: false
            }
            .offset(),
            40
        );
    }

    #[test]
    fn malformed_paging_is_refused() {
        for raw in [
            "page=x",
            "perPage=1.5",
            "skipTotal=maybe",
            "page=9223372036854775808",
            "page=1&x=%",
        ] {
            let error = Paging::of(&Query::parse(raw)).unwrap_err();
            assert_eq!(error.status_code(), 400, "{raw}");
            assert_eq!(
                error.message(),
                "Something went wrong while processing your request."
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(raw in "\\PC{0,40}") {
            let _ = Paging::of(&Query::parse(&raw));
        }

        #[test]
        fn encoded_pairs_read_back(name in "\\PC{1,8}", value in "\\PC{0,8}") {
            let raw = url::form_urlencoded::Serializer::new(String::new()).append_pair(&name, &value).finish();
            prop_assert_eq!(pairs(&raw), (vec![(name, value)], false));
        }
    }
}
