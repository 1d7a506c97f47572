//! Contents of files, read from their layers: each layer once, whatever number of its files is wanted.

use std::collections::BTreeMap;
use std::io::{self, Read};

use super::layer_reader::{Change, Content, Layers, ReadLayerError, read_layer};
use super::merged_tree::{ContentId, MergedTree, NodeKind};
use super::tree_path::TreePath;

/// Why files could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadFilesError {
    /// The path is not in the image, or no regular file.
    #[error("{0} is no file of the image")]
    NotAFile(TreePath),
    /// The layer that holds the file could not be read.
    #[error(transparent)]
    Layer(#[from] ReadLayerError),
    /// The file's bytes could not be read or taken.
    #[error("cannot read {path}")]
    Content {
        /// The file.
        path: TreePath,
        /// The reason.
        #[source]
        source: io::Error,
    },
}

/// Takes a file's content, with the paths that were asked for and are hard links to it.
pub type VisitFile<'a> = dyn FnMut(&[&TreePath], &mut dyn Read) -> io::Result<()> + 'a;

/// Shows the contents of files to `visit`, each once, with the paths among `paths` that are hard links to it. The order
/// is that of the layers, not of `paths`; symlinks are not followed.
///
/// What `visit` is shown is verified only when this returns success.
///
/// # Errors
/// When a path is no file, a layer cannot be read, or `visit` fails.
pub fn read_files(
    layers: &Layers<'_>,
    tree: &MergedTree,
    paths: &[TreePath],
    visit: &mut VisitFile<'_>,
) -> Result<(), ReadFilesError> {
    let mut wanted: BTreeMap<ContentId, Vec<&TreePath>> = BTreeMap::new();
    for path in paths {
        match tree.node(path).map(|node| &node.kind) {
            Some(NodeKind::File { content, .. }) => wanted.entry(*content).or_default().push(path),
            _ => return Err(ReadFilesError::NotAFile(path.clone())),
        }
    }
    visit_contents(layers, &wanted, |paths, content| {
        visit(paths, content).map_err(|source| ReadFilesError::Content { path: paths[0].clone(), source })
    })
}

/// Shows the contents that are keys of `wanted` to `visit`, with their values, layer by layer.
pub(super) fn visit_contents<T, E: From<ReadLayerError>>(
    layers: &Layers<'_>,
    wanted: &BTreeMap<ContentId, T>,
    mut visit: impl FnMut(&T, &mut Content<'_, '_>) -> Result<(), E>,
) -> Result<(), E> {
    for (layer, blob) in layers.layers.iter().enumerate() {
        let first = ContentId { layer, number: 0 };
        let last = ContentId { layer, number: usize::MAX };
        if wanted.range(first..=last).next().is_none() {
            continue;
        }
        read_layer(layers.source, blob, layers.limits, |number, change, content| {
            match (change, wanted.get(&ContentId { layer, number })) {
                (Change::Put(_), Some(value)) => visit(value, content),
                _ => Ok(()),
            }
        })?;
    }
    Ok(())
}
