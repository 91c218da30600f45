//! `CREATE INDEX` statements as collections keep them.

use std::fmt::Write as _;

use super::scan::{self, Token, Tokens};

/// A parsed `CREATE INDEX` statement. Reading is lenient: parts may be missing, see [`Index::is_valid`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    pub schema: String,
    pub name: String,
    pub table: String,
    pub columns: Vec<IndexColumn>,
    /// The condition of a partial index, else empty.
    pub condition: String,
    pub unique: bool,
    /// `IF NOT EXISTS`.
    pub optional: bool,
}

/// A column of an index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexColumn {
    /// A column name without quotes, or an expression.
    pub name: String,
    pub collate: String,
    /// `ASC`, `DESC` or empty.
    pub sort: String,
}

impl Index {
    /// Reads a statement; `None` when it is not a `CREATE INDEX`.
    #[must_use]
    pub fn parse(statement: &str) -> Option<Self> {
        let mut parser = Parser::new(statement)?;
        let mut index = Self::default();
        parser.keyword("create").then_some(())?;
        index.unique = parser.keyword("unique");
        parser.keyword("index").then_some(())?;
        if parser.keyword("if") {
            (parser.keyword("not") && parser.keyword("exists")).then_some(())?;
            index.optional = true;
        }
        if !parser.sees("on") {
            index.name = parser.name()?;
            if parser.symbol('.') {
                index.schema = std::mem::replace(&mut index.name, parser.name()?);
            }
        }
        parser.keyword("on").then_some(())?;
        if !parser.sees_symbol('(') {
            index.table = parser.name()?;
        }
        let columns = parser.parenthesised()?;
        index.columns = scan::split(columns, ',')
            .ok()?
            .into_iter()
            .filter_map(IndexColumn::parse)
            .collect();
        if parser.keyword("where") {
            index.condition = parser.rest().trim_end_matches(';').trim().to_owned();
        }
        Some(index)
    }

    /// Whether name, table and columns are there and no second statement hides in an expression.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        !self.name.is_empty()
            && !self.table.is_empty()
            && !self.columns.is_empty()
            && scan::split(&self.condition, ';').is_ok_and(|parts| parts.len() <= 1)
    }

    /// The statement in PocketBase's form: quoted names, one column per line when there are several.
    #[must_use]
    pub fn build(&self) -> String {
        let mut sql = String::from("CREATE ");
        if self.unique {
            sql.push_str("UNIQUE ");
        }
        sql.push_str("INDEX ");
        if self.optional {
            sql.push_str("IF NOT EXISTS ");
        }
        if !self.schema.is_empty() {
            let _ = write!(sql, "`{}`.", self.schema);
        }
        let _ = write!(sql, "`{}` ON `{}` (", self.name, self.table);
        let several = self.columns.len() > 1;
        for (position, column) in self.columns.iter().enumerate() {
            sql.push_str(match (position, several) {
                (0, true) => "\n  ",
                (0, false) => "",
                _ => ",\n  ",
            });
            column.write(&mut sql);
        }
        sql.push_str(if several { "\n)" } else { ")" });
        if !self.condition.is_empty() {
            let _ = write!(sql, " WHERE {}", self.condition);
        }
        sql
    }

    /// Whether it makes one column unique; a condition does not matter.
    #[must_use]
    pub fn is_unique_on(&self, column: &str) -> bool {
        self.unique
            && matches!(self.columns.as_slice(), [only] if only.name.eq_ignore_ascii_case(column))
    }
}

/// The first statement that makes one column unique, of a collection's indexes.
#[must_use]
pub fn find_unique(indexes: &[String], column: &str) -> Option<Index> {
    indexes
        .iter()
        .filter_map(|statement| Index::parse(statement))
        .find(|index| index.is_unique_on(column))
}

impl IndexColumn {
    /// Reads `name [COLLATE x] [ASC|DESC]`.
    fn parse(text: &str) -> Option<Self> {
        let mut column = Self::default();
        let mut rest = text.trim();
        for sort in ["ASC", "DESC"] {
            if let Some(before) = strip_last_word(rest, |word| word.eq_ignore_ascii_case(sort)) {
                column.sort = sort.to_owned();
                rest = before;
                break;
            }
        }
        let mut collate = "";
        if let Some(before) = strip_last_word(rest, |word| {
            collate = word;
            true
        }) && let Some(before) =
            strip_last_word(before, |word| word.eq_ignore_ascii_case("collate"))
        {
            column.collate = collate.to_owned();
            rest = before;
        }
        rest = scan::unquote(rest);
        (!rest.is_empty()).then(|| Self {
            name: rest.to_owned(),
            ..column
        })
    }

    fn write(&self, sql: &mut String) {
        // What has parentheses or blanks is most likely an expression.
        if self.name.contains(['(', ' ']) {
            sql.push_str(&self.name);
        } else {
            let _ = write!(sql, "`{}`", self.name);
        }
        if !self.collate.is_empty() {
            let _ = write!(sql, " COLLATE {}", self.collate);
        }
        if !self.sort.is_empty() {
            let _ = write!(sql, " {}", self.sort);
        }
    }
}

/// The text before the last word, when that is a plain word that `accepts`.
fn strip_last_word<'a>(text: &'a str, accepts: impl FnOnce(&'a str) -> bool) -> Option<&'a str> {
    let (before, word) = text.rsplit_once(char::is_whitespace)?;
    let plain = word.chars().all(|c| c.is_alphanumeric() || c == '_');
    (plain && !before.trim().is_empty() && accepts(word)).then(|| before.trim_end())
}

/// Walks over the tokens that are not blank.
struct Parser<'a> {
    text: &'a str,
    tokens: Vec<(usize, Token<'a>)>,
    at: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Option<Self> {
        let mut tokens = Vec::new();
        for token in Tokens::new(text) {
            let (at, token) = token.ok()?;
            if !matches!(token, Token::Blank(_)) {
                tokens.push((at, token));
            }
        }
        Some(Self {
            text,
            tokens,
            at: 0,
        })
    }

    fn peek(&self) -> Option<Token<'a>> {
        self.tokens.get(self.at).map(|(_, token)| *token)
    }

    fn sees(&self, keyword: &str) -> bool {
        matches!(self.peek(), Some(Token::Word(word)) if word.eq_ignore_ascii_case(keyword))
    }

    fn sees_symbol(&self, symbol: char) -> bool {
        self.peek() == Some(Token::Symbol(symbol))
    }

    fn keyword(&mut self, keyword: &str) -> bool {
        let seen = self.sees(keyword);
        self.at += usize::from(seen);
        seen
    }

    fn symbol(&mut self, symbol: char) -> bool {
        let seen = self.sees_symbol(symbol);
        self.at += usize::from(seen);
        seen
    }

    fn name(&mut self) -> Option<String> {
        let (Token::Word(name) | Token::Quoted(name)) = self.peek()? else {
            return None;
        };
        self.at += 1;
        Some(scan::unquote(name).to_owned())
    }

    /// The text between a parenthesis here and the one that closes it.
    fn parenthesised(&mut self) -> Option<&'a str> {
        self.symbol('(').then_some(())?;
        let start = self.offset();
        let mut depth = 1;
        while let Some(token) = self.peek() {
            match token {
                Token::Symbol('(') => depth += 1,
                Token::Symbol(')') => depth -= 1,
                _ => {}
            }
            let end = self.offset();
            self.at += 1;
            if depth == 0 {
                return self.text.get(start..end);
            }
        }
        None
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.offset()..).unwrap_or("")
    }

    fn offset(&self) -> usize {
        self.tokens
            .get(self.at)
            .map_or(self.text.len(), |(at, _)| *at)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn column(name: &str, collate: &str, sort: &str) -> IndexColumn {
        IndexColumn {
            name: name.to_owned(),
            collate: collate.to_owned(),
            sort: sort.to_owned(),
        }
    }

    #[test]
    fn all_parts_are_read() {
        let index = Index::parse(
            "CREATE UNIQUE INDEX IF NOT EXISTS \"main\".[idx] on 'posts' (
                col0, `col1`, json_extract(\"col2\", \"$.a\") asc,
                \"col3\" collate NOCASE, \"col4\" collate RTRIM desc
            ) where test = 1;",
        )
        .unwrap();
        assert_eq!(
            index,
            Index {
                schema: "main".into(),
                name: "idx".into(),
                table: "posts".into(),
                columns: vec![
                    column("col0", "", ""),
                    column("col1", "", ""),
                    column("json_extract(\"col2\", \"$.a\")", "", "ASC"),
                    column("col3", "NOCASE", ""),
                    column("col4", "RTRIM", "DESC"),
                ],
                condition: "test = 1".into(),
                unique: true,
                optional: true,
            }
        );
        assert_eq!(
            index.build(),
            "CREATE UNIQUE INDEX IF NOT EXISTS `main`.`idx` ON `posts` (\n  `col0`,\n  `col1`,\n  \
             json_extract(\"col2\", \"$.a\") ASC,\n  `col3` COLLATE NOCASE,\n  `col4` COLLATE RTRIM DESC\n) WHERE test = 1"
        );
    }

    #[test]
    fn a_missing_table_is_tolerated_and_a_missing_name_seen() {
        let index = Index::parse("create index a on (b)").unwrap();
        assert_eq!((index.name.as_str(), index.table.as_str()), ("a", ""));
        assert!(!index.is_valid());
        assert_eq!(Index::parse("create index on t(b)").unwrap().name, "");
        assert_eq!(Index::parse("drop index a"), None);
        assert_eq!(Index::parse("create index a on t (b"), None);
    }

    #[test]
    fn a_second_statement_makes_it_invalid() {
        let index = Index::parse("create index a on t (b) where c = ';'").unwrap();
        assert!(index.is_valid());
        let index = Index::parse("create index a on t (b) where 1; drop table t").unwrap();
        assert!(!index.is_valid());
    }

    #[test]
    fn a_unique_column_is_found_whatever_the_condition() {
        let indexes = vec![
            "CREATE UNIQUE INDEX a ON t (x, y)".to_owned(),
            "CREATE UNIQUE INDEX b ON t (`X`) WHERE x != ''".to_owned(),
        ];
        assert_eq!(find_unique(&indexes, "x").unwrap().name, "b");
        assert!(find_unique(&indexes, "y").is_none());
    }

    proptest! {
        #[test]
        fn built_statements_read_back(
            name in "[a-z_]{1,8}", table in "[a-z_]{1,8}", unique: bool, optional: bool,
            columns in proptest::collection::vec(("[a-z_]{1,8}", "(|NOCASE)", "(|ASC|DESC)"), 1..4),
            condition in "(|a > 1|b != '\\);')",
        ) {
            let index = Index {
                schema: String::new(), name, table, unique, optional, condition,
                columns: columns.iter().map(|(name, collate, sort)| column(name, collate, sort)).collect(),
            };
            prop_assert_eq!(Index::parse(&index.build()), Some(index));
        }

        #[test]
        fn any_text_is_read_without_panic(text in "(create index |unique |[a-z(),;'`\\[\\]. \\n])*") {
            let _ = Index::parse(&text);
        }
    }
}
