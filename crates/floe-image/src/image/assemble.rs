//! Assembling packs a draft's layers into a sink, side by side, and joins them into an image.
//!
//! A layer that the memo knows is not read: its digests are taken from there, and it is packed only
//! when the sink wants its bytes. The largest layers are packed first, so that the cores stay busy to
//! the end; the image's order, and every byte, are the draft's alone.

use std::io::Write as _;
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use floe_store::TreeSource;

use super::{Draft, DraftLayer, Image, ImageLayer};
use crate::layer::{Layer, LayerContents, Memo, MemoKey, PackError, PackProgress, Packer};
use crate::oci::{Descriptor, History, MediaType, RootFs};
use crate::{BlobError, BlobSink};

/// What assembling works with.
#[derive(Clone, Copy)]
pub struct Workshop<'a> {
    /// Where the files of store paths are.
    pub trees: &'a dyn TreeSource,
    /// Layers packed before, when remembering is wanted.
    pub memo: Option<&'a Memo>,
    /// Packs the layers, with the draft's compression.
    pub packer: &'a Packer,
    /// How many layers are packed side by side.
    pub threads: NonZeroUsize,
    /// Who is told how far the work is.
    pub observer: &'a dyn Observer,
}

/// Who is told how far assembling is; called from several threads.
pub trait Observer: PackProgress {
    /// The layers are known: how many, and the bytes of content that they hold.
    fn planned(&self, layers: usize, nar_size: u64);

    /// A layer is done; `packed` is false when its bytes were not needed.
    fn layer_done(&self, draft: &DraftLayer, layer: &Layer, packed: bool);
}

/// Why an image could not be assembled. Nothing was committed for the layer at fault.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    /// A layer could not be packed.
    #[error("cannot pack layer {number} ({reason})")]
    Pack {
        /// The layer's place, counted from 1 at the bottom.
        number: usize,
        /// Why its contents share a layer.
        reason: String,
        /// The reason that it failed.
        #[source]
        source: PackError,
    },
    /// The sink did not take a layer.
    #[error("cannot deliver layer {number} ({reason})")]
    Sink {
        /// The layer's place, counted from 1 at the bottom.
        number: usize,
        /// Why its contents share a layer.
        reason: String,
        /// The sink's reason.
        #[source]
        source: BlobError,
    },
    /// The sink did not take the config.
    #[error("cannot deliver the image's config")]
    Config(#[source] BlobError),
}

/// Packs what the sink lacks and joins the layers into an image. The config is written to the sink
/// after the layers; the manifest is the destination's to write.
///
/// # Errors
/// When a layer cannot be packed, or the sink does not take a blob. The first failure in the order of
/// the layers is reported; work under way ends.
pub fn assemble(draft: Draft, workshop: &Workshop<'_>, sink: &dyn BlobSink) -> Result<Image, AssembleError> {
    let nar_size = draft.layers.iter().map(|layer| layer.contents.nar_size()).sum();
    workshop.observer.planned(draft.layers.len(), nar_size);
    let layers = pack_all(&draft, workshop, sink)?;

    let mut config = draft.config;
    config.rootfs = RootFs::layers(layers.iter().map(|layer| layer.diff_id).collect());
    config.history = draft.layers.iter().map(|layer| history(layer, config.created.clone())).collect();
    let join = |(draft, layer): (DraftLayer, Layer)| ImageLayer {
        contents: draft.contents,
        layer,
        reason: draft.reason,
    };
    let layers = draft.layers.into_iter().zip(layers).map(join).collect();
    let image =
        Image { layers, config, annotations: draft.annotations, compression: workshop.packer.compression() };

    deliver_config(&image, sink).map_err(AssembleError::Config)?;
    Ok(image)
}

/// A layer's line in `podman history`: the packages by name, without their hashes.
fn history(layer: &DraftLayer, created: Option<String>) -> History {
    let comment = match &layer.contents {
        LayerContents::StorePaths { paths, .. } => {
            let names: Vec<&str> = paths.iter().map(|entry| entry.path.name()).collect();
            names.join(" ")
        }
        LayerContents::Root(_) => layer.reason.clone(),
    };
    History { created, created_by: Some("floe".to_owned()), comment: Some(comment), ..History::default() }
}

fn deliver_config(image: &Image, sink: &dyn BlobSink) -> Result<(), BlobError> {
    let bytes = image.config_bytes();
    let descriptor = Descriptor::of(MediaType::Config, &bytes);
    if !sink.wants(&descriptor)? {
        return Ok(());
    }
    let mut writer = sink.begin(Some(&descriptor))?;
    let failed = |source| BlobError::Io { action: format!("write config {}", descriptor.digest), source };
    writer.write_all(&bytes).map_err(failed)?;
    writer.commit(&descriptor)
}

/// Packs the layers, largest first, on `threads` threads; the result is in the draft's order.
fn pack_all(
    draft: &Draft,
    workshop: &Workshop<'_>,
    sink: &dyn BlobSink,
) -> Result<Vec<Layer>, AssembleError> {
    let mut order: Vec<usize> = (0..draft.layers.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(draft.layers[*index].contents.nar_size()));
    let outcomes: Vec<Mutex<Option<Result<Layer, AssembleError>>>> =
        draft.layers.iter().map(|_| Mutex::new(None)).collect();
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);

    std::thread::scope(|scope| {
        for _ in 0..workshop.threads.get().min(order.len()) {
            scope.spawn(|| {
                while !failed.load(Ordering::Relaxed) {
                    let Some(index) = order.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
                    let outcome = one_layer(*index, draft, workshop, sink);
                    failed.fetch_or(outcome.is_err(), Ordering::Relaxed);
                    *outcomes[*index].lock().expect("no thread panics while it holds an outcome") =
                        Some(outcome);
                }
            });
        }
    });
    let outcomes = outcomes.into_iter().map(|outcome| outcome.into_inner().expect("the threads have ended"));
    // Layers that were never begun come after a failure only.
    let mut layers = Vec::with_capacity(draft.layers.len());
    let mut first_failure = None;
    for outcome in outcomes.flatten() {
        match outcome {
            Ok(layer) => layers.push(layer),
            Err(error) => first_failure = first_failure.or(Some(error)),
        }
    }
    first_failure.map_or(Ok(layers), Err)
}

fn one_layer(
    index: usize,
    draft: &Draft,
    workshop: &Workshop<'_>,
    sink: &dyn BlobSink,
) -> Result<Layer, AssembleError> {
    let layer = &draft.layers[index];
    let (number, reason) = (index + 1, layer.reason.clone());
    let outcome = Job { layer, workshop, sink }.run();
    outcome.map_err(|error| match error {
        JobError::Pack(source) => AssembleError::Pack { number, reason, source },
        JobError::Sink(source) => AssembleError::Sink { number, reason, source },
    })
}

/// One layer's way into the sink.
struct Job<'a> {
    layer: &'a DraftLayer,
    workshop: &'a Workshop<'a>,
    sink: &'a dyn BlobSink,
}

enum JobError {
    Pack(PackError),
    Sink(BlobError),
}

impl Job<'_> {
    fn run(&self) -> Result<Layer, JobError> {
        let observer = self.workshop.observer;
        let key = MemoKey::of(&self.layer.contents, self.workshop.packer.compression());
        if let Some(remembered) = self.workshop.memo.and_then(|memo| memo.layer(&key)) {
            if !self.sink.wants(&remembered.descriptor).map_err(JobError::Sink)? {
                observer.layer_done(self.layer, &remembered, false);
                return Ok(remembered);
            }
            if let Some(layer) = self.pack_as(Some(&remembered.descriptor))? {
                observer.layer_done(self.layer, &layer, true);
                return Ok(layer);
            }
            // The memo was wrong about the bytes: what is packed now takes its place.
        }
        let layer = self.pack_as(None)?.expect("a layer without expectations meets them");
        if let Some(memo) = self.workshop.memo {
            // A memo that cannot be written costs time at the next build and nothing else.
            let _unwritten = memo.remember(&key, &layer);
        }
        observer.layer_done(self.layer, &layer, true);
        Ok(layer)
    }

    /// Packs the layer into the sink; `None` when the bytes are not those that were expected.
    fn pack_as(&self, known: Option<&Descriptor>) -> Result<Option<Layer>, JobError> {
        let Workshop { trees, packer, observer, .. } = *self.workshop;
        let mut writer = self.sink.begin(known).map_err(JobError::Sink)?;
        let layer =
            packer.pack(&self.layer.contents, trees, observer, &mut writer).map_err(JobError::Pack)?;
        if known.is_some_and(|known| known.digest != layer.descriptor.digest) {
            return Ok(None);
        }
        writer.commit(&layer.descriptor).map_err(JobError::Sink)?;
        Ok(Some(layer))
    }
}
