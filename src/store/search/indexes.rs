//! What the index definitions of a collection say about single columns.

/// Whether a unique index over this column alone exists, whatever its WHERE says.
pub(super) fn is_unique(indexes: &[String], column: &str) -> bool {
    indexes.iter().any(|index| {
        let (unique, columns) = parse(index);
        unique && matches!(columns.as_slice(), [only] if only.eq_ignore_ascii_case(column))
    })
}

/// The columns of the last unique index over plain columns, all rows and none but `columns`, for they are never NULL.
pub(in crate::store) fn last_unique<'i>(
    indexes: &'i [String],
    never_null: &[String],
) -> Option<Vec<&'i str>> {
    indexes.iter().rev().find_map(|index| {
        let (unique, columns) = parse(index);
        let all_rows = !index.to_ascii_lowercase().contains(" where ");
        let plain = columns
            .iter()
            .all(|column| never_null.iter().any(|name| name == column));
        (unique && all_rows && plain && !columns.is_empty()).then_some(columns)
    })
}

/// Uniqueness and columns of a `CREATE INDEX` statement; no columns when it is none.
fn parse(index: &str) -> (bool, Vec<&str>) {
    let head = index.split('(').next().unwrap_or_default();
    let unique = head
        .split_ascii_whitespace()
        .take_while(|word| !word.eq_ignore_ascii_case("index"))
        .any(|word| word.eq_ignore_ascii_case("unique"));
    let Some((_, list)) = index.split_once('(') else {
        return (unique, Vec::new());
    };
    let mut columns = Vec::new();
    let (mut depth, mut start) = (0usize, 0usize);
    for (at, byte) in list.bytes().enumerate() {
        let ends = match byte {
            b'(' => {
                depth += 1;
                false
            }
            b')' if depth == 0 => true,
            b')' => {
                depth -= 1;
                false
            }
            b',' => depth == 0,
            _ => false,
        };
        if ends {
            columns.push(name(list.get(start..at).unwrap_or_default()));
            start = at + 1;
            if byte == b')' {
                break;
            }
        }
    }
    (unique, columns)
}

/// The column's name without quotes, collation and direction.
fn name(column: &str) -> &str {
    let column = column.trim();
    let quotes = ['`', '"', '[', ']', '\''];
    match column.chars().next() {
        Some(first) if quotes.contains(&first) => column
            .split(quotes)
            .find(|part| !part.is_empty())
            .unwrap_or_default(),
        _ => column.split_ascii_whitespace().next().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_column_unique_indexes_are_found() {
        let indexes = [
            "CREATE UNIQUE INDEX `a` ON `t` (`rel`)".to_owned(),
            "create  unique index if not exists b on t (\n  x collate nocase desc\n) where x != ''"
                .to_owned(),
            "CREATE UNIQUE INDEX c ON t (y, z)".to_owned(),
            "CREATE INDEX d ON t ([w])".to_owned(),
            "CREATE INDEX e ON t (lower(v), u)".to_owned(),
        ];
        for (column, unique) in [
            ("rel", true),
            ("REL", true),
            ("x", true),
            ("y", false),
            ("z", false),
            ("w", false),
            ("u", false),
        ] {
            assert_eq!(is_unique(&indexes, column), unique, "{column}");
        }
        let never_null = ["rel", "y", "z"].map(str::to_owned);
        assert_eq!(last_unique(&indexes, &never_null), Some(vec!["y", "z"]));
        assert_eq!(last_unique(&indexes, &never_null[..1]), Some(vec!["rel"]));
        assert_eq!(last_unique(&indexes, &["x".to_owned()]), None);
    }
}
