//! Gathering turns what a person named into a closure: store paths and links are resolved, installables
//! built, plain directories given the store path that Nix would give them.
//!
//! A machine without Nix gathers plain directories; everything else asks the store.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use floe_store::installable::{self, ForSystemError};
use floe_store::tree::LocalTrees;
use floe_store::{
    Added, Closure, PathInfo, ReadClosure, ReadClosureError, ResolveError, Store, StoreConfig, StorePath,
    System, add_directory,
};

use crate::configuration::{Content, ImageOptions};
use crate::failure::{Failure, Outcome};
use crate::terminal::Terminal;

/// Everything that an image is made from.
#[derive(Debug)]
pub(crate) struct Gathered {
    /// Every store path that the contents reach; its roots are the contents, then what is linked into `/`.
    pub(crate) closure: Closure,
    /// Where the files are.
    pub(crate) trees: LocalTrees,
    /// The store paths that are linked into `/`, in the order named.
    pub(crate) root: Vec<StorePath>,
    /// Plain directories and the store paths that stand for them.
    pub(crate) added: BTreeMap<StorePath, PathBuf>,
    /// When the first installable's flake was last changed, in seconds since 1970.
    pub(crate) last_modified: Option<i64>,
    /// The system that was asked for.
    pub(crate) system: Option<System>,
}

/// The store below a physical root, `None` being this machine's.
pub(crate) fn store(root: Option<PathBuf>) -> Store {
    Store::new(StoreConfig { root, ..StoreConfig::default() })
}

/// Gathers the contents of an image, and what is linked into its `/`. Of flakes the packages for `system` are taken,
/// which is this machine's when it is `None`.
pub(crate) fn gather(
    store: &Store,
    options: &ImageOptions,
    system: Option<&System>,
    terminal: &Terminal,
) -> Outcome<Gathered> {
    let contents = options.contents.as_deref().unwrap_or_default();
    let root = options.root.as_deref().unwrap_or_default();
    let mut gathering = Gathering { store, terminal, system, added: BTreeMap::new(), last_modified: None };
    let mut roots = Vec::new();
    for content in contents {
        roots.extend(gathering.store_paths(content)?);
    }
    let mut linked = Vec::new();
    for content in root {
        linked.extend(gathering.store_paths(content)?);
    }
    roots.extend(linked.iter().cloned());

    let Gathering { added, last_modified, .. } = gathering;
    let in_store: Vec<StorePath> = roots.iter().filter(|path| !added.contains_key(path)).cloned().collect();
    let mut infos: Vec<PathInfo> = added.values().map(|added| added.info.clone()).collect();
    if !in_store.is_empty() {
        let ReadClosure { closure, source, stale_risk } =
            store.read_closure(&in_store).map_err(explain_closure)?;
        terminal.detail(format!("{} store paths, told by {source:?}", closure.len()));
        if stale_risk.is_some() {
            terminal.warning(
                "Nix's database was read without its log: a path registered a moment ago may be missing",
            );
        }
        infos.extend(closure.paths().cloned());
    }
    let closure = Closure::new(store.store_dir().clone(), roots, infos).map_err(Failure::from)?;
    let mut trees = store.trees();
    let added: BTreeMap<StorePath, PathBuf> =
        added.into_iter().map(|(path, added)| (path, added.location)).collect();
    for (path, location) in &added {
        trees.add(path.clone(), location.clone());
    }
    Ok(Gathered { closure, trees, root: linked, added, last_modified, system: system.cloned() })
}

/// Builds what `nix build` takes, for a system where one is asked for, and shows its progress.
pub(crate) fn build_installable(
    store: &Store,
    text: &str,
    system: Option<&System>,
    terminal: &Terminal,
) -> Outcome<Vec<StorePath>> {
    let text = &match system {
        Some(system) => installable::for_system(store, text, system, &[]).map_err(explain_system)?,
        None => text.to_owned(),
    };
    terminal.note(format!("nix build {text}"));
    let mut show = |line: &str| terminal.note(line);
    let progress = if terminal.shows_bars() {
        installable::Progress::Inherited
    } else {
        installable::Progress::Lines(&mut show)
    };
    installable::build(store, text, &[], progress).map_err(|error| {
        Failure::from(error).hint("run the same build with `nix build` to see all of its log")
    })
}

/// Gathering under way.
struct Gathering<'a> {
    store: &'a Store,
    terminal: &'a Terminal,
    system: Option<&'a System>,
    added: BTreeMap<StorePath, Added>,
    last_modified: Option<i64>,
}

impl Gathering<'_> {
    fn store_paths(&mut self, content: &Content) -> Outcome<Vec<StorePath>> {
        match content {
            Content::Installable(text) => self.build(text),
            Content::Path(path) => match self.store.resolve(path) {
                Ok(store_path) => Ok(vec![store_path]),
                Err(ResolveError::NotInStore { .. }) => self.add(path).map(|path| vec![path]),
                Err(error) => Err(explain_resolve(error)),
            },
        }
    }

    fn build(&mut self, text: &str) -> Outcome<Vec<StorePath>> {
        let built = build_installable(self.store, text, self.system, self.terminal)?;
        if self.last_modified.is_none() {
            self.last_modified = installable::flake_last_modified(self.store, text, &[]);
        }
        Ok(built)
    }

    fn add(&mut self, path: &Path) -> Outcome<StorePath> {
        let added = add_directory(path, None, self.store.store_dir()).map_err(|error| {
            Failure::from(error).hint("a plain directory needs a readable tree and a name that Nix allows")
        })?;
        let store_path = added.info.path.clone();
        self.added.insert(store_path.clone(), added);
        Ok(store_path)
    }
}

fn explain_system(error: ForSystemError) -> Failure {
    let hint = match &error {
        ForSystemError::Absent { installable, .. } => {
            let flake = installable.split('#').next().unwrap_or_default();
            Some(format!("`nix flake show {flake}` lists what it has"))
        }
        ForSystemError::OtherSystem { .. } => {
            Some("name the package alone, such as .#app, and floe takes the one for each system".to_owned())
        }
        ForSystemError::Run { .. } => None,
    };
    let failure = Failure::from(error);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// A path that cannot be resolved, with what to name instead.
pub(crate) fn explain_resolve(error: ResolveError) -> Failure {
    let hint = match &error {
        ResolveError::Missing { .. } => {
            "name a store path, a result link, a directory, or an installable such as .#app"
        }
        ResolveError::BelowStorePath { .. } => {
            "name the store path; the program inside is chosen with --entrypoint"
        }
        _ => "name a store path such as /nix/store/<hash>-<name>, or a link to one",
    };
    Failure::from(error).hint(hint)
}

fn explain_closure(error: ReadClosureError) -> Failure {
    let hint = match &error {
        ReadClosureError::NoNix { .. } => {
            "plain directories work without Nix; for store paths install Nix, or name the store's root with --store DIR"
        }
        ReadClosureError::NotValid { .. } => {
            "build it again: it was never built here, or was collected as garbage"
        }
        ReadClosureError::Unreadable { .. } => {
            "check that this user may read /nix/var/nix/db, or start the Nix daemon"
        }
    };
    Failure::from(error).hint(hint)
}
