//! What differs from one SQL database to another. Everything else in the store is plain SQL.

use crate::model::{Field, FieldKind};

/// The SQL spoken by the database behind the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    #[default]
    Sqlite,
}

impl Dialect {
    /// A table, column or index name as an identifier, whatever characters it has.
    ///
    /// Backticks, not double quotes: SQLite reads an unknown double-quoted name as a string literal.
    #[must_use]
    pub fn quote_ident(self, name: &str) -> String {
        let mut quoted = String::with_capacity(name.len() + 2);
        quoted.push('`');
        for character in name.chars() {
            if character == '`' {
                quoted.push('`');
            }
            quoted.push(character);
        }
        quoted.push('`');
        quoted
    }

    /// A column of a table or table alias.
    #[must_use]
    pub fn column(self, table: &str, column: &str) -> String {
        let mut quoted = self.quote_ident(table);
        quoted.push('.');
        quoted.push_str(&self.quote_ident(column));
        quoted
    }

    /// A string literal. For fixed texts and definitions, which cannot have bound values; data is always bound.
    #[must_use]
    pub fn literal(self, text: &str) -> String {
        let mut quoted = String::with_capacity(text.len() + 2);
        quoted.push('\'');
        for character in text.chars() {
            if character == '\'' {
                quoted.push('\'');
            }
            quoted.push(character);
        }
        quoted.push('\'');
        quoted
    }

    /// A table expression with a row per element and a column `value`. What is not a JSON array (plain text, a number,
    /// an object, NULL) counts as an array of that one element, as PocketBase treats it.
    ///
    /// `expression` is SQL, such as a quoted column.
    #[must_use]
    pub fn json_each(self, expression: &str) -> String {
        // The inner test runs only on valid JSON: json_type fails on anything else, and AND does not promise an order.
        format!(
            "json_each(CASE WHEN iif(json_valid({expression}), json_type({expression})='array', FALSE) \
             THEN {expression} ELSE json_array({expression}) END)"
        )
    }

    /// The number of elements of a JSON array; 0 for NULL and the empty text, 1 for any other non-array.
    #[must_use]
    pub fn json_array_length(self, expression: &str) -> String {
        format!(
            "json_array_length(CASE WHEN iif(json_valid({expression}), json_type({expression})='array', FALSE) \
             THEN {expression} ELSE (CASE WHEN {expression} = '' OR {expression} IS NULL \
             THEN json_array() ELSE json_array({expression}) END) END)"
        )
    }

    /// The value at `path` (`a.b`, `[0].c`, or empty for the whole) of a JSON text. A text that is not JSON counts as a
    /// JSON string.
    #[must_use]
    pub fn json_extract(self, expression: &str, path: &str) -> String {
        let dot = if path.is_empty() || path.starts_with('[') {
            ""
        } else {
            "."
        };
        let whole = self.literal(&format!("${dot}{path}"));
        let wrapped = self.literal(&format!("$.pb{dot}{path}"));
        format!(
            "(CASE WHEN json_valid({expression}) THEN JSON_EXTRACT({expression}, {whole}) \
             ELSE JSON_EXTRACT(json_object('pb', {expression}), {wrapped}) END)"
        )
    }

    /// `left LIKE right` where a backslash escapes `%` and `_`. Without regard to the case of ASCII letters.
    #[must_use]
    pub fn like(self, left: &str, right: &str) -> String {
        format!("{left} LIKE {right} ESCAPE '\\'")
    }

    /// The negation of [`Dialect::like`]; NULL stays NULL.
    #[must_use]
    pub fn not_like(self, left: &str, right: &str) -> String {
        format!("{left} NOT LIKE {right} ESCAPE '\\'")
    }

    /// Equality of texts without regard to the case of ASCII letters; an index with that collation serves it.
    #[must_use]
    pub fn equals_ignoring_case(self, left: &str, right: &str) -> String {
        format!("{left} = {right} COLLATE NOCASE")
    }

    /// A number in hundredths, as a whole number.
    pub(super) fn hundredths(self, number: &str) -> String {
        match self {
            Self::Sqlite => format!("CAST(ROUND({number} * 100) AS INTEGER)"),
        }
    }

    /// Days from one stored date to another, with fractions.
    pub(super) fn days_until(self, from: &str, until: &str) -> String {
        match self {
            Self::Sqlite => format!("(julianday({until}) - julianday({from}))"),
        }
    }

    /// A random sort key.
    #[must_use]
    pub fn random(self) -> &'static str {
        "RANDOM()"
    }

    /// The hidden column that numbers rows in the order of their insertion.
    #[must_use]
    pub fn row_id(self) -> &'static str {
        "_rowid_"
    }

    /// Type, default and constraints of a field's column, such as `TEXT DEFAULT '' NOT NULL`: those of PocketBase.
    #[must_use]
    pub fn column_type(self, field: &Field) -> &'static str {
        match &field.kind {
            FieldKind::Text(options) if options.primary_key => {
                "TEXT PRIMARY KEY DEFAULT ('r'||lower(hex(randomblob(7)))) NOT NULL"
            }
            FieldKind::Number(_) => "NUMERIC DEFAULT 0 NOT NULL",
            FieldKind::Bool(_) => "BOOLEAN DEFAULT FALSE NOT NULL",
            FieldKind::Json(_) => "JSON DEFAULT NULL",
            FieldKind::GeoPoint(_) => r#"JSON DEFAULT '{"lon":0,"lat":0}' NOT NULL"#,
            _ if field.is_multiple() => "JSON DEFAULT '[]' NOT NULL",
            _ => "TEXT DEFAULT '' NOT NULL",
        }
    }
}

/// Escapes `%`, `_` and the backslash for [`Dialect::like`].
#[must_use]
pub fn escape_like(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 4);
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_cannot_be_left() {
        assert_eq!(Dialect::Sqlite.quote_ident("a`b"), "`a``b`");
        assert_eq!(Dialect::Sqlite.column("t", "c"), "`t`.`c`");
        assert_eq!(Dialect::Sqlite.literal("it's"), "'it''s'");
        assert!(
            Dialect::Sqlite
                .json_extract("`c`", "a'b")
                .contains("'$.a''b'")
        );
    }

    #[test]
    fn json_paths_start_with_a_dot_unless_an_index() {
        let sql = Dialect::Sqlite.json_extract("`c`", "[0].a");
        assert!(sql.contains("'$[0].a'") && sql.contains("'$.pb[0].a'"));
        assert!(Dialect::Sqlite.json_extract("`c`", "").contains("'$'"));
    }

    #[test]
    fn like_wildcards_are_escaped() {
        assert_eq!(escape_like(r"50%_\"), r"50\%\_\\");
    }
}
