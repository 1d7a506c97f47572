//! Asks the person at the terminal: for a word, for a secret that is not shown, for a yes.

use std::fmt::Display;
use std::io::{self, BufRead, IsTerminal, Read, Stdin};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::Terminal;
use crate::failure::{Failure, Outcome};

/// More than anybody types.
const LONGEST_ANSWER: usize = 64 << 10;

impl Terminal {
    /// Whether somebody can be asked: standard input is a terminal.
    pub(crate) fn can_ask(&self) -> bool {
        io::stdin().is_terminal()
    }

    /// Asks for a word.
    ///
    /// # Errors
    /// When standard input ends or cannot be read.
    pub(crate) fn ask(&self, question: impl Display) -> Outcome<String> {
        self.write_stderr(&format!("{question}: "));
        let mut answer = String::new();
        let limit = LONGEST_ANSWER as u64;
        let read = io::stdin().lock().take(limit).read_line(&mut answer).map_err(unreadable)?;
        if read == 0 {
            return Err(interrupted());
        }
        Ok(answer.trim().to_owned())
    }

    /// Asks a question whose answer is no unless it is yes.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub(crate) fn confirm(&self, question: impl Display) -> Outcome<bool> {
        let answer = self.ask(format!("{question} [y/N]"))?;
        Ok(matches!(answer.to_ascii_lowercase().as_str(), "y" | "yes"))
    }

    /// Asks for a secret, which is not shown while it is typed.
    ///
    /// # Errors
    /// As [`Self::ask`], and when Control-C is typed.
    pub(crate) fn ask_secret(&self, question: impl Display) -> Outcome<String> {
        let hidden = Hidden::start(io::stdin()).map_err(unreadable)?;
        self.write_stderr(&format!("{question}: "));
        let answer = read_secret(&mut hidden.stdin.lock());
        drop(hidden);
        self.write_stderr("\n");
        answer?.ok_or_else(interrupted)
    }
}

fn unreadable(error: impl Into<io::Error>) -> Failure {
    Failure::from(anyhow::Error::new(error.into()).context("cannot read from standard input"))
}

fn interrupted() -> Failure {
    Failure::failed("nothing was answered")
}

/// A terminal that shows nothing of what is typed, until this is dropped.
///
/// Control-C arrives as a byte: a signal would end floe with the terminal still silent.
struct Hidden {
    stdin: Stdin,
    before: Termios,
}

impl Hidden {
    fn start(stdin: Stdin) -> io::Result<Self> {
        let before = tcgetattr(&stdin)?;
        let mut silent = before.clone();
        silent.local_modes -= LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
        tcsetattr(&stdin, OptionalActions::Drain, &silent)?;
        Ok(Self { stdin, before })
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // A terminal that went away needs no echo.
        tcsetattr(&self.stdin, OptionalActions::Drain, &self.before).ok();
    }
}

/// Reads the keys of one line; `None` when the person gave up.
fn read_secret(keys: &mut impl BufRead) -> Outcome<Option<String>> {
    let mut typed: Vec<char> = Vec::new();
    let mut character = Vec::new();
    for key in keys.bytes().take(LONGEST_ANSWER) {
        match key.map_err(unreadable)? {
            b'\r' | b'\n' => return Ok(Some(typed.into_iter().collect())),
            // Control-C; Control-D, which on an empty line means the same.
            0x03 => return Ok(None),
            0x04 if typed.is_empty() => return Ok(None),
            // Backspace, as either of its codes.
            0x08 | 0x7f => drop(typed.pop()),
            // Control-U: all of it again.
            0x15 => typed.clear(),
            control if control < 0x20 => {}
            byte => {
                character.push(byte);
                if let Ok(text) = str::from_utf8(&character) {
                    typed.extend(text.chars());
                    character.clear();
                } else if character.len() >= 4 {
                    return Err(Failure::bad_usage("what was typed is not UTF-8"));
                }
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_keys() {
        for (keys, expected) in [
            (&b"open sesame:1\r"[..], Some("open sesame:1")),
            (b"wrong\x15righd\x7ft\n", Some("right")),
            ("pässwörd\x08d\n".as_bytes(), Some("pässwörd")),
            (b"\n", Some("")),
            (b"\x1b[Aab\x04c\n", Some("[Aabc")),
            (b"ab\x03", None),
            (b"\x04", None),
            (b"never ended", None),
        ] {
            let found = read_secret(&mut &keys[..]).expect("keys");
            assert_eq!(found.as_deref(), expected, "{}", keys.escape_ascii());
        }
        assert!(read_secret(&mut &b"\xff\xff\xff\xff\n"[..]).is_err());
    }
}
