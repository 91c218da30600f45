//! SQL that scripts write: statements with bound values, inside a transaction or for reading.
//!
//! A script shares the writer's transaction with other jobs, so statements that control transactions, connections or
//! files are refused.

use serde_json::{Map, Value as Json};
use sqlx::sqlite::{Sqlite, SqliteRow};
use sqlx::{Column as _, Decode, Row, TypeInfo, ValueRef};

use super::conn::Conn;
use super::error::Error;
use super::scan::{self, Token, Tokens};
use super::sql::Sql;
use super::tx::Tx;
use crate::model::Value;

/// What would reach beyond the statement's own transaction.
const REFUSED: [&str; 10] = [
    "ATTACH",
    "BEGIN",
    "COMMIT",
    "DETACH",
    "END",
    "PRAGMA",
    "RELEASE",
    "ROLLBACK",
    "SAVEPOINT",
    "VACUUM",
];
/// What changes tables, after which prepared statements are stale.
const DEFINITIONS: [&str; 4] = ["ALTER", "CREATE", "DROP", "REINDEX"];

/// One statement and its values.
#[derive(Clone, Debug)]
pub struct Statement {
    sql: Sql,
    /// In capitals.
    first_word: String,
}

impl Statement {
    /// A statement with a value for each `?`.
    ///
    /// # Errors
    /// [`Error::Statement`] for several statements, and for what scripts may not do.
    pub fn positional(text: &str, values: &[Json]) -> Result<Self, Error> {
        Self::new(text.to_owned(), values.iter().map(bound).collect())
    }

    /// A statement in which `{:name}` stands for a value, and `{{name}}` and `[[name]]` for a quoted table and column, as
    /// PocketBase's query builder has them.
    ///
    /// # Errors
    /// As [`Statement::positional`]; also for a name without a value.
    pub fn named(text: &str, values: &Map<String, Json>) -> Result<Self, Error> {
        let mut written = String::with_capacity(text.len());
        let mut args = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '[', '\'']) {
            let (before, from) = rest.split_at(at);
            written.push_str(before);
            rest = from;
            if let Some((name, after)) = between(rest, "{:", "}") {
                let value = values.get(name).ok_or_else(|| {
                    Error::Statement(format!("no value for the parameter {name:?}"))
                })?;
                args.push(bound(value));
                written.push('?');
                rest = after;
            } else if let Some((name, after)) =
                between(rest, "{{", "}}").or_else(|| between(rest, "[[", "]]"))
            {
                quote(&mut written, name);
                rest = after;
            } else if let Some((quoted, after)) = between(rest, "'", "'") {
                // A text is left as it is; a doubled quote inside begins the next one.
                written.push('\'');
                written.push_str(quoted);
                written.push('\'');
                rest = after;
            } else {
                let (char, after) = rest.split_at(1);
                written.push_str(char);
                rest = after;
            }
        }
        written.push_str(rest);
        Self::new(written, args)
    }

    fn new(text: String, args: Vec<Value>) -> Result<Self, Error> {
        let refused = |reason: &str| Err(Error::Statement(reason.to_owned()));
        let statements = match scan::split(&text, ';') {
            Ok(statements) => statements,
            Err(_) => return refused("a quote, comment or parenthesis is not closed"),
        };
        let mut statements = statements
            .into_iter()
            .filter(|statement| first_word(statement).is_some());
        let Some(one) = statements.next() else {
            return refused("empty query");
        };
        if statements.next().is_some() {
            return refused("only one statement can be run at a time");
        }
        let first_word = first_word(one).unwrap_or_default();
        if REFUSED.contains(&first_word.as_str()) {
            return refused("transactions, files and settings are not for statements");
        }
        let mut sql = Sql::new(one).uncached();
        sql.args = args;
        Ok(Self { sql, first_word })
    }
}

/// The text between two marks at the start, and what follows.
fn between<'a>(text: &'a str, open: &str, close: &str) -> Option<(&'a str, &'a str)> {
    text.strip_prefix(open)?.split_once(close)
}

/// `a.b` becomes `` `a`.`b` ``.
fn quote(out: &mut String, name: &str) {
    for (index, part) in name.split('.').enumerate() {
        if index > 0 {
            out.push('.');
        }
        if part == "*" {
            out.push('*');
            continue;
        }
        out.push('`');
        out.extend(part.chars().filter(|char| *char != '`'));
        out.push('`');
    }
}

fn first_word(text: &str) -> Option<String> {
    let tokens = Tokens::new(text).filter_map(Result::ok);
    let mut tokens = tokens.map(|(_, token)| token);
    tokens.find_map(|token| match token {
        Token::Word(word) => Some(word.to_ascii_uppercase()),
        Token::Blank(_) => None,
        Token::Quoted(_) | Token::Symbol(_) => Some(String::new()),
    })
}

fn bound(value: &Json) -> Value {
    match value {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Bool(*flag),
        Json::Number(number) => Value::Number(number.as_f64().unwrap_or_default()),
        Json::String(text) => Value::Text(text.clone()),
        Json::Array(_) | Json::Object(_) => Value::Text(value.to_string()),
    }
}

/// The rows of a statement that reads, as objects by column name.
///
/// # Errors
/// [`Error::Statement`] with SQLite's words, also for a statement that writes; [`Error::Timeout`].
pub async fn query(
    conn: &mut Conn,
    statement: &Statement,
) -> Result<Vec<Map<String, Json>>, Error> {
    if !conn.is_writer() {
        let rows = conn.fetch_all(&statement.sql).await;
        return rows.map_err(told)?.iter().map(object).collect();
    }
    conn.run("PRAGMA query_only = 1").await?;
    let rows = conn.fetch_all(&statement.sql).await;
    conn.run("PRAGMA query_only = 0").await?;
    rows.map_err(told)?.iter().map(object).collect()
}

/// Runs a statement inside a transaction; gives the number of rows it changed. No rules, hooks or events.
///
/// # Errors
/// [`Error::Unique`], or [`Error::Statement`] with SQLite's words.
pub async fn execute(tx: &mut Tx, statement: &Statement) -> Result<u64, Error> {
    let changed = tx.execute(&statement.sql).await.map_err(told)?;
    if DEFINITIONS.contains(&statement.first_word.as_str()) {
        tx.tables_touched().await?;
    }
    Ok(changed)
}

/// What the database says of the statement is for whoever wrote it.
fn told(error: Error) -> Error {
    match error {
        Error::Database(cause) => match cause.as_database_error() {
            Some(error) => Error::Statement(error.message().to_owned()),
            None => Error::Database(cause),
        },
        other => other,
    }
}

fn object(row: &SqliteRow) -> Result<Map<String, Json>, Error> {
    let mut object = Map::with_capacity(row.len());
    for (index, column) in row.columns().iter().enumerate() {
        object.insert(column.name().to_owned(), cell(row, index)?);
    }
    Ok(object)
}

fn cell(row: &SqliteRow, index: usize) -> Result<Json, Error> {
    let corrupt = |_| Error::Corrupt("a value cannot be read".to_owned());
    let cell = row.try_get_raw(index).map_err(Error::from_sqlx)?;
    if cell.is_null() {
        return Ok(Json::Null);
    }
    let kind = cell.type_info().name().as_bytes().first().copied();
    Ok(match kind {
        Some(b'I') => <i64 as Decode<Sqlite>>::decode(cell)
            .map_err(corrupt)?
            .into(),
        Some(b'R') => <f64 as Decode<Sqlite>>::decode(cell)
            .map_err(corrupt)?
            .into(),
        _ => {
            let bytes = <&[u8] as Decode<Sqlite>>::decode(cell).map_err(corrupt)?;
            String::from_utf8_lossy(bytes).into_owned().into()
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn named(text: &str, values: &Json) -> Result<(String, Vec<Value>), String> {
        let values = values.as_object().cloned().unwrap_or_default();
        Statement::named(text, &values)
            .map(|statement| (statement.sql.text.to_string(), statement.sql.args))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn names_become_bound_values_and_quoted_identifiers() {
        let values = json!({"a": 1, "b": "it's"});
        let (text, args) = named(
            "SELECT [[t.x]], '{:a} [[y]]' FROM {{t}} WHERE x = {:b} AND y = {:a}",
            &values,
        )
        .unwrap();
        assert_eq!(
            text,
            "SELECT `t`.`x`, '{:a} [[y]]' FROM `t` WHERE x = ? AND y = ?"
        );
        assert_eq!(args, [Value::from("it's"), Value::Number(1.0)]);
        assert!(named("SELECT {:none}", &values).is_err());
    }

    #[test]
    fn one_statement_that_stays_inside_its_transaction() {
        for (text, allowed) in [
            ("SELECT 1;", true),
            ("-- a; b\nDELETE FROM x", true),
            ("SELECT 1; SELECT 2", false),
            ("commit", false),
            ("/* x */ ROLLBACK TO job", false),
            ("PRAGMA query_only = 0", false),
            ("", false),
            ("SELECT '", false),
        ] {
            let statement = Statement::positional(text, &[]);
            assert_eq!(statement.is_ok(), allowed, "{text}: {statement:?}");
        }
    }
}
