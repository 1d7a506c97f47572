# floe.lib.<system>.
{
  system,
  programs,
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

  # The keys of floe.toml that buildImage takes.
  fields = builtins.attrNames (import ./fields.nix);
}
