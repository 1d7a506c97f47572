//! An image for another system than this machine's: the contents say which, and packing them is the same work.

use std::process::Command;

use crate::project::{Project, succeed};

/// One image for each system, as a flake for both has them, and one that is packed by x86_64-linux.
const FLAKE: &str = r#"{
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
  inputs.floe.url = "github:floe-project/floe";
  outputs = { self, nixpkgs, floe }: {
    packages = nixpkgs.lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] (system:
      let image = extra: floe.lib.${system}.buildImage ({
        name = "node";
        contents = [ nixpkgs.legacyPackages.${system}.nodejs ];
      } // extra); in {
        docker = image { };
        docker-here = image { buildSystem = "x86_64-linux"; };
        note = floe.lib.${system}.buildImage { name = "note"; root = [ ./note ]; };
      });
  };
}"#;

fn architecture(project: &Project) -> String {
    let mut skopeo = project.place(Command::new("skopeo"));
    succeed(skopeo.args(["inspect", "--format", "{{.Os}}/{{.Architecture}}", "docker-archive:result"]))
        .stdout
        .trim()
        .to_owned()
}

#[test]
fn an_image_for_aarch64_is_made_on_x86_64() {
    let project = Project::of_images("{ }");
    project.write("flake.nix", FLAKE);
    project.write("note/text", "the same everywhere\n");
    for (attribute, system, expected) in [
        (".#docker", "x86_64-linux", "linux/amd64"),
        (".#docker", "aarch64-linux", "linux/arm64"),
        // Files alone tell no system: that of the library counts.
        (".#note", "aarch64-linux", "linux/arm64"),
    ] {
        succeed(&mut project.nix(&["build", attribute, "--system", system]));
        assert_eq!(architecture(&project), expected, "{attribute} {system}");
    }
}

#[test]
fn one_machine_packs_for_both_without_an_emulator() {
    let project = Project::of_images("{ }");
    project.write("flake.nix", FLAKE);
    project.write("note/text", "the same everywhere\n");
    // The contents come from a cache, which is the store here.
    succeed(&mut project.nix(&["build", ".#packages.aarch64-linux.docker"]));
    let of_aarch64 = std::fs::read_link(project.path("result")).expect("a link");
    let mut command = project.nix(&["build", ".#packages.aarch64-linux.docker-here"]);
    succeed(command.args(["--option", "extra-platforms", ""]));
    let of_x86_64 = std::fs::read_link(project.path("result")).expect("a link");
    assert_ne!(of_x86_64, of_aarch64);
    assert!(std::fs::read(of_x86_64).expect("a file") == std::fs::read(of_aarch64).expect("a file"));
    assert_eq!(architecture(&project), "linux/arm64");
}
