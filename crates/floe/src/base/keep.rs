//! Keeping the layers of a base that a recipe file names, so that they are there when they are asked for.

use std::io;

use floe_destination::SourceName;
use floe_image::image::{BaseLayer, BlobOrigin};
use floe_image::{BlobSink as _, BlobSource as _};

use super::blobs::kept_layers;
use crate::failure::{Failure, Outcome};
use crate::places::Places;
use crate::tee::Tee;

/// Copies the layers that no registry has from where the base lies into floe's own folder, those that it lacks.
pub(crate) fn keep_layers(places: &Places, base: &SourceName, layers: &[BaseLayer]) -> Outcome {
    let cache = kept_layers(places)?;
    let mut source = None;
    for BaseLayer { layer, .. } in layers.iter().filter(|layer| layer.origin == BlobOrigin::Kept) {
        if cache.holds(&layer.descriptor)? {
            continue;
        }
        if source.is_none() {
            source = base.open(&places.make_spool()?)?;
        }
        let Some(source) = &source else {
            return Err(Failure::failed(format!("{base} cannot be read")));
        };
        let kept = Tee { source: source.as_ref(), cache: Some(&cache) };
        kept.copy_to(&layer.descriptor, &mut io::sink())?;
    }
    Ok(())
}
