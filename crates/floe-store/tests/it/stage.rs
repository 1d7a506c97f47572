//! Stores for tests, each in a temporary folder.
//!
//! A *rooted* store keeps `/nix/store` below another root; nothing can be built in it without a sandbox, so its
//! closures are texts that refer to each other. A *relocated* store has another store directory and builds anything.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use floe_store::{Store, StoreConfig, StoreDir, StorePath};

/// What the tests ask of Nix, whatever the machine's own configuration says.
const CONFIGURATION: &str = "experimental-features = nix-command flakes\nsandbox = false\nbuild-users-group =\n\
    substituters =\nfilter-syscalls = false\nflake-registry =\nwarn-dirty = false\n";

/// Texts that refer to each other, and one that refers to nothing of them: `app`, `library`, `base`, and `lonely`.
const TEXTS: &str = r#"
    let
      base = builtins.toFile "base" "nothing";
      library = builtins.toFile "library" "see ${base}";
      app = builtins.toFile "app-1.0" "see ${library} and ${base}";
      lonely = builtins.toFile "lonely" "alone";
    in [ app library base lonely ]
"#;

/// A store in a temporary folder.
pub(crate) struct Stage {
    folder: tempfile::TempDir,
    pub(crate) store: Store,
    environment: Vec<(&'static str, PathBuf)>,
}

impl Stage {
    /// A store whose `/nix/store` lies below a temporary root.
    pub(crate) fn rooted() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let root = folder.path().join("the root");
        let config = StoreConfig { root: Some(root), ..StoreConfig::default() };
        let store = Store::new(config);
        let remote = store.nix_store_argument().expect("a store with a root");
        let environment = vec![("NIX_REMOTE", remote.into()), ("HOME", folder.path().join("home"))];
        Self { folder, store, environment }.with_nix_wrapper()
    }

    /// A store whose store directory lies in a temporary folder, so that builds need no sandbox.
    pub(crate) fn relocated() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = |name: &str| folder.path().join(name);
        let environment = vec![
            ("NIX_STORE_DIR", path("store")),
            ("NIX_STATE_DIR", path("state")),
            ("NIX_LOG_DIR", path("log")),
            ("NIX_LOCALSTATE_DIR", path("local")),
            ("NIX_CONF_DIR", path("configuration")),
            ("HOME", path("home")),
        ];
        let store_dir = StoreDir::new(path("store").to_str().expect("a temporary folder in UTF-8"));
        let store_dir = store_dir.expect("an absolute path");
        let store = Store::new(StoreConfig { root: None, store_dir });
        Self { folder, store, environment }.with_nix_wrapper()
    }

    /// Puts a `nix` in front that speaks of this store, since a library cannot change the environment of its process.
    fn with_nix_wrapper(mut self) -> Self {
        use std::os::unix::fs::PermissionsExt as _;

        let exports: String = self
            .environment
            .iter()
            .map(|(name, value)| format!("export {name}='{}'\n", value.display()))
            .collect();
        let script = format!("#!/bin/sh\n{exports}export NIX_CONFIG='{CONFIGURATION}'\nexec nix \"$@\"\n");
        let wrapper = self.folder.path().join("nix");
        std::fs::write(&wrapper, script).expect("a wrapper");
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&wrapper, executable).expect("an executable wrapper");
        self.store = self.store.with_nix(wrapper);
        self
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The database's file, which for a relocated store only the environment names.
    pub(crate) fn database(&self) -> PathBuf {
        let state = self.environment.iter().find(|(name, _)| *name == "NIX_STATE_DIR");
        state.map_or_else(|| self.store.database(), |(_, state)| state.join("db/db.sqlite"))
    }

    /// One of Nix's programs, speaking of this store.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("NIX_CONFIG", CONFIGURATION).env_remove("NIX_PATH").env_remove("NIX_REMOTE");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.current_dir(self.folder.path());
        command
    }

    /// Runs one of Nix's programs and returns its trimmed output.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.command(program).args(arguments).output();
        let Output { status, stdout, stderr } = output
            .unwrap_or_else(|error| panic!("cannot start {program}: {error}; install Debian's nix-bin"));
        let said = String::from_utf8_lossy(&stderr);
        assert!(status.success(), "{program} {arguments:?}: {status}\n{said}");
        String::from_utf8(stdout).expect("text").trim().to_owned()
    }

    /// Evaluates an expression that writes texts to the store, and returns the full paths in it.
    pub(crate) fn texts(&self) -> Vec<StorePath> {
        let json = self
            .run("nix-instantiate", &["--eval", "--read-write-mode", "--strict", "--json", "--expr", TEXTS]);
        let full_paths: Vec<String> = serde_json::from_str(&json).expect("an array of texts");
        full_paths.iter().map(|path| self.parse(path)).collect()
    }

    /// Builds an expression and returns its output.
    pub(crate) fn build(&self, expression: &str) -> StorePath {
        self.parse(&self.run("nix-build", &["--no-out-link", "--expr", expression]))
    }

    pub(crate) fn parse(&self, full_path: &str) -> StorePath {
        self.store.store_dir().parse(full_path).expect("a store path")
    }

    pub(crate) fn full(&self, path: &StorePath) -> String {
        self.store.store_dir().full_path(path)
    }
}
