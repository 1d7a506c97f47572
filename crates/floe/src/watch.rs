//! Shows on the terminal what the libraries' observers are told.

use floe_destination::{BlobObserver, CopyObserver};
use floe_image::image::{DraftLayer, LayerObserver, Observer};
use floe_image::layer::{Layer, LayerContents, PackProgress};
use floe_image::oci::Descriptor;

use crate::progress::{Blob, BlobDone, Progress};

/// Shows how far assembling or copying is.
pub(crate) struct Watch(pub(crate) Progress);

impl Observer for Watch {
    fn planned(&self, layers: usize, nar_size: u64) {
        self.0.planned(layers, nar_size);
    }

    fn layer_spared(&self, draft: &DraftLayer, layer: &Layer) {
        let (digest, size) = (layer.descriptor.digest, layer.descriptor.size);
        self.0.spared(BlobDone { name: &name(draft), digest, size }, draft.contents.nar_size());
    }

    fn layer_begun<'a>(&'a self, draft: &'a DraftLayer) -> Box<dyn LayerObserver + 'a> {
        Box::new(WatchLayer(self.0.begin(&name(draft), draft.contents.nar_size())))
    }
}

/// Shows how far one layer is.
struct WatchLayer(Blob);

impl PackProgress for WatchLayer {
    fn bytes_read(&self, bytes: u64) {
        self.0.advance(bytes);
    }
}

impl LayerObserver for WatchLayer {
    fn done(self: Box<Self>, layer: &Layer) {
        self.0.done(layer.descriptor.digest, layer.descriptor.size);
    }
}

impl CopyObserver for Watch {
    fn planned(&self, blobs: usize, bytes: u64) {
        self.0.planned(blobs, bytes);
    }

    fn begun<'a>(&'a self, blob: &'a Descriptor) -> Box<dyn BlobObserver + 'a> {
        Box::new(WatchBlob { shown: self.0.begin(&blob.digest.short(), blob.size), blob })
    }
}

/// Shows how far one blob is.
struct WatchBlob<'a> {
    shown: Blob,
    blob: &'a Descriptor,
}

impl BlobObserver for WatchBlob<'_> {
    fn moved(&self, bytes: u64) {
        self.shown.advance(bytes);
    }

    fn done(self: Box<Self>) {
        self.shown.done(self.blob.digest, self.blob.size);
    }
}

/// A layer by its largest package, since a list of names would not fit a line.
fn name(draft: &DraftLayer) -> String {
    let LayerContents::StorePaths { paths, .. } = &draft.contents else { return "root".to_owned() };
    match (paths.iter().max_by_key(|entry| entry.nar_size), paths.len()) {
        (None, _) => "nothing".to_owned(),
        (Some(entry), 1) => entry.path.name().to_owned(),
        (Some(entry), count) => format!("{} and {} more", entry.path.name(), count - 1),
    }
}
