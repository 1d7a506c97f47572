//! A second apt beside the machine's own: other releases and architectures, nothing installed.
//!
//! In: a release and a directory. Out: package lists to read and `.deb` files, both verified by apt against
//! Debian's keys. The machine's lists, sources and installed packages play no part, so the same release gives the
//! same packages on every machine, and root is not needed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::mirror::{MirrorError, debian_mirror};
use super::process::{ProcessError, run};

/// Debian's keys, from the package debian-archive-keyring, which Debian itself always has.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// An error from the second apt.
#[derive(Debug, thiserror::Error)]
pub enum AptError {
    /// A file of apt's root could not be read or written.
    #[error("cannot use {path}")]
    File {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The mirror is unknown.
    #[error("cannot find a Debian mirror")]
    Mirror {
        /// Why not.
        #[source]
        source: MirrorError,
    },
    /// apt-get or dpkg-deb failed.
    #[error("cannot fetch packages")]
    Process {
        /// What it said.
        #[source]
        source: ProcessError,
    },
}

/// A Debian release as apt's sources name it.
#[derive(Debug, Clone)]
pub struct Release {
    /// The release's name, such as `bookworm`.
    pub suite: String,
    /// Whether the release has updates and security updates next to it; `sid` has none.
    pub has_updates: bool,
    /// Debian's name of the architecture, such as `amd64`.
    pub architecture: String,
}

/// A directory that holds one release's lists and downloads.
#[derive(Debug)]
pub struct AptRoot {
    directory: PathBuf,
    release: Release,
}

impl AptRoot {
    /// Opens the root in `directory`, fetching the release's lists when they are not there.
    ///
    /// # Errors
    ///
    /// When no mirror is known, the directory cannot be written, or the lists cannot be fetched.
    pub fn open(directory: &Path, release: Release) -> Result<Self, AptError> {
        let root = Self { directory: directory.to_owned(), release };
        if root.package_lists()?.is_empty() {
            root.update()?;
        }
        Ok(root)
    }

    /// Fetches the release's lists anew.
    ///
    /// # Errors
    ///
    /// Those of [`AptRoot::open`].
    pub fn update(&self) -> Result<(), AptError> {
        for name in ["lists/partial", "cache/archives/partial", "downloads"] {
            let path = self.directory.join(name);
            fs::create_dir_all(&path).map_err(|source| AptError::File { path, source })?;
        }
        let mirror = debian_mirror().map_err(|source| AptError::Mirror { source })?;
        let Release { suite, has_updates, architecture } = &self.release;
        let options = format!("[arch={architecture} signed-by={KEYRING}]");
        let mut sources = format!("deb {options} {mirror} {suite} main\n");
        if *has_updates {
            sources += &format!("deb {options} {mirror} {suite}-updates main\n");
            sources += &format!("deb {options} {mirror}-security {suite}-security main\n");
        }
        self.write("sources.list", &sources)?;
        self.write("status", "")?;
        self.apt_get(&["update"], &self.directory)
    }

    /// Returns the release's `Packages` files, sorted by name; empty before the first update.
    ///
    /// # Errors
    ///
    /// When the directory of lists cannot be read.
    pub fn package_lists(&self) -> Result<Vec<PathBuf>, AptError> {
        let lists = self.directory.join("lists");
        let fail = |source| AptError::File { path: lists.clone(), source };
        let mut found = Vec::new();
        if lists.is_dir() {
            for entry in fs::read_dir(&lists).map_err(fail)? {
                found.push(entry.map_err(fail)?.path());
            }
        }
        found.retain(|path| path.to_string_lossy().ends_with("_Packages"));
        found.sort();
        Ok(found)
    }

    /// Downloads what is not there yet and returns the files, in the order of `packages`.
    ///
    /// Each package is a name, a version, and the architecture in the list (`all` or the release's).
    ///
    /// # Errors
    ///
    /// When apt has no such version or cannot fetch it.
    pub fn download(&self, packages: &[(&str, &str, &str)]) -> Result<Vec<PathBuf>, AptError> {
        let downloads = self.directory.join("downloads");
        let files: Vec<PathBuf> = packages
            .iter()
            // apt writes an epoch's colon as in a URI.
            .map(|(name, version, architecture)| {
                downloads.join(format!("{name}_{}_{architecture}.deb", version.replace(':', "%3a")))
            })
            .collect();
        let missing: Vec<String> = packages
            .iter()
            .zip(&files)
            .filter(|(_, file)| !file.is_file())
            .map(|((name, version, _), _)| format!("{name}={version}"))
            .collect();
        if !missing.is_empty() {
            let mut arguments = vec!["download"];
            arguments.extend(missing.iter().map(String::as_str));
            self.apt_get(&arguments, &downloads)?;
        }
        Ok(files)
    }

    /// Downloads the newest version of `package` and unpacks it into `destination`.
    ///
    /// # Errors
    ///
    /// When the release has no such package, or it cannot be fetched or unpacked.
    pub fn unpack_newest(&self, package: &str, destination: &Path) -> Result<(), AptError> {
        let staging = self.directory.join("downloads").join(format!("{package}.newest"));
        let fail = |source| AptError::File { path: staging.clone(), source };
        fs::create_dir_all(&staging).map_err(fail)?;
        self.apt_get(&["download", package], &staging)?;
        for entry in fs::read_dir(&staging).map_err(fail)? {
            let archive = entry.map_err(fail)?.path();
            run(Command::new("dpkg-deb").arg("-x").args([&archive, destination]))
                .map_err(|source| AptError::Process { source })?;
        }
        fs::remove_dir_all(&staging).map_err(fail)
    }

    /// Downloads packages with everything that they depend on, and unpacks all of it into `destination`, which appears
    /// whole or not at all. Nothing is configured.
    ///
    /// # Errors
    ///
    /// When the release has no such package, or one cannot be fetched or unpacked.
    pub fn unpack_with_dependencies(&self, packages: &[&str], destination: &Path) -> Result<(), AptError> {
        let mut arguments = vec!["install", "--download-only", "--yes", "--no-install-recommends"];
        arguments.extend(packages);
        self.apt_get(&arguments, &self.directory)?;
        let staging = destination.with_extension("part");
        let archives = self.directory.join("cache/archives");
        let fail = |source| AptError::File { path: archives.clone(), source };
        let mut files = Vec::new();
        for entry in fs::read_dir(&archives).map_err(fail)? {
            files.push(entry.map_err(fail)?.path());
        }
        files.retain(|path| path.extension().is_some_and(|extension| extension == "deb"));
        // The links from /bin to /usr/bin come first, or a package that still names /bin would make a folder of it.
        files.sort_by_key(|path| !path.to_string_lossy().contains("/base-files_"));
        for file in files {
            run(Command::new("dpkg-deb").arg("-x").args([&file, &staging]))
                .map_err(|source| AptError::Process { source })?;
        }
        for folder in ["proc", "dev", "nix", "tmp", "run", "mnt"] {
            let path = staging.join(folder);
            fs::create_dir_all(&path).map_err(|source| AptError::File { path, source })?;
        }
        fs::rename(&staging, destination).map_err(fail)
    }

    fn write(&self, name: &str, text: &str) -> Result<(), AptError> {
        let path = self.directory.join(name);
        fs::write(&path, text).map_err(|source| AptError::File { path, source })
    }

    fn apt_get(&self, arguments: &[&str], working_directory: &Path) -> Result<(), AptError> {
        let directory = self.directory.display();
        let mut command = Command::new("apt-get");
        for option in [
            format!("Dir::State={directory}"),
            format!("Dir::State::lists={directory}/lists"),
            format!("Dir::State::status={directory}/status"),
            format!("Dir::Cache={directory}/cache"),
            format!("Dir::Etc::sourcelist={directory}/sources.list"),
            "Dir::Etc::sourceparts=/dev/null".to_owned(),
            "Dir::Etc::preferences=/dev/null".to_owned(),
            "Dir::Etc::preferencesparts=/dev/null".to_owned(),
            format!("APT::Architecture={}", self.release.architecture),
            format!("APT::Architectures::={}", self.release.architecture),
            // The user _apt cannot write below a developer's home.
            "APT::Sandbox::User=".to_owned(),
            "Acquire::GzipIndexes=false".to_owned(),
            "Acquire::Languages=none".to_owned(),
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
            "Acquire::Retries=3".to_owned(),
        ] {
            command.args(["-o", &option]);
        }
        command.arg("--quiet").args(arguments).current_dir(working_directory);
        run(&mut command).map_err(|source| AptError::Process { source })
    }
}
