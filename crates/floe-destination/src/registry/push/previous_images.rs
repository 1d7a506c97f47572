//! What the images that a tag named before say of their layers, so that a machine that packed none of them can push.
//!
//! One GET for each previous manifest, which the push needs anyway, and one for its config, which knows the diff IDs.
//! Whoever may write the tag is believed: docs/registries.md, "What is trusted".

use floe_image::image::PreviousImages;
use floe_image::layer::{Knowledge, Layer, MemoKey};
use floe_image::oci::{Config, Descriptor, Digest};
use reqwest::Method;

use super::session::PushSession;
use crate::registry::auth::Scope;
use crate::registry::exchange::Call;
use crate::{MAX_DOCUMENT, ParsedManifest};

/// The layers of the images that the target's tag named before, by their memo keys. They are read when they are first
/// asked for; nothing is known for a first push, or where floe made none of the images.
impl Knowledge for PushSession {
    fn layer(&self, key: &MemoKey) -> Option<Layer> {
        self.previous_images().layer(key)
    }

    fn fact(&self, kind: &str, key: Digest) -> Option<String> {
        self.previous_images().fact(kind, key)
    }
}

impl PushSession {
    pub(in crate::registry) fn previous_images(&self) -> &PreviousImages {
        self.previous_images.get_or_init(|| {
            let mut images = PreviousImages::default();
            // What cannot be read teaches nothing; when the registry is at fault, the push itself will say so.
            for document in self.previous().unwrap_or_default() {
                let Ok(ParsedManifest::Manifest(manifest)) = document.parse() else { continue };
                if PreviousImages::speaks(&manifest)
                    && let Some(config) = self.read_config(&manifest.config)
                {
                    images.add(&manifest, &config);
                }
            }
            images
        })
    }

    /// Reads a config; `None` for one that is gone, damaged or no image's.
    fn read_config(&self, blob: &Descriptor) -> Option<Config> {
        let repository = self.repository();
        let (place, shared) = (&repository.primary, &repository.shared);
        let line = place.line(shared);
        let read = async {
            let url = line.repository_url(&format!("blobs/{}", blob.digest)).await?;
            let mut call = Call::new(Method::GET, url);
            call.limit = MAX_DOCUMENT;
            // The scope of the push, for which there is a token already.
            line.exchange(&call, &Scope::push(line.repository)).await
        };
        let answer = shared.block_on(read).ok()?;
        (Digest::of(&answer.body) == blob.digest).then(|| serde_json::from_slice(&answer.body).ok())?
    }
}
