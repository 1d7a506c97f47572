//! Following symlinks within an image: absolute targets begin at its root, and `..` does not leave it, as in a
//! container (path_resolution(7)).

use super::merged_tree::{MergedTree, NodeKind};
use super::tree_path::TreePath;

/// Links that are followed for one path; Linux follows as many.
const MOST_LINKS: usize = 40;

/// Why a path leads nowhere in an image.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// Nothing stands there.
    #[error("{0} is not in the image")]
    Missing(TreePath),
    /// A part of the path is no directory.
    #[error("{0} is no directory")]
    NotADirectory(TreePath),
    /// The links lead in a circle, or through more of them than Linux follows.
    #[error("{0} leads through more than {MOST_LINKS} symlinks")]
    TooManyLinks(TreePath),
}

impl MergedTree {
    /// Where a path leads when every symlink is followed, that at its end too.
    ///
    /// # Errors
    /// When it leads nowhere.
    pub fn resolve(&self, path: &TreePath) -> Result<TreePath, ResolveError> {
        let mut links = 0;
        // The parts that are still to be walked, the next one last.
        let mut pending: Vec<Vec<u8>> = path.parts().rev().map(<[u8]>::to_vec).collect();
        let mut reached = TreePath::ROOT;
        while let Some(part) = pending.pop() {
            if self.node(&reached).is_some_and(|node| node.kind != NodeKind::Directory) {
                return Err(ResolveError::NotADirectory(reached));
            }
            match part.as_slice() {
                b"" | b"." => continue,
                b".." => {
                    reached = reached.parent().unwrap_or_default();
                    continue;
                }
                _ => {}
            }
            // A target's part that no file system takes is not in the tree either.
            let Ok(next) = reached.child(&part) else { return Err(ResolveError::Missing(path.clone())) };
            match self.node(&next).map(|node| &node.kind) {
                None => return Err(ResolveError::Missing(next)),
                Some(NodeKind::Symlink(target)) => {
                    links += 1;
                    if links > MOST_LINKS {
                        return Err(ResolveError::TooManyLinks(path.clone()));
                    }
                    if target.starts_with(b"/") {
                        reached = TreePath::ROOT;
                    }
                    pending.extend(target.split(|byte| *byte == b'/').rev().map(<[u8]>::to_vec));
                }
                Some(_) => reached = next,
            }
        }
        Ok(reached)
    }
}
