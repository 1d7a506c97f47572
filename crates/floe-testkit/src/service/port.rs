//! A TCP port of 127.0.0.1 that nothing listens on.

use std::net::{Ipv4Addr, TcpListener};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

/// Below Linux's ephemeral range (32,768 to 60,999), so that no outgoing connection and no server that asked for
/// port 0 takes the port between this function's look and the program's bind.
const FIRST: u32 = 20_000;
/// One more than the last port that is handed out.
const END: u32 = 32_000;

/// Returns a port that was free a moment ago and that this process hands out only once in 12,000 calls.
///
/// For programs that must be told a port, such as a server in a container on the host's network. What can listen on
/// port 0 and say where it is does that instead. Processes that run at the same time start at different places.
///
/// # Panics
///
/// When all 12,000 ports are taken.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = process::id().wrapping_mul(97);
    for _ in FIRST..END {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let candidate = FIRST + start.wrapping_add(step) % (END - FIRST);
        let candidate = u16::try_from(candidate).expect("the range ends below 65,536");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, candidate)).is_ok() {
            return candidate;
        }
    }
    panic!("no port from {FIRST} to {END} is free on 127.0.0.1");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_calls_give_two_ports() {
        assert_ne!(free_port(), free_port());
    }
}
