//! Files of variables: `NAME=value` lines, as one agrees on in `.env` files.
//!
//! Blank lines and lines that begin with `#` are skipped, `export ` before a name is too. A value is taken literally to
//! the end of its line; in single quotes literally too; in double quotes with `\n`, `\t`, `\"`, `\\` and `\$`. Nothing is
//! expanded, and a quoted value ends on its line: where readers of such files disagree, this one refuses.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::requirement::is_variable_name;

/// Bytes of a file that are read.
const LARGEST: u64 = 1024 * 1024;

/// Reads a file. Every problem is a text of its own that names the line, and never the value.
pub(super) fn read(file: &Path) -> Result<BTreeMap<String, String>, Vec<String>> {
    let mut text = String::new();
    let read = File::open(file).and_then(|file| file.take(LARGEST + 1).read_to_string(&mut text));
    read.map_err(|error| vec![format!("cannot read {}: {error}", file.display())])?;
    if text.len() as u64 > LARGEST {
        return Err(vec![format!("{} is larger than {LARGEST} bytes", file.display())]);
    }
    parse(&text).map_err(|problems| {
        let name = |(line, problem)| format!("{}, line {line}: {problem}", file.display());
        problems.into_iter().map(name).collect()
    })
}

/// Reads text; a problem comes with its line, counted from 1.
fn parse(text: &str) -> Result<BTreeMap<String, String>, Vec<(usize, String)>> {
    let mut variables = BTreeMap::new();
    let mut problems = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match parse_line(line) {
            Ok((name, value)) => {
                variables.insert(name, value);
            }
            Err(problem) => problems.push((index + 1, problem)),
        }
    }
    if problems.is_empty() { Ok(variables) } else { Err(problems) }
}

fn parse_line(line: &str) -> Result<(String, String), String> {
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (name, value) = line.split_once('=').ok_or("expected <name>=<value>")?;
    if !is_variable_name(name) {
        return Err("expected letters, digits and '_' before '='".to_owned());
    }
    if value.contains('\0') {
        return Err("a NUL byte, which no variable can hold".to_owned());
    }
    Ok((name.to_owned(), unquote(value)?))
}

fn unquote(value: &str) -> Result<String, String> {
    let trimmed = value.trim_end();
    let quoted = |quote: char| {
        let inner = trimmed.strip_prefix(quote)?.strip_suffix(quote);
        Some(
            inner
                .filter(|_| trimmed.len() > 1)
                .ok_or(format!("a value that begins with {quote} must end with it")),
        )
    };
    if let Some(inner) = quoted('\'') {
        let inner = inner?;
        return if inner.contains('\'') {
            Err("a single quote within single quotes".to_owned())
        } else {
            Ok(inner.to_owned())
        };
    }
    let Some(inner) = quoted('"') else { return Ok(value.to_owned()) };
    let mut plain = String::new();
    let mut characters = inner?.chars();
    while let Some(character) = characters.next() {
        plain.push(match character {
            '"' => return Err("a double quote within double quotes: expected \\\"".to_owned()),
            '\\' => match characters.next() {
                Some('n') => '\n',
                Some('t') => '\t',
                Some(escaped @ ('"' | '\\' | '$')) => escaped,
                _ => return Err("an unknown escape: expected \\n, \\t, \\\", \\\\ or \\$".to_owned()),
            },
            other => other,
        });
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lines() {
        let text = "# comment\n\nA=1\nexport B='two # $C'\nC=\"a\\n\\\"b\\\" \\$x\"\nD=\nE=x y \"z\" # no comment\n  F=6\nA=7\n";
        let variables = parse(text).expect("variables");
        let expected = [
            ("A", "7"),
            ("B", "two # $C"),
            ("C", "a\n\"b\" $x"),
            ("D", ""),
            ("E", "x y \"z\" # no comment"),
            ("F", "6"),
        ];
        let expected: BTreeMap<String, String> =
            expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(variables, expected);
    }

    #[test]
    fn names_each_line_at_fault_and_no_value() {
        let text = "A\n1B=secret\nC='secret\nD=\"secret\\q\"\nE=\"se\"cret\"\nF=fine\nG=\"\nH='a'b'\n";
        let problems = parse(text).expect_err("problems");
        let lines: Vec<usize> = problems.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 2, 3, 4, 5, 7, 8]);
        assert!(problems.iter().all(|(_, problem)| !problem.contains("secret")), "{problems:?}");
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in ".*") {
            drop(parse(&text));
        }

        #[test]
        fn reads_back_what_is_single_quoted(value in "[^'\n\r\0]*") {
            let variables = parse(&format!("A='{value}'\n")).expect("a variable");
            proptest::prop_assert_eq!(&variables["A"], &value);
        }
    }
}
