# floe.lib.<system>. Nothing but `dockerTools.binSh` and its like touches `pkgs`.
{
  system,
  programs,
  pkgs,
}:
let
  derive = import ./derive.nix { inherit programs; };
  program = import ./program.nix { inherit derive system programs; };
  buildImage = import ./build-image.nix { inherit derive program system; };
in
{
  # { name, contents, entrypoint, … } → an image.
  inherit buildImage;

  # { docker = IMAGE; … } → the flake's `apps`.
  apps = import ./apps.nix { inherit program; };

  # The functions of nixpkgs and nix2container under their own names and arguments; see docs/migrating.md.
  dockerTools = import ./docker-tools.nix {
    inherit
      buildImage
      derive
      program
      system
      pkgs
      ;
  };
  nix2container = import ./nix2container.nix { inherit buildImage program; };

  # The keys of floe.toml that buildImage takes, or refuses with what to use instead.
  fields = builtins.attrNames (import ./fields.nix);
}
