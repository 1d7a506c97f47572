# `import <nixpkgs> { system = …; }`: the package set of one system.
{
  system ? builtins.currentSystem,
  ...
}:
let
  lib = import ./lib.nix;
  readJson = file: builtins.fromJSON (builtins.readFile file);
  scriptFile = file: builtins.toFile (baseNameOf file) (builtins.readFile file);

  platform =
    {
      x86_64-linux = {
        triplet = "x86_64-linux-gnu";
        loader = "ld-linux-x86-64.so.2";
      };
      aarch64-linux = {
        triplet = "aarch64-linux-gnu";
        loader = "ld-linux-aarch64.so.1";
      };
    }
    .${system};

  # The .deb is already in the store under this fixed-output path; building it means that it is not.
  fetchDeb =
    { file, sha256, ... }:
    derivation {
      name = file;
      inherit system;
      builder = "/bin/bash";
      args = [
        "-c"
        "echo >&2 'the package ${file} is not in the store: run cargo xtask closure'; exit 1"
      ];
      outputHashMode = "flat";
      outputHashAlgo = "sha256";
      outputHash = sha256;
    };

  buildPackage =
    debianName: package:
    derivation {
      name = "${debianName}-${package.version}";
      pname = debianName;
      inherit (package) version;
      inherit system;
      inherit (platform) triplet loader;
      builder = "/bin/bash";
      args = [ (scriptFile ./build-package.sh) ];
      relocateStrings = scriptFile ./relocate-strings.pl;
      src = fetchDeb package;
      dependencies = map (name: debian.${name}) package.dependencies;
      # libc and what it stands on have no other interpreter than libc's own.
      libc = if package.foundation then "" else debian.libc6;
    }
    // {
      meta.mainProgram = { nodejs = "node"; golang-go = "go"; }.${debianName} or debianName;
    };

  debian = lib.mapAttrs buildPackage (readJson ./packages/${system}.json);

  # nixpkgs' attribute names, for the packages that this set has.
  attributes = readJson ./attributes.json;
  aliases = lib.listToAttrs (
    lib.concatMap (
      name: lib.optional (debian ? ${attributes.${name}}) (lib.nameValuePair name debian.${attributes.${name}})
    ) (lib.attrNames attributes)
  );

  builders = import ./builders.nix { inherit lib pkgs system; };
  node = import ./node.nix { inherit debian platform system; };
  pkgs = debian // aliases // node // builders // { inherit debian lib system; };
in
pkgs
