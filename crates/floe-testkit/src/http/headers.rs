//! The start line and header fields of a message: RFC 9112, sections 2 to 5.

use std::io::{self, BufRead};

/// More than any client sends; a start line and its fields together.
const MAX_HEAD: usize = 64 << 10;

/// Header fields in the order in which they came, names as they were written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers {
    fields: Vec<(String, String)>,
}

impl Headers {
    /// The first field of this name, in any case.
    pub fn find(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter();
        fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Adds a field after the others.
    pub fn push(&mut self, name: &str, value: impl Into<String>) {
        self.fields.push((name.to_owned(), value.into()));
    }

    /// All fields in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Writes the fields and the empty line behind them.
    pub(super) fn render(&self, into: &mut String) {
        for (name, value) in &self.fields {
            into.push_str(name);
            into.push_str(": ");
            into.push_str(value);
            into.push_str("\r\n");
        }
        into.push_str("\r\n");
    }
}

/// Reads a start line and the header fields; `None` when the peer closed the connection before the first byte.
pub(super) fn read_head(reader: &mut dyn BufRead) -> io::Result<Option<(String, Headers)>> {
    let mut budget = MAX_HEAD;
    let Some(start_line) = read_line(reader, &mut budget)? else { return Ok(None) };
    let mut headers = Headers::default();
    loop {
        let line = read_line(reader, &mut budget)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        if line.is_empty() {
            return Ok(Some((start_line, headers)));
        }
        let (name, value) = line.split_once(':').ok_or_else(|| invalid("a header field without a colon"))?;
        headers.push(name, value.trim());
    }
}

/// Reads a line without its end; `None` at the end of the stream.
pub(super) fn read_line(reader: &mut dyn BufRead, budget: &mut usize) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    loop {
        let available = reader.fill_buf()?;
        if available.is_empty() {
            return if line.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
        let end = available.iter().position(|&byte| byte == b'\n');
        let taken = end.map_or(available.len(), |end| end + 1);
        *budget = budget.checked_sub(taken).ok_or_else(|| invalid("a message head of more than 64 KiB"))?;
        line.extend_from_slice(&available[..taken]);
        reader.consume(taken);
        if end.is_some() {
            line.pop();
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            return String::from_utf8(line)
                .map(Some)
                .map_err(|_| invalid("a header field that is not UTF-8"));
        }
    }
}

pub(super) fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
