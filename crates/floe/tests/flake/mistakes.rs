//! What is wrong with an image's arguments is said while Nix evaluates, and the rest by the builder.

use std::process::Command;

use floe_testkit::machine::nix_command;

use crate::floe_flake::workspace;
use crate::project::{Project, run, succeed};

/// `buildImage` without a flake: evaluation alone, in a fraction of the time.
fn evaluate(arguments: &str) -> Command {
    let library = workspace().join("nix/lib");
    let expression = format!(
        "let lib = import {} {{ system = \"x86_64-linux\"; programs.x86_64-linux = \"/floe\"; pkgs = {{ }}; }};
             package = derivation {{ name = \"p\"; system = \"x86_64-linux\"; builder = \"/b\"; }};
         in (lib.buildImage ({arguments})).drvPath",
        library.display()
    );
    let mut command = nix_command("nix");
    command.args(["eval", "--impure", "--raw", "--expr", &expression]);
    command
}

#[test]
fn good_arguments_evaluate() {
    for arguments in [
        "{ name = \"app\"; contents = [ package ]; }",
        "{ name = \"team/app\"; tag = null; root = [ package ]; ports = [ 3000 \"53/udp\" ]; user = 1000; }",
        "{ name = \"app\"; config = { Cmd = [ \"${package}/bin/p\" ]; Env = [ \"A=1\" ]; ExposedPorts.\"80/tcp\" = { }; }; }",
        "{ name = \"app\"; files.\"/etc/motd\" = { text = \"hi\"; mode = \"0600\"; }; created = 0; output = \"recipe\"; }",
        "{ name = \"app\"; files = [ { path = \"/etc/motd\"; text = \"hi\"; } ]; healthcheck.test = \"true\"; }",
    ] {
        succeed(&mut evaluate(arguments));
    }
}

#[test]
fn bad_arguments_end_the_evaluation() {
    for (arguments, expected) in [
        (
            "{ name = \"app\"; entrypiont = [ ]; }",
            "unknown argument 'entrypiont'\nhint: did you mean 'entrypoint'?",
        ),
        (
            "{ name = \"app\"; maxLayers = 3; }",
            "unknown argument 'maxLayers'\nhint: did you mean 'max-layers'?",
        ),
        ("{ name = \"app\"; copyToRoot = [ ]; }", "hint: did you mean 'root'?"),
        (
            "{ name = \"app\"; frobnicate = 1; }",
            "unknown argument 'frobnicate'\nhint: known arguments: annotations, ",
        ),
        ("{ contents = [ package ]; }", "'name' is missing\nhint: name the image"),
        ("{ name = 3; }", "'name' is the number 3: expected a string such as \"app\""),
        (
            "{ name = \"app\"; cmd = \"run\"; }",
            "'cmd' is the string \"run\": expected a list of strings\nhint: put a single one in brackets",
        ),
        (
            "{ name = \"app\"; contents = package; }",
            "'contents' is a derivation: expected a list of packages and paths",
        ),
        ("{ name = \"app\"; contents = [ \"/nix/store/x\" ]; }", "hint: write the package itself"),
        (
            "{ name = \"app\"; env.PORT = 3000; }",
            "'env' is an attribute set: expected an attribute set of strings\nhint: numbers",
        ),
        (
            "{ name = \"app\"; layering = \"stabel\"; }",
            "'layering' is the string \"stabel\": expected \"stable\", \"auto-layer\",",
        ),
        (
            "{ name = \"app\"; max-layers = 128; }",
            "'max-layers' is the number 128: expected a number from 2 to 127",
        ),
        ("{ name = \"app\"; created = \"now\"; }", "hint: a build has no clock; `self.lastModified`"),
        (
            "{ name = \"app\"; output = \"tar\"; }",
            "'output' is the string \"tar\": expected \"archive\" or \"recipe\"",
        ),
        (
            "{ name = \"app\"; config.Entrypont = [ ]; }",
            "config: unknown argument 'Entrypont'\nhint: did you mean 'Entrypoint'?",
        ),
        (
            "{ name = \"app\"; config.User = \"nobody\"; }",
            "'User' is the string \"nobody\": expected numbers",
        ),
        ("{ name = \"app\"; config.Memory = 3; }", "'Memory' is not supported\nhint: engines limit memory"),
        (
            "{ name = \"app\"; systems = [ ]; }",
            "'systems' is not supported\nhint: a flake has an image for each system",
        ),
        ("{ name = \"app\"; cmd = [ ]; config.Cmd = [ ]; }", "'cmd' is given twice"),
        ("{ name = \"app\"; buildSystem = \"sparc-linux\"; }", "no floe builds images on 'sparc-linux'"),
        ("[ ]", "the argument is a list: expected an attribute set"),
    ] {
        let refused = run(&mut evaluate(arguments), 1).stderr.replace("\n       ", "\n");
        assert!(refused.contains("floe"), "{refused}");
        assert!(refused.contains(expected), "{arguments}: no '{expected}' in {refused}");
    }
}

#[test]
fn the_arguments_are_the_keys_of_floe_toml() {
    let documented = std::fs::read_to_string(workspace().join("docs/floe-toml.md")).expect("a document");
    let section =
        documented.split("## Keys of `[image.NAME]`").nth(1).and_then(|rest| rest.split("\n## ").next());
    let row = |line: &str| Some(line.strip_prefix("| `")?.split('`').next()?.to_owned());
    let mut expected: Vec<String> = section.expect("a section").lines().filter_map(row).collect();
    // `//` joins attribute sets, so Nix needs no word for it.
    expected.retain(|key| key != "inherits");
    let expression = format!(
        "(import {}/nix/lib {{ system = \"x86_64-linux\"; programs = {{ }}; pkgs = {{ }}; }}).fields",
        workspace().display()
    );
    let listed =
        succeed(nix_command("nix").args(["eval", "--impure", "--json", "--expr", &expression])).stdout;
    let listed: Vec<String> = serde_json::from_str(&listed).expect("JSON");
    let unknown: Vec<&String> = expected.iter().filter(|key| !listed.contains(key)).collect();
    assert!(unknown.is_empty(), "nix/lib/fields.nix has no {unknown:?}");
    let undocumented: Vec<&String> = listed.iter().filter(|key| !expected.contains(key)).collect();
    assert!(undocumented.is_empty(), "docs/floe-toml.md has no {undocumented:?}");
}

#[test]
fn what_only_the_builder_sees_fails_the_build() {
    for (images, expected) in [
        ("{ docker = buildImage { name = \"App\"; contents = [ pkgs.bash ]; }; }", "'App' is not a name"),
        (
            "{ docker = buildImage { name = \"app\"; ports = [ 70000 ]; contents = [ pkgs.bash ]; }; }",
            "'70000' is not a port",
        ),
        (
            "{ docker = buildImage { name = \"app\"; user = \"nobody\"; }; }",
            "hint: floe writes the image's passwd entry",
        ),
        (
            "{ docker = buildImage { name = \"app\"; root = [ pkgs.bash ./site ]; files.\"relative\" = \"x\"; }; }",
            "'relative' is not a path in the image",
        ),
        ("{ docker = buildImage { name = \"app\"; root = [ ./one ./two ]; }; }", "-one and "),
    ] {
        let project = Project::of_images(images);
        for folder in ["one/etc/conf", "two/etc/conf", "site/index.html"] {
            project.write(folder, "text\n");
        }
        let refused = run(&mut project.nix(&["build", ".#docker", "--print-build-logs"]), 1).stderr;
        assert!(refused.contains(expected), "{images}: no '{expected}' in {refused}");
        assert!(["hint: ", " expected "].iter().any(|part| refused.contains(part)), "{images}: {refused}");
    }
}
