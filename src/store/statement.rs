//! Statements that scripts write: SQL text with named parameters, and rows as JSON.
//!
//! The text is the script's own word; values go in through `{:name}` placeholders only. Names in `{{...}}` (tables) and
//! `[[...]]` (columns) are quoted.
//!
//! A script shares the writer's transaction with other jobs and its connection with all of them, so statements that
//! control transactions, connections or files are refused.

use std::sync::Arc;

use serde_json::{Map, Value as Json};
use sqlx::sqlite::{Sqlite, SqliteRow};
use sqlx::{Column as _, Decode, Row, TypeInfo, ValueRef};

use super::conn::Conn;
use super::dialect::Dialect;
use super::error::Error;
use super::rows;
use super::scan::{self, Token, Tokens};
use super::sql::Sql;
use crate::base::json;
use crate::model::{Collection, Record, Value};

const DIALECT: Dialect = Dialect::Sqlite;

/// What would reach beyond the statement's own transaction.
const REFUSED: [&str; 9] = [
    "ATTACH",
    "BEGIN",
    "COMMIT",
    "DETACH",
    "END",
    "RELEASE",
    "ROLLBACK",
    "SAVEPOINT",
    "VACUUM",
];
/// The settings that statements may look at; none of these changes anything, with an argument or without.
const PRAGMAS: [&str; 12] = [
    "COLLATION_LIST",
    "COMPILE_OPTIONS",
    "DATABASE_LIST",
    "FOREIGN_KEY_CHECK",
    "FOREIGN_KEY_LIST",
    "FUNCTION_LIST",
    "INDEX_INFO",
    "INDEX_LIST",
    "INDEX_XINFO",
    "TABLE_INFO",
    "TABLE_LIST",
    "TABLE_XINFO",
];
/// How statements begin that only read, unless a common table expression belongs to one that writes.
const READS: [&str; 4] = ["EXPLAIN", "SELECT", "VALUES", "WITH"];

/// A statement with the values of its placeholders.
#[derive(Clone, Debug, Default)]
pub struct Statement {
    pub text: String,
    /// By name, without braces. Lists and objects are bound as JSON text.
    pub params: Map<String, Json>,
}

/// What a query gave.
#[derive(Debug, Default)]
pub struct Rows {
    pub columns: Vec<String>,
    /// One value per column: null, number or text.
    pub rows: Vec<Vec<Json>>,
}

/// What a statement did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Done {
    pub rows_affected: u64,
    pub last_insert_id: i64,
}

/// How a statement begins, which decides where it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatementKind {
    /// It reads.
    Read,
    /// It changes rows.
    Write,
    /// It changes tables.
    Define,
}

impl Statement {
    /// By the first word; a common table expression counts as reading unless a word of writing comes after it.
    #[must_use]
    pub fn kind(&self) -> StatementKind {
        let text = self
            .text
            .trim_start_matches(|c: char| c.is_whitespace() || c == '(');
        let first: String = text
            .chars()
            .take_while(char::is_ascii_alphabetic)
            .collect::<String>()
            .to_ascii_uppercase();
        match first.as_str() {
            "SELECT" | "VALUES" | "EXPLAIN" => StatementKind::Read,
            "WITH" => {
                let upper = text.to_ascii_uppercase();
                let writes = ["INSERT ", "UPDATE ", "DELETE ", "REPLACE "];
                if writes.iter().any(|word| upper.contains(word)) {
                    StatementKind::Write
                } else {
                    StatementKind::Read
                }
            }
            "PRAGMA" if !text.contains('=') => StatementKind::Read,
            "INSERT" | "UPDATE" | "DELETE" | "REPLACE" => StatementKind::Write,
            _ => StatementKind::Define,
        }
    }

    /// Placeholders become bound values, quoted names the dialect's.
    fn sql(&self) -> Result<Sql, Error> {
        let mut out = String::with_capacity(self.text.len());
        let mut args = Vec::new();
        let mut rest = self.text.as_str();
        while let Some(at) = rest.find(['{', '[']) {
            let (before, from) = rest.split_at(at);
            out.push_str(before);
            let (taken, piece) = read_piece(from);
            match piece {
                Piece::Param(name) => {
                    let value = self.params.get(name).ok_or_else(|| {
                        Error::Statement(format!("named parameter {{:{name}}} has no value"))
                    })?;
                    push_value(&mut out, &mut args, value);
                }
                Piece::Name(name) => out.push_str(&quote_path(name)),
                Piece::Text(text) => out.push_str(text),
            }
            rest = from.get(taken..).unwrap_or_default();
        }
        out.push_str(rest);
        for one in parts(&out)? {
            check(one)?;
        }
        Ok(Sql {
            text: Arc::from(out),
            args,
            cached: false,
        })
    }
}

/// The statements of a text.
fn parts(text: &str) -> Result<Vec<&str>, Error> {
    scan::split(text, ';')
        .map_err(|_| Error::Statement("a quote, comment or parenthesis is not closed".to_owned()))
}

/// The words that a statement begins with, in capitals.
fn words(statement: &str) -> impl Iterator<Item = String> {
    let tokens = Tokens::new(statement).map_while(Result::ok);
    let tokens = tokens.filter(|(_, token)| !matches!(token, Token::Blank(_) | Token::Symbol('(')));
    tokens.map(|(_, token)| match token {
        Token::Word(word) => word.to_ascii_uppercase(),
        _ => String::new(),
    })
}

/// Refuses what no statement of a script may do.
fn check(statement: &str) -> Result<(), Error> {
    let mut words = words(statement);
    let first = words.next().unwrap_or_default();
    let refused = match first.as_str() {
        "PRAGMA" => {
            let name = words.next().unwrap_or_default();
            !PRAGMAS.contains(&name.as_str())
        }
        first => REFUSED.contains(&first),
    };
    if refused {
        let reason = "transactions, files and settings are not for statements";
        return Err(Error::Statement(reason.to_owned()));
    }
    Ok(())
}

/// Refuses all but one statement that looks like reading.
fn check_reads(text: &str) -> Result<(), Error> {
    let mut parts = parts(text)?.into_iter();
    let mut parts = parts.by_ref().filter_map(|part| words(part).next());
    let reason = match (parts.next(), parts.next()) {
        (None, _) => "empty query",
        (Some(_), Some(_)) => "only one statement can be run at a time",
        (Some(first), None) if READS.contains(&first.as_str()) => return Ok(()),
        (Some(_), None) => "only statements that read can be run here",
    };
    Err(Error::Statement(reason.to_owned()))
}

enum Piece<'a> {
    Param(&'a str),
    Name(&'a str),
    Text(&'a str),
}

/// What a brace or bracket at the start of a text means, and how many bytes it takes.
fn read_piece(text: &str) -> (usize, Piece<'_>) {
    let name = |open: &str, close: &str| {
        let inner = text.strip_prefix(open)?;
        let end = inner.find(close)?;
        let inner = inner.get(..end)?;
        let plain = |c: char| {
            c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ' | '@' | '#' | '%' | '&')
        };
        (!inner.is_empty() && inner.chars().all(plain))
            .then_some((open.len() + end + close.len(), inner))
    };
    if let Some((taken, inner)) = name("{:", "}") {
        return (taken, Piece::Param(inner));
    }
    if let Some((taken, inner)) = name("{{", "}}") {
        return (taken, Piece::Name(inner));
    }
    let column = text.strip_prefix("[[").and_then(|inner| {
        let inner = inner.get(..inner.find("]]")?)?;
        Some((inner.len() + 4, inner))
    });
    if let Some((taken, inner)) = column {
        return (taken, Piece::Name(inner));
    }
    (1, Piece::Text(text.get(..1).unwrap_or_default()))
}

/// A name, or names joined by dots, each quoted once; `*` and calls stay as they are.
fn quote_path(path: &str) -> String {
    if path.contains(['`', '(', '"', '\'']) {
        return path.to_owned();
    }
    path.split('.')
        .map(|name| match name {
            "*" => "*".to_owned(),
            name => DIALECT.quote_ident(name),
        })
        .collect::<Vec<_>>()
        .join(".")
}

/// Whole numbers stand in the text: the driver binds doubles only, of which texts would show the fraction.
fn push_value(out: &mut String, args: &mut Vec<Value>, value: &Json) {
    let bound = match value {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Bool(*flag),
        Json::String(text) => Value::Text(text.clone()),
        Json::Number(number) => match number.as_i64() {
            Some(number) if number < 0 => {
                out.push_str(&format!("({number})"));
                return;
            }
            Some(number) => {
                out.push_str(&number.to_string());
                return;
            }
            None => Value::Number(number.as_f64().unwrap_or_default()),
        },
        Json::Array(_) | Json::Object(_) => Value::Text(json::to_text(value)),
    };
    out.push('?');
    args.push(bound);
}

/// Runs a query; gives all its rows.
///
/// # Errors
/// [`Error::Statement`] in the database's words.
pub async fn query(conn: &mut Conn, statement: &Statement) -> Result<Rows, Error> {
    rows_of(conn, &statement.sql()?).await
}

/// Runs one statement that reads, and nothing else, wherever it runs; gives its rows.
///
/// # Errors
/// [`Error::Statement`] in the database's words, also for a statement that writes.
pub async fn read(conn: &mut Conn, statement: &Statement) -> Result<Rows, Error> {
    let sql = statement.sql()?;
    check_reads(&sql.text)?;
    if !conn.is_writer() {
        return rows_of(conn, &sql).await;
    }
    conn.run("PRAGMA query_only = 1").await?;
    let rows = rows_of(conn, &sql).await;
    conn.run("PRAGMA query_only = 0").await?;
    rows
}

async fn rows_of(conn: &mut Conn, sql: &Sql) -> Result<Rows, Error> {
    let found = conn.fetch_all(sql).await.map_err(Error::into_statement)?;
    let columns = found.first().map_or_else(Vec::new, |row| {
        let columns = row.columns().iter();
        columns.map(|column| column.name().to_owned()).collect()
    });
    let rows = found
        .iter()
        .map(|row| (0..row.len()).map(|index| cell(row, index)).collect())
        .collect();
    Ok(Rows { columns, rows })
}

/// Runs a statement.
///
/// # Errors
/// [`Error::Statement`] in the database's words.
pub async fn execute(conn: &mut Conn, statement: &Statement) -> Result<Done, Error> {
    let rows_affected = conn
        .execute(&statement.sql()?)
        .await
        .map_err(Error::into_statement)?;
    let last = Sql::new("SELECT last_insert_rowid()");
    let last = conn.fetch_optional(&last).await?;
    Ok(Done {
        rows_affected,
        last_insert_id: last.map_or(Ok(0), |row| rows::integer(&row, 0))?,
    })
}

/// Runs a query whose columns are named as a collection's fields; gives its rows as records. Fields without a column
/// have their zero value.
///
/// # Errors
/// [`Error::Statement`] in the database's words.
pub async fn query_records(
    conn: &mut Conn,
    collection: &Arc<Collection>,
    statement: &Statement,
) -> Result<Vec<Record>, Error> {
    let found = conn
        .fetch_all(&statement.sql()?)
        .await
        .map_err(Error::into_statement)?;
    let mut places = Vec::new();
    if let Some(row) = found.first() {
        let columns = row.columns();
        for field in collection.fields() {
            places.push(
                columns
                    .iter()
                    .position(|column| column.name() == field.name),
            );
        }
    }
    found
        .iter()
        .map(|row| {
            let values = rows::decode_at(row, &places, collection.fields())?;
            Ok(Record::loaded(Arc::clone(collection), values))
        })
        .collect()
}

fn cell(row: &SqliteRow, index: usize) -> Json {
    let Some(value) = row.try_get_raw(index).ok().filter(|value| !value.is_null()) else {
        return Json::Null;
    };
    let kind = value.type_info().name().as_bytes().first().copied();
    match kind {
        Some(b'I') => <i64 as Decode<Sqlite>>::decode(value).map_or(Json::Null, Json::from),
        Some(b'R') => <f64 as Decode<Sqlite>>::decode(value)
            .ok()
            .and_then(serde_json::Number::from_f64)
            .map_or(Json::Null, Json::Number),
        _ => <&[u8] as Decode<Sqlite>>::decode(value).map_or(Json::Null, |bytes| {
            String::from_utf8_lossy(bytes).into_owned().into()
        }),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn statement(text: &str, params: Json) -> Statement {
        Statement {
            text: text.to_owned(),
            params: params.as_object().cloned().unwrap_or_default(),
        }
    }

    #[test]
    fn placeholders_are_bound_and_names_quoted() {
        let text =
            "SELECT [[a.b]], {{t}}.* FROM {{t}} WHERE x = {:x} AND y = {:y} AND j = '{}' [1]";
        let sql = statement(text, json!({"x": "' OR 1", "y": -5}))
            .sql()
            .unwrap();
        assert_eq!(
            &*sql.text,
            "SELECT `a`.`b`, `t`.* FROM `t` WHERE x = ? AND y = (-5) AND j = '{}' [1]"
        );
        assert_eq!(sql.args, [Value::Text("' OR 1".to_owned())]);
        assert!(statement("{:none}", json!({})).sql().is_err());
    }

    #[test]
    fn no_statement_reaches_beyond_its_transaction() {
        for (text, allowed, reads) in [
            ("SELECT 1;", true, true),
            (" ((select 1))", true, true),
            ("WITH a AS (SELECT ';') SELECT * FROM a -- ; b", true, true),
            ("-- a; b\nDELETE FROM x", true, false),
            ("CREATE TABLE a (b); CREATE TABLE c (d)", true, false),
            ("SELECT 1; SELECT 2", true, false),
            ("PRAGMA table_info(x)", true, false),
            ("pragma `query_only` = 0", false, false),
            ("PRAGMA query_only(1)", false, false),
            ("PRAGMA main.journal_mode", false, false),
            ("commit", false, false),
            ("SELECT 1; /* x */ ROLLBACK TO job", false, false),
            ("ATTACH 'x' AS y", false, false),
            ("VACUUM INTO '/x'", false, false),
            ("SELECT '", false, false),
            ("", true, false),
        ] {
            let sql = statement(text, json!({})).sql();
            assert_eq!(sql.is_ok(), allowed, "{text}: {sql:?}");
            let checked = sql.and_then(|sql| check_reads(&sql.text));
            assert_eq!(checked.is_ok(), reads, "{text}: {checked:?}");
        }
    }

    #[test]
    fn statements_are_told_apart_by_their_first_word() {
        let kind = |text| statement(text, json!({})).kind();
        assert_eq!(kind(" (select 1)"), StatementKind::Read);
        assert_eq!(
            kind("WITH a AS (SELECT 1) SELECT * FROM a"),
            StatementKind::Read
        );
        assert_eq!(
            kind("with a as (select 1) insert into b select * from a"),
            StatementKind::Write
        );
        assert_eq!(kind("UPDATE a SET b = 1"), StatementKind::Write);
        assert_eq!(kind("CREATE TABLE a (b)"), StatementKind::Define);
    }
}
