# The outputs of floe's flake.
{ self, nixpkgs }:
let
  systems = [
    "x86_64-linux"
    "aarch64-linux"
  ];
  forEachSystem =
    value:
    builtins.listToAttrs (
      map (name: {
        inherit name;
        value = value name;
      }) systems
    );

  # A released flake carries static programs; a checkout has none, and builds floe with nixpkgs.
  prebuilt =
    system:
    builtins.path {
      name = "floe";
      path = ../prebuilt + "/${system}/floe";
    };
  isPrebuilt = system: builtins.pathExists (../prebuilt + "/${system}/floe");
  program =
    system: if isPrebuilt system then prebuilt system else "${self.packages.${system}.floe}/bin/floe";
  programs = forEachSystem program;

  library =
    system:
    import ./lib {
      inherit system programs;
      pkgs = nixpkgs.legacyPackages.${system};
    };
in
{
  # floe.lib.<system>: buildImage, apps, and the drop-in functions dockerTools and nix2container.
  lib = forEachSystem library;

  packages = forEachSystem (system: rec {
    floe =
      if isPrebuilt system then
        import ./prebuilt.nix {
          inherit system;
          program = prebuilt system;
        }
      else
        nixpkgs.legacyPackages.${system}.callPackage ./package.nix { };
    default = floe;
  });

  # Older versions of `nix flake check` want exactly these names.
  overlays.default =
    final: prev:
    let
      inherit (prev.stdenv.hostPlatform) system;
    in
    {
      inherit (self.packages.${system}) floe;
      floeLib = self.lib.${system};
    };

  devShells = forEachSystem (system: {
    default = nixpkgs.legacyPackages.${system}.callPackage ./shell.nix { };
  });

  templates.default = {
    path = ./template;
    description = "An image of a small program, built, loaded, pushed and run with floe";
  };

  checks = forEachSystem (system: {
    image = self.lib.${system}.buildImage {
      name = "floe-check";
      contents = [ ./template ];
      cmd = [ "true" ];
    };
  });
}
