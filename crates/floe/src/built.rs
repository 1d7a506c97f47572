//! What a build made, told: to people in a few lines, to machines as one document (docs/output.md).

use std::collections::BTreeSet;
use std::time::Instant;

use floe_destination::{Delivered, DestinationName, Generation, ImageName};
use floe_image::image::{Image, PreviousImage};
use floe_image::oci::Digest;
use serde_json::json;

use crate::failure::Outcome;
use crate::recorded::recipes;
use crate::terminal::{Terminal, duration, size};

/// What was made.
pub(crate) struct Built<'a> {
    pub(crate) name: &'a ImageName,
    /// An image for each platform, at least one.
    pub(crate) images: &'a [&'a Image],
    /// The images that they were planned against.
    pub(crate) replaced: &'a [PreviousImage],
    /// Their place in the record.
    pub(crate) generation: Option<Generation>,
    pub(crate) started: Instant,
}

/// What an update from the images that were replaced moves.
struct Update {
    /// Layers that those have too.
    kept: usize,
    /// Bytes that whoever has those must fetch.
    size: u64,
}

impl Built<'_> {
    /// Says what was made, and where it is.
    pub(crate) fn report(
        &self,
        destinations: &[DestinationName],
        delivered: &[Delivered],
        terminal: &Terminal,
    ) -> Outcome {
        let Self { name, images, generation, .. } = self;
        let digest = recipes::manifests(images.iter().copied())?.top().descriptor.digest;
        let update = self.update();
        if terminal.is_json() {
            let places: Vec<_> = delivered
                .iter()
                .map(|place| json!({ "location": place.location, "digest": place.manifest.digest, "written": place.written }))
                .collect();
            let sizes: u64 = images.iter().map(|image| image.compressed_size()).sum();
            let layers: usize = images.iter().map(|image| image.layer_count()).sum();
            let platforms: Vec<_> = images.iter().map(|image| image.config.platform().to_string()).collect();
            let result = json!({
                "name": name.to_string(), "digest": digest, "size": sizes, "layers": layers, "generation": generation,
                "platform": platforms[0], "platforms": platforms, "delivered": places,
                "update": update.map(|update| json!({ "kept": update.kept, "size": update.size })),
            });
            // Where standard output carries the image itself, the result goes beside the events.
            if destinations.iter().any(|place| matches!(place, DestinationName::StandardOutput(_))) {
                terminal.event(&result);
                return Ok(());
            }
            return terminal.json(&result);
        }
        let took = duration(self.started.elapsed());
        for (number, image) in images.iter().enumerate() {
            let platform =
                if images.len() > 1 { format!("{}  ", image.config.platform()) } else { String::new() };
            let took = if number + 1 == images.len() { format!(", {took}") } else { String::new() };
            let (size, layers) = (size(image.compressed_size()), image.layer_count());
            terminal.note(format!("{name}  {platform}{size} in {layers} layers{took}"));
        }
        terminal.note(digest);
        if let Some(update) = update {
            let (kept, size) = (update.kept, size(update.size));
            terminal.note(format!("{kept} layers are the previous image's: its update moves {size}"));
        }
        if let Some(generation) = generation {
            let repository = name.repository();
            terminal.note(format!("recorded as {repository}@{generation}; run it with: floe run {name}"));
        }
        for place in delivered {
            terminal.note(format!("{}  {} written", place.location, size(place.written)));
        }
        Ok(())
    }

    /// Nothing where no other image's blobs are known, or all that there is was there before.
    fn update(&self) -> Option<Update> {
        let held: BTreeSet<Digest> = self.replaced.iter().flat_map(|image| &image.blobs).copied().collect();
        let is_held = |image: &&Image| {
            let manifest = image.manifest();
            manifest.layers.iter().chain([&manifest.config]).all(|blob| held.contains(&blob.digest))
        };
        if held.is_empty() || self.images.iter().all(is_held) {
            return None;
        }
        let layers = self.images.iter().flat_map(|image| image.every_layer());
        let kept = layers.filter(|layer| held.contains(&layer.descriptor.digest)).count();
        Some(Update { kept, size: self.images.iter().map(|image| image.update_size(&held)).sum() })
    }
}
