//! Finding a base: from its name and the lock to all that an image built upon it needs.

use std::collections::BTreeMap;
use std::path::Path;

use floe_destination::{Documents, ImageSource, ManifestDocument, ParsedManifest, SourceName, read_bytes};
use floe_image::BlobSink as _;
use floe_image::image::{Base, BlobOrigin, ReadBaseError};
use floe_image::layer::{Knowledge as _, Memo};
use floe_image::oci::{Digest, Platform, canonical_json};

use super::blobs::kept_layers;
use super::lock::{Lock, Locked};
use super::pinned::{pinned, pinned_digest};
use crate::arguments::RegistryArguments;
use crate::configuration::{BaseName, ImageOptions};
use crate::failure::{Failure, Outcome};
use crate::places::Places;
use crate::tee::Tee;
use crate::terminal::Terminal;
use crate::transports::{Transports, references};
use crate::workshop;

/// Under which kind the memo keeps bases, and the number of their form: one of another form is read anew.
const BASE_FACT: &str = "base-1";

/// What bases are found with.
pub(crate) struct Bases<'a> {
    /// floe's folders.
    pub(crate) places: &'a Places,
    /// Where progress is shown.
    pub(crate) terminal: &'a Terminal,
    /// How registries are spoken to.
    pub(crate) registries: &'a RegistryArguments,
    /// Whether bases that were read before are remembered.
    pub(crate) remembers: bool,
    /// Whether a lock may be changed.
    pub(crate) may_lock: bool,
}

impl Bases<'_> {
    /// Finds the base of an image, if it has one, without what is not inherited. The lock of the `floe.toml` that
    /// describes the image says what the name stands for; where that file is new to it, it is written.
    pub(crate) fn of_image(
        &self,
        options: &ImageOptions,
        platform: &Platform,
        configuration: Option<&Path>,
    ) -> Outcome<Option<Base>> {
        let left_out = options.base_without.iter().flatten();
        let Some(name) = &options.base else {
            return match left_out.count() {
                0 => Ok(None),
                _ => Err(Failure::bad_usage("there is no base to leave something out of")
                    .hint("name one: base = \"docker://docker.io/library/debian:12\"")),
            };
        };
        let mut lock = configuration.map(Lock::read).transpose()?;
        let base = self.find(name, platform, lock.as_mut())?;
        if let Some(lock) = lock {
            lock.write()?;
        }
        Ok(Some(left_out.fold(base, |base, field| base.without(field))))
    }

    /// Finds the base that a name stands for, by the lock where one is used, which learns of a name that it lacks.
    fn find(&self, name: &BaseName, platform: &Platform, lock: Option<&mut Lock>) -> Outcome<Base> {
        let transports =
            Transports::new(self.places, self.terminal, self.registries, references([&name.source], []));
        let Some(digest) = self.digest(name, lock.as_deref())? else {
            let source = transports.source(&name.source)?;
            let digest = source.root().digest;
            if let Some(lock) = lock {
                lock.set(&name.written, locked(source.as_ref(), &transports)?);
            }
            return self.read(name, digest, platform, &transports, Some(source));
        };
        self.read(name, digest, platform, &transports, None)
    }

    /// Looks at what a name stands for now.
    pub(crate) fn look(&self, name: &BaseName) -> Outcome<Locked> {
        let transports =
            Transports::new(self.places, self.terminal, self.registries, references([&name.source], []));
        locked(transports.source(&name.source)?.as_ref(), &transports)
    }

    /// The digest that a name is to stand for; `None` when it has to be asked for.
    fn digest(&self, name: &BaseName, lock: Option<&Lock>) -> Outcome<Option<Digest>> {
        let known = pinned_digest(&name.source).or_else(|| Some(lock?.get(&name.written)?.digest));
        if known.is_some() || self.may_lock {
            return Ok(known);
        }
        let failure = match lock {
            Some(lock) => {
                let message =
                    format!("{} does not say what {} stands for", lock.path().display(), name.written);
                Failure::failed(message).hint("look at it, and commit the file: floe lock")
            }
            None => Failure::failed(format!("nothing locks what {} stands for", name.written)).hint(
                "describe the image in floe.toml, or name the base by its digest: docker://NAME@sha256:…",
            ),
        };
        Err(failure)
    }

    fn read(
        &self,
        name: &BaseName,
        digest: Digest,
        platform: &Platform,
        transports: &Transports<'_>,
        source: Option<Box<dyn ImageSource>>,
    ) -> Outcome<Base> {
        let memo = self.remembers.then(|| Memo::open(self.places.memo()));
        let key = Digest::of(format!("{digest} {platform} {}", origin_name(&name.source)).as_bytes());
        let remembered = memo.as_ref().and_then(|memo| memo.fact(BASE_FACT, key));
        let remembered = remembered.and_then(|text| serde_json::from_str::<Base>(&text).ok());
        if let Some(base) = remembered.filter(|base| self.has_kept_layers(base)) {
            return Ok(base);
        }
        let progress = self.terminal.progress();
        progress.phase(&format!("reading {}", name.written));
        let source = match source {
            Some(source) => source,
            None => self.open(name, digest, transports)?,
        };
        let documents = Documents::read(source.as_ref(), source.root(), platform)
            .map_err(|error| transports.explain_documents(error))?;
        let origin = origin(&name.source, documents.document.descriptor.digest);
        let cache = match origin {
            BlobOrigin::Registry(_) => workshop::cache(self.places)?,
            BlobOrigin::Kept => kept_layers(self.places)?,
        };
        let blobs = Tee { source: source.as_ref(), cache: Some(&cache) };
        let base = Base::read(&documents.manifest, documents.config, &origin, &blobs)
            .map_err(|error| explain(error, name))?;
        if let Some(memo) = &memo {
            let text = String::from_utf8_lossy(&canonical_json::to_vec(&base)).into_owned();
            // What is not remembered is read again.
            memo.remember_fact(BASE_FACT, key, &text).ok();
        }
        Ok(base)
    }

    fn open(
        &self,
        name: &BaseName,
        digest: Digest,
        transports: &Transports<'_>,
    ) -> Outcome<Box<dyn ImageSource>> {
        let is_locked = pinned_digest(&name.source).is_none();
        let update = |failure: Failure| {
            if is_locked {
                failure.hint("if the base was replaced on purpose: floe lock --update")
            } else {
                failure
            }
        };
        let source = transports.source(&pinned(&name.source, digest)).map_err(update)?;
        let found = source.root().digest;
        if found != digest {
            let message = format!("{} is {found} now: expected {digest}", name.written);
            return Err(update(Failure::failed(message)));
        }
        Ok(source)
    }

    /// Whether the layers that only floe keeps are there; a damaged one is found when it is read.
    fn has_kept_layers(&self, base: &Base) -> bool {
        let mut kept = base.layers.iter().filter(|layer| layer.origin == BlobOrigin::Kept).peekable();
        if kept.peek().is_none() {
            return true;
        }
        let Ok(cache) = kept_layers(self.places) else { return false };
        kept.all(|layer| cache.holds(&layer.layer.descriptor).unwrap_or(false))
    }
}

/// Where the layers of a foreign image stay; they are named by the image that has them, by its digest.
pub(crate) fn origin(name: &SourceName, manifest: Digest) -> BlobOrigin {
    match name {
        SourceName::Registry(reference) => BlobOrigin::Registry(reference.with_digest(manifest)),
        _ => BlobOrigin::Kept,
    }
}

/// The origin as far as it is known from the name: the same image in two registries has two origins.
fn origin_name(name: &SourceName) -> String {
    match name {
        SourceName::Registry(reference) => format!("{}/{}", reference.host(), reference.repository()),
        _ => "kept".to_owned(),
    }
}

/// What a source stands for, with the image of each platform.
fn locked(source: &dyn ImageSource, transports: &Transports<'_>) -> Outcome<Locked> {
    let root = source.root();
    let explain = |error| transports.explain_documents(error);
    let mut manifests = BTreeMap::new();
    if root.media_type.is_index() {
        let bytes = read_bytes(source, root).map_err(explain)?;
        let document = ManifestDocument::new(root.media_type.clone(), bytes);
        if let ParsedManifest::Index(index) = document.parse().map_err(explain)? {
            for entry in index.manifests {
                // Attestations are for no platform.
                if let Some(platform) = entry.platform.filter(|platform| platform.os != "unknown") {
                    manifests.entry(platform.to_string()).or_insert(entry.digest);
                }
            }
        }
    } else {
        let any = Platform::new("linux", "amd64");
        let config = Documents::read(source, root, &any).map_err(explain)?.config;
        manifests.insert(config.platform().to_string(), root.digest);
    }
    Ok(Locked { digest: root.digest, manifests })
}

fn explain(error: ReadBaseError, name: &BaseName) -> Failure {
    let hint = match &error {
        ReadBaseError::UnsupportedLayer { .. } => "take a base whose layers are plain files in the registry",
        ReadBaseError::Uneven { .. } | ReadBaseError::Tree(_) | ReadBaseError::Accounts(_) => {
            "the image is damaged or was made by a broken program: fetch or build it again"
        }
    };
    let failure = anyhow::Error::new(error).context(format!("cannot build upon {}", name.written));
    Failure::from(failure).hint(hint)
}
