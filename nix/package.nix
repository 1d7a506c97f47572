# floe, built by nixpkgs.
{ lib, rustPlatform }:
rustPlatform.buildRustPackage {
  pname = "floe";
  version = (builtins.fromTOML (builtins.readFile ../Cargo.toml)).workspace.package.version;

  src = lib.cleanSourceWith {
    src = ../.;
    # What the build does not read must not build it again.
    filter =
      path: _type:
      !builtins.elem (baseNameOf path) [
        "docs"
        "examples"
        "fuzz"
        "nix"
        "target"
      ];
  };
  cargoLock.lockFile = ../Cargo.lock;
  cargoBuildFlags = [ "--package=floe" ];
  # The tests start container engines and Nix itself: `cargo xtask test` runs them outside of a build.
  doCheck = false;

  postInstall = ''
    $out/bin/floe man $out/share/man
    mkdir -p $out/share/bash-completion/completions
    $out/bin/floe completions bash > $out/share/bash-completion/completions/floe
  '';

  meta = {
    description = "Turns Nix closures into OCI images";
    license = lib.licenses.asl20;
    mainProgram = "floe";
    platforms = lib.platforms.linux;
  };
}
