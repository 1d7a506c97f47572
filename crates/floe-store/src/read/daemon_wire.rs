//! What the daemon's protocol is made of: little-endian numbers, padded strings, and the messages that
//! come before each answer (Nix `serialise.cc`; `worker-protocol.hh`, `STDERR_*`).
//!
//! Every length is checked before memory is taken for it: the peer is trusted with answers, not with memory.

use std::io::{self, Read};

/// Bytes of one string: paths, hashes and error messages are far shorter.
const LONGEST_STRING: u64 = 1024 * 1024;

/// Strings of one list, such as a path's references; the store's largest environments stay below it.
const LONGEST_LIST: u64 = 1_000_000;

/// Log messages before one answer; a peer that only talks is cut off.
const MOST_MESSAGES: usize = 100_000;

/// Why the daemon's bytes cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The connection broke, or nothing came in time.
    #[error("the connection broke")]
    Broken {
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A length is larger than anything that Nix sends; reading it would only take memory.
    #[error("{what} of length {length} exceeds {limit}")]
    TooLong {
        /// What has the length.
        what: &'static str,
        /// The length that was announced.
        length: u64,
        /// The limit.
        limit: u64,
    },
    /// A string holds other bytes than UTF-8, or is not padded with zeros.
    #[error("a string is malformed: expected UTF-8, padded with zeros to a multiple of 8")]
    BadString,
    /// A number stands where the protocol has none of that value.
    #[error("{found:#x} is no {expected}")]
    Unexpected {
        /// The number.
        found: u64,
        /// What belongs there.
        expected: &'static str,
    },
    /// The daemon refused the request.
    #[error("the daemon answered: {message}")]
    Refused {
        /// Its message.
        message: String,
    },
}

/// Reads values off the daemon's side of the connection.
pub(super) struct WireReader<R> {
    reader: R,
}

impl<R: Read> WireReader<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader }
    }

    pub(super) fn number(&mut self) -> Result<u64, WireError> {
        let mut bytes = [0; 8];
        self.reader.read_exact(&mut bytes).map_err(|source| WireError::Broken { source })?;
        Ok(u64::from_le_bytes(bytes))
    }

    pub(super) fn flag(&mut self) -> Result<bool, WireError> {
        self.number().map(|number| number != 0)
    }

    pub(super) fn string(&mut self) -> Result<String, WireError> {
        String::from_utf8(self.bytes()?).map_err(|_| WireError::BadString)
    }

    /// A string that is only shown, so its bytes need not be UTF-8.
    fn message(&mut self) -> Result<String, WireError> {
        self.bytes().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    fn bytes(&mut self) -> Result<Vec<u8>, WireError> {
        let length = self.number()?;
        check_length("a string", length, LONGEST_STRING)?;
        let padded = length.next_multiple_of(8);
        let mut bytes = Vec::new();
        let read = self.reader.by_ref().take(padded).read_to_end(&mut bytes);
        let read = read.map_err(|source| WireError::Broken { source })?;
        if (read as u64) < padded {
            return Err(WireError::Broken { source: io::ErrorKind::UnexpectedEof.into() });
        }
        let length = usize::try_from(length).map_err(|_| WireError::BadString)?;
        if bytes[length..].iter().any(|byte| *byte != 0) {
            return Err(WireError::BadString);
        }
        bytes.truncate(length);
        Ok(bytes)
    }

    pub(super) fn strings(&mut self) -> Result<Vec<String>, WireError> {
        let length = self.number()?;
        check_length("a list", length, LONGEST_LIST)?;
        (0..length).map(|_| self.string()).collect()
    }

    /// Skips the log until the answer begins, and returns the daemon's refusal as an error.
    pub(super) fn skip_log(&mut self, minor: u64) -> Result<(), WireError> {
        for _ in 0..MOST_MESSAGES {
            match self.number()? {
                // STDERR_LAST
                0x616c_7473 => return Ok(()),
                // STDERR_NEXT: a line of text.
                0x6f6c_6d67 => {
                    self.message()?;
                }
                // STDERR_START_ACTIVITY: id, level, type, text, fields, parent.
                0x5354_5254 => {
                    for _ in 0..3 {
                        self.number()?;
                    }
                    self.message()?;
                    self.fields()?;
                    self.number()?;
                }
                // STDERR_STOP_ACTIVITY: id.
                0x5354_4f50 => {
                    self.number()?;
                }
                // STDERR_RESULT: id, type, fields.
                0x5253_4c54 => {
                    self.number()?;
                    self.number()?;
                    self.fields()?;
                }
                // STDERR_ERROR
                0x6378_7470 => return Err(self.refusal(minor)?),
                found => return Err(WireError::Unexpected { found, expected: "message of the daemon" }),
            }
        }
        Err(WireError::TooLong {
            what: "a log",
            length: MOST_MESSAGES as u64 + 1,
            limit: MOST_MESSAGES as u64,
        })
    }

    fn fields(&mut self) -> Result<(), WireError> {
        let length = self.number()?;
        check_length("a list", length, LONGEST_LIST)?;
        for _ in 0..length {
            match self.number()? {
                0 => {
                    self.number()?;
                }
                1 => {
                    self.message()?;
                }
                found => return Err(WireError::Unexpected { found, expected: "kind of log field" }),
            }
        }
        Ok(())
    }

    /// An error of the daemon: one text and a status up to 1.25, then an `ErrorInfo` (`serialise.cc`, `readError`).
    fn refusal(&mut self, minor: u64) -> Result<WireError, WireError> {
        if minor < 26 {
            let message = self.message()?;
            self.number()?;
            return Ok(WireError::Refused { message });
        }
        self.message()?;
        self.number()?;
        self.message()?;
        let message = self.message()?;
        self.position()?;
        let traces = self.number()?;
        check_length("a list", traces, LONGEST_LIST)?;
        for _ in 0..traces {
            self.position()?;
            self.message()?;
        }
        Ok(WireError::Refused { message })
    }

    /// Nix sends no position yet, and would have to raise the version to do so.
    fn position(&mut self) -> Result<(), WireError> {
        match self.number()? {
            0 => Ok(()),
            found => Err(WireError::Unexpected { found, expected: "position of an error" }),
        }
    }
}

fn check_length(what: &'static str, length: u64, limit: u64) -> Result<(), WireError> {
    if length > limit { Err(WireError::TooLong { what, length, limit }) } else { Ok(()) }
}

/// Appends a number.
pub(super) fn put_number(number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&number.to_le_bytes());
}

/// Appends a string with its length and padding.
pub(super) fn put_string(text: &str, out: &mut Vec<u8>) {
    put_number(text.len() as u64, out);
    out.extend_from_slice(text.as_bytes());
    out.resize(out.len().next_multiple_of(8), 0);
}
