//! The drop-in functions of dockerTools and nix2container make images that run as those of the originals.

use std::fs::{self, File};
use std::process::Command;

use floe_testkit::engine::podman::Podman;
use floe_testkit::engine::{Engine as _, Run};
use floe_testkit::registry::distribution::{Authentication, Configuration, Distribution};

use crate::project::{Project, succeed};

/// Images as people have them today, but for the functions' origin.
const IMAGES: &str = r#"
  let
    shell = [ pkgs.bash pkgs.coreutils ];
    settings = { Cmd = [ "bash" "-c" "echo $GREETING; id -u; pwd" ]; Env = [ "GREETING=hello" "PATH=/bin" ]; WorkingDir = "/work"; };
  in rec {
    layered = dockerTools.buildLayeredImage { name = "layered"; tag = "1"; contents = shell; config = settings; maxLayers = 20; };
    streamed = dockerTools.streamLayeredImage { name = "streamed"; contents = shell; config = settings; };
    whole = dockerTools.buildImage {
      name = "whole";
      copyToRoot = [ dockerTools.binSh dockerTools.usrBinEnv dockerTools.caCertificates dockerTools.fakeNss pkgs.coreutils ];
      config = {
        Entrypoint = [ "/bin/sh" "-c" ];
        Cmd = [ "cat /etc/passwd | head -1; /usr/bin/env printf 'env\n'; cat /etc/ssl/certs/ca-bundle.crt | head -1" ];
        User = "1000:1000";
      };
    };
    contained = nix2container.buildImage {
      name = "REGISTRY/contained";
      tag = "2";
      config = { entrypoint = [ "${pkgs.bash}/bin/bash" "-c" ]; cmd = [ "stat -c '%n %a %u:%g %F' /etc/app /etc/app/* /bin/stat" ]; user = "1000:100"; };
      copyToRoot = [ ./files pkgs.coreutils ];
      perms = [
        { path = ./files; regex = "/etc/app(/.*)?$"; mode = "0750"; uid = 1000; gid = 100; }
        { path = ./files; regex = "secret"; mode = "0400"; orMode = "0020"; }
      ];
      layers = [ (nix2container.buildLayer { deps = [ pkgs.bash ]; }) ];
      maxLayers = 10;
    };
    docker = contained;
  }"#;

fn project(registry: &str) -> Project {
    let project = Project::of_images(&IMAGES.replace("REGISTRY", registry));
    project.write("files/etc/app/secret", "word\n");
    project.write("files/etc/app/settings", "a = 1\n");
    project.write("files/etc/other", "of the store\n");
    project
}

fn said(podman: &Podman, image: &str) -> String {
    podman.run(&Run { image, ..Run::default() }).expect("it runs").stdout
}

#[test]
fn docker_tools_make_archives_and_streams() {
    let (project, podman) = (project("localhost"), Podman::start().expect("podman"));
    succeed(&mut project.nix_in_sandbox(&["build", ".#layered"]));
    let archive = File::open(project.path("result")).expect("an archive");
    succeed(podman.command().arg("load").stdin(archive));
    assert_eq!(said(&podman, "docker.io/library/layered:1"), "hello\n0\n/work\n");

    succeed(&mut project.nix_in_sandbox(&["build", ".#streamed"]));
    let mut stream = project.place(Command::new("sh"));
    let loaded = succeed(stream.args(["-c", "./result | podman load"]).envs(podman.environment())).stdout;
    let image = loaded.trim().rsplit(' ').next().expect("a name");
    // Without a tag, it follows from the inputs.
    let (_, tag) = image.rsplit_once(':').expect("a tag");
    assert!(tag.len() == 32 && tag.bytes().all(|byte| byte.is_ascii_hexdigit()), "{loaded}");
    assert_eq!(said(&podman, image), "hello\n0\n/work\n");

    succeed(&mut project.nix_in_sandbox(&["build", ".#whole"]));
    succeed(podman.command().arg("load").stdin(File::open(project.path("result")).expect("an archive")));
    let images = podman.images().expect("it lists");
    let whole = images.iter().find(|image| image.contains("/whole:")).expect("it is loaded");
    assert_eq!(said(&podman, whole), "root:x:0:0:root:/root:/bin/sh\nenv\n-----BEGIN CERTIFICATE-----\n");
}

#[test]
fn nix2container_makes_recipes_with_permissions() {
    let registry =
        Configuration { authentication: Authentication::Open, tls: false, client_certificates: false };
    let registry = Distribution::start(registry).expect("a registry");
    let (project, podman) = (project(&registry.host()), Podman::start().expect("podman"));
    let nix_run = |attribute: &str, words: &[&str]| {
        let mut command = project.nix(&["run", attribute]);
        succeed(command.arg("--").args(words).envs(podman.environment()));
    };
    nix_run(".#contained.copyToPodman", &[]);
    let image = format!("{}/contained:2", registry.host());
    let expected = "\
        /etc/app 750 1000:100 directory\n\
        /etc/app/secret 420 0:0 regular file\n\
        /etc/app/settings 750 1000:100 regular file\n\
        /bin/stat 777 0:0 symbolic link\n";
    assert_eq!(said(&podman, &image), expected);
    nix_run(".#contained.copyToRegistry", &[]);
    let mut skopeo = Command::new("skopeo");
    succeed(skopeo.args(["inspect", "--tls-verify=false", &format!("docker://{image}")]));
    nix_run(".#contained.copyTo", &["oci:layout"]);
    assert!(fs::metadata(project.path("layout/index.json")).is_ok());
}
