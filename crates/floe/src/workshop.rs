//! The workshop: what every command that makes or moves image bytes works with. It opens the memo and
//! the blob cache.

use std::num::NonZeroUsize;
use std::path::Path;

use floe_destination::registry::{PushConfig, Registry, RegistryConfig, RegistryDestination};
use floe_destination::{BlobCache, Delivered, Destination, DestinationName, Documents, FanOut, ImageName};
use floe_image::BlobSink;
use floe_image::image::{self, Draft, Image, PreviousImages, RecipeBlobs};
use floe_image::layer::{Compression, Knowledge, Layer, Memo, MemoKey, PackError, Packer};
use floe_image::oci::Digest;
use floe_store::TreeSource;

use crate::base::BaseBlobs;
use crate::doors::explain_delivery;
use crate::failure::{Failure, Outcome};
use crate::places::Places;
use crate::terminal::Terminal;
use crate::watch::Watch;

/// Bytes that the cache keeps at most: a few large images.
pub(crate) const CACHE_SIZE: u64 = 8_000_000_000;

/// Threads that compress one layer: past these, layers side by side use the cores better, and each
/// costs memory.
const MOST_THREADS_FOR_A_LAYER: NonZeroUsize = NonZeroUsize::new(4).expect("4 is not 0");

/// What image bytes are made and moved with.
pub(crate) struct Workshop<'a> {
    /// Where the files of store paths are.
    pub(crate) trees: &'a dyn TreeSource,
    /// floe's folders.
    pub(crate) places: &'a Places,
    /// Where progress is shown.
    pub(crate) terminal: &'a Terminal,
    /// Layers that are packed side by side; `None`: one for each processor.
    pub(crate) threads: Option<NonZeroUsize>,
    /// Whether layers packed before are remembered.
    pub(crate) remembers: bool,
}

/// What others say of an image's layers: the images that its destinations have already.
pub(crate) struct Hearsay(Vec<PreviousImages>);

impl Hearsay {
    /// Nobody's word.
    pub(crate) const NONE: Self = Self(Vec::new());

    /// Asks each destination.
    pub(crate) fn of(destinations: &[Box<dyn Destination>]) -> Outcome<Self> {
        let previous = destinations.iter().map(|place| place.previous().map_err(explain_delivery));
        previous.collect::<Outcome<_>>().map(Self)
    }
}

impl Knowledge for Hearsay {
    fn layer(&self, key: &MemoKey) -> Option<Layer> {
        self.0.iter().find_map(|images| images.layer(key))
    }

    fn fact(&self, kind: &str, key: Digest) -> Option<String> {
        self.0.iter().find_map(|images| images.fact(kind, key))
    }
}

impl Workshop<'_> {
    /// The blob cache.
    pub(crate) fn cache(&self) -> Outcome<BlobCache> {
        cache(self.places)
    }

    /// The memo of packed layers.
    pub(crate) fn memo(&self) -> Memo {
        Memo::open(self.places.memo())
    }

    /// Packs what the sink lacks and joins the layers into an image.
    pub(crate) fn assemble(
        &self,
        draft: Draft,
        compression: Compression,
        hearsay: &Hearsay,
        sink: &dyn BlobSink,
    ) -> Outcome<Image> {
        let progress = self.terminal.progress();
        progress.phase("packing layers");
        let (memo, cache) = (self.memo(), self.cache()?);
        let workshop = image::Workshop {
            trees: self.trees,
            recipe: &(),
            memo: self.remembers.then_some(&memo),
            hearsay,
            blobs: Some(&cache),
            packer: &self.packer(compression)?,
            threads: self.threads(),
            observer: &Watch(progress),
        };
        image::assemble(draft, &workshop, sink).map_err(explain)
    }

    /// Makes an image appear at each destination; layers that one lacks are taken from the cache or
    /// packed again.
    pub(crate) fn finish(
        &self,
        image: &Image,
        name: &ImageName,
        destinations: Vec<Box<dyn Destination>>,
    ) -> Outcome<Vec<Delivered>> {
        let manifests = Documents::new(image.manifest(), image.config_bytes()).manifests();
        let cache = self.cache()?;
        let blobs = RecipeBlobs {
            image,
            trees: self.trees,
            cache: Some(&cache),
            base: &BaseBlobs::of(image, self.places)?,
            packer: &self.packer(image.compression)?,
        };
        let deliver = |destination: Box<dyn Destination>| {
            destination.finish(&manifests, Some(name), &blobs).map_err(explain_delivery)
        };
        destinations.into_iter().map(deliver).collect()
    }

    /// Brings a recorded image to a destination, compressed as `compression` says.
    ///
    /// An image keeps its digests where its own compression is wanted; else it is assembled again.
    pub(crate) fn deliver(
        &self,
        image: &Image,
        name: &ImageName,
        destination: &DestinationName,
        compression: Compression,
    ) -> Outcome<Delivered> {
        let destination = self.open(destination)?;
        destination.mount_from(&BaseBlobs::references(&image.base));
        let again = (compression != image.compression)
            .then(|| self.assemble(image.draft(), compression, &Hearsay::NONE, destination.sink()))
            .transpose()?;
        let delivered = self.finish(again.as_ref().unwrap_or(image), name, vec![destination])?;
        delivered.into_iter().next().ok_or_else(|| Failure::failed("nothing was delivered"))
    }

    /// Opens a destination.
    pub(crate) fn open(&self, name: &DestinationName) -> Outcome<Box<dyn Destination>> {
        let spool = self.places.make_spool()?;
        match name {
            DestinationName::Registry(reference) => {
                let registry = Registry::new(RegistryConfig::of_process()?)?;
                let destination =
                    RegistryDestination::open(&registry, reference, Vec::new(), PushConfig::default())?;
                Ok(Box::new(destination))
            }
            DestinationName::StandardOutput(_) => {
                self.terminal.check_stdout_takes_bytes()?;
                Self::open_local(name, &spool)
            }
            name => Self::open_local(name, &spool),
        }
    }

    fn open_local(name: &DestinationName, spool: &Path) -> Outcome<Box<dyn Destination>> {
        match name.open(spool).map_err(explain_delivery)? {
            Some(destination) => Ok(destination),
            None => Err(Failure::failed(format!("{name} cannot be written"))),
        }
    }

    fn threads(&self) -> NonZeroUsize {
        self.threads.unwrap_or_else(processors)
    }

    fn packer(&self, compression: Compression) -> Outcome<Packer> {
        packer(compression, self.threads())
    }
}

/// A thread for each processor.
pub(crate) fn processors() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// Packs layers, each on some of so many threads.
pub(crate) fn packer(compression: Compression, threads: NonZeroUsize) -> Outcome<Packer> {
    Packer::new(compression, threads.min(MOST_THREADS_FOR_A_LAYER)).map_err(Failure::usage)
}

/// The blob cache.
pub(crate) fn cache(places: &Places) -> Outcome<BlobCache> {
    Ok(BlobCache::open(&places.blobs(), CACHE_SIZE)?)
}

/// One sink in place of several: each blob is packed once.
pub(crate) fn all_sinks(destinations: &[Box<dyn Destination>]) -> FanOut<'_> {
    FanOut::new(destinations.iter().map(|destination| destination.sink()).collect())
}

fn explain(error: image::AssembleError) -> Failure {
    let hint = match &error {
        image::AssembleError::Pack { source, .. } => match source {
            PackError::Changed { .. } => {
                Some("repair it: nix-store --verify-path tells more, nix-store --repair-path mends it")
            }
            PackError::Walk { .. } => {
                Some("the path is registered but not all there: nix-store --repair-path mends it")
            }
            PackError::Root(_) => {
                Some("name the packages in the order wanted and add --root-conflicts first")
            }
            _ => None,
        },
        _ => None,
    };
    let failure = Failure::from(error);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
