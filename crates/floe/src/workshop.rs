//! The workshop: what every command that makes or moves image bytes works with. It opens the memo and
//! the blob cache.

use std::num::NonZeroUsize;

use floe_destination::{BlobCache, Delivered, Destination, FanOut, ImageName};
use floe_image::BlobSink;
use floe_image::image::{self, ComposeError, Draft, Image, PreviousImages};
use floe_image::layer::{Compression, Knowledge, Memo, PackError, Packer};
use floe_store::TreeSource;

use crate::base::BaseBlobs;
use crate::delivery::finish_all;
use crate::failure::{Failure, Outcome};
use crate::places::Places;
use crate::recorded::recipes::Recipes;
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

/// What is known of an image's layers before they are made.
pub(crate) struct Known<'a> {
    /// The layers of an image that is made again.
    pub(crate) recipe: &'a dyn Knowledge,
    /// What others say.
    pub(crate) hearsay: &'a dyn Knowledge,
}

impl Known<'_> {
    /// Nothing but what the memo knows.
    pub(crate) const NOTHING: Known<'static> = Known { recipe: &(), hearsay: &() };
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
        known: &Known<'_>,
        sink: &dyn BlobSink,
    ) -> Outcome<Image> {
        let progress = self.terminal.progress();
        progress.phase("packing layers");
        let (memo, cache) = (self.memo(), self.cache()?);
        let workshop = image::Workshop {
            trees: self.trees,
            recipe: known.recipe,
            memo: self.remembers.then_some(&memo),
            hearsay: known.hearsay,
            blobs: Some(&cache),
            packer: &self.packer(compression)?,
            threads: self.threads(),
            observer: &Watch(progress),
        };
        image::assemble(draft, &workshop, sink).map_err(explain)
    }

    /// Makes an image, or the index that joins several, appear at each destination, on several hosts at once; layers that
    /// one lacks are taken from the cache or packed again. Of several failures that of the first destination is returned.
    pub(crate) fn finish(
        &self,
        images: &[&Image],
        name: &ImageName,
        destinations: Vec<Box<dyn Destination>>,
    ) -> Outcome<Vec<Delivered>> {
        let recipes = Recipes::new(images.iter().copied(), self.places, self.threads())?;
        let blobs = recipes.blobs(self.trees);
        finish_all(destinations, &recipes.manifests()?, name, &blobs, self.terminal)
    }

    /// Brings a recorded image to a destination, compressed as `compression` says.
    ///
    /// An image keeps its digests where its own compression is wanted; else it is assembled again.
    pub(crate) fn deliver(
        &self,
        image: &Image,
        name: &ImageName,
        destination: Box<dyn Destination>,
        compression: Compression,
    ) -> Outcome<Delivered> {
        destination.mount_from(&BaseBlobs::references(&image.base));
        let again = (compression != image.compression)
            .then(|| self.assemble(image.draft(), compression, &Known::NOTHING, destination.sink()))
            .transpose()?;
        let delivered = self.finish(&[again.as_ref().unwrap_or(image)], name, vec![destination])?;
        delivered.into_iter().next().ok_or_else(|| Failure::failed("nothing was delivered"))
    }

    /// Brings recorded images of one name to several destinations; a layer that any of them lacks is read or packed once.
    pub(crate) fn deliver_all(
        &self,
        images: &[&Image],
        name: &ImageName,
        destinations: Vec<Box<dyn Destination>>,
    ) -> Outcome<Vec<Delivered>> {
        for image in images {
            let places = BaseBlobs::references(&image.base);
            destinations.iter().for_each(|destination| destination.mount_from(&places));
            let mut recipe = PreviousImages::default();
            recipe.add_recipe(image);
            let known = Known { recipe: &recipe, hearsay: &() };
            let again = self.assemble(image.draft(), image.compression, &known, &all_sinks(&destinations))?;
            if again.digest() != image.digest() {
                let failure =
                    Failure::failed(format!("{name} is packed otherwise today than when it was recorded"));
                return Err(failure.hint("another version of floe recorded it: build the image again"));
            }
        }
        self.finish(images, name, destinations)
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

/// A failure to draw up an image, with the next step.
pub(crate) fn explain_compose(error: ComposeError) -> Failure {
    let hint = match &error {
        ComposeError::Platform { contents, .. } => {
            format!("take a base for {contents}, or say what the contents are for: --platform")
        }
        ComposeError::TooManyLayers { .. } => {
            "allow more with max-layers, of which docker takes 127, or take a base with fewer".to_owned()
        }
        ComposeError::UnknownUser(_) => "say who runs the image: user = \"1000:1000\"".to_owned(),
        ComposeError::Root(_) => MERGE_HINT.to_owned(),
        ComposeError::RootOutsideClosure(_) | ComposeError::Unreadable { .. } => return Failure::from(error),
    };
    Failure::from(error).hint(hint)
}

/// What to do about packages that have the same file.
const MERGE_HINT: &str = "name the packages in the order wanted and add --root-conflicts first";

fn explain(error: image::AssembleError) -> Failure {
    let hint = match &error {
        image::AssembleError::Pack { source, .. } => match source {
            PackError::Changed { .. } => {
                Some("repair it: nix-store --verify-path tells more, nix-store --repair-path mends it")
            }
            PackError::Walk { .. } => {
                Some("the path is registered but not all there: nix-store --repair-path mends it")
            }
            PackError::Root(_) => Some(MERGE_HINT),
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
