//! Recording an image that was made elsewhere: its layers are not floe's to pack, so it is recorded as an image that has
//! them from a base and adds none.
//!
//! Layers of a registry stay there, and come from the blob cache while it has them; others are kept by floe, for as long as
//! an image names them. The layers' digests stay; manifest and config are written anew, in OCI's form.

use std::collections::BTreeMap;

use floe_destination::{
    DeliverError, Documents, Either, ImageName, ImageSource, ManifestDocument, Manifests, ParsedManifest,
    SourceName,
};
use floe_image::image::{Base, BlobOrigin, Image};
use floe_image::layer::Compression;
use floe_image::oci::{MediaType, Platform};
use serde_json::json;

use crate::base::{kept_layers, origin};
use crate::failure::{Failure, Outcome};
use crate::gather::store;
use crate::places::Places;
use crate::recorded::{self, IMAGE_NAME_HINT, OtherPlatform, Recorded};
use crate::terminal::Terminal;
use crate::transports::Transports;
use crate::watch::Watch;
use crate::workshop;

/// An image that is to be recorded.
pub(crate) struct Recording<'a> {
    /// Where it comes from.
    pub(crate) source: &'a dyn ImageSource,
    /// What that is called.
    pub(crate) source_name: &'a SourceName,
    /// floe's folders.
    pub(crate) places: &'a Places,
    /// Where progress is shown.
    pub(crate) terminal: &'a Terminal,
}

impl Recording<'_> {
    /// Records the images of manifests under a name, else under the source's.
    pub(crate) fn record(
        &self,
        manifests: &Manifests,
        name: Option<&ImageName>,
        transports: &Transports<'_>,
    ) -> Outcome {
        let name = name.or_else(|| self.source.name()).ok_or_else(|| {
            Failure::bad_usage(format!("{} has no name: expected recorded:NAME", self.source_name))
                .hint(IMAGE_NAME_HINT)
        })?;
        let recorded = match self.source_name {
            SourceName::Recorded(source) => self.again(&source.to_string(), manifests)?,
            _ => self.foreign(manifests, transports)?,
        };
        let generation = recorded::put(self.places, name, &recorded, self.terminal)?;
        let digest = recorded.digest()?;
        if self.terminal.is_json() {
            let location = format!("recorded:{name}");
            return self
                .terminal
                .json(&json!({ "location": location, "digest": digest, "generation": generation }));
        }
        self.terminal.note(format!("recorded:{name}  {digest}"));
        let repository = name.repository();
        self.terminal.note(format!("recorded as {repository}@{generation}; run it with: floe run {name}"));
        Ok(())
    }

    /// A recorded image under another name: the same recipe.
    fn again(&self, source: &str, manifests: &Manifests) -> Outcome<Recorded> {
        let (_, recorded) = recorded::find(self.places, Some(source))?;
        if recorded.digest()? == manifests.top().descriptor.digest {
            return Ok(recorded);
        }
        let failure = Failure::bad_usage(format!("{source} is for several platforms, which stay together"));
        Err(failure.hint("record it whole: --all"))
    }

    fn foreign(&self, manifests: &Manifests, transports: &Transports<'_>) -> Outcome<Recorded> {
        let mut images = Vec::new();
        for document in manifests.documents() {
            if let ParsedManifest::Manifest(manifest) = document.parse()? {
                // An attestation stands beside images, and is none.
                let is_image =
                    matches!(manifest.config.media_type, MediaType::Config | MediaType::DockerConfig);
                if is_image {
                    images.push(self.image(document, transports)?);
                }
            }
        }
        let mut images = images.into_iter();
        let first = images.next().ok_or_else(|| {
            Failure::failed(format!("{} is no image: there is nothing to record", self.source_name))
        })?;
        let others = images.map(|image| OtherPlatform { image, roots: Vec::new(), added: BTreeMap::new() });
        Ok(Recorded::new(first, Vec::new(), BTreeMap::new(), &store(None)).with(others.collect()))
    }

    /// One image, its layers as those of a base.
    fn image(&self, document: &ManifestDocument, transports: &Transports<'_>) -> Outcome<Image> {
        let any = Platform::new("linux", "amd64");
        let documents = Documents::read(self.source, &document.descriptor, &any)
            .map_err(|error| transports.explain_documents(error))?;
        let origin = origin(self.source_name, document.descriptor.digest);
        let cache = match origin {
            BlobOrigin::Registry(_) => workshop::cache(self.places)?,
            BlobOrigin::Kept => kept_layers(self.places)?,
        };
        let progress = self.terminal.progress();
        progress.phase("copying");
        let layers = &documents.manifest.layers;
        floe_destination::keep(self.source, layers, &cache, &Watch(progress))
            .map_err(|error: DeliverError| transports.explain_delivery(error))?;
        // A layer that is larger than the cache is not in it.
        let blobs = Either(&cache, self.source);
        let base = Base::read(&documents.manifest, documents.config, &origin, &blobs)?;
        Ok(Image {
            base: base.layers,
            layers: Vec::new(),
            config: base.config,
            annotations: documents.manifest.annotations,
            compression: Compression::default(),
        })
    }
}
