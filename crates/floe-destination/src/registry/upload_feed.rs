//! The bytes of one upload on their way from a writing thread to the network.
//!
//! A bounded channel comes in; any number of request bodies go out, one after the other. The last bytes are kept, so
//! that a broken upload can go on from where the registry says it stands. Memory: the window and a few parts.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

/// Parts between writer and network: enough that neither waits for the other's every step.
const PARTS_IN_FLIGHT: usize = 4;

/// What a writer sends.
pub(super) enum Part {
    /// More bytes.
    Bytes(Bytes),
    /// The blob is whole. A channel that closes without this was abandoned.
    End,
}

/// A blob's bytes, as far as they were written.
pub(super) struct Feed {
    state: Mutex<State>,
    window: u64,
    /// Told how many bytes were handed to the network.
    told: Box<dyn Fn(u64) + Send + Sync>,
}

struct State {
    receiver: mpsc::Receiver<Part>,
    kept: VecDeque<Bytes>,
    /// The offset of the first kept byte.
    kept_from: u64,
    /// The offset behind the last byte that was written.
    end: u64,
    ended: bool,
    abandoned: bool,
    /// Whether the network waits for the writer.
    starving: bool,
    /// Counts what was handed to the network, to see whether it moves.
    handed_out: u64,
}

/// How far an upload is, to tell a silent network from a slow writer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) handed_out: u64,
    pub(super) starving: bool,
    /// The offset behind the last byte that was written.
    pub(super) end: u64,
    pub(super) ended: bool,
}

impl Feed {
    pub(super) fn new(
        window: usize,
        told: Box<dyn Fn(u64) + Send + Sync>,
    ) -> (mpsc::Sender<Part>, Arc<Self>) {
        let (sender, receiver) = mpsc::channel(PARTS_IN_FLIGHT);
        let state = State {
            receiver,
            kept: VecDeque::new(),
            kept_from: 0,
            end: 0,
            ended: false,
            abandoned: false,
            starving: false,
            handed_out: 0,
        };
        (sender, Arc::new(Self { state: Mutex::new(state), window: window as u64, told }))
    }

    /// Whether a body can begin at this offset.
    pub(super) fn reaches(&self, offset: u64) -> bool {
        let state = self.lock();
        state.kept_from <= offset && offset <= state.end
    }

    /// Whether the writer went away before the blob was whole.
    pub(super) fn is_abandoned(&self) -> bool {
        self.lock().abandoned
    }

    pub(super) fn progress(&self) -> Progress {
        let state = self.lock();
        Progress {
            handed_out: state.handed_out,
            starving: state.starving,
            end: state.end,
            ended: state.ended,
        }
    }

    /// A request body from this offset on; `length` is what is left, where the blob's size is known.
    pub(super) fn body(self: &Arc<Self>, offset: u64, length: Option<u64>) -> FeedBody {
        FeedBody { feed: Arc::clone(self), offset, length }
    }

    /// Makes the writer's next write fail: nobody takes its bytes any more.
    pub(super) fn close(&self) {
        self.lock().receiver.close();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic in the channel's code is not ours to repair; the counters stay usable.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn poll(&self, offset: u64, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let mut state = self.lock();
        if offset < state.end {
            let Some(bytes) = state.kept_at(offset) else {
                return Poll::Ready(Some(Err(io::Error::other(
                    "bytes that are kept no more were asked for",
                ))));
            };
            state.handed_out += bytes.len() as u64;
            return Poll::Ready(Some(Ok(bytes)));
        }
        if state.ended {
            return Poll::Ready(None);
        }
        let part = match state.receiver.poll_recv(context) {
            Poll::Pending => {
                state.starving = true;
                return Poll::Pending;
            }
            Poll::Ready(part) => part,
        };
        state.starving = false;
        match part {
            Some(Part::Bytes(bytes)) => {
                state.keep(bytes.clone(), self.window);
                state.handed_out += bytes.len() as u64;
                Poll::Ready(Some(Ok(bytes)))
            }
            Some(Part::End) => {
                state.ended = true;
                Poll::Ready(None)
            }
            None => {
                state.abandoned = true;
                Poll::Ready(Some(Err(io::Error::other("the blob's writer went away"))))
            }
        }
    }
}

impl State {
    fn keep(&mut self, bytes: Bytes, window: u64) {
        self.end += bytes.len() as u64;
        self.kept.push_back(bytes);
        while let Some(first) = self.kept.front()
            && self.end - self.kept_from - first.len() as u64 >= window
        {
            self.kept_from += first.len() as u64;
            self.kept.pop_front();
        }
    }

    fn kept_at(&self, offset: u64) -> Option<Bytes> {
        let mut start = self.kept_from;
        if offset < start {
            return None;
        }
        for bytes in &self.kept {
            let end = start + bytes.len() as u64;
            if offset < end {
                let skipped = usize::try_from(offset - start).ok()?;
                return Some(bytes.slice(skipped..));
            }
            start = end;
        }
        None
    }
}

/// One request's body.
pub(super) struct FeedBody {
    feed: Arc<Feed>,
    offset: u64,
    length: Option<u64>,
}

impl Body for FeedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.length == Some(0) {
            // The network has all it was promised, but the blob is whole only when the writer says so.
            let offset = self.offset;
            return match self.feed.poll(offset, context) {
                Poll::Ready(None) => Poll::Ready(None),
                Poll::Ready(Some(Ok(_))) => {
                    Poll::Ready(Some(Err(io::Error::other("more bytes came than the blob has"))))
                }
                Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error))),
                Poll::Pending => Poll::Pending,
            };
        }
        let bytes = match self.feed.poll(self.offset, context) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(None) if self.length.is_none() => return Poll::Ready(None),
            Poll::Ready(None) => {
                return Poll::Ready(Some(Err(io::Error::other("the blob ended before its size"))));
            }
            Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
            Poll::Ready(Some(Ok(bytes))) => bytes,
        };
        let size = bytes.len() as u64;
        self.offset += size;
        if let Some(length) = &mut self.length {
            let Some(left) = length.checked_sub(size) else {
                return Poll::Ready(Some(Err(io::Error::other("more bytes came than the blob has"))));
            };
            *length = left;
        }
        (self.feed.told)(size);
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    fn read(body: &mut FeedBody) -> Option<Result<Vec<u8>, String>> {
        let mut context = Context::from_waker(Waker::noop());
        match Pin::new(body).poll_frame(&mut context) {
            Poll::Pending => Some(Err("pending".to_owned())),
            Poll::Ready(None) => None,
            Poll::Ready(Some(Err(error))) => Some(Err(error.to_string())),
            Poll::Ready(Some(Ok(frame))) => {
                Some(Ok(frame.into_data().map(|bytes| bytes.to_vec()).unwrap_or_default()))
            }
        }
    }

    fn send(sender: &mpsc::Sender<Part>, text: &'static str) {
        assert!(sender.try_send(Part::Bytes(Bytes::from_static(text.as_bytes()))).is_ok());
    }

    #[test]
    fn replays_what_it_keeps() {
        let (sender, feed) = Feed::new(4, Box::new(|_| ()));
        send(&sender, "abc");
        send(&sender, "def");
        send(&sender, "ghi");
        let mut body = feed.body(0, None);
        for expected in ["abc", "def", "ghi"] {
            assert_eq!(read(&mut body), Some(Ok(expected.as_bytes().to_vec())));
        }
        assert_eq!(read(&mut body), Some(Err("pending".to_owned())));
        assert!(!feed.reaches(2) && feed.reaches(3) && feed.reaches(9) && !feed.reaches(10));
        let mut body = feed.body(4, Some(5));
        assert_eq!(read(&mut body), Some(Ok(b"ef".to_vec())));
        assert_eq!(read(&mut body), Some(Ok(b"ghi".to_vec())));
        assert!(sender.try_send(Part::End).is_ok());
        assert_eq!(read(&mut body), None);
    }

    #[test]
    fn an_abandoned_blob_is_an_error() {
        let (sender, feed) = Feed::new(4, Box::new(|_| ()));
        send(&sender, "abc");
        drop(sender);
        let mut body = feed.body(0, None);
        assert_eq!(read(&mut body), Some(Ok(b"abc".to_vec())));
        assert!(matches!(read(&mut body), Some(Err(_))));
        assert!(feed.is_abandoned());
    }

    #[test]
    fn a_size_is_kept() {
        for (size, text) in [(2, "abc"), (4, "abc")] {
            let (sender, feed) = Feed::new(8, Box::new(|_| ()));
            send(&sender, text);
            assert!(sender.try_send(Part::End).is_ok());
            let mut body = feed.body(0, Some(size));
            let failed = (0..3).any(|_| matches!(read(&mut body), Some(Err(_))));
            assert!(failed, "{size}");
        }
    }
}
