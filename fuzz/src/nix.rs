//! What Nix writes: JSON, registrations, the daemon's answers, derivations; and programs in its store.

use std::sync::LazyLock;

use floe_store::read::{daemon, path_info_json, registration, structured_attrs};
use floe_store::{Closure, StoreDir, StorePath, derivation_system, elf_system};

static STORE_DIR: LazyLock<StoreDir> = LazyLock::new(StoreDir::default);

static ASKED: LazyLock<StorePath> = LazyLock::new(|| {
    STORE_DIR.parse("/nix/store/17zddpws98dczp5h8dx7rsi87a1h51np-nodejs-18.20.4").expect("a store path")
});

pub(crate) fn path_info_json(bytes: &[u8]) {
    let Ok(infos) = path_info_json::parse(bytes, &STORE_DIR) else { return };
    if let Ok(closure) = Closure::of_all(STORE_DIR.clone(), infos) {
        check_closure(&closure);
    }
}

pub(crate) fn structured_attrs(bytes: &[u8]) {
    if let Ok(closure) = structured_attrs::parse(bytes, "graph", &STORE_DIR) {
        check_closure(&closure);
    }
}

pub(crate) fn registration(bytes: &[u8]) {
    if let Ok(closure) = registration::parse(bytes, &STORE_DIR, None) {
        check_closure(&closure);
    }
    // The outcome is the parser's; here it only has to come to an end.
    drop(registration::parse(bytes, &STORE_DIR, Some(std::slice::from_ref(&*ASKED))));
}

/// The first byte chooses the protocol's minor version.
pub(crate) fn daemon_path_info(bytes: &[u8]) {
    let Some((minor, answer)) = bytes.split_first() else { return };
    drop(daemon::parse_path_info(answer, u64::from(*minor), &ASKED, &STORE_DIR));
}

pub(crate) fn derivation(bytes: &[u8]) {
    if let Some(system) = derivation_system(bytes) {
        assert_eq!(system.as_str().parse().ok(), Some(system.clone()));
    }
}

pub(crate) fn elf(bytes: &[u8]) {
    if let Some(system) = elf_system(bytes) {
        assert_eq!(system.operating_system(), "linux");
    }
}

/// What a closure promises: its references lead nowhere else.
fn check_closure(closure: &Closure) {
    for info in closure.paths() {
        assert!(info.references.iter().all(|reference| closure.info(reference).is_some()));
    }
    assert!(closure.roots().iter().all(|root| closure.info(root).is_some()));
    let _bytes = closure.nar_size();
}
