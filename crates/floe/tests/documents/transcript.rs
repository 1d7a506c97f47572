//! Reads a document's code blocks: `console` blocks are commands with what they print, a `toml` block is the
//! project's `floe.toml`.

/// One thing that a reader of the document would do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Exchange {
    /// Write a file.
    File {
        /// Its name in the project.
        path: &'static str,
        /// Its text.
        text: String,
    },
    /// Run a command.
    Command {
        /// The command line.
        line: String,
        /// What it prints, both streams.
        expected: String,
    },
}

/// The exchanges of a document, in order.
pub(crate) fn exchanges(document: &str) -> Vec<Exchange> {
    let mut exchanges = Vec::new();
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        let Some(language) = line.strip_prefix("```") else { continue };
        let block: Vec<&str> = lines.by_ref().take_while(|line| !line.starts_with("```")).collect();
        match language {
            "console" => exchanges.extend(commands(&block)),
            "toml" => exchanges.push(Exchange::File { path: "floe.toml", text: block.join("\n") + "\n" }),
            _ => {}
        }
    }
    exchanges
}

fn commands(block: &[&str]) -> Vec<Exchange> {
    let mut commands: Vec<(String, String)> = Vec::new();
    for line in block {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (Some(command), _) => commands.push((command.to_owned(), String::new())),
            (None, Some((_, expected))) => *expected += &format!("{line}\n"),
            (None, None) => panic!("a console block begins with '$ ', not with '{line}'"),
        }
    }
    commands.into_iter().map(|(line, expected)| Exchange::Command { line, expected }).collect()
}

/// A text with digests, numbers before units, and dates replaced by their form, and runs of spaces by one.
pub(crate) fn formless(text: &str) -> String {
    let form = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let mut formed: Vec<String> = Vec::new();
        for (index, word) in words.iter().enumerate() {
            let next = words.get(index + 1).map(|next| next.trim_end_matches([',', ';']));
            formed.push(word_form(word, next));
        }
        formed.join(" ")
    };
    text.lines().map(|line| form(line) + "\n").collect()
}

fn word_form(word: &str, next: Option<&str>) -> String {
    let unsigned = word.trim_start_matches(['+', '-', '±']);
    let is_number =
        !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let is_hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    match next {
        Some("B" | "kB" | "MB" | "GB" | "s" | "ms" | "min") if is_number => return "<number>".to_owned(),
        _ => {}
    }
    if matches!(word.trim_end_matches(','), "B" | "kB" | "MB" | "GB" | "s" | "ms" | "min") {
        return "<unit>".to_owned();
    }
    if word.strip_prefix("sha256:").is_some_and(is_hex) || (matches!(word.len(), 12 | 64) && is_hex(word)) {
        return "<digest>".to_owned();
    }
    if let Some((name, digest)) = word.split_once("@sha256:")
        && is_hex(digest)
    {
        return format!("{name}@<digest>");
    }
    let is_time = word.len() >= 5
        && word.contains(['-', ':'])
        && word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-' || byte == b':');
    if is_time { "<time>".to_owned() } else { word.to_owned() }
}

#[test]
fn reads_blocks_and_forms() {
    let document = "text\n```console\n$ a b\none\n$ c\n```\n```toml\nx = 1\n```\n```sh\nignored\n```\n";
    let command = |line: &str, expected: &str| Exchange::Command {
        line: line.to_owned(),
        expected: expected.to_owned(),
    };
    assert_eq!(
        exchanges(document),
        [
            command("a b", "one\n"),
            command("c", ""),
            Exchange::File { path: "floe.toml", text: "x = 1\n".to_owned() }
        ]
    );
    assert_eq!(formless("36.7 MB in 19 layers, 1.2 s"), formless("5 kB  in 19 layers, 44 ms"));
    assert_ne!(formless("19 layers"), formless("18 layers"));
}
