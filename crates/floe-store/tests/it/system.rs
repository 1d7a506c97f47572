//! The system of closures with programs, with derivations, and with neither.

use floe_store::{System, system_of};

use crate::stage::Stage;

/// The system that Nix takes this machine for.
fn current(stage: &Stage) -> String {
    let text = stage.run("nix-instantiate", &["--eval", "--expr", "builtins.currentSystem"]);
    text.trim_matches('"').to_owned()
}

/// Builds with a shell script and returns what the closure's system is taken for.
fn system(stage: &Stage, system: &str, script: &str) -> Option<String> {
    let root = stage.build(&format!(
        r#"derivation {{ name = "app"; system = {system}; builder = "/bin/sh"; args = [ "-c" ''{script}'' ]; }}"#
    ));
    let read = floe_store::read::database::closure(&stage.database(), stage.store.store_dir(), &[root]);
    let closure = read.expect("a closure").closure;
    system_of(&closure, &stage.store.trees()).as_ref().map(System::to_string)
}

#[test]
fn believes_programs_before_derivations() {
    let stage = Stage::relocated();
    let current = current(&stage);
    let derived = system(&stage, "builtins.currentSystem", "echo data > $out");
    assert_eq!(derived.as_deref(), Some(current.as_str()));

    // A program of another machine, as a cross compiler makes it: class 2, little-endian, ET_DYN, EM_AARCH64.
    let header = r"\177ELF\002\001\001\000\000\000\000\000\000\000\000\000\003\000\267\000";
    let path = "/usr/bin:/bin";
    let cross = format!(
        "export PATH={path}; mkdir -p $out/bin; printf '{header}' > $out/bin/app; chmod +x $out/bin/app"
    );
    assert_eq!(system(&stage, "builtins.currentSystem", &cross).as_deref(), Some("aarch64-linux"));
}

#[test]
fn finds_nothing_in_texts() {
    let stage = Stage::rooted();
    let closure = stage.store.closure(&stage.texts()).expect("a closure");
    assert_eq!(system_of(&closure, &stage.store.trees()), None);
}
