//! Settings: what was asked of an image, with every default filled in.
//!
//! Here, and nowhere below, the clock and the environment have a say: the time of creation may come
//! from `SOURCE_DATE_EPOCH` or be `now`.

use std::num::NonZeroUsize;

use floe_image::image::{FACT_ANNOTATION_PREFIX, Settings, User};
use floe_image::layer::{Knowledge, Memo};
use floe_image::oci::{Digest, DigestHasher, Platform};
use floe_image::plan::{Policy, Previous};
use floe_store::system_of;
use jiff::Timestamp;

use crate::arguments::this_machine;
use crate::configuration::ImageOptions;
use crate::configuration::value::Created;
use crate::earlier;
use crate::failure::{Failure, Outcome};
use crate::gather::Gathered;

/// Layers that an image may have unless it is said otherwise: docker's limit is 127, and users extend
/// images.
const MAX_LAYERS: NonZeroUsize = NonZeroUsize::new(100).expect("100 is not 0");

/// The kind of fact under which the memo keeps a closure's system.
const SYSTEM_FACT: &str = "system";

/// The variable by which builds agree on a time (reproducible-builds.org, "SOURCE_DATE_EPOCH").
const SOURCE_DATE_EPOCH: &str = "SOURCE_DATE_EPOCH";

/// Fills in what was not said. What others say of the closure is believed where the memo does not know it.
pub(crate) fn settings(
    options: &ImageOptions,
    gathered: &Gathered,
    memo: &Memo,
    hearsay: &dyn Knowledge,
    previous: Option<Previous>,
) -> Outcome<Settings> {
    let mut annotations = options.annotations.clone();
    let platform = match &options.platform {
        Some(platform) => Some(platform.clone()),
        None => {
            let fact = system(gathered, memo, hearsay);
            // The next machine need not find it out again.
            let annotation = fact.iter().map(|fact| {
                let name = format!("{FACT_ANNOTATION_PREFIX}{SYSTEM_FACT}");
                (name, format!("{} {}", fact.key, fact.system))
            });
            annotations.extend(annotation);
            platform(gathered, fact)?
        }
    };
    Ok(Settings {
        platform: platform.unwrap_or_else(this_machine),
        created: created(options.created, gathered.last_modified)?,
        base: None,
        user: options.user.map(|owner| User { owner }),
        entrypoint: options.entrypoint.clone(),
        cmd: options.cmd.clone(),
        env: options.env.clone(),
        workdir: options.workdir.clone(),
        ports: options.ports.iter().flatten().map(ToString::to_string).collect(),
        volumes: options.volumes.iter().flatten().cloned().collect(),
        labels: options.labels.clone(),
        annotations,
        stop_signal: options.stop_signal.clone(),
        healthcheck: options.healthcheck.clone(),
        required_env: options.required_env.iter().flatten().cloned().collect(),
        root: gathered.root.clone(),
        root_conflicts: options.root_conflicts.unwrap_or_default(),
        files: options.files.clone().unwrap_or_default(),
        policy: policy(options, previous)?,
    })
}

/// How store paths are shared out; one of the layers is the root's. Reads the file of frequencies.
pub(crate) fn policy(options: &ImageOptions, previous: Option<Previous>) -> Outcome<Policy> {
    let max_layers = options.max_layers.unwrap_or(MAX_LAYERS).get();
    let for_store = NonZeroUsize::new(max_layers - 1).unwrap_or(NonZeroUsize::MIN);
    let frequencies = options.frequencies.as_deref().map(earlier::frequencies).transpose()?;
    Ok(Policy {
        strategy: options.layering.unwrap_or_default(),
        max_layers: for_store,
        frequencies: frequencies.unwrap_or_default(),
        previous,
    })
}

/// The platform that is wanted of an image of several: the one asked for, else this machine's.
pub(crate) fn wanted_platform(options: &ImageOptions) -> Platform {
    options.platform.clone().unwrap_or_else(this_machine)
}

/// The platform of a closure whose system is known or was asked for. What runs anywhere is for what was asked.
fn platform(gathered: &Gathered, fact: Option<SystemFact>) -> Outcome<Option<Platform>> {
    let asked = gathered.system.as_ref().map(ToString::to_string);
    match (fact.map(|fact| fact.system), asked) {
        (Some(found), Some(asked)) if found != asked => {
            let failure = Failure::failed(format!("the contents are for {found}: expected {asked}"));
            Err(failure.hint(
                "store paths, links and directories are for one system; of a flake's package, such as .#app, the one \
                 for each system is taken",
            ))
        }
        (found, asked) => Ok(found.or(asked).and_then(|system| Platform::from_system(&system))),
    }
}

/// A closure's system, and the digest of all that it follows from.
struct SystemFact {
    key: Digest,
    system: String,
}

/// The system that the closure's programs are for. Finding out reads a few files of the store, so the
/// answer is remembered by the closure's NAR hashes.
fn system(gathered: &Gathered, memo: &Memo, hearsay: &dyn Knowledge) -> Option<SystemFact> {
    let mut hasher = DigestHasher::default();
    for info in gathered.closure.paths() {
        hasher.update(info.path.as_str().as_bytes());
        hasher.update(info.nar_hash.as_bytes());
    }
    let key = hasher.finish();
    let known = memo.fact(SYSTEM_FACT, key).or_else(|| hearsay.fact(SYSTEM_FACT, key));
    let found = known.or_else(|| {
        let system = system_of(&gathered.closure, &gathered.trees)?.to_string();
        // A fact that is not remembered is found out again.
        memo.remember_fact(SYSTEM_FACT, key, &system).ok();
        Some(system)
    });
    found.map(|system| SystemFact { key, system })
}

/// When the image counts as made: as asked, else `SOURCE_DATE_EPOCH`, else the flake's last change,
/// else one second after 1970 began, as store paths have it.
fn created(asked: Option<Created>, last_modified: Option<i64>) -> Outcome<Timestamp> {
    let from_environment = || match std::env::var(SOURCE_DATE_EPOCH) {
        Ok(text) => {
            let created = text.parse().ok().and_then(Created::from_seconds);
            created.map(Some).ok_or_else(|| {
                Failure::bad_usage(format!("{SOURCE_DATE_EPOCH} is '{text}': expected seconds since 1970"))
                    .hint(format!("unset {SOURCE_DATE_EPOCH}, or set it to a number such as 1700000000"))
            })
        }
        Err(_) => Ok(None),
    };
    let created = match asked {
        Some(created) => Some(created),
        None => from_environment()?.or_else(|| last_modified.and_then(Created::from_seconds)),
    };
    Ok(match created {
        Some(Created::At(time)) => time,
        Some(Created::Now) => {
            // Whole seconds: registries and engines show no more.
            Timestamp::from_second(Timestamp::now().as_second()).unwrap_or(Timestamp::UNIX_EPOCH)
        }
        None => Timestamp::constant(1, 0),
    })
}
