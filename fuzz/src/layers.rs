//! Layers from elsewhere: read as a tree and extracted, beside something that must stay as it is.

use std::fs;
use std::io::{self, Write};

use floe_image::layer::Layer;
use floe_image::oci::{Descriptor, DiffId, Digest, MediaType};
use floe_image::unpack::{ExtractConfig, Layers, Limits, MergedTree, TreePath, extract, read_files};
use floe_image::{BlobError, BlobSource};

use crate::files::directory;

/// What the bytes may come to: a bomb must be noticed before it takes seconds.
const LIMITS: Limits =
    Limits { max_entries: 1_000, max_name_bytes: 1 << 20, max_tar_size: 4 << 20, max_ratio: 10 };

/// Parts two layers in one input; seeds hold it between their tars.
const SEPARATOR: &[u8] = b"\n--layer--\n";

struct Blobs(Vec<Vec<u8>>);

impl BlobSource for Blobs {
    fn copy_to(&self, blob: &Descriptor, out: &mut (dyn Write + Send)) -> Result<(), BlobError> {
        let found = self.0.iter().find(|bytes| Digest::of(bytes) == blob.digest);
        let bytes = found.ok_or(BlobError::Missing(blob.digest))?;
        out.write_all(bytes).map_err(|source| BlobError::Io { action: "write".to_owned(), source })
    }
}

/// Two layers, or one, as tars without compression; then the same bytes as a blob that may be compressed.
pub(crate) fn layers(bytes: &[u8]) {
    let middle = bytes.windows(SEPARATOR.len()).position(|window| window == SEPARATOR);
    let parts = match middle {
        Some(middle) => vec![bytes[..middle].to_vec(), bytes[middle + SEPARATOR.len()..].to_vec()],
        None => vec![bytes.to_vec()],
    };
    let blob = |bytes: &Vec<u8>| Layer {
        descriptor: Descriptor::of(MediaType::LayerTar, bytes),
        diff_id: DiffId::new(Digest::of(bytes)),
    };
    let blobs: Vec<Layer> = parts.iter().map(blob).collect();
    let source = Blobs(parts);
    let layers = Layers { source: &source, layers: &blobs, limits: LIMITS };
    let Ok(tree) = MergedTree::read(&layers) else { return };
    for (path, _) in tree.subtree(&TreePath::ROOT) {
        drop(tree.resolve(path));
        drop(read_files(&layers, &tree, std::slice::from_ref(path), &mut |_, content| {
            io::copy(content, &mut io::sink()).map(drop)
        }));
    }
    let directory = directory();
    fs::write(directory.path().join("neighbour"), "as it was").expect("a writable directory");
    let config = ExtractConfig { setuid: true, ..ExtractConfig::default() };
    drop(extract(&layers, &tree, &TreePath::ROOT, &directory.path().join("out"), config));
    assert_eq!(fs::read(directory.path().join("neighbour")).expect("it is there"), b"as it was");
    let mut names: Vec<_> = fs::read_dir(directory.path())
        .expect("a directory")
        .map(|entry| entry.expect("an entry").file_name())
        .filter(|name| name != "out")
        .collect();
    names.sort();
    assert_eq!(names, ["neighbour"], "nothing appears beside the destination");
}
