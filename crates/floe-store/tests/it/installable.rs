//! Flakes, built by a real Nix.

use floe_store::installable::{self, BuildError, ForSystemError, Progress};
use floe_store::{RunNixError, System};

use crate::stage::Stage;

const FLAKE: &str = r#"{
  outputs = { self }:
    let
      shell = script: derivation {
        name = "app"; system = builtins.currentSystem or "x86_64-linux"; builder = "/bin/sh"; outputs = [ "out" "doc" ];
        args = [ "-c" script ];
      };
    in {
      app = shell "echo building the app >&2; echo app > $out; echo doc > $doc";
      broken = shell "echo about to fail >&2; exit 3";
      packages.aarch64-linux = { app = shell "echo arm > $out; echo doc > $doc"; default = throw "not asked for"; };
      legacyPackages.aarch64-linux.nested.tool = shell "exit 0";
      legacyPackages.x86_64-linux.nested.tool = throw "not asked for";
    };
}"#;

#[test]
fn builds_flakes_and_explains_failures() {
    let stage = Stage::relocated();
    let flake = stage.folder().join("flake");
    std::fs::create_dir(&flake).expect("a folder");
    std::fs::write(flake.join("flake.nix"), FLAKE).expect("a flake");
    let flake = format!("path:{}", flake.display());

    let mut lines = Vec::new();
    let mut show = |line: &str| lines.push(line.to_owned());
    let paths = installable::build(&stage.store, &format!("{flake}#app"), &[], Progress::Lines(&mut show));
    let paths = paths.expect("a build");
    assert_eq!(paths.first().map(floe_store::StorePath::name), Some("app"));
    assert!(lines.iter().any(|line| line.contains("building the app")), "{lines:#?}");
    assert_eq!(std::fs::read_to_string(stage.full(&paths[0])).expect("an output"), "app\n");

    let mut ignore = |_: &str| {};
    for (output, expected) in [("broken", "exit code 3"), ("absent", "does not provide attribute")] {
        let broken = format!("{flake}#{output}");
        let error = installable::build(&stage.store, &broken, &[], Progress::Lines(&mut ignore));
        let Err(BuildError::Run { source, installable }) = error else { panic!("{error:?}") };
        assert_eq!(installable, broken);
        let RunNixError::Failed { status, last_lines, .. } = &source else { panic!("{source:?}") };
        assert_eq!(status.code(), Some(1));
        assert!(last_lines.iter().any(|line| line.contains(expected)), "{last_lines:#?}");
    }

    let changed = installable::flake_last_modified(&stage.store, &format!("{flake}#app"), &[]);
    assert!(changed.is_some_and(|changed| changed > 1_600_000_000), "{changed:?}");
    assert_eq!(installable::flake_last_modified(&stage.store, "path:/nonexistent#x", &[]), None);
}

#[test]
fn finds_what_is_meant_for_a_system() {
    let stage = Stage::relocated();
    let flake = stage.folder().join("flake");
    std::fs::create_dir(&flake).expect("a folder");
    std::fs::write(flake.join("flake.nix"), FLAKE).expect("a flake");
    let flake = format!("path:{}", flake.display());
    let arm: System = "aarch64-linux".parse().expect("a system");
    for (attribute, expected) in [
        ("#app", "#packages.aarch64-linux.app"),
        ("#app^out,doc", "#packages.aarch64-linux.app^out,doc"),
        ("#nested.tool", "#legacyPackages.aarch64-linux.nested.tool"),
        ("", "#packages.aarch64-linux.default"),
    ] {
        let found = installable::for_system(&stage.store, &format!("{flake}{attribute}"), &arm, &[]);
        assert_eq!(found.expect(attribute), format!("{flake}{expected}"));
    }
    let error = installable::for_system(&stage.store, &format!("{flake}#absent"), &arm, &[]);
    assert!(
        matches!(&error, Err(ForSystemError::Absent { attribute, .. }) if attribute == "absent"),
        "{error:?}"
    );
    let riscv: System = "riscv64-linux".parse().expect("a system");
    let error = installable::for_system(&stage.store, &format!("{flake}#app"), &riscv, &[]);
    let message = error.expect_err("the flake knows nothing of it").to_string();
    assert!(message.ends_with("expected packages.riscv64-linux.app in the flake"), "{message}");
    let error = installable::for_system(&stage.store, "path:/nonexistent#app", &arm, &[]);
    assert!(matches!(error, Err(ForSystemError::Run { .. })), "{error:?}");
}
