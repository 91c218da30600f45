//! The application modules under load: the public feed of many posts, likes of one post, purchases of one article. With
//! `--peer` the feed is measured on another server as well, with the same collections, rules and rows. How to run it:
//! `benches/README.md`.

#![allow(clippy::print_stdout, reason = "the report is this program's output")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Parser;
use serde_json::{Value, json};
use tokio::task::LocalSet;

use crate::client::{Conn, write_request};
use crate::load::ClosedLoop;
use crate::target::{Program, SUPERUSER_EMAIL, SUPERUSER_PASSWORD, Server};

#[path = "../load/client.rs"]
#[allow(dead_code, reason = "shared with the load driver")]
mod client;
#[path = "../load/load.rs"]
mod load;
#[path = "../load/target.rs"]
#[allow(dead_code, reason = "shared with the load driver")]
mod target;

const USERS: u64 = 200;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(28);
/// The part of a measurement's length that is spent on warming up first.
const WARM_UP_PART: u32 = 5;
/// The post that all like, and the article that all buy.
const POST: &str = "post00000000001";
const ARTICLE: &str = "article00000001";

#[derive(Parser)]
#[command(about = "Measures the application modules under load")]
struct Options {
    /// The server to measure
    #[arg(long, default_value = "target/release/server")]
    server: PathBuf,
    /// A server to compare the feed with, such as a PocketBase binary
    #[arg(long)]
    peer: Option<PathBuf>,
    /// Length of one measurement
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// Posts
    #[arg(long, default_value_t = 100_000)]
    rows: u64,
    /// `cargo bench` passes this
    #[arg(long, hide = true)]
    bench: bool,
}

/// A server with its posts, and who is signed in to it.
struct Site {
    server: Server,
    /// Tokens of the users, in the order of their numbers.
    tokens: Vec<String>,
}

/// What is asked for: the number of the request gives it.
struct Workload {
    name: &'static str,
    connections: usize,
    /// Whether other servers can do it too.
    is_plain: bool,
    write: fn(&[String], u64, &mut Vec<u8>),
}

const WORKLOADS: [Workload; 5] = [
    Workload {
        name: "feed-1",
        connections: 1,
        is_plain: true,
        write: feed,
    },
    Workload {
        name: "feed-16",
        connections: 16,
        is_plain: true,
        write: feed,
    },
    Workload {
        name: "trending-4",
        connections: 4,
        is_plain: false,
        write: |tokens, n, out| ask("GET", "/api/posts/trending?limit=20", tokens, n, out),
    },
    Workload {
        name: "likes-64",
        connections: 64,
        is_plain: false,
        write: |tokens, n, out| {
            let is_liked = (n / USERS) % 2 == 1;
            let method = if is_liked { "DELETE" } else { "POST" };
            ask(method, &format!("/api/posts/{POST}/like"), tokens, n, out);
        },
    },
    Workload {
        name: "buys-64",
        connections: 64,
        is_plain: false,
        write: |tokens, n, out| {
            ask(
                "POST",
                &format!("/api/articles/{ARTICLE}/buy"),
                tokens,
                n,
                out,
            );
        },
    },
];

/// Twenty posts with their authors and articles, as an app's first page shows them.
fn feed(tokens: &[String], n: u64, out: &mut Vec<u8>) {
    let path = "/api/collections/posts/records?perPage=20&skipTotal=1&sort=-created&expand=user,article&filter=isPublic%3Dtrue";
    ask("GET", path, tokens, n, out);
}

fn ask(method: &str, path: &str, tokens: &[String], n: u64, out: &mut Vec<u8>) {
    let user = usize::try_from(n % USERS).unwrap_or_default();
    let token = tokens.get(user).map_or("", String::as_str);
    write_request(out, method, path, token, None);
}

fn main() -> ExitCode {
    match execute(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn execute(options: &Options) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, run(options))
}

async fn run(options: &Options) -> Result<()> {
    let root = tempfile::Builder::new().prefix("modules-").tempdir()?;
    let (ours, collections) = prepare(options, root.path()).await?;
    let mut sites = vec![ours];
    if let Some(peer) = &options.peer {
        sites.push(prepare_peer(peer, options, &collections, root.path()).await?);
    }
    println!("| line | server | per s | per CPU-s | p50 ms | p99 ms |");
    println!("| --- | --- | ---: | ---: | ---: | ---: |");
    for workload in &WORKLOADS {
        for site in &sites {
            if workload.is_plain || site.server.name == "ours" {
                measure(workload, site, options).await?;
            }
        }
    }
    for site in sites {
        site.server.stop()?;
    }
    Ok(())
}

async fn measure(workload: &Workload, site: &Site, options: &Options) -> Result<()> {
    site.server.settle(Duration::from_secs(30)).await;
    let length = Duration::from_secs_f64(options.seconds);
    let mut work = ClosedLoop::new(site.server.addr, workload.connections, REQUEST_TIMEOUT, 0);
    let write = |n: u64, out: &mut Vec<u8>| (workload.write)(&site.tokens, n, out);
    work.run(length / WARM_UP_PART, &write).await;
    let before = site.server.cpu();
    let mut tally = work.run(length, &write).await;
    let cpu = site.server.cpu().saturating_sub(before).as_secs_f64();
    // Two requests of one user may cross: the second like or unlike finds nothing to do.
    tally.failures.retain(|cause, _| cause != "status 404");
    if !tally.failures.is_empty() {
        bail!("{}: {:?}", workload.name, tally.failures);
    }
    tally.latencies_us.sort_unstable();
    let count = tally.latencies_us.len();
    let at = |part: f64| {
        let index = ((count as f64 * part) as usize).min(count.saturating_sub(1));
        f64::from(tally.latencies_us.get(index).copied().unwrap_or_default()) / 1000.0
    };
    println!(
        "| {} | {} | {:.0} | {:.0} | {:.2} | {:.2} |",
        workload.name,
        site.server.name,
        count as f64 / tally.elapsed.as_secs_f64(),
        count as f64 / cpu.max(0.01),
        at(0.5),
        at(0.99),
    );
    Ok(())
}

/// Our server with its modules, and the collections that the peer needs.
async fn prepare(options: &Options, root: &Path) -> Result<(Site, Value)> {
    let program = Program::new("ours", &options.server)?;
    let dir = root.join("ours").join("pb_data");
    std::fs::create_dir_all(&dir)?;
    program.init(&dir)?;
    let server = program.start_with(&dir, "social,market")?;
    let mut conn = Conn::new(server.addr);
    let token = sign_in(&mut conn).await?;
    let mut collections = Vec::new();
    for name in ["articles", "posts"] {
        let path = format!("/api/collections/{name}");
        collections.push(conn.json("GET", &path, &token, None).await?);
    }
    let tokens = fill(&mut conn, &token, options.rows).await?;
    Ok((Site { server, tokens }, Value::Array(collections)))
}

async fn prepare_peer(
    binary: &Path,
    options: &Options,
    collections: &Value,
    root: &Path,
) -> Result<Site> {
    let program = Program::new("peer", binary)?;
    let dir = root.join("peer").join("pb_data");
    std::fs::create_dir_all(&dir)?;
    program.init(&dir)?;
    let server = program.start(&dir)?;
    let mut conn = Conn::new(server.addr);
    let token = sign_in(&mut conn).await?;
    let path = "/api/collections/import";
    let body = json!({"collections": collections, "deleteMissing": false});
    let request = {
        let mut out = Vec::new();
        write_request(&mut out, "PUT", path, &token, Some(&body.to_string()));
        out
    };
    let reply = conn.exchange(&request).await?;
    if reply.status >= 300 {
        bail!("the import: {}", String::from_utf8_lossy(reply.body));
    }
    let open = "@request.auth.id != \"\"";
    let rules = json!({"listRule": open, "viewRule": open});
    conn.json("PATCH", "/api/collections/users", &token, Some(&rules))
        .await?;
    let tokens = fill(&mut conn, &token, options.rows).await?;
    Ok(Site { server, tokens })
}

async fn sign_in(conn: &mut Conn) -> Result<String> {
    let path = "/api/collections/_superusers/auth-with-password";
    let body = json!({"identity": SUPERUSER_EMAIL, "password": SUPERUSER_PASSWORD});
    let answer = conn.json("POST", path, "", Some(&body)).await?;
    let token = answer["token"].as_str().context("no token")?;
    Ok(token.to_owned())
}

/// Users, an article of each, and posts: nine in ten public, half of them with an article. Gives the users' tokens.
async fn fill(conn: &mut Conn, token: &str, rows: u64) -> Result<Vec<String>> {
    let numbers = |count: u64| {
        format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})")
    };
    let now = "strftime('%Y-%m-%d %H:%M:%fZ', 'now', '-' || i || ' seconds')";
    let people = format!(
        "{} INSERT INTO users (id, email, name, password, tokenKey, created, updated) SELECT printf('user%011d', i), \
         printf('user%d@example.com', i), printf('User %d', i), 'none', hex(randomblob(25)), {now}, {now} FROM n",
        numbers(USERS)
    );
    let articles = format!(
        "{} INSERT INTO articles (id, title, prix, quantite, user, images, created, updated) SELECT printf('article%08d', i), \
         printf('Article %d', i), 9.99, 1000000000, printf('user%011d', i + {USERS}), '[]', {now}, {now} FROM n",
        numbers(USERS)
    );
    let posts = format!(
        "{} INSERT INTO posts (id, user, categories, isPublic, type, content, images, article, dataAction, created, updated) \
         SELECT printf('post%011d', i), printf('user%011d', 1 + i % {USERS}), '[\"tech\"]', i % 10 != 0, 'html', \
         printf('Post %d, with some words to make it as long as such texts are.', i), '[]', \
         CASE WHEN i % 2 = 0 THEN printf('article%08d', 1 + i % {USERS}) ELSE '' END, 'null', {now}, {now} FROM n",
        numbers(rows)
    );
    // The sellers of the articles are others than those who ask: nobody buys an own article.
    let sellers = people
        .replace(
            "printf('user%011d', i)",
            &format!("printf('user%011d', i + {USERS})"),
        )
        .replace("'user%d@", "'seller%d@");
    for query in [people, sellers, articles, posts] {
        let body = json!({"query": query});
        conn.json("POST", "/api/sql", token, Some(&body)).await?;
    }
    let mut tokens = Vec::new();
    for index in 1..=USERS {
        let path = format!("/api/collections/users/impersonate/user{index:011}");
        let answer = conn
            .json("POST", &path, token, Some(&json!({"duration": 3600})))
            .await?;
        tokens.push(answer["token"].as_str().context("no token")?.to_owned());
    }
    Ok(tokens)
}
