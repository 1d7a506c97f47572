//! A house: floe with a record, a memo and a cache of its own, and a look at everything that it leaves behind.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use floe_image::oci::Digest;
use serde_json::Value;

/// The closure of the example Node server, whose root this is: some twenty store paths of 126 MB.
pub(crate) static NODE_SERVER: LazyLock<PathBuf> = LazyLock::new(|| {
    let closure = floe_testkit::debian::node_server().unwrap_or_else(|error| panic!("{error:?}"));
    closure.roots.into_iter().next().expect("the example has an output")
});

/// A temporary directory with floe's folders and a place for destinations; dropping it removes all.
pub(crate) struct House {
    directory: tempfile::TempDir,
}

impl House {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        // Tests that run floe as another user need a way in.
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(directory.path(), open).expect("the directory is ours");
        Self { directory }
    }

    /// A path in the house.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Where the memo, the blobs and the spool are.
    pub(crate) fn cache(&self) -> PathBuf {
        self.path("cache/floe")
    }

    /// A program that keeps its things in the house.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "SOURCE_DATE_EPOCH", "RUST_BACKTRACE"] {
            command.env_remove(variable);
        }
        command
            .current_dir(self.directory.path())
            .stdin(Stdio::null())
            .env("HOME", self.directory.path())
            .env("XDG_DATA_HOME", self.path("data"))
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env("COLUMNS", "100");
        command
    }

    /// floe with these words.
    pub(crate) fn floe<W: AsRef<std::ffi::OsStr>>(&self, words: &[W]) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_floe"));
        command.args(words);
        command
    }

    /// Builds with `--json` and returns the image's manifest digest.
    pub(crate) fn build<W: AsRef<std::ffi::OsStr>>(&self, words: &[W]) -> String {
        let output = self.floe(&["build", "--json"]).args(words).output().expect("floe runs");
        assert!(output.status.success(), "{}", text(&output.stderr));
        let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        report["digest"].as_str().expect("a digest").to_owned()
    }

    /// Runs floe, which fails: its exit code and what it says, with the house written as `$DIR`.
    pub(crate) fn failure<W: AsRef<std::ffi::OsStr>>(&self, words: &[W]) -> (i32, String) {
        self.outcome(&mut self.floe(words))
    }

    /// What a run came to: exit code and standard error, with the house written as `$DIR`.
    pub(crate) fn outcome(&self, command: &mut Command) -> (i32, String) {
        let Output { status, stderr, .. } = command.output().expect("floe runs");
        let shown = text(&stderr).replace(&self.directory.path().display().to_string(), "$DIR");
        (status.code().unwrap_or(-1), shown)
    }

    /// Staging directories anywhere in the house, which only a killed run leaves.
    pub(crate) fn leftovers(&self) -> Vec<PathBuf> {
        let mut found = files_and_directories(self.directory.path());
        found.retain(|path| name_of(path).starts_with(".floe-staging-"));
        found
    }

    /// The files of the memo, sorted.
    pub(crate) fn memo_entries(&self) -> Vec<PathBuf> {
        let mut files = files_and_directories(&self.cache().join("memo"));
        // A file that was never renamed to its place has the name of no entry, and is never read.
        files.retain(|path| path.is_file() && !name_of(path).starts_with(".new-"));
        files
    }

    /// Every entry of the memo is whole: a line of JSON and a line with a digest.
    pub(crate) fn check_memo(&self) {
        for path in self.memo_entries() {
            let entry = fs::read_to_string(&path).expect("an entry is text");
            let lines: Vec<&str> = entry.split('\n').collect();
            let [json, seal, ""] = lines.as_slice() else { panic!("{}: {entry}", path.display()) };
            serde_json::from_str::<Value>(json).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            seal.parse::<Digest>().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
    }
}

/// Bytes of a program's output.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A path's last part.
pub(crate) fn name_of(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

/// Everything below a directory, sorted; nothing where there is no directory.
pub(crate) fn files_and_directories(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        for entry in entries {
            let entry = entry.expect("a directory entry");
            if entry.file_type().expect("a file type").is_dir() {
                open.push(entry.path());
            }
            found.push(entry.path());
        }
    }
    found.sort();
    found
}

/// Writes a plain directory whose files are as large as told; equal arguments give equal bytes.
pub(crate) fn plain_directory(path: &Path, files: usize, size: usize, seed: u64) {
    fs::create_dir_all(path).expect("a directory");
    let mut numbers = Numbers(seed);
    for file in 0..files {
        let bytes: Vec<u8> = (0..size / 8).flat_map(|_| numbers.next().to_le_bytes()).collect();
        fs::write(path.join(format!("file-{file}")), bytes).expect("a file");
    }
}

/// Numbers without a pattern, the same for the same seed (splitmix64).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// The files of a layout by name; reads neither through floe nor through its libraries.
pub(crate) fn layout_files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let relative = |path: &PathBuf| {
        path.strip_prefix(directory).expect("it lies below").to_str().expect("text").to_owned()
    };
    let files = files_and_directories(directory).into_iter().filter(|path| path.is_file());
    files.map(|path| (relative(&path), fs::read(&path).expect("a file"))).collect()
}

/// The files of a tar by name.
pub(crate) fn archive_files(archive: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut tar = tar::Archive::new(fs::File::open(archive).expect("an archive"));
    let mut files = BTreeMap::new();
    for entry in tar.entries().expect("a tar") {
        let mut entry = entry.expect("a whole tar");
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("a whole entry");
        files.insert(entry.path().expect("a name").display().to_string(), bytes);
    }
    files
}

/// Checks a layout to the last blob and returns the manifest digests of its images, by tag.
pub(crate) fn check_images(files: &BTreeMap<String, Vec<u8>>) -> BTreeMap<String, String> {
    for (name, bytes) in files {
        if let Some(hex) = name.strip_prefix("blobs/sha256/") {
            assert_eq!(Digest::of(bytes).hex(), hex, "a blob is what its name says");
        }
    }
    let blob = |descriptor: &Value| -> &Vec<u8> {
        let digest = descriptor["digest"].as_str().expect("a digest");
        let name = digest.replace("sha256:", "blobs/sha256/");
        let bytes = files.get(&name).unwrap_or_else(|| panic!("{digest} is named but not there"));
        assert_eq!(descriptor["size"], bytes.len(), "{digest}");
        bytes
    };
    let json = |bytes: &[u8]| -> Value { serde_json::from_slice(bytes).expect("JSON") };
    assert_eq!(json(&files["oci-layout"])["imageLayoutVersion"], "1.0.0");
    let index = json(&files["index.json"]);
    let mut images = BTreeMap::new();
    for entry in index["manifests"].as_array().expect("manifests") {
        let manifest = json(blob(entry));
        let config = json(blob(&manifest["config"]));
        let layers = manifest["layers"].as_array().expect("layers");
        for layer in layers {
            blob(layer);
        }
        let diff_ids = config["rootfs"]["diff_ids"].as_array().expect("diff IDs");
        assert_eq!(layers.len(), diff_ids.len());
        let tag = entry["annotations"]["org.opencontainers.image.ref.name"].as_str().unwrap_or_default();
        images.insert(tag.to_owned(), entry["digest"].as_str().expect("a digest").to_owned());
    }
    images
}

/// The only image of a layout or an archive.
pub(crate) fn only_image(files: &BTreeMap<String, Vec<u8>>) -> String {
    let mut images = check_images(files);
    assert_eq!(images.len(), 1, "{images:?}");
    images.pop_first().expect("one").1
}
