//! The keys of an image's entry in `floe.toml`, each described once.

use std::num::NonZeroUsize;
use std::ops::Range;

use floe_image::layer::root_tree::RootEntry;
use floe_image::oci::Healthcheck;
use floe_store::System;
use toml::de::DeValue;

use super::options::ImageOptions;
use super::reader::{Item, Key, Reader, environment_key, label_key};
use super::value::{
    self, BadValue, Content, Created, Port, RootFile, absolute_path, healthcheck_test, image_name,
    nanoseconds, owner, platform, signal, system, tag, variable_name,
};

/// An image's entry as it is written, before `inherits` is followed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    /// What the entry itself says.
    pub(super) options: ImageOptions,
    /// The entry that this one builds on, with its place in the text.
    pub(super) inherits: Option<(String, Range<usize>)>,
}

/// The keys of `[image.NAME]`, in the order of the documentation.
#[rustfmt::skip]
pub(super) const KEYS: &[Key<Entry>] = &[
    Key {
        name: "name", form: "a string", default: "the entry's NAME", synonyms: &["repository", "image"],
        summary: "The image's name without a tag, such as `app` or `registry.example.com/team/app`",
        read: |reader, item, entry| set(&mut entry.options.name, reader.value(item, image_name)),
    },
    Key {
        name: "tag", form: "a string", default: "`latest`", synonyms: &["version"],
        summary: "The tag",
        read: |reader, item, entry| set(&mut entry.options.tag, reader.value(item, tag)),
    },
    Key {
        name: "inherits", form: "a string", default: "nothing", synonyms: &["extends", "parent"],
        summary: "Another entry of this file, whose values hold where this one says nothing",
        read: |reader, item, entry| {
            entry.inherits = reader.string(item).map(|name| (name, item.span()));
        },
    },
    Key {
        name: "base", form: "a string", default: "none", synonyms: &["from", "fromImage", "from-image", "base-image"],
        summary: "The image to build upon: `docker://NAME`, `oci:DIR`, an archive, an engine's or a recorded one",
        read: |reader, item, entry| set(&mut entry.options.base, reader.value(item, str::parse)),
    },
    Key {
        name: "base-without", form: "a list of strings", default: "nothing", synonyms: &["without", "reset"],
        summary: "What of the base's config is not inherited, such as `\"entrypoint\"` or `\"env.LANG\"`",
        read: |reader, item, entry| {
            set(&mut entry.options.base_without, reader.list(item, "a string", |reader, item| {
                reader.value(item, value::inherited_field)
            }));
        },
    },
    Key {
        name: "contents", form: "a list of strings", default: "nothing", synonyms: &["packages", "paths", "content"],
        summary: "What the image holds: store paths, links to them, flake installables, directories",
        read: |reader, item, entry| set(&mut entry.options.contents, contents(reader, item)),
    },
    Key {
        name: "root", form: "a list of strings", default: "nothing", synonyms: &["copyToRoot", "copy-to-root"],
        summary: "Contents whose trees are linked into `/`: their `bin`, `etc`, `share`",
        read: |reader, item, entry| set(&mut entry.options.root, contents(reader, item)),
    },
    Key {
        name: "root-conflicts", form: "a string", default: "`\"refuse\"`", synonyms: &["conflicts"],
        summary: "What happens when two of `root` hold the same file: `\"refuse\"` or `\"first\"`",
        read: |reader, item, entry| {
            set(&mut entry.options.root_conflicts, reader.value(item, value::root_conflicts));
        },
    },
    Key {
        name: "files", form: "a table or a list of tables", default: "none", synonyms: &["file", "extra-files"],
        summary: "Small files by value, with path, text, mode and owner",
        read: |reader, item, entry| set(&mut entry.options.files, files(reader, item)),
    },
    Key {
        name: "entrypoint", form: "a list of strings", default: "the base's, else the first content's program, unless `cmd` is set", synonyms: &["command", "exec"],
        summary: "The command that is always run, word by word",
        read: |reader, item, entry| set(&mut entry.options.entrypoint, reader.strings(item)),
    },
    Key {
        name: "cmd", form: "a list of strings", default: "none", synonyms: &["args", "arguments"],
        summary: "The entrypoint's arguments, which those of `floe run IMAGE -- …` replace",
        read: |reader, item, entry| set(&mut entry.options.cmd, reader.strings(item)),
    },
    Key {
        name: "env", form: "a table of strings", default: "`PATH`, `HOME`, `USER`, `SSL_CERT_FILE`",
        synonyms: &["environment", "variables"],
        summary: "Environment variables, joined with the defaults",
        read: |reader, item, entry| entry.options.env = reader.string_table(item, environment_key),
    },
    Key {
        name: "required-env", form: "a list of strings", default: "none", synonyms: &["required-environment"],
        summary: "Environment variables without which `floe run` refuses to start",
        read: |reader, item, entry| {
            let names = reader.list(item, "a string", |reader, item| reader.value(item, variable_name));
            set(&mut entry.options.required_env, names);
        },
    },
    Key {
        name: "user", form: "a string or a number", default: "the base's, else `\"1000:1000\"`", synonyms: &["uid", "run-as"],
        summary: "Who runs it: `\"UID:GID\"`, a number for both, or `\"root\"`",
        read: |reader, item, entry| set(&mut entry.options.user, reader.value_or_number(item, owner)),
    },
    Key {
        name: "workdir", form: "a string", default: "the base's, else `/`", synonyms: &["working-dir", "working-directory", "cwd"],
        summary: "Where the process starts, an absolute path",
        read: |reader, item, entry| set(&mut entry.options.workdir, reader.value(item, absolute_path)),
    },
    Key {
        name: "ports", form: "a list of ports", default: "none", synonyms: &["expose", "exposed-ports"],
        summary: "Where the process listens: `3000`, `\"3000/tcp\"`, `\"53/udp\"`",
        read: |reader, item, entry| {
            let ports = reader.list(item, "a number or a string", |reader, item| {
                reader.value_or_number(item, str::parse::<Port>)
            });
            set(&mut entry.options.ports, ports);
        },
    },
    Key {
        name: "volumes", form: "a list of strings", default: "none", synonyms: &["mounts"],
        summary: "Folders that an engine keeps outside the container, absolute paths",
        read: |reader, item, entry| {
            let paths = reader.list(item, "a string", |reader, item| reader.value(item, absolute_path));
            set(&mut entry.options.volumes, paths);
        },
    },
    Key {
        name: "labels", form: "a table of strings", default: "none", synonyms: &[],
        summary: "Labels of the image's config",
        read: |reader, item, entry| entry.options.labels = reader.string_table(item, label_key),
    },
    Key {
        name: "annotations", form: "a table of strings", default: "none", synonyms: &[],
        summary: "Annotations of the image's manifest",
        read: |reader, item, entry| entry.options.annotations = reader.string_table(item, label_key),
    },
    Key {
        name: "stop-signal", form: "a string or a number", default: "the engine's, SIGTERM", synonyms: &["signal"],
        summary: "The signal that stops the process",
        read: |reader, item, entry| set(&mut entry.options.stop_signal, reader.value_or_number(item, signal)),
    },
    Key {
        name: "healthcheck", form: "a table", default: "none", synonyms: &["health"],
        summary: "A command by which an engine sees whether the container is well",
        read: |reader, item, entry| set(&mut entry.options.healthcheck, healthcheck(reader, item)),
    },
    Key {
        name: "created", form: "a string, a time or a number",
        default: "`SOURCE_DATE_EPOCH`, else the flake's time, else `1970-01-01T00:00:01Z`",
        synonyms: &["date", "mtime"],
        summary: "When the image says that it was made: `\"now\"`, RFC 3339, or seconds since 1970",
        read: |reader, item, entry| set(&mut entry.options.created, created(reader, item)),
    },
    Key {
        name: "platform", form: "a string", default: "that of the contents, else of this machine",
        synonyms: &["architecture", "arch"],
        summary: "What the image runs on: `\"linux/arm64\"` or a Nix system such as `\"aarch64-linux\"`",
        read: |reader, item, entry| set(&mut entry.options.platform, reader.value(item, platform)),
    },
    Key {
        name: "systems", form: "a list of strings", default: "that of the contents",
        synonyms: &["system", "platforms"],
        summary: "The Nix systems to make an image for, each once; with more than one an index joins them",
        read: |reader, item, entry| set(&mut entry.options.systems, systems(reader, item)),
    },
    Key {
        name: "layering", form: "a string", default: "`\"stable\"`", synonyms: &["strategy", "layers"],
        summary: "How store paths are shared out: `\"stable\"`, `\"auto-layer\"`, `\"popularity\"` or `\"nixery\"`",
        read: |reader, item, entry| set(&mut entry.options.layering, reader.value(item, value::layering)),
    },
    Key {
        name: "max-layers", form: "a number", default: "`100`", synonyms: &["maxLayers"],
        summary: "The most layers, from 2 to 127",
        read: |reader, item, entry| set(&mut entry.options.max_layers, max_layers(reader, item)),
    },
    Key {
        name: "frequencies", form: "a path", default: "nothing is known", synonyms: &["changes"],
        summary: "A file that says how often packages change, as `floe plan --learn` writes it",
        read: |reader, item, entry| set(&mut entry.options.frequencies, reader.value(item, value::file)),
    },
    Key {
        name: "compression", form: "a string", default: "`\"zstd\"`", synonyms: &["compressor", "compress"],
        summary: "How layers are compressed: `\"zstd:9\"`, `\"gzip:6\"`, `\"none\"`",
        read: |reader, item, entry| set(&mut entry.options.compression, reader.value(item, value::compression)),
    },
];

/// The keys of `healthcheck`.
#[rustfmt::skip]
pub(super) const HEALTHCHECK_KEYS: &[Key<Healthcheck>] = &[
    Key {
        name: "test", form: "a list of strings or a string", default: "needed", synonyms: &["command", "cmd"],
        summary: "The command, word by word; a string is a shell line, for which the image needs `/bin/sh`",
        read: |reader, item, check| check.test = test(reader, item).unwrap_or_default(),
    },
    Key {
        name: "interval", form: "a string", default: "the engine's, `\"30s\"`", synonyms: &["period"],
        summary: "The time between two checks",
        read: |reader, item, check| check.interval = reader.value(item, nanoseconds),
    },
    Key {
        name: "timeout", form: "a string", default: "the engine's, `\"30s\"`", synonyms: &[],
        summary: "The time after which a check has failed",
        read: |reader, item, check| check.timeout = reader.value(item, nanoseconds),
    },
    Key {
        name: "start-period", form: "a string", default: "the engine's, none", synonyms: &["initial-delay"],
        summary: "The time at the start in which failures do not count",
        read: |reader, item, check| check.start_period = reader.value(item, nanoseconds),
    },
    Key {
        name: "retries", form: "a number", default: "the engine's, `3`", synonyms: &["threshold"],
        summary: "Failures in a row until the container is unwell",
        read: |reader, item, check| check.retries = retries(reader, item),
    },
];

/// The keys of one file of `files`.
#[rustfmt::skip]
pub(super) const FILE_KEYS: &[Key<RootFile>] = &[
    Key {
        name: "path", form: "a string", default: "the key, in a table of files", synonyms: &["name", "target"],
        summary: "Where the file stands, an absolute path",
        read: |reader, item, file| set(&mut file.path, reader.value(item, absolute_path)),
    },
    Key {
        name: "text", form: "a string", default: "needed", synonyms: &["content", "contents"],
        summary: "What the file holds",
        read: |reader, item, file| set(&mut file.text, reader.string(item).map(String::into_bytes)),
    },
    Key {
        name: "mode", form: "a string", default: "`\"0644\"`", synonyms: &["permissions"],
        summary: "Its permissions in octal, such as `\"0755\"`",
        read: |reader, item, file| file.mode = mode(reader, item),
    },
    Key {
        name: "owner", form: "a string or a number", default: "`\"0:0\"`", synonyms: &["user", "uid"],
        summary: "Who owns it: `\"UID:GID\"`, a number for both, or `\"root\"`",
        read: |reader, item, file| file.owner = reader.value_or_number(item, owner),
    },
];

/// Keeps a value that could be read; one that could not leaves a problem in the reader instead.
fn set<T>(place: &mut Option<T>, read: Option<T>) {
    if read.is_some() {
        *place = read;
    }
}

fn contents(reader: &mut Reader, item: &Item<'_>) -> Option<Vec<Content>> {
    reader.list(item, "a string", |reader, item| reader.value(item, str::parse))
}

fn systems(reader: &mut Reader, item: &Item<'_>) -> Option<Vec<System>> {
    reader.list(item, "a string", |reader, item| reader.value(item, system))
}

fn created(reader: &mut Reader, item: &Item<'_>) -> Option<Created> {
    match item.get_ref() {
        DeValue::Datetime(time) => reader.parsed(item, &time.to_string(), str::parse),
        _ => reader.value_or_number(item, str::parse),
    }
}

fn test(reader: &mut Reader, item: &Item<'_>) -> Option<Vec<String>> {
    let words = match item.get_ref() {
        DeValue::String(line) => vec!["CMD-SHELL".to_owned(), line.clone().into_owned()],
        _ => reader.strings(item)?,
    };
    healthcheck_test(words).map_err(|bad| reader.bad_value(item.span(), bad)).ok()
}

fn healthcheck(reader: &mut Reader, item: &Item<'_>) -> Option<Healthcheck> {
    let mut check = Healthcheck::default();
    reader.table(item, HEALTHCHECK_KEYS, &mut check);
    if let DeValue::Table(table) = item.get_ref()
        && !table.contains_key("test")
    {
        let message = "a health check has no test".to_owned();
        let bad = BadValue { message, expected: "`test = [\"/bin/check\"]`".to_owned(), hint: None };
        reader.bad_value(item.span(), bad);
    }
    Some(check)
}

fn retries(reader: &mut Reader, item: &Item<'_>) -> Option<u32> {
    let DeValue::Integer(number) = item.get_ref() else {
        reader.wrong_type(item);
        return None;
    };
    let found = u32::from_str_radix(number.as_str(), number.radix()).ok().filter(|found| *found > 0);
    if found.is_none() {
        let bad = BadValue::new(number.as_str(), "a number of failures", "at least 1");
        reader.bad_value(item.span(), bad);
    }
    found
}

fn max_layers(reader: &mut Reader, item: &Item<'_>) -> Option<NonZeroUsize> {
    match item.get_ref() {
        DeValue::Integer(number) if number.radix() == 10 => {
            reader.parsed(item, number.as_str(), value::layer_count)
        }
        _ => {
            reader.wrong_type(item);
            None
        }
    }
}

fn mode(reader: &mut Reader, item: &Item<'_>) -> Option<u32> {
    match item.get_ref() {
        DeValue::Integer(number) if number.radix() == 8 => reader.parsed(item, number.as_str(), value::mode),
        DeValue::Integer(number) => {
            let bad = BadValue::new(number.as_str(), "a mode", "octal digits in quotes, or 0o…");
            reader.bad_value(item.span(), bad.hint("write \"0644\" or 0o644"));
            None
        }
        _ => reader.value(item, value::mode),
    }
}

/// Reads files as a table from path to text or table, or as a list of tables.
fn files(reader: &mut Reader, item: &Item<'_>) -> Option<Vec<RootEntry>> {
    let mut read: Vec<RootEntry> = Vec::new();
    match item.get_ref() {
        DeValue::Table(table) => {
            for (path, item) in table {
                let mut file =
                    RootFile { path: Some(path.get_ref().clone().into_owned()), ..RootFile::default() };
                match item.get_ref() {
                    DeValue::String(text) => file.text = Some(text.as_bytes().to_vec()),
                    _ => reader.table(item, FILE_KEYS, &mut file),
                }
                let is_readable = matches!(item.get_ref(), DeValue::String(_) | DeValue::Table(_));
                if is_readable {
                    add_file(reader, path.span(), file, &mut read);
                }
            }
        }
        DeValue::Array(items) => {
            for item in items.iter() {
                let mut file = RootFile::default();
                reader.table(item, FILE_KEYS, &mut file);
                if let DeValue::Table(table) = item.get_ref() {
                    // A path that could not be read has its own problem already.
                    if file.path.is_some() || !table.contains_key("path") {
                        add_file(reader, item.span(), file, &mut read);
                    }
                }
            }
        }
        _ => reader.wrong_type(item),
    }
    Some(read)
}

fn add_file(reader: &mut Reader, span: Range<usize>, file: RootFile, read: &mut Vec<RootEntry>) {
    match file.entry() {
        Ok(entry) if read.iter().any(|other| other.path == entry.path) => {
            let message = format!("file '/{}' is there twice", entry.path.escape_debug());
            reader.bad_value(span, BadValue { message, expected: "each path once".to_owned(), hint: None });
        }
        Ok(entry) => read.push(entry),
        Err(bad) => reader.bad_value(span, bad),
    }
}
