//! Paged answers: `{"posts":[..],"count":2,"page":1,"perPage":30,"totalItems":2}`.

use actix_web::HttpResponse;

use crate::base::json as text;
use crate::engine::Enriched;
use crate::http::json as response;

/// One page of records.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    /// The key of the list, such as `posts`.
    pub name: &'static str,
    pub items: &'a [Enriched],
    /// From 1.
    pub page: u64,
    pub per_page: u64,
    /// Of all pages.
    pub total_items: u64,
}

impl Page<'_> {
    /// The answer; `count` is the number of items on the page.
    #[must_use]
    pub fn respond(&self) -> HttpResponse {
        let mut out = Vec::with_capacity(128 + 512 * self.items.len());
        out.push(b'{');
        text::write_str(&mut out, self.name);
        out.push(b':');
        write_records(&mut out, self.items);
        for (name, number) in [
            ("count", self.items.len() as u64),
            ("page", self.page),
            ("perPage", self.per_page),
            ("totalItems", self.total_items),
        ] {
            out.push(b',');
            text::write_str(&mut out, name);
            out.push(b':');
            text::write_u64(&mut out, number);
        }
        out.push(b'}');
        response::ok(out)
    }
}

/// Records as a JSON array.
pub(super) fn write_records(out: &mut Vec<u8>, items: &[Enriched]) {
    out.push(b'[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        item.write_json(out);
    }
    out.push(b']');
}
