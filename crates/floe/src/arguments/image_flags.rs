//! Every key of `floe.toml` as a flag.

use std::fs::File;
use std::io::Read;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use floe_image::image::InheritedField;
use floe_image::layer::root_tree::{Conflicts, RootEntry};
use floe_image::layer::{Compression, Owner};
use floe_image::oci::{Healthcheck, Platform};
use floe_image::plan::Strategy;
use floe_store::System;

use super::command_line::TIP;
use crate::configuration::value::{self, BadValue, RootFile};
use crate::configuration::{BaseName, Content, Created, ImageOptions, Port};
use crate::failure::{Failure, Outcome};

/// The largest file that `--add-file` takes: larger ones belong into a directory among the contents.
const LARGEST_FILE: u64 = 1 << 20;

/// What the image is; each flag wins over the same key of floe.toml
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Image (each wins over the same key of floe.toml)")]
pub(crate) struct ImageFlags {
    /// The image's name without a tag, such as app or registry.example.com/team/app
    #[arg(long, value_parser = flag(value::image_name))]
    name: Option<String>,
    /// The tag [default: latest]
    #[arg(long, value_parser = flag(value::tag))]
    tag: Option<String>,
    /// Build upon this image: docker://NAME, oci:DIR, an archive, an engine's or a recorded one
    #[arg(long, value_name = "IMAGE", value_parser = flag(BaseName::from_str))]
    base: Option<BaseName>,
    /// Leave out a part of the base's config, such as entrypoint or env.LANG; repeatable
    #[arg(long, value_name = "FIELD", value_parser = flag(value::inherited_field))]
    base_without: Vec<InheritedField>,
    /// Link the trees of this content into /; repeatable
    #[arg(long, value_name = "CONTENT", value_parser = flag(Content::from_str))]
    root: Vec<Content>,
    /// When two of --root hold the same file: refuse, or take the first [default: refuse]
    #[arg(long, value_name = "ANSWER", value_parser = flag(value::root_conflicts))]
    root_conflicts: Option<Conflicts>,
    /// Add a small file: PATH=TEXT, or PATH@FILE[:MODE] from a file; repeatable
    #[arg(long, value_name = "PATH=TEXT|PATH@FILE", value_parser = flag(AddedFile::from_str))]
    add_file: Vec<AddedFile>,
    /// The command that is always run; repeat for each word [default: the base's, else the first content's program, unless --cmd is given]
    #[arg(long, value_name = "WORD", allow_hyphen_values = true)]
    entrypoint: Vec<String>,
    /// The entrypoint's arguments, which those of `floe run` replace; repeat for each word
    #[arg(long, value_name = "WORD", allow_hyphen_values = true)]
    cmd: Vec<String>,
    /// Set an environment variable; repeatable
    #[arg(long, value_name = "NAME=VALUE", value_parser = flag(value::variable))]
    env: Vec<(String, String)>,
    /// Name an environment variable without which `floe run` refuses; repeatable
    #[arg(long, value_name = "NAME", value_parser = flag(value::variable_name))]
    required_env: Vec<String>,
    /// Who runs it: UID:GID, a number for both, or root [default: the base's, else 1000:1000]
    #[arg(long, value_parser = flag(value::owner))]
    user: Option<Owner>,
    /// Where the process starts [default: the base's, else /]
    #[arg(long, value_name = "PATH", value_parser = flag(value::absolute_path))]
    workdir: Option<String>,
    /// A port that the process listens on, such as 3000 or 53/udp; repeatable
    #[arg(long, value_parser = flag(Port::from_str))]
    port: Vec<Port>,
    /// A folder that engines keep outside the container; repeatable
    #[arg(long, value_name = "PATH", value_parser = flag(value::absolute_path))]
    volume: Vec<String>,
    /// Add a label to the config; repeatable
    #[arg(long, value_name = "KEY=VALUE", value_parser = flag(pair))]
    label: Vec<(String, String)>,
    /// Add an annotation to the manifest; repeatable
    #[arg(long, value_name = "KEY=VALUE", value_parser = flag(pair))]
    annotation: Vec<(String, String)>,
    /// The signal that stops the process [default: the engine's, SIGTERM]
    #[arg(long, value_name = "SIGNAL", value_parser = flag(value::signal))]
    stop_signal: Option<String>,
    /// The command that checks the container's health; repeat for each word
    #[arg(long, value_name = "WORD", allow_hyphen_values = true)]
    healthcheck: Vec<String>,
    /// The time between two checks, such as 30s
    #[arg(long, value_name = "DURATION", requires = "healthcheck", value_parser = flag(value::nanoseconds))]
    healthcheck_interval: Option<u64>,
    /// The time after which a check has failed
    #[arg(long, value_name = "DURATION", requires = "healthcheck", value_parser = flag(value::nanoseconds))]
    healthcheck_timeout: Option<u64>,
    /// The time at the start in which failures do not count
    #[arg(long, value_name = "DURATION", requires = "healthcheck", value_parser = flag(value::nanoseconds))]
    healthcheck_start_period: Option<u64>,
    /// Failures in a row until the container is unwell
    #[arg(long, value_name = "NUMBER", requires = "healthcheck", value_parser = clap::value_parser!(u32).range(1..))]
    healthcheck_retries: Option<u32>,
    /// When the image says that it was made: now, a time, or seconds since 1970
    /// [default: SOURCE_DATE_EPOCH, else the flake's time, else 1970-01-01T00:00:01Z]
    #[arg(long, value_name = "TIME", value_parser = flag(Created::from_str))]
    created: Option<Created>,
    /// What the image runs on, such as linux/arm64 or aarch64-linux [default: that of the contents]
    #[arg(long, value_parser = flag(value::platform))]
    platform: Option<Platform>,
    /// Make an image for this Nix system, such as aarch64-linux; of a flake its packages.SYSTEM are taken; repeatable,
    /// and with more than one an index joins the images [default: that of the contents]
    #[arg(long, value_parser = flag(value::system))]
    system: Vec<System>,
    /// How store paths are shared out: stable, auto-layer, popularity or nixery [default: stable]
    #[arg(long, value_name = "STRATEGY", value_parser = flag(value::layering))]
    layering: Option<Strategy>,
    /// The most layers, from 2 to 127 [default: 100]
    #[arg(long, value_name = "NUMBER", value_parser = flag(value::layer_count))]
    max_layers: Option<NonZeroUsize>,
    /// How often packages change: a file that `floe plan --learn` wrote
    #[arg(long, value_name = "FILE")]
    frequencies: Option<PathBuf>,
    /// How layers are compressed: zstd[:LEVEL], gzip[:LEVEL] or none [default: zstd]
    #[arg(long, value_name = "ALGORITHM", value_parser = flag(value::compression))]
    compression: Option<Compression>,
}

impl ImageFlags {
    /// What the flags ask for; reads the files of `--add-file`.
    ///
    /// # Errors
    /// When a file cannot be read or is too large, or flags do not go together.
    pub(crate) fn options(self) -> Outcome<ImageOptions> {
        let healthcheck = self.healthcheck()?;
        let files = self.add_file.into_iter().map(AddedFile::read).collect::<Outcome<Vec<RootEntry>>>()?;
        Ok(ImageOptions {
            name: self.name,
            tag: self.tag,
            base: self.base,
            base_without: given(self.base_without),
            contents: None,
            entrypoint: given(self.entrypoint),
            cmd: given(self.cmd),
            env: self.env.into_iter().collect(),
            user: self.user,
            workdir: self.workdir,
            ports: given(self.port),
            volumes: given(self.volume),
            labels: self.label.into_iter().collect(),
            annotations: self.annotation.into_iter().collect(),
            stop_signal: self.stop_signal,
            healthcheck,
            created: self.created,
            max_layers: self.max_layers,
            layering: self.layering,
            frequencies: self.frequencies,
            compression: self.compression,
            root: given(self.root),
            root_conflicts: self.root_conflicts,
            files: given(files),
            required_env: given(self.required_env),
            platform: self.platform,
            systems: given(self.system),
        })
    }

    fn healthcheck(&self) -> Outcome<Option<Healthcheck>> {
        if self.healthcheck.is_empty() {
            return Ok(None);
        }
        Ok(Some(Healthcheck {
            test: value::healthcheck_test(self.healthcheck.clone()).map_err(Failure::usage)?,
            interval: self.healthcheck_interval,
            timeout: self.healthcheck_timeout,
            start_period: self.healthcheck_start_period,
            retries: self.healthcheck_retries,
        }))
    }
}

/// A repeatable flag that was not given says nothing.
fn given<T>(values: Vec<T>) -> Option<Vec<T>> {
    (!values.is_empty()).then_some(values)
}

/// Reads a flag's value; clap names the value and the flag, so that the message is only what was expected.
fn flag<T>(
    parse: impl Fn(&str) -> Result<T, BadValue> + Clone + Send + Sync + 'static,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static {
    move |text| {
        parse(text).map_err(|bad| match bad.hint {
            Some(hint) => format!("expected {}\n\n{TIP}{hint}", bad.expected),
            None => format!("expected {}", bad.expected),
        })
    }
}

fn pair(text: &str) -> Result<(String, String), BadValue> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(BadValue::new(text, "a label", "KEY=VALUE")),
    }
}

/// A file that `--add-file` names.
#[derive(Clone, Debug)]
struct AddedFile {
    path: String,
    source: FileSource,
}

#[derive(Clone, Debug)]
enum FileSource {
    Text(String),
    File { path: PathBuf, mode: Option<u32> },
}

impl FromStr for AddedFile {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected =
            "PATH=TEXT or PATH@FILE[:MODE], such as /etc/motd=hello or /etc/app.conf@./app.conf:0600";
        let bad = || BadValue::new(text, "a file to add", expected);
        let at = text.find(['=', '@']).ok_or_else(bad)?;
        let path = value::absolute_path(&text[..at]).map_err(|_| bad())?;
        let rest = &text[at + 1..];
        let source = if text[at..].starts_with('=') {
            FileSource::Text(rest.to_owned())
        } else {
            let with_mode =
                rest.rsplit_once(':').and_then(|(file, mode)| Some((file, value::mode(mode).ok()?)));
            let (file, mode) = with_mode.map_or((rest, None), |(file, mode)| (file, Some(mode)));
            FileSource::File { path: PathBuf::from(file), mode }
        };
        Ok(Self { path, source })
    }
}

impl AddedFile {
    fn read(self) -> Outcome<RootEntry> {
        let (text, mode) = match self.source {
            FileSource::Text(text) => (text.into_bytes(), None),
            FileSource::File { path, mode } => {
                let mut bytes = Vec::new();
                let unreadable = |error| {
                    Failure::from(
                        anyhow::Error::new(error).context(format!("cannot read {}", path.display())),
                    )
                };
                File::open(&path)
                    .and_then(|file| file.take(LARGEST_FILE + 1).read_to_end(&mut bytes))
                    .map_err(unreadable)?;
                if u64::try_from(bytes.len()).is_ok_and(|length| length > LARGEST_FILE) {
                    let message = format!("{} is larger than 1 MiB", path.display());
                    return Err(
                        Failure::bad_usage(message).hint("name a directory that holds it as CONTENTS")
                    );
                }
                (bytes, mode)
            }
        };
        let file = RootFile { path: Some(self.path), text: Some(text), mode, owner: None };
        file.entry().map_err(Failure::usage)
    }
}
