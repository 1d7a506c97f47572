//! The daemon, asked over its socket: a client of Nix's worker protocol that only queries paths.
//!
//! Roots come in, and one `QueryPathInfo` per path later their closure goes out. Versions 1.21 (Nix 2.0) to 1.35 are
//! spoken; a newer daemon answers in 1.35. Sources: Nix `worker-protocol.hh`; `remote-store.cc`, `initConnection`
//! and `queryPathInfoUncached`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use super::daemon_wire::WireError;

use super::daemon_wire::{WireReader, put_number, put_string};
use crate::{Closure, ClosureError, NarHash, PathInfo, StoreDir, StorePath};

/// `WORKER_MAGIC_1`, the client's greeting.
const CLIENT_MAGIC: u64 = 0x6e69_7863;

/// `WORKER_MAGIC_2`, the daemon's.
const DAEMON_MAGIC: u64 = 0x6478_696f;

/// The protocol's major version, which never changed.
const MAJOR: u64 = 1;

/// The oldest minor version that is spoken: Nix 2.0.
const OLDEST_MINOR: u64 = 21;

/// The newest minor version that is spoken: Nix 2.15. Later ones add features that a query does not need.
const NEWEST_MINOR: u64 = 35;

/// `wopQueryPathInfo`.
const QUERY_PATH_INFO: u64 = 26;

/// How long an answer is waited for. The daemon answers from its database, but may ask substituters first.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Why the daemon told no closure.
#[derive(Debug, thiserror::Error)]
pub enum ReadDaemonError {
    /// Nothing listens at the socket, or it may not be used.
    #[error("cannot connect to the Nix daemon at {}", socket.display())]
    Connect {
        /// The socket's path.
        socket: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// What listens is no Nix daemon.
    #[error("{found:#x} is not the greeting of a Nix daemon: expected {DAEMON_MAGIC:#x}")]
    NoDaemon {
        /// The number that came.
        found: u64,
    },
    /// The daemon is from before Nix 2.0, or from a distant future.
    #[error("the Nix daemon speaks the protocol {major}.{minor}: expected 1.{OLDEST_MINOR} or later")]
    Version {
        /// Its major version.
        major: u64,
        /// Its minor version.
        minor: u64,
    },
    /// The daemon hung up, refused, or sent what the protocol does not know.
    #[error("cannot {action}")]
    Exchange {
        /// What was being done.
        action: String,
        /// Why it failed.
        #[source]
        source: WireError,
    },
    /// The path is not valid.
    #[error("{path} is not a valid path")]
    NotValid {
        /// The full path.
        path: String,
    },
    /// The daemon described a path with something else than paths and hashes.
    #[error("the daemon describes {path} with '{found}': expected {expected}")]
    BadInfo {
        /// The full path.
        path: String,
        /// What it sent.
        found: String,
        /// What belongs there.
        expected: &'static str,
    },
    /// The answers do not form a closure.
    #[error("the daemon's answers form no closure")]
    NoClosure {
        /// Why not.
        #[source]
        source: ClosureError,
    },
}

/// Reads the closure of `roots` from the daemon at a socket.
///
/// # Errors
/// When no daemon answers there, a root is not valid, or an answer is malformed.
pub fn closure(socket: &Path, store_dir: &StoreDir, roots: &[StorePath]) -> Result<Closure, ReadDaemonError> {
    let connect = |source| ReadDaemonError::Connect { socket: socket.to_owned(), source };
    let stream = UnixStream::connect(socket).map_err(connect)?;
    stream.set_read_timeout(Some(TIMEOUT)).map_err(connect)?;
    stream.set_write_timeout(Some(TIMEOUT)).map_err(connect)?;
    let reader = io::BufReader::new(stream.try_clone().map_err(connect)?);
    let mut client = Client::connect(reader, stream, store_dir)?;
    let mut infos: BTreeMap<StorePath, PathInfo> = BTreeMap::new();
    let mut known: BTreeSet<StorePath> = roots.iter().cloned().collect();
    let mut waiting: Vec<StorePath> = known.iter().cloned().collect();
    while let Some(path) = waiting.pop() {
        let info = client.query(&path)?;
        for reference in &info.references {
            if known.insert(reference.clone()) {
                waiting.push(reference.clone());
            }
        }
        infos.insert(path, info);
    }
    Closure::new(store_dir.clone(), roots.iter().cloned(), infos.into_values())
        .map_err(|source| ReadDaemonError::NoClosure { source })
}

/// Parses what a daemon of protocol 1.`minor` answers to a query for `path`, its log included.
///
/// # Errors
/// When the answer is malformed, or says that the path is not valid.
pub fn parse_path_info(
    bytes: &[u8],
    minor: u64,
    path: &StorePath,
    store_dir: &StoreDir,
) -> Result<PathInfo, ReadDaemonError> {
    read_path_info(&mut WireReader::new(bytes), minor, path, store_dir)
}

/// A connection after its handshake.
struct Client<'a, R, W> {
    reader: WireReader<R>,
    writer: W,
    /// Invariant: between the oldest and the newest minor version.
    minor: u64,
    store_dir: &'a StoreDir,
}

impl<'a, R: Read, W: Write> Client<'a, R, W> {
    fn connect(reader: R, writer: W, store_dir: &'a StoreDir) -> Result<Self, ReadDaemonError> {
        let mut client = Self { reader: WireReader::new(reader), writer, minor: NEWEST_MINOR, store_dir };
        client.send("greet the daemon", |out| put_number(CLIENT_MAGIC, out))?;
        let magic = client.reader.number().map_err(greeting)?;
        if magic != DAEMON_MAGIC {
            return Err(ReadDaemonError::NoDaemon { found: magic });
        }
        let version = client.reader.number().map_err(greeting)?;
        let (major, minor) = (version >> 8, version & 0xff);
        if major != MAJOR || minor < OLDEST_MINOR {
            return Err(ReadDaemonError::Version { major, minor });
        }
        client.minor = minor.min(NEWEST_MINOR);
        client.send("greet the daemon", |out| {
            put_number(MAJOR << 8 | NEWEST_MINOR, out);
            // No processor is asked for (1.14), and no space reserved (1.11): both are obsolete.
            put_number(0, out);
            put_number(0, out);
        })?;
        if client.minor >= 33 {
            client.reader.string().map_err(greeting)?;
        }
        if client.minor >= 35 {
            // Whether the daemon trusts this client; a query needs no trust.
            client.reader.number().map_err(greeting)?;
        }
        client.reader.skip_log(client.minor).map_err(greeting)?;
        Ok(client)
    }

    fn query(&mut self, path: &StorePath) -> Result<PathInfo, ReadDaemonError> {
        let full_path = self.store_dir.full_path(path);
        self.send(&format!("ask the daemon about {full_path}"), |out| {
            put_number(QUERY_PATH_INFO, out);
            put_string(&full_path, out);
        })?;
        read_path_info(&mut self.reader, self.minor, path, self.store_dir)
    }

    fn send(&mut self, action: &str, put: impl FnOnce(&mut Vec<u8>)) -> Result<(), ReadDaemonError> {
        let mut out = Vec::new();
        put(&mut out);
        self.writer.write_all(&out).and_then(|()| self.writer.flush()).map_err(|source| {
            ReadDaemonError::Exchange { action: action.to_owned(), source: WireError::Broken { source } }
        })
    }
}

fn greeting(source: WireError) -> ReadDaemonError {
    ReadDaemonError::Exchange { action: "greet the daemon".to_owned(), source }
}

fn read_path_info<R: Read>(
    reader: &mut WireReader<R>,
    minor: u64,
    path: &StorePath,
    store_dir: &StoreDir,
) -> Result<PathInfo, ReadDaemonError> {
    let full_path = store_dir.full_path(path);
    let answer = read_answer(reader, minor).map_err(|source| ReadDaemonError::Exchange {
        action: format!("read what the daemon knows about {full_path}"),
        source,
    })?;
    let Some(answer) = answer else { return Err(ReadDaemonError::NotValid { path: full_path }) };
    let bad = |found: &str, expected| ReadDaemonError::BadInfo {
        path: full_path.clone(),
        found: found.to_owned(),
        expected,
    };
    let store_path =
        |text: &String| store_dir.parse(text).map_err(|_| bad(text, "a path in the store directory"));
    let nar_hash: Result<NarHash, _> = format!("sha256:{}", answer.nar_hash).parse();
    Ok(PathInfo {
        path: path.clone(),
        nar_hash: nar_hash.map_err(|_| bad(&answer.nar_hash, "a SHA-256 in hex"))?,
        nar_size: match i64::try_from(answer.nar_size) {
            Ok(_) => answer.nar_size,
            Err(_) => return Err(bad(&answer.nar_size.to_string(), "the bytes of a NAR")),
        },
        references: answer.references.iter().map(store_path).collect::<Result<_, _>>()?,
        deriver: Some(&answer.deriver).filter(|deriver| !deriver.is_empty()).map(store_path).transpose()?,
        content_address: Some(answer.content_address).filter(|address| !address.is_empty()),
    })
}

/// The answer's fields as they stand on the wire.
struct Answer {
    deriver: String,
    nar_hash: String,
    references: Vec<String>,
    nar_size: u64,
    content_address: String,
}

fn read_answer<R: Read>(reader: &mut WireReader<R>, minor: u64) -> Result<Option<Answer>, WireError> {
    reader.skip_log(minor)?;
    if !reader.flag()? {
        return Ok(None);
    }
    let deriver = reader.string()?;
    let nar_hash = reader.string()?;
    let references = reader.strings()?;
    let _registration_time = reader.number()?;
    let nar_size = reader.number()?;
    let _is_ultimate = reader.flag()?;
    let _signatures = reader.strings()?;
    let content_address = reader.string()?;
    Ok(Some(Answer { deriver, nar_hash, references, nar_size, content_address }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const LAST: u64 = 0x616c_7473;
    const ERROR: u64 = 0x6378_7470;

    /// A value on the wire.
    #[derive(Clone, Debug)]
    enum Sent {
        Number(u64),
        Text(String),
    }

    fn numbers(values: &[u64]) -> Vec<Sent> {
        values.iter().copied().map(Sent::Number).collect()
    }

    fn text(text: impl Into<String>) -> Sent {
        Sent::Text(text.into())
    }

    fn bytes(values: &[Sent]) -> Vec<u8> {
        let mut out = Vec::new();
        for value in values {
            match value {
                Sent::Number(number) => put_number(*number, &mut out),
                Sent::Text(text) => put_string(text, &mut out),
            }
        }
        out
    }

    fn path(name: &str) -> StorePath {
        format!("{}-{name}", "a".repeat(32)).parse().expect("a well-formed path")
    }

    fn answer(nar_hash: &str, reference: &str) -> Vec<Sent> {
        let mut answer = numbers(&[LAST, 1]);
        answer.extend([text(""), text(nar_hash), Sent::Number(1), text(reference)]);
        answer.extend(numbers(&[7, 120, 0, 0]));
        answer.push(text("text:sha256:x"));
        answer
    }

    fn parse(values: &[Sent], minor: u64) -> Result<PathInfo, ReadDaemonError> {
        parse_path_info(&bytes(values), minor, &path("app"), &StoreDir::default())
    }

    #[test]
    fn reads_an_answer_behind_a_log() {
        let reference = StoreDir::default().full_path(&path("library"));
        let mut log = numbers(&[0x6f6c_6d67]);
        log.push(text("hello"));
        log.extend(numbers(&[0x5354_5254, 1, 2, 3]));
        log.push(text("activity"));
        log.extend(numbers(&[2, 0, 5, 1]));
        log.push(text("field"));
        log.extend(numbers(&[0, 0x5253_4c54, 1, 2, 0, 0x5354_4f50, 1]));
        log.extend(answer(HEX, &reference));
        let info = parse(&log, 35).expect("an answer");
        assert_eq!((info.nar_size, info.references.len()), (120, 1));
        assert_eq!(info.content_address.as_deref(), Some("text:sha256:x"));
    }

    #[test]
    fn refuses_malformed_answers() {
        let reference = StoreDir::default().full_path(&path("library"));
        let error =
            [numbers(&[ERROR]), vec![text("Error")], numbers(&[0]), vec![text("Error"), text("no luck")]];
        let new_error: Vec<Sent> = error.concat().into_iter().chain(numbers(&[0, 0])).collect();
        let old_error = [numbers(&[ERROR]), vec![text("no luck")], numbers(&[1])].concat();
        let long = numbers(&[LAST, 1, u64::MAX]);
        let many = [numbers(&[LAST, 1]), vec![text(""), text(HEX)], numbers(&[u64::MAX])].concat();
        for (values, minor, expected) in [
            (new_error, 35, "no luck"),
            (old_error, 21, "no luck"),
            (long, 35, "a string of length 18446744073709551615"),
            (many, 35, "a list of length 18446744073709551615"),
            (numbers(&[LAST, 1, 8]), 35, "the connection broke"),
            (numbers(&[LAST, 1, 1, 0x6161]), 35, "a string is malformed"),
            (numbers(&[77]), 35, "0x4d is no message"),
            (numbers(&[LAST, 0]), 35, "is not a valid path"),
            (answer("zz", &reference), 35, "a SHA-256 in hex"),
            (answer(HEX, "/etc/passwd"), 35, "a path in the store directory"),
        ] {
            let error = parse(&values, minor).expect_err(expected);
            let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            assert!(format!("{error}: {cause}").contains(expected), "{error}: {cause}");
        }
    }

    #[test]
    fn greets_old_and_new_daemons() {
        let store_dir = StoreDir::default();
        let connect = |values: &[Sent]| {
            let mut sent = Vec::new();
            let minor =
                Client::connect(&bytes(values)[..], &mut sent, &store_dir).map(|client| client.minor)?;
            Ok::<_, ReadDaemonError>((minor, sent.len()))
        };
        assert_eq!(connect(&numbers(&[DAEMON_MAGIC, 0x115, LAST])).expect("Nix 2.0"), (21, 32));
        let newest = [numbers(&[DAEMON_MAGIC, 0x126]), vec![text("2.34.0")], numbers(&[1, LAST])].concat();
        assert_eq!(connect(&newest).expect("a newer Nix"), (35, 32));
        assert!(matches!(connect(&numbers(&[1])), Err(ReadDaemonError::NoDaemon { found: 1 })));
        let old = connect(&numbers(&[DAEMON_MAGIC, 0x10a]));
        assert!(matches!(old, Err(ReadDaemonError::Version { major: 1, minor: 10 })));
        assert!(matches!(connect(&[]), Err(ReadDaemonError::Exchange { .. })));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200),
            minor in OLDEST_MINOR..=NEWEST_MINOR,
        ) {
            drop(parse_path_info(&bytes, minor, &path("app"), &StoreDir::default()));
        }

        #[test]
        fn never_panics_on_messages(values in proptest::collection::vec(
            proptest::sample::select(vec![LAST, ERROR, 0x6f6c_6d67, 0x5354_5254, 0x5354_4f50, 0x5253_4c54, 0, 1, 2, 8]), 0..40,
        )) {
            drop(parse_path_info(&bytes(&numbers(&values)), 35, &path("app"), &StoreDir::default()));
        }
    }
}
