//! The grammar of `sort=`: `-created,+title,@random`.

/// How many keys a list request may sort by (PocketBase's `DefaultSortExprLimit`).
pub const SORT_KEYS_MAX: usize = 8;

/// The longest path of a sort key, in bytes (PocketBase's `MaxSortFieldLength`).
pub const SORT_PATH_BYTES_MAX: usize = 255;

/// One key to sort by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortKey {
    /// What is written after the sign. Nobody has checked that it is a path.
    pub path: String,
    /// Written with a `-`.
    pub descending: bool,
    /// What the path means.
    pub kind: SortKind,
}

/// What a sort key sorts by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SortKind {
    /// The field at the key's path.
    Field,
    /// `@random`: chance; the direction means nothing.
    Random,
    /// `@rowid`: SQLite's row id.
    RowId,
}

/// The keys of a sort expression, in order: parts between commas, each trimmed, with an optional `-` or `+`.
///
/// It never fails and leaves nothing out, so that an empty part (`a,,b`) is a key with an empty path, which the caller refuses as PocketBase
/// does. The caller also bounds the result by [`SORT_KEYS_MAX`] and [`SORT_PATH_BYTES_MAX`] where it comes from a request.
pub fn parse_sort(text: &str) -> Vec<SortKey> {
    text.split(',').map(sort_key).collect()
}

fn sort_key(part: &str) -> SortKey {
    let part = part.trim();
    let (path, descending) = match part.strip_prefix('-') {
        Some(path) => (path, true),
        None => (part.strip_prefix('+').unwrap_or(part), false),
    };
    let kind = match path {
        "@random" => SortKind::Random,
        "@rowid" => SortKind::RowId,
        _ => SortKind::Field,
    };
    SortKey {
        path: path.to_owned(),
        descending,
        kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_trimmed_and_lose_one_sign() {
        let keys = |text| {
            parse_sort(text)
                .into_iter()
                .map(|key| (key.path, key.descending))
                .collect::<Vec<_>>()
        };
        let key = |path: &str, descending| (path.to_owned(), descending);
        assert_eq!(
            keys(" -created , +title,id"),
            [key("created", true), key("title", false), key("id", false)]
        );
        assert_eq!(keys("--a,-+b"), [key("-a", true), key("+b", true)]);
        assert_eq!(keys("+-c,- d"), [key("-c", false), key(" d", true)]);
    }

    #[test]
    fn empty_parts_stay() {
        assert_eq!(parse_sort("").len(), 1);
        assert_eq!(parse_sort("a,,-").len(), 3);
        assert!(parse_sort(",").iter().all(|key| key.path.is_empty()));
    }

    #[test]
    fn random_and_rowid_are_known_by_their_exact_names() {
        let kind = |text| parse_sort(text)[0].kind;
        assert_eq!(kind("@random"), SortKind::Random);
        assert_eq!(kind("-@rowid"), SortKind::RowId);
        assert_eq!(kind("@Random"), SortKind::Field);
        assert_eq!(kind("rowid"), SortKind::Field);
    }
}
