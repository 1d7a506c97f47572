//! What an engine's program complains about: the end of its standard error.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::thread::{self, JoinHandle};

/// How much of an engine's complaint is kept: progress lines come first, the reason last.
const TAIL: usize = 4096;

/// Reads a stream to its end in a thread, so that its writer never waits, and keeps the last lines.
pub(super) fn keep_tail(mut stream: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut tail = VecDeque::new();
        let mut buffer = [0; 4096];
        loop {
            match stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => tail.extend(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // What was read until then is all that there is to show.
                Err(_) => break,
            }
            let surplus = tail.len().saturating_sub(TAIL);
            tail.drain(..surplus);
        }
        String::from_utf8_lossy(tail.make_contiguous()).trim().to_owned()
    })
}
