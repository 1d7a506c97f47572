//! `floe lock`: what the bases of a floe.toml stand for is written down.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use clap::Args;
use floe_image::oci::Digest;
use serde_json::json;

use crate::arguments::{RegistryArguments, load_failure};
use crate::base::{Bases, Lock, pinned_digest};
use crate::configuration::{BaseName, ConfigurationFile};
use crate::failure::{Failure, Outcome};
use crate::places::Places;
use crate::suggestion;
use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  floe lock                 look at bases that floe.lock does not know yet
  floe lock --update        look at every base again, since tags move
  floe lock --update app    only at that of [image.app]
  floe lock --locked        for CI: fail where the file is not up to date";

/// Write down which images the bases of floe.toml stand for
///
/// The digests go into floe.lock beside the floe.toml, to be committed with it. `floe build` uses them, so that every
/// machine builds upon the same bytes; it writes down a base that is new by itself. A tag that moved is noticed by
/// --update alone.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Entries of floe.toml whose bases --update looks at [default: all]
    #[arg(value_name = "IMAGE", requires = "update")]
    pub(crate) images: Vec<String>,
    /// Look again at bases that are locked already
    #[arg(long, conflicts_with = "locked")]
    pub(crate) update: bool,
    /// Change nothing, and fail where the file would change
    #[arg(long)]
    pub(crate) locked: bool,
    /// Read this file [default: floe.toml here or in the nearest parent directory]
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) registries: RegistryArguments,
}

/// Brings the lock up to date.
pub(crate) fn run(arguments: &Arguments, terminal: &Terminal) -> Outcome {
    let places = Places::find()?;
    let directory = std::env::current_dir()?;
    let file = ConfigurationFile::load(arguments.file.as_deref(), &directory).map_err(load_failure)?;
    let file = file.ok_or_else(|| {
        Failure::bad_usage("there is no floe.toml here or in a parent directory")
            .hint("a base on the command line is pinned by its digest: --base docker://NAME@sha256:…")
    })?;
    let images = bases(&file);
    check_names(&arguments.images, &file)?;
    let mut lock = Lock::read(&file.path)?;
    let registries = &arguments.registries;
    let finder = Bases { places: &places, terminal, registries, remembers: true, may_lock: true };

    // Several images may have one base, which is looked at once.
    let mut names: BTreeMap<&str, &BaseName> = BTreeMap::new();
    let mut updated: BTreeSet<&str> = BTreeSet::new();
    for (image, name) in &images {
        // A digest says it all.
        if pinned_digest(&name.source).is_some() {
            continue;
        }
        names.insert(&name.written, name);
        let is_meant = arguments.images.is_empty() || arguments.images.contains(image);
        if arguments.update && is_meant || lock.get(&name.written).is_none() {
            updated.insert(&name.written);
        }
    }
    let written: Vec<&str> = names.keys().copied().collect();
    lock.retain(&written);
    if arguments.locked && (lock.is_changed() || !updated.is_empty()) {
        let message = format!("{} is not up to date", lock.path().display());
        return Err(Failure::failed(message).hint("bring it up to date, and commit it: floe lock"));
    }
    let mut before: BTreeMap<&str, Digest> = BTreeMap::new();
    for name in &updated {
        before.extend(lock.get(name).map(|locked| (*name, locked.digest)));
        lock.set(name, finder.look(names[name])?);
    }
    lock.write()?;
    report(&lock, &written, &before, terminal)
}

/// The bases of every image that has one.
fn bases(file: &ConfigurationFile) -> Vec<(String, BaseName)> {
    let base = |name: &str| Some((name.to_owned(), file.image(name)?.base?));
    file.configuration.names().filter_map(base).collect()
}

fn check_names(images: &[String], file: &ConfigurationFile) -> Outcome {
    let names: Vec<&str> = file.configuration.names().collect();
    let Some(unknown) = images.iter().find(|image| !names.contains(&image.as_str())) else { return Ok(()) };
    let failure = Failure::bad_usage(format!("no image '{unknown}' in {}", file.path.display()));
    Err(match suggestion::nearest(unknown, names.iter().copied()) {
        Some(nearest) => failure.hint(format!("did you mean '{nearest}'?")),
        None => failure.hint(format!("the images are: {}", names.join(", "))),
    })
}

/// One line for each base: what it stands for, and what it stood for where that is another image.
fn report(lock: &Lock, names: &[&str], before: &BTreeMap<&str, Digest>, terminal: &Terminal) -> Outcome {
    let path = lock.path().display();
    for name in names {
        let Some(locked) = lock.get(name) else { continue };
        let previous = before.get(name).filter(|digest| **digest != locked.digest);
        if terminal.is_json() {
            let (digest, manifests) = (locked.digest, &locked.manifests);
            terminal.json(
                &json!({ "name": name, "digest": digest, "manifests": manifests, "previous": previous }),
            )?;
            continue;
        }
        let was = previous.map(|digest| format!(", was {}", digest.short())).unwrap_or_default();
        terminal.note(format!("{name}  {}{was}", locked.digest));
    }
    match (names.is_empty(), lock.is_changed()) {
        (true, _) => terminal.note("no image of floe.toml has a base that can change"),
        (false, true) => terminal.note(format!("{path} written")),
        (false, false) => terminal.note(format!("{path} is up to date")),
    }
    Ok(())
}
