//! Every flag and variable once: names, type, default, bound and help. Raw arguments become a checked [`Config`].
//!
//! Precedence: flag, `ROTUNDA_*` variable, default. A `.env` file in the working directory is read; the real environment wins.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::base::Clock;

/// A backend in one binary: collections over SQLite with rules, sign-in, files and live events, as PocketBase's API.
#[derive(Debug, Parser)]
#[command(name = "server", version, arg_required_else_help = true)]
struct Raw {
    #[command(flatten)]
    global: RawGlobal,
    #[command(subcommand)]
    command: RawCommand,
}

#[derive(Args, Debug)]
struct RawGlobal {
    /// The data directory: data.db, auxiliary.db, storage/, backups/.
    #[arg(
        long,
        global = true,
        env = "ROTUNDA_DIR",
        default_value = "./pb_data",
        value_name = "DIR"
    )]
    dir: PathBuf,
    /// Name of the variable that holds the 32 characters which encrypt the stored settings.
    #[arg(
        long = "encryptionEnv",
        alias = "encryption-env",
        global = true,
        default_value = "PB_ENCRYPTION_KEY",
        value_name = "NAME"
    )]
    encryption_env: String,
    /// Seconds after which a database query is stopped.
    #[arg(long = "queryTimeout", alias = "query-timeout", global = true, env = "ROTUNDA_QUERY_TIMEOUT",
        default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600), value_name = "S")]
    query_timeout_s: u64,
    /// Log for people instead of JSON, and more of it.
    #[arg(long, global = true, env = "ROTUNDA_DEV")]
    dev: bool,
    /// Private hosts, addresses and networks that scripts and webhooks may ask, comma separated; `*` for all.
    #[arg(
        long = "httpAllowPrivate",
        alias = "http-allow-private",
        global = true,
        env = "ROTUNDA_HTTP_ALLOW_PRIVATE",
        value_delimiter = ',',
        value_name = "HOSTS"
    )]
    http_allow_private: Vec<String>,
    /// The application modules: all, none, or a list of names. Default: all, in a directory of PocketBase's none.
    #[arg(long, global = true, env = "ROTUNDA_MODULES", value_name = "NAMES")]
    modules: Option<String>,
    /// Fix one of Rotunda's own settings for this run, such as `payments.holdMinutes=10`; may be repeated.
    #[arg(long, global = true, value_parser = pair, value_name = "NAME=VALUE")]
    set: Vec<(String, String)>,
    #[command(flatten)]
    hooks: RawHooks,
    /// Folder that is served at `/`; default: `pb_public` beside the data directory.
    #[arg(
        long = "publicDir",
        alias = "public-dir",
        global = true,
        env = "ROTUNDA_PUBLIC_DIR",
        value_name = "DIR"
    )]
    public_dir: Option<PathBuf>,
    /// Answer unknown paths with index.html, for pages that route by themselves.
    #[arg(long = "indexFallback", alias = "index-fallback", global = true, env = "ROTUNDA_INDEX_FALLBACK",
        default_value_t = true, num_args = 0..=1, default_missing_value = "true", action = clap::ArgAction::Set, value_name = "BOOL")]
    index_fallback: bool,
}

/// Bounds of live events.
#[derive(Args, Debug)]
struct RawLive {
    /// Events that a topic keeps for clients that come back.
    #[arg(long = "topicLogEvents", alias = "topic-log-events", env = "ROTUNDA_TOPIC_LOG_EVENTS",
        default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000), value_name = "N")]
    topic_log_events: u32,
    /// Seconds for which a topic keeps them.
    #[arg(long = "topicLogSeconds", alias = "topic-log-seconds", env = "ROTUNDA_TOPIC_LOG_SECONDS",
        default_value_t = 600, value_parser = clap::value_parser!(u32).range(1..=86_400), value_name = "S")]
    topic_log_s: u32,
    /// Events that may wait for a slow client before it is cut off.
    #[arg(long = "streamQueue", alias = "stream-queue", env = "ROTUNDA_STREAM_QUEUE",
        default_value_t = 1_024, value_parser = clap::value_parser!(u32).range(16..=100_000), value_name = "N")]
    stream_queue: u32,
    /// Event streams of topics and users that may be open.
    #[arg(long = "streamsMax", alias = "streams-max", env = "ROTUNDA_STREAMS_MAX",
        default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000), value_name = "N")]
    streams_max: u32,
    /// Event streams of one user or, for guests, of one address.
    #[arg(long = "streamsPerClient", alias = "streams-per-client", env = "ROTUNDA_STREAMS_PER_CLIENT",
        default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000), value_name = "N")]
    streams_per_client: u32,
}

/// The port of rooms.
#[derive(Args, Debug)]
struct RawRtc {
    /// UDP port of all media and data channels; 0 takes a free one. Default: 8189, or a free one while that is taken.
    #[arg(
        long = "rtc-port",
        alias = "rtcPort",
        env = "ROTUNDA_RTC_PORT",
        value_name = "PORT"
    )]
    rtc_port: Option<u16>,
    /// Addresses that clients are told to send media to, comma separated; default: those of the machine.
    #[arg(
        long = "rtc-public-ip",
        alias = "rtcPublicIp",
        env = "ROTUNDA_RTC_PUBLIC_IP",
        value_delimiter = ',',
        value_name = "IPS"
    )]
    rtc_public_ip: Vec<IpAddr>,
}

#[derive(Args, Debug)]
struct RawHooks {
    /// Folder of hook scripts; default: `pb_hooks` beside the data directory.
    #[arg(
        long = "hooksDir",
        alias = "hooks-dir",
        global = true,
        env = "ROTUNDA_HOOKS_DIR",
        value_name = "DIR"
    )]
    hooks_dir: Option<PathBuf>,
    /// Folder of the modules that scripts share; default: `pb_modules` beside the data directory.
    #[arg(
        long = "modulesDir",
        alias = "modules-dir",
        global = true,
        env = "ROTUNDA_MODULES_DIR",
        value_name = "DIR"
    )]
    modules_dir: Option<PathBuf>,
    /// Reload scripts when their files change.
    #[arg(long = "hooksWatch", alias = "hooks-watch", global = true, env = "ROTUNDA_HOOKS_WATCH",
        default_value_t = true, num_args = 0..=1, default_missing_value = "true", action = clap::ArgAction::Set, value_name = "BOOL")]
    hooks_watch: bool,
    /// Accepted for PocketBase's sake: all scripts share one thread.
    #[arg(
        long = "hooksPool",
        alias = "hooks-pool",
        global = true,
        env = "ROTUNDA_HOOKS_POOL",
        value_name = "N"
    )]
    hooks_pool: Option<u32>,
    /// Seconds of script time that one handler call may take.
    #[arg(long = "hookTimeout", alias = "hook-timeout", global = true, env = "ROTUNDA_HOOK_TIMEOUT",
        default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600), value_name = "S")]
    hook_timeout_s: u64,
    /// Mebibytes by which the process may grow during one handler call.
    #[arg(long = "hookMemory", alias = "hook-memory", global = true, env = "ROTUNDA_HOOK_MEMORY",
        default_value_t = 512, value_parser = clap::value_parser!(u64).range(16..=65_536), value_name = "MIB")]
    hook_memory_mib: u64,
    /// Let scripts read and write files, read the environment and run commands.
    #[arg(long = "hooksAllowOs", alias = "hooks-allow-os", global = true, env = "ROTUNDA_HOOKS_ALLOW_OS",
        default_value_t = false, num_args = 0..=1, default_missing_value = "true", action = clap::ArgAction::Set, value_name = "BOOL")]
    hooks_allow_os: bool,
    /// Folder of JavaScript migrations; default: `pb_migrations` beside the data directory.
    #[arg(
        long = "migrationsDir",
        alias = "migrations-dir",
        global = true,
        env = "ROTUNDA_MIGRATIONS_DIR",
        value_name = "DIR"
    )]
    migrations_dir: Option<PathBuf>,
    /// Write a migration file when collections change over the API. Off by default: such a file would run again on an
    /// older state that a backup brings back.
    #[arg(long, global = true, env = "ROTUNDA_AUTOMIGRATE",
        default_value_t = false, num_args = 0..=1, default_missing_value = "true", action = clap::ArgAction::Set, value_name = "BOOL")]
    automigrate: bool,
}

#[derive(Debug, Subcommand)]
enum RawCommand {
    /// Run the server.
    Serve {
        /// Address and port to listen on; port 0 takes a free one.
        #[arg(
            long,
            env = "ROTUNDA_HTTP",
            default_value = "127.0.0.1:8090",
            value_name = "HOST:PORT"
        )]
        http: String,
        /// Sites that may call from a browser, comma separated.
        #[arg(
            long,
            env = "ROTUNDA_ORIGINS",
            default_value = "*",
            value_delimiter = ',',
            value_name = "ORIGINS"
        )]
        origins: Vec<String>,
        /// Threads that serve requests; default: one per core.
        #[arg(long, env = "ROTUNDA_WORKERS", value_parser = clap::value_parser!(u16).range(1..=1024), value_name = "N")]
        workers: Option<u16>,
        #[command(flatten)]
        live: RawLive,
        #[command(flatten)]
        rtc: RawRtc,
    },
    /// Manage superusers.
    #[command(subcommand)]
    Superuser(Superuser),
    /// Run and write migrations.
    #[command(subcommand)]
    Migrate(Migrate),
    /// Print the API description (OpenAPI 3.1).
    Openapi,
    /// A command that a script has added to `$app.rootCmd`, with its arguments.
    #[command(external_subcommand)]
    Script(Vec<String>),
}

/// What to do with migrations.
#[derive(Clone, Debug, Subcommand)]
pub enum Migrate {
    /// Run all that have not run yet.
    Up,
    /// Take back the last ones.
    Down {
        #[arg(default_value_t = 1)]
        count: usize,
    },
    /// Write an empty migration.
    Create { name: String },
    /// Write a migration with all collections as they are.
    Collections,
    /// Forget those that have run and whose files are gone.
    HistorySync,
}

/// What to do with superusers.
#[derive(Clone, Debug, Subcommand)]
pub enum Superuser {
    /// Add a superuser.
    Create { email: String, password: String },
    /// Change a superuser's password.
    Update { email: String, password: String },
    /// Add a superuser, or change the password of an existing one.
    Upsert { email: String, password: String },
    /// Remove a superuser.
    Delete { email: String },
}

/// The command to run.
#[derive(Clone, Debug)]
pub enum Command {
    Serve(Serve),
    Superuser(Superuser),
    Migrate(Migrate),
    Openapi,
    /// A command of a script: its name and its arguments.
    Script(Vec<String>),
}

/// Options of `serve` alone.
#[derive(Clone, Debug)]
pub struct Serve {
    /// `host:port`.
    pub http: String,
}

/// The checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The data directory.
    pub dir: PathBuf,
    /// The time; a test's own where it moves it.
    pub clock: Clock,
    pub query_timeout: Duration,
    /// 32 characters, if the settings are to be encrypted.
    pub encryption_key: Option<String>,
    /// The name of the variable that the key came from, if there is one.
    pub encryption_env: String,
    /// Sites that may call from a browser; `*` is all.
    pub origins: Vec<String>,
    /// Threads that serve requests.
    pub workers: usize,
    /// The folder served at `/`, whether it exists or not.
    pub public_dir: PathBuf,
    pub index_fallback: bool,
    pub dev: bool,
    /// Private hosts, addresses and networks that requests to others may go to.
    pub http_allow_private: Vec<String>,
    /// Events that a topic keeps for clients that come back, and for how long.
    pub topic_log_events: usize,
    pub topic_log_age: Duration,
    /// Events that may wait for a slow client.
    pub stream_queue: usize,
    /// Event streams that may be open, in all and of one client.
    pub streams_max: usize,
    pub streams_per_client_max: usize,
    pub rtc: RtcConfig,
    /// The application modules as they are asked for: `all`, `none` or names. Without a word it depends on who made the
    /// directory.
    pub modules: Option<String>,
    pub hooks: HooksConfig,
    /// Names and values of Rotunda's own settings that flags fix.
    pub set: Vec<(String, String)>,
    /// All `ROTUNDA_*` variables; some of them fix settings too.
    pub variables: Vec<(String, String)>,
}

/// The port of rooms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RtcConfig {
    /// The UDP port; 0 takes a free one. Without a word it is [`RtcConfig::PORT`], or a free one while that is taken.
    pub port: Option<u16>,
    /// The addresses that clients are told; those of the machine where none is given.
    pub public_ips: Vec<IpAddr>,
}

impl RtcConfig {
    /// The port unless another is asked for.
    pub const PORT: u16 = 8189;
}

/// Where scripts are, and their bounds.
#[derive(Clone, Debug)]
pub struct HooksConfig {
    pub dir: PathBuf,
    pub modules_dir: PathBuf,
    pub migrations_dir: PathBuf,
    /// Write a migration file when collections change over the API.
    pub automigrate: bool,
    /// Reload scripts when their files change.
    pub watch: bool,
    /// The script time of one handler call.
    pub timeout: Duration,
    /// By how much the process may grow during one handler call, in bytes.
    pub growth_bytes_max: u64,
    /// Scripts may use files, the environment and commands.
    pub allow_os: bool,
}

impl HooksConfig {
    fn beside(dir: &Path) -> Self {
        Self {
            dir: beside(dir, "pb_hooks"),
            modules_dir: beside(dir, "pb_modules"),
            migrations_dir: beside(dir, "pb_migrations"),
            automigrate: false,
            watch: true,
            timeout: Duration::from_secs(5),
            growth_bytes_max: 512 << 20,
            allow_os: false,
        }
    }

    fn apply(&mut self, raw: RawHooks) {
        let paths = [
            (&mut self.dir, raw.hooks_dir),
            (&mut self.modules_dir, raw.modules_dir),
            (&mut self.migrations_dir, raw.migrations_dir),
        ];
        for (path, given) in paths {
            if let Some(given) = given {
                *path = given;
            }
        }
        self.automigrate = raw.automigrate;
        self.watch = raw.hooks_watch;
        self.timeout = Duration::from_secs(raw.hook_timeout_s);
        self.growth_bytes_max = raw.hook_memory_mib << 20;
        self.allow_os = raw.hooks_allow_os;
    }
}

impl Config {
    /// The defaults for a data directory.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        let dir = dir.into();
        Self {
            public_dir: beside(&dir, "pb_public"),
            modules: None,
            hooks: HooksConfig::beside(&dir),
            dir,
            clock: Clock::system(),
            query_timeout: Duration::from_secs(30),
            encryption_key: None,
            encryption_env: String::new(),
            origins: vec!["*".to_owned()],
            workers: cores(),
            index_fallback: true,
            dev: false,
            http_allow_private: Vec::new(),
            topic_log_events: 1_000,
            topic_log_age: Duration::from_secs(600),
            stream_queue: 1_024,
            streams_max: 50_000,
            streams_per_client_max: 5_000,
            rtc: RtcConfig::default(),
            set: Vec::new(),
            variables: Vec::new(),
        }
    }
}

/// Reads arguments and environment.
///
/// # Errors
/// clap's error, which prints itself with the usage (and stands for `--help` and `--version` too).
pub fn parse(
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<(Config, Command), clap::Error> {
    let raw = Raw::try_parse_from(arguments)?;
    let global = raw.global;
    let mut config = Config::new(global.dir);
    config.query_timeout = Duration::from_secs(global.query_timeout_s);
    config.encryption_key = encryption_key(&global.encryption_env)?;
    if config.encryption_key.is_some() {
        config.encryption_env = global.encryption_env;
    }
    config.index_fallback = global.index_fallback;
    config.dev = global.dev;
    config.http_allow_private = global.http_allow_private;
    config.modules = global.modules;
    config.set = global.set;
    config.variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name.starts_with("ROTUNDA_"))
        .collect();
    config.hooks.apply(global.hooks);
    if let Some(public_dir) = global.public_dir {
        config.public_dir = public_dir;
    }
    let command = match raw.command {
        RawCommand::Serve {
            http,
            origins,
            workers,
            live,
            rtc,
        } => {
            config.topic_log_events = live.topic_log_events as usize;
            config.topic_log_age = Duration::from_secs(u64::from(live.topic_log_s));
            config.stream_queue = live.stream_queue as usize;
            config.streams_max = live.streams_max as usize;
            config.streams_per_client_max = live.streams_per_client as usize;
            config.rtc = RtcConfig {
                port: rtc.rtc_port,
                public_ips: rtc.rtc_public_ip,
            };
            config.origins = origins;
            if let Some(workers) = workers {
                config.workers = usize::from(workers);
            }
            Command::Serve(Serve { http })
        }
        RawCommand::Superuser(action) => Command::Superuser(action),
        RawCommand::Migrate(action) => Command::Migrate(action),
        RawCommand::Openapi => Command::Openapi,
        RawCommand::Script(words) => Command::Script(words),
    };
    Ok((config, command))
}

/// The variables that flags stand for, in alphabetical order.
#[must_use]
pub fn variables() -> Vec<String> {
    fn collect(command: &clap::Command, names: &mut Vec<String>) {
        let own = command.get_arguments().filter_map(clap::Arg::get_env);
        names.extend(own.map(|name| name.to_string_lossy().into_owned()));
        for command in command.get_subcommands() {
            collect(command, names);
        }
    }
    let mut names = Vec::new();
    collect(&Raw::command(), &mut names);
    names.sort();
    names.dedup();
    names
}

fn pair(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('=');
    let (name, value) = parts.ok_or_else(|| "must be NAME=VALUE".to_owned())?;
    Ok((name.trim().to_owned(), value.to_owned()))
}

fn encryption_key(variable: &str) -> Result<Option<String>, clap::Error> {
    match std::env::var(variable) {
        Ok(key) if key.len() == crate::base::cipher::KEY_BYTES => Ok(Some(key)),
        Ok(key) if key.is_empty() => Ok(None),
        Err(std::env::VarError::NotPresent) => Ok(None),
        _ => Err(clap::Error::raw(
            clap::error::ErrorKind::ValueValidation,
            format!("the variable {variable} must hold exactly 32 characters\n"),
        )),
    }
}

/// A folder next to the data directory, where PocketBase has it too.
fn beside(dir: &Path, name: &str) -> PathBuf {
    match dir.parent() {
        Some(parent) if parent != Path::new("") => parent.join(name),
        _ => PathBuf::from(name),
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<(Config, Command), clap::Error> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn both_spellings_of_a_flag_are_read() {
        for line in [
            "server serve --dir /tmp/x/data --queryTimeout 5 --http 127.0.0.1:0",
            "server --dir /tmp/x/data --query-timeout 5 serve --http 127.0.0.1:0",
        ] {
            let (config, command) = parsed(line).unwrap();
            assert_eq!(config.query_timeout, Duration::from_secs(5));
            assert_eq!(config.public_dir, Path::new("/tmp/x/pb_public"));
            assert!(matches!(command, Command::Serve(serve) if serve.http == "127.0.0.1:0"));
        }
    }

    #[test]
    fn bounds_of_live_events_are_read() {
        let line = "server serve --topicLogEvents 5 --topic-log-seconds 60 --streamQueue 16 --streamsMax 9 --streamsPerClient 2";
        let (config, _) = parsed(line).unwrap();
        assert_eq!(config.topic_log_events, 5);
        assert_eq!(config.topic_log_age, Duration::from_secs(60));
        assert_eq!(config.stream_queue, 16);
        assert_eq!((config.streams_max, config.streams_per_client_max), (9, 2));
        for line in ["--topicLogEvents 0", "--streamQueue 1", "--streamsMax 0"] {
            assert!(parsed(&format!("server serve {line}")).is_err(), "{line}");
        }
    }

    #[test]
    fn the_port_of_rooms_and_its_addresses_are_read() {
        let line = "server serve --rtc-port 9000 --rtc-public-ip 203.0.113.7,2001:db8::7";
        let (config, _) = parsed(line).unwrap();
        assert_eq!(config.rtc.port, Some(9000));
        let ips: Vec<IpAddr> = ["203.0.113.7", "2001:db8::7"]
            .map(|ip| ip.parse().unwrap())
            .into();
        assert_eq!(config.rtc.public_ips, ips);
        let (config, _) = parsed("server serve").unwrap();
        assert_eq!(config.rtc, RtcConfig::default());
        for line in ["--rtc-port 70000", "--rtc-public-ip example.com"] {
            assert!(parsed(&format!("server serve {line}")).is_err(), "{line}");
        }
    }

    #[test]
    fn settings_are_fixed_by_pairs() {
        let line = "server serve --set payments.holdMinutes=10 --set a.b=c=d";
        let (config, _) = parsed(line).unwrap();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            config.set,
            [pair("payments.holdMinutes", "10"), pair("a.b", "c=d")]
        );
        assert!(parsed("server serve --set a.b").is_err());
    }

    #[test]
    fn values_out_of_bounds_and_unknown_flags_are_errors() {
        assert!(parsed("server serve --queryTimeout 0").is_err());
        assert!(parsed("server serve --nonsense").is_err());
        assert!(parsed("server superuser upsert only@one.example").is_err());
    }
}
