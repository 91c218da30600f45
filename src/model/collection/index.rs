//! `CREATE INDEX` statements: taken apart, changed, put together again.

use std::sync::LazyLock;

use regex::Regex;

/// One indexed column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexColumn {
    /// A column's name or an expression.
    pub name: String,
    pub collate: String,
    /// `ASC`, `DESC` or empty.
    pub sort: String,
}

/// A `CREATE INDEX` statement in parts. What could not be read is empty: see [`Index::is_valid`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    pub unique: bool,
    /// `IF NOT EXISTS`.
    pub optional: bool,
    pub schema: String,
    pub name: String,
    pub table: String,
    pub columns: Vec<IndexColumn>,
    /// The condition of a partial index, without `WHERE`.
    pub condition: String,
}

static STATEMENT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?is)create\s+(unique\s+)?\s*index\s*(if\s+not\s+exists\s+)?(\S*)\s+on\s+(\S*)\s*\((.*)\)(?:\s*where\s+(.*))?",
    )
    .ok()
});
static COLUMN: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?is)^(.+?)(?:\s+collate\s+(\w+))?(?:\s+(asc|desc))?$").ok());

/// Quotes and white space around names.
fn unquote(text: &str) -> &str {
    text.trim_matches(|letter: char| {
        matches!(
            letter,
            '`' | '"' | '\'' | '[' | ']' | '\r' | '\n' | '\t' | '\u{c}' | '\u{b}' | ' '
        )
    })
}

impl Index {
    /// Reads a statement.
    #[must_use]
    pub fn parse(statement: &str) -> Self {
        let Some(parts) = STATEMENT
            .as_ref()
            .and_then(|pattern| pattern.captures(statement))
        else {
            return Self::default();
        };
        let part = |group| parts.get(group).map_or("", |found| found.as_str());
        let names = split(part(3), '.');
        let (schema, name) = match names.as_slice() {
            [schema, name] => (*schema, *name),
            [name, ..] => ("", *name),
            [] => ("", ""),
        };
        Self {
            unique: !part(1).is_empty(),
            optional: !part(2).is_empty(),
            schema: unquote(schema).to_owned(),
            name: unquote(name).to_owned(),
            table: unquote(part(4)).to_owned(),
            columns: split(part(5), ',').into_iter().filter_map(column).collect(),
            condition: part(6).trim().to_owned(),
        }
    }

    /// Whether there is a name, a table and a column.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        !self.name.is_empty() && !self.table.is_empty() && !self.columns.is_empty()
    }

    /// The statement; nothing when the index is not valid.
    #[must_use]
    pub fn build(&self) -> Option<String> {
        if !self.is_valid() {
            return None;
        }
        let mut text = String::from("CREATE ");
        if self.unique {
            text.push_str("UNIQUE ");
        }
        text.push_str("INDEX ");
        if self.optional {
            text.push_str("IF NOT EXISTS ");
        }
        if !self.schema.is_empty() {
            text.push_str(&format!("`{}`.", self.schema));
        }
        text.push_str(&format!("`{}` ON `{}` (", self.name, self.table));
        let several = self.columns.len() > 1;
        for (index, column) in self.columns.iter().enumerate() {
            if several {
                text.push_str(if index > 0 { ",\n  " } else { "\n  " });
            }
            column.write(&mut text);
        }
        if several {
            text.push('\n');
        }
        text.push(')');
        if !self.condition.is_empty() {
            text.push_str(" WHERE ");
            text.push_str(&self.condition);
        }
        Some(text)
    }

    /// Whether the index makes exactly that column unique, by name without regard to case.
    #[must_use]
    pub fn is_unique_on(&self, column: &str) -> bool {
        match self.columns.as_slice() {
            [only] => self.unique && only.name.eq_ignore_ascii_case(column),
            _ => false,
        }
    }
}

impl IndexColumn {
    fn write(&self, text: &mut String) {
        if self.name.contains(['(', ' ']) {
            text.push_str(&self.name);
        } else {
            text.push_str(&format!("`{}`", self.name));
        }
        if !self.collate.is_empty() {
            text.push_str(" COLLATE ");
            text.push_str(&self.collate);
        }
        if !self.sort.is_empty() {
            text.push(' ');
            text.push_str(&self.sort);
        }
    }
}

fn column(text: &str) -> Option<IndexColumn> {
    let parts = COLUMN.as_ref()?.captures(text)?;
    let part = |group| parts.get(group).map_or("", |found| found.as_str());
    let name = unquote(part(1));
    (!name.is_empty()).then(|| IndexColumn {
        name: name.to_owned(),
        collate: part(2).trim().to_owned(),
        sort: part(3).to_ascii_uppercase(),
    })
}

/// The parts between separators outside quotes and parentheses, trimmed and not empty.
fn split(text: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut depth, mut quote) = (0, 0_usize, None);
    for (position, letter) in text.char_indices() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"' | '`') => quote = Some(letter),
            (None, '(') => depth += 1,
            (None, ')') => depth = depth.saturating_sub(1),
            (None, _) if letter == separator && depth == 0 => {
                parts.push(text.get(start..position).unwrap_or_default());
                start = position + letter.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(text.get(start..).unwrap_or_default());
    parts.retain(|part| !part.trim().is_empty());
    parts.into_iter().map(str::trim).collect()
}

/// The first index that makes exactly that column unique.
#[must_use]
pub fn find_unique(indexes: &[String], column: &str) -> Option<Index> {
    indexes
        .iter()
        .map(|text| Index::parse(text))
        .find(|index| index.is_unique_on(column))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_read_and_written() {
        let index = Index::parse(
            "create UNIQUE index if not exists \"main\".[idx] on 'posts' (\n `a` collate nocase desc, lower(b, 'x,y') asc, \"c\"\n) where a != ''",
        );
        assert!(index.unique && index.optional);
        assert_eq!(index.schema, "main");
        assert_eq!(index.name, "idx");
        assert_eq!(index.table, "posts");
        assert_eq!(
            index.build().unwrap(),
            "CREATE UNIQUE INDEX IF NOT EXISTS `main`.`idx` ON `posts` (\n  `a` COLLATE nocase DESC,\n  lower(b, 'x,y') ASC,\n  `c`\n) WHERE a != ''"
        );
        assert_eq!(Index::parse(&index.build().unwrap()), index);
    }

    #[test]
    fn one_column_stays_on_one_line() {
        let text = "CREATE UNIQUE INDEX `i` ON `t` (`email`) WHERE `email` != ''";
        let index = Index::parse(text);
        assert_eq!(index.build().unwrap(), text);
        assert!(index.is_unique_on("EMAIL"));
        assert!(!Index::parse("CREATE INDEX `i` ON `t` (`email`)").is_unique_on("email"));
    }

    #[test]
    fn what_is_no_index_is_not_valid() {
        for text in [
            "",
            "CREATE TABLE a (b)",
            "CREATE INDEX a ON b ()",
            "create index on b (c)",
        ] {
            assert!(!Index::parse(text).is_valid(), "{text}");
            assert!(Index::parse(text).build().is_none(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_safe(text in ".{0,80}") {
            let _ = Index::parse(&text).build();
            let _ = Index::parse(&format!("create index {text} on {text} ({text})")).build();
        }
    }
}
