//! Password hashing: argon2id (RFC 9106) for new hashes, bcrypt for those PocketBase made, and a queue that keeps the
//! work off the threads that serve requests.

use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::oneshot;

use super::code::Code;

/// Memory of one argon2id hash in KiB (OWASP's recommendation: 19 MiB, two passes, one lane).
const ARGON2_MEMORY_KIB: u32 = 19_456;
const ARGON2_PASSES: u32 = 2;
const ARGON2_LANES: u32 = 1;
/// Bounds on foreign argon2 hashes, so that one from the database cannot take the server's memory.
const VERIFY_MEMORY_KIB_MAX: u32 = 256 * 1024;
const VERIFY_PASSES_MAX: u32 = 16;
/// The lowest and highest cost bcrypt has.
const BCRYPT_COSTS: std::ops::RangeInclusive<u32> = 4..=31;
/// bcrypt reads no more of a password.
const BCRYPT_BYTES_MAX: usize = 72;
/// Passwords longer than this are neither hashed nor verified.
pub const PASSWORD_BYTES_MAX: usize = 1024;
/// Hashes and verifications that may wait for each worker: about a second of work.
const PENDING_PER_WORKER: usize = 64;

/// Why a password was not hashed or verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// The password or the cost is outside what the algorithm takes.
    #[error("the password cannot be hashed")]
    Unhashable,
    /// Too many others wait already; try again later.
    #[error("too many passwords are being checked")]
    Busy,
}

impl PasswordError {
    /// The code a client is told.
    pub const fn code(self) -> Code {
        match self {
            Self::Unhashable => Code::BadRequest,
            Self::Busy => Code::TooManyRequests,
        }
    }
}

/// How a new hash is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// argon2id with the parameters above.
    Argon2id,
    /// bcrypt with a cost of 4 to 31, as PocketBase's password fields ask for.
    Bcrypt {
        /// Binary logarithm of the rounds.
        cost: u32,
    },
}

/// Hashes with argon2id into a PHC string (`$argon2id$v=19$m=19456,t=2,p=1$...`).
pub fn hash_argon2id(plain: &str) -> Result<String, PasswordError> {
    if plain.len() > PASSWORD_BYTES_MAX {
        return Err(PasswordError::Unhashable);
    }
    argon2()?
        .hash_password(plain.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|_| PasswordError::Unhashable)
}

/// Hashes with bcrypt (`$2a$...`, what PocketBase writes). Refuses passwords over 72 bytes instead of cutting them.
pub fn hash_bcrypt(plain: &str, cost: u32) -> Result<String, PasswordError> {
    if plain.len() > BCRYPT_BYTES_MAX || !BCRYPT_COSTS.contains(&cost) {
        return Err(PasswordError::Unhashable);
    }
    bcrypt::hash_with_result(plain, cost)
        .map(|hash| hash.format_for_version(bcrypt::Version::TwoA))
        .map_err(|_| PasswordError::Unhashable)
}

/// Hashes by the given scheme.
pub fn hash(plain: &str, scheme: Scheme) -> Result<String, PasswordError> {
    match scheme {
        Scheme::Argon2id => hash_argon2id(plain),
        Scheme::Bcrypt { cost } => hash_bcrypt(plain, cost),
    }
}

/// Whether `plain` is the password a hash was made of. An empty password, an empty or an unknown hash never match.
pub fn verify(hash: &str, plain: &str) -> bool {
    if hash.is_empty() || plain.is_empty() || plain.len() > PASSWORD_BYTES_MAX {
        return false;
    }
    if is_bcrypt(hash) {
        return bcrypt::verify(plain, hash).unwrap_or(false);
    }
    let Ok(parsed) = PasswordHash::new(hash) else {
        return false;
    };
    let affordable = Params::try_from(&parsed).is_ok_and(|params| {
        params.m_cost() <= VERIFY_MEMORY_KIB_MAX && params.t_cost() <= VERIFY_PASSES_MAX
    });
    affordable
        && argon2().is_ok_and(|argon2| argon2.verify_password(plain.as_bytes(), &parsed).is_ok())
}

/// Whether a hash is not what [`hash`] would make with this scheme now, so that it should be made anew at the next sign-in.
pub fn needs_rehash(hash: &str, scheme: Scheme) -> bool {
    match scheme {
        Scheme::Argon2id => {
            let wanted =
                format!("$argon2id$v=19$m={ARGON2_MEMORY_KIB},t={ARGON2_PASSES},p={ARGON2_LANES}$");
            !hash.starts_with(&wanted)
        }
        Scheme::Bcrypt { cost } => !hash
            .parse::<bcrypt::HashParts>()
            .is_ok_and(|parts| parts.get_cost() == cost),
    }
}

/// Whether a text has the form of a bcrypt hash.
pub fn is_bcrypt(hash: &str) -> bool {
    ["$2a$", "$2b$", "$2x$", "$2y$"]
        .iter()
        .any(|prefix| hash.starts_with(prefix))
}

fn argon2() -> Result<Argon2<'static>, PasswordError> {
    let params = Params::new(ARGON2_MEMORY_KIB, ARGON2_PASSES, ARGON2_LANES, None)
        .map_err(|_| PasswordError::Unhashable)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// A hash that no password matches, to spend the time of a verification on.
fn dummy_hash(scheme: Scheme) -> &'static str {
    static ARGON2ID: OnceLock<String> = OnceLock::new();
    static BCRYPT: OnceLock<String> = OnceLock::new();
    let made = |scheme| hash(&super::id::random_string(40), scheme).unwrap_or_default();
    match scheme {
        Scheme::Argon2id => ARGON2ID.get_or_init(|| made(scheme)),
        // One cost is enough to hide which identities exist from all but the most patient.
        Scheme::Bcrypt { .. } => BCRYPT.get_or_init(|| made(Scheme::Bcrypt { cost: 10 })),
    }
}

enum Job {
    Hash {
        plain: String,
        scheme: Scheme,
        reply: oneshot::Sender<Result<String, PasswordError>>,
    },
    Verify {
        hash: String,
        plain: String,
        reply: oneshot::Sender<bool>,
    },
    VerifyDummy {
        plain: String,
        scheme: Scheme,
        reply: oneshot::Sender<bool>,
    },
}

impl Job {
    /// Does the work, unless nobody waits for it any more.
    fn run(self) {
        match self {
            Self::Hash {
                plain,
                scheme,
                reply,
            } if !reply.is_closed() => {
                let _ = reply.send(hash(&plain, scheme));
            }
            Self::Verify { hash, plain, reply } if !reply.is_closed() => {
                let _ = reply.send(verify(&hash, &plain));
            }
            Self::VerifyDummy {
                plain,
                scheme,
                reply,
            } if !reply.is_closed() => {
                verify(dummy_hash(scheme), &plain);
                let _ = reply.send(false);
            }
            _ => {}
        }
    }
}

/// Hashes and verifies passwords on threads of its own, at most as many at once as there are cores, so that a rush of
/// sign-ins takes neither the threads that serve requests nor unbounded memory.
///
/// Clones are cheap and share the threads, which end with the last clone. A caller that stops waiting cancels its job if
/// that has not begun.
#[derive(Clone, Debug)]
pub struct PasswordQueue {
    jobs: SyncSender<Job>,
}

impl PasswordQueue {
    /// A queue with one worker per core.
    pub fn new() -> std::io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::with_workers(cores, cores * PENDING_PER_WORKER)
    }

    /// A queue with so many workers (at least one) where at most `pending_max` jobs wait.
    pub fn with_workers(workers: usize, pending_max: usize) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::sync_channel(pending_max);
        let queue = Arc::new(Mutex::new(queue));
        for index in 0..workers.max(1) {
            let queue = Arc::clone(&queue);
            std::thread::Builder::new()
                .name(format!("password-{index}"))
                .spawn(move || while run_next(&queue) {})?;
        }
        Ok(Self { jobs })
    }

    /// Hashes a password.
    pub async fn hash(&self, plain: String, scheme: Scheme) -> Result<String, PasswordError> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Hash {
            plain,
            scheme,
            reply,
        })?;
        answer.await.unwrap_or(Err(PasswordError::Busy))
    }

    /// Verifies a password against a hash; see [`verify`].
    pub async fn verify(&self, hash: String, plain: String) -> Result<bool, PasswordError> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Verify { hash, plain, reply })?;
        answer.await.map_err(|_| PasswordError::Busy)
    }

    /// Takes as long as a verification that fails: for identities that do not exist, so that time does not tell them
    /// apart. `scheme` is that of the collection's hashes.
    pub async fn verify_dummy(&self, plain: String, scheme: Scheme) -> Result<(), PasswordError> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::VerifyDummy {
            plain,
            scheme,
            reply,
        })?;
        answer.await.map(drop).map_err(|_| PasswordError::Busy)
    }

    fn send(&self, job: Job) -> Result<(), PasswordError> {
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) | TrySendError::Disconnected(_) => PasswordError::Busy,
        })
    }
}

/// Waits for the next job and does it; false when there will be none any more. The lock is held while waiting, not while
/// working: the other idle workers wait for the lock instead.
fn run_next(queue: &Mutex<Receiver<Job>>) -> bool {
    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
    match next {
        Ok(job) => {
            job.run();
            true
        }
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn argon2id_hashes_have_the_stated_parameters_and_verify() {
        let hash = hash_argon2id("1234567890").unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        assert!(verify(&hash, "1234567890"));
        assert!(!verify(&hash, "1234567891"));
        assert!(!needs_rehash(&hash, Scheme::Argon2id));
        assert!(needs_rehash(&hash, Scheme::Bcrypt { cost: 10 }));
    }

    #[test]
    fn bcrypt_hashes_look_like_those_of_pocketbase_and_verify() {
        let hash = hash_bcrypt("1234567890", 4).unwrap();
        assert!(hash.starts_with("$2a$04$"), "{hash}");
        assert!(verify(&hash, "1234567890"));
        assert!(!verify(&hash, "x"));
        assert!(!needs_rehash(&hash, Scheme::Bcrypt { cost: 4 }));
        assert!(needs_rehash(&hash, Scheme::Bcrypt { cost: 5 }));
        assert!(needs_rehash(&hash, Scheme::Argon2id));
    }

    #[test]
    fn hashes_other_programs_made_verify() {
        // From RFC-conforming implementations: Openwall's test suite for bcrypt and the reference argon2 command.
        assert!(verify(
            "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
            "U*U"
        ));
        assert!(verify(
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "password"
        ));
    }

    #[test]
    fn unknown_empty_and_excessive_hashes_never_match() {
        for hash in [
            "",
            "plain",
            "$2a$",
            "$2a$99$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
            "$argon2id$v=19$m=4000000,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ",
        ] {
            assert!(!verify(hash, "U*U"), "{hash}");
        }
        assert!(!verify(&hash_bcrypt("x", 4).unwrap(), ""));
        assert_eq!(
            hash_bcrypt(&"x".repeat(73), 4),
            Err(PasswordError::Unhashable)
        );
        assert_eq!(hash_bcrypt("x", 3), Err(PasswordError::Unhashable));
        assert_eq!(
            hash_argon2id(&"x".repeat(PASSWORD_BYTES_MAX + 1)),
            Err(PasswordError::Unhashable)
        );
    }

    #[tokio::test]
    async fn the_queue_hashes_and_verifies() {
        let queue = PasswordQueue::with_workers(2, 4).unwrap();
        let cheap = Scheme::Bcrypt { cost: 4 };
        let hash = queue.hash("secret".to_owned(), cheap).await.unwrap();
        assert_eq!(
            queue.verify(hash.clone(), "secret".to_owned()).await,
            Ok(true)
        );
        assert_eq!(queue.verify(hash, "other".to_owned()).await, Ok(false));
        assert_eq!(
            queue.verify_dummy("x".to_owned(), Scheme::Argon2id).await,
            Ok(())
        );
    }

    #[tokio::test]
    async fn a_full_queue_answers_busy_and_forgotten_jobs_are_skipped() {
        let queue = PasswordQueue::with_workers(1, 1).unwrap();
        let mut waiting = Vec::new();
        let mut busy = 0;
        for _ in 0..8 {
            let (reply, answer) = oneshot::channel();
            match queue.send(Job::VerifyDummy {
                plain: "x".to_owned(),
                scheme: Scheme::Bcrypt { cost: 10 },
                reply,
            }) {
                Ok(()) => waiting.push(answer),
                Err(error) => {
                    assert_eq!(error, PasswordError::Busy);
                    busy += 1;
                }
            }
        }
        // One or two run or wait; the rest found no room.
        assert!(busy >= 6, "{busy}");
        for answer in waiting {
            answer.await.unwrap();
        }
        let (reply, answer) = oneshot::channel();
        drop(answer);
        Job::Hash {
            plain: "x".to_owned(),
            scheme: Scheme::Argon2id,
            reply,
        }
        .run();
    }
}
