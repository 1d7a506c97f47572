# A small stand-in for nixpkgs: the same attribute names, made of Debian's packages.
# floe-testkit writes this directory; see crates/floe-testkit/src/debian/.
{
  description = "Debian's packages under nixpkgs' attribute names";

  outputs =
    { self }:
    let
      lib = import ./lib.nix;
      systems = map (file: lib.removeSuffix ".json" file) (
        builtins.attrNames (builtins.readDir ./packages)
      );
    in
    {
      inherit lib;
      legacyPackages = lib.genAttrs systems (system: import ./. { inherit system; });
    };
}
