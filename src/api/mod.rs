//! PocketBase's HTTP API, a file per resource.
