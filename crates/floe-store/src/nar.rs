//! NAR, the archive whose SHA-256 is a store path's identity: the framing around file contents.
//!
//! Contents are never copied through here: the encoder writes what stands before and after them, so
//! that a packer can hash a file's bytes for the tar stream and for the NAR from one buffer.
//! Format: Nix manual, "Nix Archive (NAR)"; a string is its length as a little-endian u64, its bytes,
//! and zeros up to a multiple of 8.

use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::tree::{self, TreeSource, Visitor, WalkError};
use crate::{NarHash, StorePath};

/// Bytes read from a file at once while it is only hashed.
const READ_SIZE: usize = 64 * 1024;

/// Writes NAR framing for nodes that arrive in NAR order.
#[derive(Debug, Default)]
pub struct Encoder {
    depth: usize,
}

impl Encoder {
    /// Starts an archive. The first node's framing begins with the archive's magic.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends the start of a directory.
    pub fn enter_directory(&mut self, relative: &[u8], out: &mut Vec<u8>) {
        self.begin_node(relative, out);
        strings(&[b"type", b"directory"], out);
        self.depth += 1;
    }

    /// Appends the end of the directory entered last.
    pub fn leave_directory(&mut self, out: &mut Vec<u8>) {
        self.depth -= 1;
        self.end_node(out);
    }

    /// Appends all of a symlink.
    pub fn symlink(&mut self, relative: &[u8], target: &[u8], out: &mut Vec<u8>) {
        self.begin_node(relative, out);
        strings(&[b"type", b"symlink", b"target", target], out);
        self.end_node(out);
    }

    /// Appends what stands before a file's contents.
    pub fn begin_file(&mut self, relative: &[u8], executable: bool, size: u64, out: &mut Vec<u8>) {
        self.begin_node(relative, out);
        strings(&[b"type", b"regular"], out);
        if executable {
            strings(&[b"executable", b""], out);
        }
        string(b"contents", out);
        out.extend_from_slice(&size.to_le_bytes());
    }

    /// Appends what stands after a file's contents of `size` bytes.
    pub fn end_file(&mut self, size: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(&[0; 8][..padding(size)]);
        self.end_node(out);
    }

    fn begin_node(&self, relative: &[u8], out: &mut Vec<u8>) {
        if self.depth == 0 {
            string(b"nix-archive-1", out);
        } else {
            let name = relative.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
            strings(&[b"entry", b"(", b"name", name, b"node"], out);
        }
        string(b"(", out);
    }

    fn end_node(&self, out: &mut Vec<u8>) {
        string(b")", out);
        if self.depth > 0 {
            string(b")", out);
        }
    }
}

fn strings(texts: &[&[u8]], out: &mut Vec<u8>) {
    for text in texts {
        string(text, out);
    }
}

fn string(text: &[u8], out: &mut Vec<u8>) {
    let length = text.len() as u64;
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(text);
    out.extend_from_slice(&[0; 8][..padding(length)]);
}

/// Zeros that follow `size` bytes up to a multiple of 8.
fn padding(size: u64) -> usize {
    ((8 - size % 8) % 8) as usize
}

/// Hashes a tree as `nix-store --dump` and SHA-256 would; returns the hash and the NAR's bytes.
///
/// # Errors
/// When the tree cannot be walked.
pub fn hash_tree(trees: &dyn TreeSource, path: &StorePath) -> Result<(NarHash, u64), WalkError> {
    let mut hasher = TreeHasher::default();
    trees.walk(path, &mut hasher)?;
    Ok(hasher.finish())
}

/// Hashes what lies at a path of this disk, as [`hash_tree`] does for a store path; a symlink is not followed.
///
/// # Errors
/// When nothing is there, or it cannot be walked.
pub fn hash_location(location: &Path) -> Result<(NarHash, u64), WalkError> {
    let mut hasher = TreeHasher::default();
    tree::walk_location(location, &mut hasher)?;
    Ok(hasher.finish())
}

/// A visitor that hashes the NAR of what it is shown.
#[derive(Default)]
struct TreeHasher {
    encoder: Encoder,
    framing: Vec<u8>,
    hash: Sha256,
    size: u64,
}

impl TreeHasher {
    fn finish(self) -> (NarHash, u64) {
        (NarHash::from_bytes(self.hash.finalize().into()), self.size)
    }

    fn frame(&mut self, encode: impl FnOnce(&mut Encoder, &mut Vec<u8>)) -> io::Result<()> {
        self.framing.clear();
        encode(&mut self.encoder, &mut self.framing);
        self.size += self.framing.len() as u64;
        self.hash.update(&self.framing);
        Ok(())
    }
}

impl Visitor for TreeHasher {
    fn enter_directory(&mut self, relative: &[u8]) -> io::Result<()> {
        self.frame(|encoder, out| encoder.enter_directory(relative, out))
    }

    fn leave_directory(&mut self) -> io::Result<()> {
        self.frame(Encoder::leave_directory)
    }

    fn file(
        &mut self,
        relative: &[u8],
        executable: bool,
        size: u64,
        contents: &mut dyn Read,
    ) -> io::Result<()> {
        self.frame(|encoder, out| encoder.begin_file(relative, executable, size, out))?;
        let mut buffer = vec![0; READ_SIZE];
        loop {
            match contents.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    self.hash.update(&buffer[..count]);
                    self.size += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.frame(|encoder, out| encoder.end_file(size, out))
    }

    fn symlink(&mut self, relative: &[u8], target: &[u8]) -> io::Result<()> {
        self.frame(|encoder, out| encoder.symlink(relative, target, out))
    }
}
