//! An image's own programs stream from its recipe, and so do floe's commands that take a recipe for an image.

use std::process::Command;

use floe_testkit::engine::podman::Podman;
use floe_testkit::engine::{Engine as _, Run};
use floe_testkit::registry::distribution::{Authentication, Configuration, Distribution};
use serde_json::Value;

use crate::project::{Project, run, succeed};

/// A small image that needs a variable.
const TELLER: &str = r#"{
  docker = buildImage {
    name = "teller";
    entrypoint = [ "${pkgs.bash}/bin/bash" "-c" "echo the word is $WORD" ];
    required-env = [ "WORD" ];
  };
}"#;

fn registry() -> Distribution {
    let authentication = Authentication::Open;
    Distribution::start(Configuration { authentication, tls: false, client_certificates: false })
        .expect("a registry")
}

/// The digest that a registry gives an image.
fn digest_in_registry(project: &Project, reference: &str) -> String {
    let mut skopeo = project.place(Command::new("skopeo"));
    let reference = format!("docker://{reference}");
    skopeo.args(["inspect", "--tls-verify=false", "--format", "{{.Digest}}", &reference]);
    succeed(&mut skopeo).stdout.trim().to_owned()
}

#[test]
fn an_image_carries_its_programs() {
    let project = Project::of_images(TELLER);
    let (podman, registry) = (Podman::start().expect("podman"), registry());
    let reference = format!("{}/team/teller:1", registry.host());
    let nix_run = |attribute: &str, words: &[&str]| {
        let mut command = project.nix(&["run", attribute]);
        command.arg("--").args(words).envs(podman.environment());
        command
    };
    let inspected = succeed(&mut nix_run(".#docker.inspect", &["--json"])).stdout;
    let inspected: Value = serde_json::from_str(&inspected).expect("JSON");
    let digest = inspected["digest"].as_str().expect("a digest");

    succeed(&mut nix_run(".#docker.push", &[&reference]));
    assert_eq!(digest_in_registry(&project, &reference), digest);

    let loaded = succeed(&mut nix_run(".#docker.load", &[])).stderr;
    assert!(loaded.contains("loaded localhost/teller:latest"), "{loaded}");
    let refused = run(&mut nix_run(".#docker.run", &[]), 1).stderr;
    assert!(refused.contains("error: 1 required variable not set: WORD"), "{refused}");
    let said = succeed(&mut nix_run(".#docker.run", &["--env", "WORD=floe"])).stdout;
    assert_eq!(said, "the word is floe\n");

    succeed(&mut nix_run(".#docker.export", &["teller.tar"]));
    succeed(&mut project.nix(&["build", ".#docker"]));
    let exported = std::fs::read(project.path("teller.tar")).expect("a file");
    assert!(exported == std::fs::read(project.path("result")).expect("a file"), "the archive is the same");
}

#[test]
fn floe_takes_a_recipe_for_an_image() {
    let project = Project::of_images(TELLER);
    let (podman, registry) = (Podman::start().expect("podman"), registry());
    succeed(&mut project.nix(&["build", ".#docker.recipe"]));
    let floe = |words: &[&str]| {
        let mut command = project.floe(words);
        command.envs(podman.environment());
        command
    };
    let inspected = succeed(&mut floe(&["inspect", "./result"])).stdout;
    for part in ["teller:latest\n", "  entrypoint   /nix/store/", "  user         1000:1000\n", " bash-5.2"] {
        assert!(inspected.contains(part), "no '{part}' in {inspected}");
    }
    succeed(&mut floe(&["load", "./result"]));
    assert_eq!(podman.images().expect("it lists"), ["localhost/teller:latest"]);
    let said = succeed(&mut floe(&["run", "./result", "--env", "WORD=floe"])).stdout;
    assert_eq!(said, "the word is floe\n");
    let reference = format!("{}/teller:2", registry.host());
    succeed(&mut floe(&["push", "./result", &reference]));
    assert!(inspected.contains(&digest_in_registry(&project, &reference)), "{inspected}");
    succeed(&mut floe(&["export", "./result", "oci:layout"]));
    assert!(project.path("layout/index.json").is_file());
    assert_eq!(succeed(&mut floe(&["images", "--json"])).stdout, "", "nothing is recorded on the way");
}

#[test]
fn other_files_are_no_recipes() {
    let project = Project::of_images(TELLER);
    succeed(&mut project.nix(&["build", ".#docker"]));
    project.write("cut.json", "{\"floe-recipe\":1,");
    project.write("later.json", "{\"floe-recipe\":9,\"name\":\"a:b\"}\n");
    for (file, expected) in [
        ("./result", "hint: it is an image's archive"),
        ("./flake.nix", "flake.nix is no recipe of an image"),
        ("./cut.json", "cut.json is no recipe of this floe"),
        ("./later.json", "later.json is no recipe of this floe"),
        ("./absent.json", "cannot read ./absent.json"),
    ] {
        let refused = run(&mut project.floe(&["inspect", file]), 1).stderr;
        assert!(refused.contains(expected) && refused.contains("hint: "), "{file}: {refused}");
    }
}

#[test]
fn floe_build_takes_the_image_that_a_flake_made() {
    let project = Project::of_images(TELLER);
    // floe itself calls Nix here, which finds the inputs in the lock file.
    succeed(&mut project.lock());
    let digest = |written: &str| {
        written.lines().find(|line| line.starts_with("sha256:")).map(str::to_owned).expect("a digest")
    };
    let inspected = succeed(&mut project.nix(&["run", ".#docker.inspect"])).stdout;
    for (installable, name) in [(".#docker", "teller:latest"), (".#docker.recipe", "teller:latest")] {
        let said = succeed(&mut project.floe(&["build", installable])).stderr;
        assert!(said.contains(&format!("; run it with: floe run {name}")), "{said}");
        assert!(inspected.contains(&digest(&said)), "{said}");
    }
    let said = succeed(&mut project.floe(&["build", ".#docker", "--tag", "2", "--to", "oci:layout"])).stderr;
    assert!(said.contains("teller:2  ") && inspected.contains(&digest(&said)), "{said}");
    succeed(&mut project.floe(&[
        "build",
        ".#docker",
        "--system",
        "x86_64-linux",
        "--system",
        "aarch64-linux",
        "--to",
        "oci:both",
    ]));
    let index = std::fs::read_to_string(project.path("both/index.json")).expect("an index");
    assert!(index.contains("image.index"), "{index}");
    let refused = run(&mut project.floe(&["build", ".#docker", "--port", "80"]), 2).stderr;
    assert!(
        refused.contains("error: teller:latest is made by a flake already\nhint: say in the flake's"),
        "{refused}"
    );
    succeed(&mut project.nix(&["build", ".#docker"]));
    let refused = run(&mut project.floe(&["build", "./result"]), 2).stderr;
    assert!(
        refused.contains("is an image's archive, not something to put into one\nhint: name"),
        "{refused}"
    );
}

#[test]
fn an_image_is_built_upon_another() {
    let project = Project::of_images(
        r#"rec {
          below = buildImage {
            name = "below"; tag = "1"; root = [ pkgs.bash pkgs.coreutils ]; user = 1234;
            env.BELOW = "below"; cmd = [ "bash" "-c" "echo $BELOW $ABOVE; id -u; cat /etc/above" ];
          };
          docker = buildImage { name = "above"; base = below; env.ABOVE = "above"; files."/etc/above" = "a file\n"; };
          drop-in = dockerTools.buildLayeredImage { name = "drop-in"; tag = "1"; fromImage = below; contents = [ ./site ]; };
        }"#,
    );
    project.write("site/etc/above", "linked\n");
    let podman = Podman::start().expect("podman");
    // The archive, and the recipe on a machine that has never seen the base's layers.
    succeed(&mut project.nix_in_sandbox(&["build", ".#docker"]));
    let archive = std::fs::File::open(project.path("result")).expect("an archive");
    succeed(podman.command().arg("load").stdin(archive));
    let said = |image: &str| podman.run(&Run { image, ..Run::default() }).expect("it runs").stdout;
    assert_eq!(said("docker.io/library/above:latest"), "below above\n1234\na file\n");
    let digest = |attribute: &str| {
        let inspected = succeed(project.nix(&["run", attribute]).args(["--", "--json"])).stdout;
        serde_json::from_str::<Value>(&inspected).expect("JSON")["digest"].clone()
    };
    succeed(project.nix(&["run", ".#docker.export"]).args(["--", "oci:layout"]));
    let index = std::fs::read_to_string(project.path("layout/index.json")).expect("an index");
    assert!(index.contains(digest(".#docker.inspect").as_str().expect("a digest")), "{index}");
    succeed(project.nix(&["run", ".#drop-in.load"]).envs(podman.environment()));
    assert_eq!(said("localhost/drop-in:1"), "below\n1234\nlinked\n");
}
