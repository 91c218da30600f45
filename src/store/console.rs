//! SQL that a superuser writes, as PocketBase's SQL console runs it.
//!
//! Every text gets a connection of its own, closed afterwards: what it leaves behind (open transactions, attached
//! files, changed settings, temporary tables) must not reach anybody else. A text that writes runs while the writer is
//! held, in a transaction unless it ends that itself.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use sqlx::sqlite::{Sqlite, SqliteColumn, SqliteConnection, SqliteRow, SqliteSynchronous};
use sqlx::{
    AssertSqlSafe, Column as _, ColumnOrigin, ConnectOptions, Connection, Decode, Either, Executor,
    Row, SqlSafeStr, Statement, TypeInfo, ValueRef,
};

use super::error::{self, Error};
use super::handle::Store;
use super::options::Role;
use super::scan;

/// The most rows of an answer, as in PocketBase.
const ROWS_MAX: usize = 1000;
/// How long a text that reads may run, as in PocketBase.
const READ_TIMEOUT: Duration = Duration::from_secs(3 * 60);
/// How long one that writes may: less than the writer gives its jobs.
const WRITE_TIMEOUT: Duration = Duration::from_secs(100);
/// The virtual-machine steps between two looks at the clock.
const STEPS_PER_CHECK: i32 = 20_000;
/// Rows read ahead.
const ROW_BUFFER: usize = 64;

/// Texts that begin so are taken to write, and give no rows.
const WRITES: [&str; 8] = [
    "INSERT", "CREATE", "UPDATE", "DELETE", "DROP", "DETACH", "ALTER", "REPLACE",
];
/// What SQLite refuses inside a transaction.
const NO_TRANSACTION: &str = "VACUUM";

/// What a text gave.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Rows changed by the last statement that changed any.
    pub affected_rows: u64,
    /// Columns of the last statement.
    pub columns: Vec<Column>,
    /// The first thousand rows of the last statement; numbers and blobs as text.
    pub rows: Vec<Vec<Option<String>>>,
    /// The text may have changed tables or rows.
    pub wrote: bool,
}

/// A column of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    /// The type in the table's definition, in capitals; empty for expressions.
    pub declared: String,
}

/// A failed statement: what the database says of it is the superuser's to know.
#[derive(Debug)]
struct Refused {
    text: String,
    /// The statement writes and the connection may not.
    needs_writer: bool,
}

impl Store {
    /// Runs a text of one or more statements on data.db.
    ///
    /// # Errors
    /// [`Error::Statement`] with SQLite's words; [`Error::Busy`], [`Error::Closed`].
    pub async fn run_console(&self, text: &str) -> Result<Answer, Error> {
        let text = text.trim();
        if text.is_empty() {
            return Err(Error::Statement("empty query".to_owned()));
        }
        let writes = WRITES.iter().any(|word| starts_with(text, word));
        if !writes {
            let read = self.console_read(text).await?;
            match read {
                Ok(answer) => return Ok(answer),
                Err(refused) if !refused.needs_writer => return Err(refused.into()),
                Err(_) => {}
            }
        }
        self.console_write(text.into(), !writes)
            .await?
            .map_err(Error::from)
    }

    async fn console_read(&self, text: &str) -> Result<Result<Answer, Refused>, Error> {
        // Takes a reader's place, so that these connections are bounded as readers are.
        let _place = self.read().await?;
        let mut session = Session::open(self, Role::Reader).await?;
        Ok(session.query(text).await)
    }

    async fn console_write(
        &self,
        text: Arc<str>,
        with_rows: bool,
    ) -> Result<Result<Answer, Refused>, Error> {
        let store = self.clone();
        // The job is kept also when the text failed: a text that commits by itself may have changed tables, of which
        // all connections must take notice.
        self.write_exclusive(move |_| {
            Box::pin(async move {
                let role = Role::Writer {
                    synchronous: SqliteSynchronous::Full,
                };
                let mut session = Session::open(&store, role).await?;
                let result = session.write(&text, with_rows).await;
                session.close().await;
                Ok(result.map(|answer| Answer {
                    wrote: true,
                    ..answer
                }))
            })
        })
        .await
    }
}

fn starts_with(text: &str, word: &str) -> bool {
    text.get(..word.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(word))
}

/// A connection for one text. Dropping it stops what runs.
struct Session {
    raw: SqliteConnection,
    stopped: Arc<AtomicBool>,
    /// Declared types by table and column.
    declared: HashMap<(String, String), String>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}

impl Session {
    async fn open(store: &Store, role: Role) -> Result<Self, Error> {
        let options = store
            .options()
            .connect(&store.options().data_file(), role)
            .row_buffer_size(ROW_BUFFER);
        let mut raw = options.connect().await.map_err(Error::from_sqlx)?;
        let stopped = Arc::new(AtomicBool::new(false));
        let timeout = match role {
            Role::Reader => READ_TIMEOUT,
            Role::Writer { .. } => WRITE_TIMEOUT,
        };
        let (seen, deadline) = (Arc::clone(&stopped), Instant::now() + timeout);
        raw.lock_handle()
            .await
            .map_err(Error::from_sqlx)?
            .set_progress_handler(STEPS_PER_CHECK, move || {
                !seen.load(Ordering::Relaxed) && Instant::now() < deadline
            });
        Ok(Self {
            raw,
            stopped,
            declared: HashMap::new(),
        })
    }

    async fn close(mut self) {
        // Ends an open transaction, so that the writer finds the file free.
        let _ = self.raw.execute("ROLLBACK").await;
        let _ = self.raw.ping().await;
        self.stopped.store(true, Ordering::Relaxed);
    }

    async fn write(&mut self, text: &str, with_rows: bool) -> Result<Answer, Refused> {
        let in_transaction = !starts_with(text, NO_TRANSACTION);
        if in_transaction {
            self.execute("BEGIN IMMEDIATE").await?;
        }
        let answer = if with_rows {
            self.query(text).await?
        } else {
            Answer {
                affected_rows: self.execute(text).await?,
                ..Answer::default()
            }
        };
        if in_transaction {
            self.execute("COMMIT").await?;
        }
        Ok(answer)
    }

    /// Runs a text as it is; gives the changes of its last statement.
    async fn execute(&mut self, text: &str) -> Result<u64, Refused> {
        let mut results = self
            .raw
            .fetch_many(sqlx::raw_sql(AssertSqlSafe(text.to_owned())));
        let mut changes = 0;
        while let Some(result) = results.try_next().await? {
            if let Either::Left(done) = result {
                changes = done.rows_affected();
            }
        }
        Ok(changes)
    }

    /// Runs the statements one after the other; gives the rows of the last.
    async fn query(&mut self, text: &str) -> Result<Answer, Refused> {
        // What cannot be taken apart is for SQLite to complain about.
        let statements = scan::split(text, ';').unwrap_or_else(|_| vec![text]);
        let mut answer = Answer::default();
        for (index, statement) in statements.iter().enumerate() {
            let is_last = index + 1 == statements.len();
            let rows = self.rows(statement).await?;
            if is_last {
                answer.columns = self.columns(statement, rows.first()).await?;
                answer.rows = rows.iter().map(cells).collect();
            }
        }
        Ok(answer)
    }

    async fn rows(&mut self, statement: &str) -> Result<Vec<SqliteRow>, Refused> {
        let mut results = self
            .raw
            .fetch_many(sqlx::raw_sql(AssertSqlSafe(statement.to_owned())));
        let mut rows = Vec::new();
        while let Some(result) = results.try_next().await? {
            if let Either::Right(row) = result {
                rows.push(row);
                if rows.len() == ROWS_MAX {
                    break;
                }
            }
        }
        Ok(rows)
    }

    /// The columns of a statement, which need not have given a row.
    async fn columns(
        &mut self,
        statement: &str,
        row: Option<&SqliteRow>,
    ) -> Result<Vec<Column>, Refused> {
        let prepared;
        let found: &[SqliteColumn] = match row {
            Some(row) => row.columns(),
            None => {
                let text = AssertSqlSafe(statement.to_owned()).into_sql_str();
                prepared = self.raw.prepare(text).await?;
                prepared.columns()
            }
        };
        let mut columns = Vec::with_capacity(found.len());
        for column in found {
            columns.push(Column {
                name: column.name().to_owned(),
                declared: self.declared(column).await,
            });
        }
        Ok(columns)
    }

    async fn declared(&mut self, column: &SqliteColumn) -> String {
        let ColumnOrigin::Table(origin) = column.origin() else {
            return String::new();
        };
        let key = (origin.table.to_string(), origin.name.to_string());
        if let Some(known) = self.declared.get(&key) {
            return known.clone();
        }
        let query = "SELECT upper(type) FROM pragma_table_xinfo(?) WHERE name = ?";
        let found: Result<Option<String>, _> = sqlx::query_scalar(query)
            .bind(&key.0)
            .bind(&key.1)
            .fetch_optional(&mut self.raw)
            .await;
        // The row id is in no definition.
        let declared = match found {
            Ok(Some(declared)) => declared,
            Ok(None) if key.1.eq_ignore_ascii_case("rowid") => "INTEGER".to_owned(),
            _ => String::new(),
        };
        self.declared.insert(key, declared.clone());
        declared
    }
}

fn cells(row: &SqliteRow) -> Vec<Option<String>> {
    (0..row.len()).map(|index| cell(row, index)).collect()
}

/// A cell as Go's `database/sql` makes text of it.
fn cell(row: &SqliteRow, index: usize) -> Option<String> {
    let value = row
        .try_get_raw(index)
        .ok()
        .filter(|value| !value.is_null())?;
    let kind = value.type_info().name().as_bytes().first().copied();
    match kind {
        Some(b'I') => <i64 as Decode<Sqlite>>::decode(value)
            .ok()
            .map(|number| number.to_string()),
        Some(b'R') => <f64 as Decode<Sqlite>>::decode(value).ok().map(float),
        _ => <&[u8] as Decode<Sqlite>>::decode(value)
            .ok()
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned()),
    }
}

/// The shortest text, with an exponent from a million on: `1.5`, `123456`, `1e+06`, `1e-05`.
fn float(number: f64) -> String {
    if number.is_infinite() {
        return if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{number:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..6).contains(&exponent) {
        return number.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

impl From<sqlx::Error> for Refused {
    fn from(cause: sqlx::Error) -> Self {
        let code = error::result_code(&cause);
        let text = match (cause.as_database_error(), code) {
            (Some(error), Some(code)) => words(code, error.message()),
            _ => cause.to_string(),
        };
        Self {
            text,
            needs_writer: code.is_some_and(|code| code & 0xff == error::code::READONLY),
        }
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        Self::Statement(refused.text)
    }
}

/// As PocketBase's driver puts it: `SQL logic error: near "x": syntax error (1)`.
fn words(code: u32, message: &str) -> String {
    let kind = kind_of(code & 0xff);
    if message.starts_with(kind) {
        format!("{message} ({code})")
    } else {
        format!("{kind}: {message} ({code})")
    }
}

/// SQLite's text for a primary result code, <https://www.sqlite.org/c3ref/errcode.html>.
fn kind_of(code: u32) -> &'static str {
    match code {
        1 => "SQL logic error",
        3 => "access permission denied",
        4 => "query aborted",
        5 => "database is locked",
        6 => "database table is locked",
        7 => "out of memory",
        8 => "attempt to write a readonly database",
        9 => "interrupted",
        10 => "disk I/O error",
        11 => "database disk image is malformed",
        12 => "unknown operation",
        13 => "database or disk is full",
        14 => "unable to open database file",
        15 => "locking protocol",
        17 => "database schema has changed",
        18 => "string or blob too big",
        19 => "constraint failed",
        20 => "datatype mismatch",
        21 => "bad parameter or other API misuse",
        23 => "authorization denied",
        25 => "column index out of range",
        26 => "file is not a database",
        _ => "unknown error",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::{Sql, StoreOptions};

    async fn store() -> (Store, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(StoreOptions::new(dir.path())).await.unwrap();
        store
            .run_console("CREATE TABLE t (id TEXT PRIMARY KEY, n Int, x json)")
            .await
            .unwrap();
        (store, dir)
    }

    fn columns(answer: &Answer) -> Vec<(&str, &str)> {
        let columns = answer.columns.iter();
        columns
            .map(|column| (column.name.as_str(), column.declared.as_str()))
            .collect()
    }

    fn texts(answer: &Answer) -> Vec<Vec<Option<&str>>> {
        let rows = answer.rows.iter();
        rows.map(|row| row.iter().map(Option::as_deref).collect())
            .collect()
    }

    async fn refusal(store: &Store, text: &str) -> String {
        match store.run_console(text).await {
            Err(Error::Statement(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    async fn count(store: &Store) -> i64 {
        let mut conn = store.read().await.unwrap();
        let rows = conn.fetch_all(&Sql::new("SELECT count(*) FROM t")).await;
        rows.unwrap().first().unwrap().get(0)
    }

    #[tokio::test]
    async fn rows_of_the_last_statement_are_text_with_declared_types() {
        let (store, _dir) = store().await;
        let insert = "INSERT INTO t VALUES ('a', 1, 1.5), ('b', NULL, x'6869')";
        let written = store.run_console(insert).await.unwrap();
        assert_eq!((written.affected_rows, written.wrote), (2, true));
        let read = store
            .run_console("SELECT 1; SELECT id, n, x, n || ';' AS \"e;\" FROM t ORDER BY id; ")
            .await
            .unwrap();
        assert_eq!(
            columns(&read),
            [("id", "TEXT"), ("n", "INT"), ("x", "JSON"), ("e;", "")]
        );
        assert_eq!(
            texts(&read),
            [
                [Some("a"), Some("1"), Some("1.5"), Some("1;")],
                [Some("b"), None, Some("hi"), None]
            ]
        );
        assert!(!read.wrote);
        let empty = store.run_console("SELECT n FROM t WHERE 0").await.unwrap();
        assert_eq!((columns(&empty), empty.rows.len()), (vec![("n", "INT")], 0));
    }

    #[tokio::test]
    async fn writes_are_undone_together_and_errors_are_in_sqlites_words() {
        let (store, _dir) = store().await;
        let text = "INSERT INTO t (id) VALUES ('a'); INSERT INTO t (id) VALUES ('a')";
        assert_eq!(
            refusal(&store, text).await,
            "constraint failed: UNIQUE constraint failed: t.id (1555)"
        );
        assert_eq!(
            refusal(&store, "UPDATE t SET n = 1; invalid").await,
            "SQL logic error: near \"invalid\": syntax error (1)"
        );
        assert_eq!(refusal(&store, " \n").await, "empty query");
        assert_eq!(count(&store).await, 0);
    }

    #[tokio::test]
    async fn statements_that_turn_out_to_write_run_as_such() {
        let (store, _dir) = store().await;
        let text = "WITH a AS (SELECT 'a') INSERT INTO t (id) SELECT * FROM a RETURNING id, n";
        let answer = store.run_console(text).await.unwrap();
        assert_eq!(columns(&answer), [("id", "TEXT"), ("n", "INT")]);
        assert_eq!(texts(&answer), [[Some("a"), None]]);
        assert!(answer.wrote);
        store.run_console("VACUUM").await.unwrap();
        let trigger = "CREATE TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM t; END; INSERT INTO t (id) VALUES ('b')";
        store.run_console(trigger).await.unwrap();
        assert_eq!(count(&store).await, 0);
    }

    #[tokio::test]
    async fn what_a_text_leaves_behind_reaches_nobody() {
        let (store, _dir) = store().await;
        store.run_console("BEGIN").await.unwrap();
        store.run_console("ATTACH ':memory:' AS m").await.unwrap();
        assert!(refusal(&store, "SELECT * FROM m.t").await.contains("m.t"));
        let early = "INSERT INTO t (id) VALUES ('kept'); COMMIT";
        assert!(refusal(&store, early).await.contains("cannot commit"));
        let open = "INSERT INTO t (id) VALUES ('kept too'); COMMIT; BEGIN IMMEDIATE; \
                    INSERT INTO t (id) VALUES ('x'); ALTER TABLE t ADD COLUMN y; invalid";
        assert!(refusal(&store, open).await.contains("invalid"));
        assert_eq!(count(&store).await, 2);
        store
            .write(|tx| Box::pin(tx.run("INSERT INTO t (id) VALUES ('by the writer')")))
            .await
            .unwrap();
        assert_eq!(count(&store).await, 3);
    }

    #[tokio::test]
    async fn readers_notice_changed_tables() {
        let (store, _dir) = store().await;
        assert_eq!(count(&store).await, 0);
        let read = Sql::new("SELECT * FROM t");
        let mut conn = store.read().await.unwrap();
        conn.fetch_all(&read).await.unwrap();
        drop(conn);
        let text = "ALTER TABLE t ADD COLUMN y DEFAULT 7; INSERT INTO t (id) VALUES ('a')";
        store.run_console(text).await.unwrap();
        let mut conn = store.read().await.unwrap();
        let rows = conn.fetch_all(&read).await.unwrap();
        assert_eq!(rows.first().unwrap().len(), 4);
    }

    #[tokio::test]
    async fn rows_are_bounded() {
        let (store, _dir) = store().await;
        let endless = "WITH RECURSIVE a(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM a) SELECT x FROM a; SELECT x FROM (WITH RECURSIVE a(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM a) SELECT x FROM a)";
        let answer = store.run_console(endless).await.unwrap();
        assert_eq!(answer.rows.len(), ROWS_MAX);
    }

    #[test]
    fn floats_are_written_as_go_writes_them() {
        for (number, text) in [
            (0.0, "0"),
            (2.0, "2"),
            (-1.5, "-1.5"),
            (123_456.0, "123456"),
            (1_234_567.0, "1.234567e+06"),
            (1e16, "1e+16"),
            (1e300, "1e+300"),
            (0.0001, "0.0001"),
            (0.000_01, "1e-05"),
            (f64::INFINITY, "+Inf"),
        ] {
            assert_eq!(float(number), text);
        }
    }

    proptest! {
        #[test]
        fn float_texts_mean_the_number(number in any::<f64>().prop_filter("finite", |n| n.is_finite())) {
            prop_assert_eq!(float(number).parse::<f64>().unwrap(), number);
        }
    }
}
