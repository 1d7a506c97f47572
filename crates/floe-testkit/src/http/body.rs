//! The body of a message as a reader: RFC 9112, sections 6 and 7.

use std::fmt;
use std::io::{self, BufRead, Read};

use super::headers::{Headers, invalid, read_line};

/// How the end of a body is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// `Content-Length`: this many bytes are still to come.
    Length(u64),
    /// `Transfer-Encoding: chunked`: this many bytes of the current chunk are still to come; `None` before the first.
    Chunked(Option<u64>),
    /// The peer closes the connection; responses only.
    UntilClose,
}

impl Framing {
    /// Returns a request's framing: without either field there is no body.
    ///
    /// # Errors
    ///
    /// When `Content-Length` is not a number.
    pub fn of(headers: &Headers) -> io::Result<Self> {
        if headers.find("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            return Ok(Self::Chunked(None));
        }
        let length = headers.find("content-length").unwrap_or("0");
        length.parse().map(Self::Length).map_err(|_| invalid("a content-length that is not a number"))
    }
}

/// The body of one message, read from its connection.
pub struct Body<'connection> {
    reader: &'connection mut dyn BufRead,
    framing: Framing,
    read: u64,
    cut_after: Option<u64>,
}

impl fmt::Debug for Body<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Body").field("framing", &self.framing).field("read", &self.read).finish()
    }
}

impl<'connection> Body<'connection> {
    /// Wraps the connection, which stands at the body's first byte.
    pub fn new(reader: &'connection mut dyn BufRead, framing: Framing) -> Self {
        Self { reader, framing, read: 0, cut_after: None }
    }

    /// How many bytes of content were read so far.
    pub fn bytes_read(&self) -> u64 {
        self.read
    }

    /// Makes reading fail with [`io::ErrorKind::ConnectionReset`] after this many bytes of content.
    pub fn cut_after(&mut self, length: u64) {
        self.cut_after = Some(length);
    }

    /// Whether the whole body was read, so that the connection stands at the next message.
    pub fn is_finished(&self) -> bool {
        self.framing == Framing::Length(0)
    }

    /// How many bytes may be read before the framing has to be looked at again; 0 at the end.
    fn next_run(&mut self) -> io::Result<u64> {
        if self.framing == Framing::Chunked(None) {
            let size = self.read_chunk_size()?;
            self.framing = if size == 0 { Framing::Length(0) } else { Framing::Chunked(Some(size)) };
        }
        let run = match self.framing {
            Framing::Length(left) => left,
            Framing::Chunked(left) => left.unwrap_or(0),
            Framing::UntilClose => u64::MAX,
        };
        match self.cut_after {
            Some(cut) if run > 0 && self.read >= cut => Err(io::ErrorKind::ConnectionReset.into()),
            Some(cut) => Ok(run.min(cut - self.read.min(cut))),
            None => Ok(run),
        }
    }

    /// Reads a chunk's first line, and after the last chunk the trailer section.
    fn read_chunk_size(&mut self) -> io::Result<u64> {
        let mut budget = 4096;
        let line = read_line(self.reader, &mut budget)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let digits = line.split(';').next().unwrap_or_default().trim();
        let size =
            u64::from_str_radix(digits, 16).map_err(|_| invalid("a chunk size that is not a number"))?;
        if size == 0 {
            while !read_line(self.reader, &mut budget)?.ok_or(io::ErrorKind::UnexpectedEof)?.is_empty() {}
        }
        Ok(size)
    }

    fn advance(&mut self, length: u64) -> io::Result<()> {
        self.read += length;
        match &mut self.framing {
            Framing::Length(left) => *left -= length,
            Framing::Chunked(Some(left)) if *left == length => {
                self.framing = Framing::Chunked(None);
                let mut budget = 2;
                if !read_line(self.reader, &mut budget)?.ok_or(io::ErrorKind::UnexpectedEof)?.is_empty() {
                    return Err(invalid("a chunk that is longer than its size"));
                }
            }
            Framing::Chunked(Some(left)) => *left -= length,
            Framing::Chunked(None) | Framing::UntilClose => {}
        }
        Ok(())
    }
}

impl Read for Body<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let run = usize::try_from(self.next_run()?).unwrap_or(usize::MAX).min(buffer.len());
        if run == 0 {
            return Ok(0);
        }
        let length = self.reader.read(&mut buffer[..run])?;
        if length == 0 {
            return match self.framing {
                Framing::UntilClose => Ok(0),
                Framing::Length(_) | Framing::Chunked(_) => Err(io::ErrorKind::UnexpectedEof.into()),
            };
        }
        self.advance(length as u64)?;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(wire: &str, framing: Framing, cut: Option<u64>, expected: Result<&str, io::ErrorKind>) {
        let mut reader = wire.as_bytes();
        let mut body = Body::new(&mut reader, framing);
        if let Some(cut) = cut {
            body.cut_after(cut);
        }
        let mut content = String::new();
        let result = body.read_to_string(&mut content).map(|_| content.as_str());
        assert_eq!(result.map_err(|error| error.kind()), expected, "{wire:?} {framing:?} {cut:?}");
    }

    #[test]
    fn ends_where_its_framing_says() {
        let chunked = Framing::Chunked(None);
        check("hello more", Framing::Length(5), None, Ok("hello"));
        check("", Framing::Length(0), None, Ok(""));
        check("hell", Framing::Length(5), None, Err(io::ErrorKind::UnexpectedEof));
        check("hello", Framing::UntilClose, None, Ok("hello"));
        check("2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\nmore", chunked, None, Ok("hello"));
        check("0\r\ntrailer: x\r\n\r\nmore", chunked, None, Ok(""));
        check("2\r\nhe", chunked, None, Err(io::ErrorKind::UnexpectedEof));
        check("2\r\nhey\r\n", chunked, None, Err(io::ErrorKind::InvalidData));
        check("x\r\n", chunked, None, Err(io::ErrorKind::InvalidData));
        check("hello", Framing::Length(5), Some(3), Err(io::ErrorKind::ConnectionReset));
        check("hello", Framing::Length(5), Some(5), Ok("hello"));
        check("2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", chunked, Some(4), Err(io::ErrorKind::ConnectionReset));
    }
}
