//! A port of this machine's own with a thread for each connection: what every server and proxy of the kit stands on.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How long a connection may be idle, so that a client that hangs does not hang the tests.
const IDLE_TIMEOUT: Duration = Duration::from_secs(120);

/// How long a listener waits for its connections when it stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// A port of the kernel's choice. Dropping it closes all its connections.
pub(super) struct Listener {
    address: SocketAddr,
    connections: Arc<Connections>,
}

impl fmt::Debug for Listener {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Listener").field("address", &self.address).finish_non_exhaustive()
    }
}

/// The open connections, so that a listener that stops can close them.
#[derive(Default)]
struct Connections {
    open: Mutex<Open>,
    closed: Condvar,
}

#[derive(Default)]
struct Open {
    stopping: bool,
    next: u64,
    streams: BTreeMap<u64, TcpStream>,
}

impl Connections {
    fn lock(&self) -> MutexGuard<'_, Open> {
        // Whoever panicked with the lock held left the list whole: every change is one call.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener {
    /// Starts to hand connections to `serve`, which several threads call at once; a connection is closed when it returns.
    ///
    /// # Errors
    ///
    /// When no port can be bound.
    pub(super) fn start(
        serve: impl Fn(&TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::start_on(Ipv4Addr::LOCALHOST.into(), serve)
    }

    /// As [`Self::start`], on another address of this machine.
    pub(super) fn start_on(
        ip: IpAddr,
        serve: impl Fn(&TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind((ip, 0))?;
        let address = listener.local_addr()?;
        let connections = Arc::new(Connections::default());
        let serve = Arc::new(serve);
        let accepting = Arc::clone(&connections);
        thread::spawn(move || {
            for stream in listener.incoming() {
                // A connection that failed before it was accepted concerns its client alone.
                let Ok(stream) = stream else { continue };
                let Ok(copy) = stream.try_clone() else { continue };
                let mut open = accepting.lock();
                if open.stopping {
                    return;
                }
                let number = open.next;
                open.next += 1;
                open.streams.insert(number, copy);
                drop(open);

                let (connections, serve) = (Arc::clone(&accepting), Arc::clone(&serve));
                thread::spawn(move || {
                    let guard = Closing { connections, number };
                    // The client sees the same failure as we do, and it is the client that is under test.
                    drop(prepare(&stream).and_then(|()| serve(&stream)));
                    drop(stream.shutdown(Shutdown::Both));
                    drop(guard);
                });
            }
        });
        Ok(Self { address, connections })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Sets what holds for every connection of the kit, to either side.
pub(super) fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(IDLE_TIMEOUT))?;
    stream.set_write_timeout(Some(IDLE_TIMEOUT))?;
    // Messages are small and written whole: waiting for more to send would cost 40 ms a request.
    stream.set_nodelay(true)
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut open = self.connections.lock();
        open.stopping = true;
        for stream in open.streams.values() {
            // Already closed by the peer, then.
            drop(stream.shutdown(Shutdown::Both));
        }
        // Wakes the thread that accepts, which sees `stopping` and ends.
        drop(TcpStream::connect(self.address));
        let all_closed =
            self.connections.closed.wait_timeout_while(open, STOP_TIMEOUT, |open| !open.streams.is_empty());
        drop(all_closed);
    }
}

/// Takes its connection off the list, also when the thread panics.
struct Closing {
    connections: Arc<Connections>,
    number: u64,
}

impl Drop for Closing {
    fn drop(&mut self) {
        self.connections.lock().streams.remove(&self.number);
        self.connections.closed.notify_all();
    }
}
