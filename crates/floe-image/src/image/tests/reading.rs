//! Foreign manifests and configs, read as bases.

use std::io::Write;

use serde_json::{Value, json};

use crate::image::{Base, BlobOrigin, ReadBaseError};
use crate::oci::{Descriptor, Digest, Manifest, MediaType};
use crate::{BlobError, BlobSource};

/// One empty tar, for every layer.
struct EmptyTar;

const EMPTY: [u8; 1024] = [0; 1024];

impl BlobSource for EmptyTar {
    fn copy_to(&self, _blob: &Descriptor, out: &mut (dyn Write + Send)) -> Result<(), BlobError> {
        out.write_all(&EMPTY).map_err(|source| BlobError::Io { action: "write".to_owned(), source })
    }
}

/// Reads an image of layers of these media types; `layer` and `config` are added to each layer and to the config.
fn read(media_types: &[&str], layer: &Value, config: &Value) -> Result<Base, ReadBaseError> {
    let digest = Digest::of(&EMPTY);
    let descriptor = |media_type: &&str| {
        let mut descriptor = json!({ "mediaType": media_type, "digest": digest, "size": EMPTY.len() });
        let fields = descriptor.as_object_mut().expect("an object");
        fields.extend(layer.as_object().expect("an object").clone());
        serde_json::from_value(descriptor).expect("a descriptor")
    };
    let layers: Vec<Descriptor> = media_types.iter().map(descriptor).collect();
    let manifest =
        Manifest::image(Descriptor::of(MediaType::DockerConfig, b"{}"), layers, Default::default());
    let diff_ids: Vec<Digest> = media_types.iter().map(|_| digest).collect();
    let mut whole = json!({
        "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": diff_ids },
    });
    whole.as_object_mut().expect("an object").extend(config.as_object().expect("an object").clone());
    let config = serde_json::from_value(whole).expect("a config");
    Base::read(&manifest, config, &BlobOrigin::Kept, &EmptyTar)
}

#[test]
fn dockers_media_types_become_ocis() {
    let base = read(
        &[
            "application/vnd.docker.image.rootfs.diff.tar.gzip",
            "application/vnd.docker.image.rootfs.diff.tar",
            "application/vnd.oci.image.layer.v1.tar+zstd",
        ],
        &json!({ "annotations": { "kept": "yes" } }),
        &json!({}),
    )
    .expect("a base");
    let types: Vec<&MediaType> = base.layers.iter().map(|layer| &layer.layer.descriptor.media_type).collect();
    assert_eq!(types, [&MediaType::LayerGzip, &MediaType::LayerTar, &MediaType::LayerZstd]);
    assert!(base.layers.iter().all(|layer| layer.layer.descriptor.annotations["kept"] == "yes"));
}

#[test]
fn refuses_layers_that_cannot_be_passed_on() {
    for (media_type, layer) in [
        ("application/vnd.oci.image.layer.v1.tar+gzip+encrypted", json!({})),
        ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", json!({})),
        ("application/vnd.oci.image.layer.v1.tar+gzip", json!({ "urls": ["https://example.com/layer"] })),
        ("application/vnd.in-toto+json", json!({})),
    ] {
        let outcome = read(&[media_type], &layer, &json!({}));
        assert!(matches!(outcome, Err(ReadBaseError::UnsupportedLayer { .. })), "{media_type}");
    }
    let uneven = json!({ "rootfs": { "type": "layers", "diff_ids": [] } });
    let outcome = read(&["application/vnd.oci.image.layer.v1.tar"], &json!({}), &uneven);
    assert!(matches!(outcome, Err(ReadBaseError::Uneven { layers: 1, diff_ids: 0 })));
}

#[test]
fn history_has_a_line_for_each_layer() {
    let types = ["application/vnd.oci.image.layer.v1.tar"; 2];
    let line = |empty: bool| json!({ "created_by": "base", "empty_layer": empty });
    let whole = json!({ "history": [line(false), line(true), line(false)] });
    assert_eq!(read(&types, &json!({}), &whole).expect("a base").config.history.len(), 3);
    for history in [json!([]), json!([line(false)]), json!([line(false), line(false), line(false)])] {
        let base = read(&types, &json!({}), &json!({ "history": history })).expect("a base");
        assert_eq!(base.config.history.len(), 2, "{history}");
        assert_eq!(base.config.history[0].comment.as_deref(), Some("layer of the base"));
    }
}
