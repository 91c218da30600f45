//! The edge kit: extractors, errors, middleware, SSE framing, paging.
