//! The daemon: a real `nix-daemon`, and peers that are none.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use floe_store::read::daemon::{self, ReadDaemonError};
use floe_store::{ReadSource, Store, StoreConfig, StoreDir};

use crate::stage::Stage;

/// A daemon that ends with the test.
struct Daemon {
    process: Child,
}

impl Daemon {
    fn start(stage: &Stage, socket: &Path) -> Self {
        let mut command = stage.command("nix-daemon");
        command.env("NIX_DAEMON_SOCKET_PATH", socket).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().expect("nix-daemon starts: install Debian's nix-bin");
        let daemon = Self { process };
        let deadline = Instant::now() + Duration::from_secs(20);
        while std::os::unix::net::UnixStream::connect(socket).is_err() {
            assert!(Instant::now() < deadline, "nix-daemon listens at {}", socket.display());
            thread::sleep(Duration::from_millis(10));
        }
        daemon
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // The daemon may have ended by itself; the test has its answer by now.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

#[test]
fn a_real_daemon_tells_what_the_database_tells() {
    let stage = Stage::rooted();
    let texts = stage.texts();
    let socket = stage.store.daemon_socket();
    std::fs::create_dir_all(socket.parent().expect("a folder")).expect("a folder");
    let _daemon = Daemon::start(&stage, &socket);

    let expected = stage.store.closure(&texts).expect("the database");
    let told = daemon::closure(&socket, stage.store.store_dir(), &texts).expect("the daemon");
    assert_eq!(told, expected);

    let missing = stage.parse("/nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-missing");
    let error = daemon::closure(&socket, stage.store.store_dir(), &[missing]).expect_err("no such path");
    assert!(matches!(error, ReadDaemonError::NotValid { .. }), "{error:?}");

    // A store of which only the socket can be seen, as in a container.
    let view = stage.folder().join("view");
    let config = StoreConfig { root: Some(view), ..StoreConfig::default() };
    let view = Store::new(config).with_nix("no-such-program-anywhere");
    let seen = view.daemon_socket();
    std::fs::create_dir_all(seen.parent().expect("a folder")).expect("a folder");
    std::os::unix::fs::symlink(&socket, &seen).expect("a symlink");
    let read = view.read_closure(&texts).expect("a closure");
    assert_eq!((read.source, read.closure), (ReadSource::Daemon, expected));
}

#[test]
fn peers_that_are_no_daemon_are_errors() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let greeting = [0x6478_696f_u64.to_le_bytes(), 0x123_u64.to_le_bytes()].concat();
    let huge = [greeting.clone(), u64::MAX.to_le_bytes().to_vec()].concat();
    for (index, (answer, expected)) in [
        (Vec::new(), "cannot greet the daemon"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), "is not the greeting"),
        (greeting[..12].to_vec(), "cannot greet the daemon"),
        (greeting, "cannot greet the daemon"),
        (huge, "cannot greet the daemon"),
        ([0x6478_696f_u64.to_le_bytes(), 0x10a_u64.to_le_bytes()].concat(), "speaks the protocol 1.10"),
    ]
    .into_iter()
    .enumerate()
    {
        let socket = folder.path().join(index.to_string());
        let peer = answer_once(&socket, answer);
        let path = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-app".parse().expect("a store path");
        let error = daemon::closure(&socket, &StoreDir::default(), &[path]).expect_err(expected);
        peer.join().expect("a peer that ends");
        assert!(error.to_string().contains(expected), "{error}");
    }
    let nobody = daemon::closure(&folder.path().join("nobody"), &StoreDir::default(), &[]);
    assert!(matches!(nobody, Err(ReadDaemonError::Connect { .. })));
}

/// A peer that reads a greeting, sends bytes, and hangs up.
fn answer_once(socket: &PathBuf, answer: Vec<u8>) -> thread::JoinHandle<()> {
    let listener = UnixListener::bind(socket).expect("a socket");
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut greeting = [0; 8];
        stream.read_exact(&mut greeting).expect("a greeting");
        stream.write_all(&answer).expect("an answer");
        stream.shutdown(std::net::Shutdown::Write).expect("an end");
        // The client may have hung up first.
        drop(stream.read_to_end(&mut Vec::new()));
    })
}
