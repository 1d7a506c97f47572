//! What a registry holds.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use sha2::{Digest as _, Sha256};

use super::digest::Digest;
use crate::service::directory::Directory;

/// All repositories and uploads.
#[derive(Debug)]
pub(super) struct Storage {
    directory: Directory,
    pub(super) repositories: BTreeMap<String, Repository>,
    /// Each behind its own lock: a client that asks how far an upload came waits until the broken request is done.
    pub(super) uploads: BTreeMap<String, Arc<Mutex<Upload>>>,
    next_upload: u64,
}

/// One repository. A blob's file is shared by all that hold its digest.
#[derive(Debug, Default)]
pub(super) struct Repository {
    /// Each blob's size in bytes.
    pub(super) blobs: BTreeMap<Digest, u64>,
    pub(super) manifests: BTreeMap<Digest, Manifest>,
    pub(super) tags: BTreeMap<String, Digest>,
}

/// A manifest or index, as it was pushed.
#[derive(Debug, Clone)]
pub(super) struct Manifest {
    pub(super) media_type: String,
    pub(super) content: Vec<u8>,
    /// What it refers to, if anything: image-spec v1.1, manifest.md, `subject`.
    pub(super) subject: Option<Digest>,
}

/// A blob that is being uploaded.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) repository: String,
    path: PathBuf,
    file: File,
    /// How many bytes have come so far.
    pub(super) length: u64,
    // Invariant: has seen exactly the file's bytes.
    hasher: Sha256,
}

impl Storage {
    /// Makes an empty storage with its blobs in `directory`.
    pub(super) fn new(directory: Directory) -> Self {
        Self { directory, repositories: BTreeMap::new(), uploads: BTreeMap::new(), next_upload: 0 }
    }

    pub(super) fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.directory.join(&digest.digits())
    }

    /// Begins an upload and returns its reference.
    pub(super) fn begin_upload(&mut self, repository: &str) -> io::Result<(String, Arc<Mutex<Upload>>)> {
        let reference = format!("upload-{}", self.next_upload);
        self.next_upload += 1;
        let path = self.directory.join(&reference);
        let upload = Upload {
            repository: repository.to_owned(),
            file: File::create(&path)?,
            path,
            length: 0,
            hasher: Sha256::new(),
        };
        let upload = Arc::new(Mutex::new(upload));
        self.uploads.insert(reference.clone(), Arc::clone(&upload));
        Ok((reference, upload))
    }

    /// Ends an upload; its bytes become a blob if they have this digest, and are gone otherwise.
    ///
    /// Returns the actual digest.
    pub(super) fn finish_upload(
        &mut self,
        reference: &str,
        upload: &Upload,
        expected: &Digest,
    ) -> io::Result<Digest> {
        self.uploads.remove(reference);
        let actual = Digest::finish(upload.hasher.clone());
        if actual == *expected {
            std::fs::rename(&upload.path, self.blob_path(&actual))?;
            let repository = self.repositories.entry(upload.repository.clone()).or_default();
            repository.blobs.insert(actual, upload.length);
        } else {
            std::fs::remove_file(&upload.path)?;
        }
        Ok(actual)
    }

    /// Makes a blob of one repository appear in another; false when the first does not have it.
    pub(super) fn mount(&mut self, digest: &Digest, from: &str, to: &str) -> bool {
        let size = self.repositories.get(from).and_then(|source| source.blobs.get(digest)).copied();
        if let Some(size) = size {
            self.repositories.entry(to.to_owned()).or_default().blobs.insert(*digest, size);
        }
        size.is_some()
    }

    /// Removes a blob from a repository, and its file with the last repository that has it.
    pub(super) fn remove_blob(&mut self, repository: &str, digest: &Digest) -> io::Result<bool> {
        let removed = self.repositories.get_mut(repository).and_then(|found| found.blobs.remove(digest));
        let used: BTreeSet<&Digest> =
            self.repositories.values().flat_map(|other| other.blobs.keys()).collect();
        if removed.is_some() && !used.contains(digest) {
            std::fs::remove_file(self.blob_path(digest))?;
        }
        Ok(removed.is_some())
    }
}

impl Upload {
    /// Appends everything that the reader has. What came before a failure is kept.
    pub(super) fn append(&mut self, reader: &mut dyn Read) -> io::Result<()> {
        let mut buffer = vec![0; 256 << 10];
        loop {
            let length = match reader.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.file.write_all(&buffer[..length])?;
            self.hasher.update(&buffer[..length]);
            self.length += length as u64;
        }
    }
}

impl Repository {
    /// Finds a manifest by digest or tag.
    pub(super) fn find(&self, reference: &str) -> Option<(Digest, &Manifest)> {
        let digest = Digest::parse(reference).or_else(|| self.tags.get(reference).copied())?;
        Some((digest, self.manifests.get(&digest)?))
    }
}
