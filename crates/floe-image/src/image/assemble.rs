//! Assembling packs a draft's layers into a sink, side by side, and joins them into an image.
//!
//! A layer that is known, from the memo or from an earlier image, is not read: it is packed only when the
//! sink wants its bytes. The largest layers are packed first, so that the cores stay busy to
//! the end; the image's order, and every byte, are the draft's alone.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use floe_store::TreeSource;

use super::{Draft, DraftLayer, Image, ImageLayer};
use crate::layer::{Knowledge, Layer, LayerContents, Memo, MemoKey, PackError, PackProgress, Packer};
use crate::oci::{Descriptor, History, MediaType};
use crate::{BlobError, BlobSink, BlobSource, BlobWriter};

/// Layers that a sink is asked for at once: asking is waiting for answers from afar.
const ASKED_AT_ONCE: NonZeroUsize = NonZeroUsize::new(24).expect("24 is not 0");

/// What assembling works with.
#[derive(Clone, Copy)]
pub struct Workshop<'a> {
    /// Where the files of store paths are.
    pub trees: &'a dyn TreeSource,
    /// The layers of a recipe that is assembled again: of these bytes the image has to be.
    pub recipe: &'a dyn Knowledge,
    /// Layers packed before, when remembering is wanted.
    pub memo: Option<&'a Memo>,
    /// What others say of layers. It spares the packing of a layer that the sink holds, and no more: a layer that is
    /// packed is what the store says, and nothing is remembered by hearsay.
    pub hearsay: &'a dyn Knowledge,
    /// Where blobs of known layers may lie ready.
    pub blobs: Option<&'a dyn BlobSource>,
    /// Packs the layers, with the draft's compression.
    pub packer: &'a Packer,
    /// How many layers are packed side by side.
    pub threads: NonZeroUsize,
    /// Who is told how far the work is.
    pub observer: &'a dyn Observer,
}

/// Who is told how far assembling is; called from several threads.
pub trait Observer: Sync {
    /// The layers are known: how many, and the bytes of content that they hold.
    fn planned(&self, layers: usize, nar_size: u64);

    /// A layer is done: its bytes were not needed.
    fn layer_spared(&self, draft: &DraftLayer, layer: &Layer);

    /// A layer's bytes begin to go to the sink.
    fn layer_begun<'a>(&'a self, draft: &'a DraftLayer) -> Box<dyn LayerObserver + 'a>;
}

/// Who is told how far one layer is; dropped when it failed.
pub trait LayerObserver: PackProgress {
    /// The sink has the layer.
    fn done(self: Box<Self>, layer: &Layer);
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
    let layers = deliver_layers(&draft, workshop, sink)?;

    let mut config = draft.config;
    config.rootfs.diff_ids.extend(layers.iter().map(|layer| layer.diff_id));
    let created = config.created.clone();
    config.history.extend(draft.layers.iter().map(|layer| history(layer, created.clone())));
    let join = |(draft, layer): (DraftLayer, Layer)| ImageLayer {
        contents: draft.contents,
        layer,
        reason: draft.reason,
    };
    let layers = draft.layers.into_iter().zip(layers).map(join).collect();
    let Draft { base, annotations, .. } = draft;
    let image = Image { base, layers, config, annotations, compression: workshop.packer.compression() };

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
        LayerContents::Root(_) | LayerContents::Entries { .. } => layer.reason.clone(),
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

/// Makes every layer be in the sink: first those that are known are asked for, then the rest is packed, largest first.
/// The result is in the draft's order.
fn deliver_layers(
    draft: &Draft,
    workshop: &Workshop<'_>,
    sink: &dyn BlobSink,
) -> Result<Vec<Layer>, AssembleError> {
    let job = |index: usize| Job { layer: &draft.layers[index], workshop, sink };
    let named = |index: usize, error: JobError| {
        let (number, reason) = (index + 1, draft.layers[index].reason.clone());
        match error {
            JobError::Pack(source) => AssembleError::Pack { number, reason, source },
            JobError::Sink(source) => AssembleError::Sink { number, reason, source },
        }
    };
    let all: Vec<usize> = (0..draft.layers.len()).collect();
    let spare = |index| job(index).spare().map_err(|error| named(index, error));
    let spared = side_by_side(&all, ASKED_AT_ONCE, spare)?;

    let mut missing: Vec<usize> =
        spared.iter().filter(|(_, layer)| layer.is_none()).map(|(index, _)| *index).collect();
    missing.sort_by_key(|index| std::cmp::Reverse(draft.layers[*index].contents.nar_size()));
    let make = |index| job(index).make().map_err(|error| named(index, error));
    let mut layers = side_by_side(&missing, workshop.threads, make)?;
    layers.extend(spared.into_iter().filter_map(|(index, layer)| Some((index, layer?))));
    Ok(layers.into_values().collect())
}

/// Does `work` for each index on some threads, beginning in order. After a failure nothing more is begun; of several
/// failures that of the least index is returned.
fn side_by_side<T: Send>(
    indices: &[usize],
    threads: NonZeroUsize,
    work: impl Fn(usize) -> Result<T, AssembleError> + Sync,
) -> Result<BTreeMap<usize, T>, AssembleError> {
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let outcomes = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..threads.get().min(indices.len()) {
            scope.spawn(|| {
                while !failed.load(Ordering::Relaxed)
                    && let Some(index) = indices.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    let outcome = work(*index);
                    failed.fetch_or(outcome.is_err(), Ordering::Relaxed);
                    outcomes
                        .lock()
                        .expect("no thread panics while it adds an outcome")
                        .insert(*index, outcome);
                }
            });
        }
    });
    let outcomes = outcomes.into_inner().expect("the threads have ended");
    outcomes.into_iter().map(|(index, outcome)| Ok((index, outcome?))).collect()
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
    /// The layer, where it is known and the sink does not want its bytes.
    fn spare(&self) -> Result<Option<Layer>, JobError> {
        let known = self.expected().or_else(|| self.workshop.hearsay.layer(&self.key()));
        let Some(layer) = known else { return Ok(None) };
        if self.sink.wants(&layer.descriptor).map_err(JobError::Sink)? {
            return Ok(None);
        }
        self.workshop.observer.layer_spared(self.layer, &layer);
        Ok(Some(layer))
    }

    /// Brings the layer's bytes into the sink.
    fn make(&self) -> Result<Layer, JobError> {
        // When what was expected is not what is packed, the memo was wrong: the new layer takes its place.
        if let Some(expected) = self.expected()
            && (self.copy_ready(&expected)? || self.pack(Some(&expected.descriptor))?.is_some())
        {
            return Ok(expected);
        }
        let layer = self.pack(None)?.expect("a layer without expectations meets them");
        if let Some(memo) = self.workshop.memo {
            // A memo that cannot be written costs time at the next build and nothing else.
            let _unwritten = memo.remember(&self.key(), &layer);
        }
        Ok(layer)
    }

    fn key(&self) -> MemoKey {
        MemoKey::of(&self.layer.contents, self.workshop.packer.compression())
    }

    /// The layer as it was packed before, by the recipe's word or the memo's.
    fn expected(&self) -> Option<Layer> {
        let Workshop { recipe, memo, .. } = self.workshop;
        let key = self.key();
        recipe.layer(&key).or_else(|| memo.and_then(|memo| memo.layer(&key)))
    }

    /// Copies the layer's blob from where it lies ready; false when it lies nowhere.
    fn copy_ready(&self, layer: &Layer) -> Result<bool, JobError> {
        let Some(blobs) = self.workshop.blobs else { return Ok(false) };
        let blob = &layer.descriptor;
        let progress = self.workshop.observer.layer_begun(self.layer);
        let mut copy = ReadyCopy {
            sink: self.sink,
            blob,
            writer: None,
            written: 0,
            nar_size: self.layer.contents.nar_size(),
            progress: &*progress,
        };
        match blobs.copy_to(blob, &mut copy) {
            // A writer that was begun is dropped, so that nothing of it is left.
            Err(BlobError::Missing(_) | BlobError::WrongBytes { .. }) => return Ok(false),
            outcome => outcome.map_err(JobError::Sink)?,
        }
        copy.writer().map_err(JobError::Sink)?;
        let writer = copy.writer.take().expect("it was begun");
        writer.commit(blob).map_err(JobError::Sink)?;
        progress.done(layer);
        Ok(true)
    }

    /// Packs the layer into the sink; `None` when the bytes are not those that were expected.
    fn pack(&self, expected: Option<&Descriptor>) -> Result<Option<Layer>, JobError> {
        let Workshop { trees, packer, observer, .. } = *self.workshop;
        let progress = observer.layer_begun(self.layer);
        let mut writer = self.sink.begin(expected).map_err(JobError::Sink)?;
        let layer =
            packer.pack(&self.layer.contents, trees, &*progress, &mut writer).map_err(JobError::Pack)?;
        if expected.is_some_and(|expected| expected.digest != layer.descriptor.digest) {
            return Ok(None);
        }
        writer.commit(&layer.descriptor).map_err(JobError::Sink)?;
        progress.done(&layer);
        Ok(Some(layer))
    }
}

/// A ready blob on its way, told as the part of the layer's contents that it stands for. The sink hears of it with the
/// first byte, so that a blob that is not ready after all costs no request.
struct ReadyCopy<'sink, 'progress> {
    sink: &'sink dyn BlobSink,
    blob: &'sink Descriptor,
    writer: Option<Box<dyn BlobWriter + 'sink>>,
    written: u64,
    /// Bytes of the contents.
    nar_size: u64,
    progress: &'progress dyn PackProgress,
}

impl<'sink> ReadyCopy<'sink, '_> {
    fn writer(&mut self) -> Result<&mut Box<dyn BlobWriter + 'sink>, BlobError> {
        let begun = match self.writer.take() {
            Some(writer) => writer,
            None => self.sink.begin(Some(self.blob))?,
        };
        Ok(self.writer.insert(begun))
    }

    fn share(&self) -> u64 {
        let share = u128::from(self.nar_size) * u128::from(self.written) / u128::from(self.blob.size.max(1));
        u64::try_from(share).unwrap_or(self.nar_size)
    }
}

impl io::Write for ReadyCopy<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let before = self.share();
        let count = self.writer().map_err(io::Error::other)?.write(bytes)?;
        self.written += count as u64;
        self.progress.bytes_read(self.share() - before);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.as_mut().map_or(Ok(()), io::Write::flush)
    }
}
