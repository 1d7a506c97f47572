{
  description = "A program and its image";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
    floe.url = "github:floe-project/floe";
    floe.inputs.nixpkgs.follows = "nixpkgs";
  };

  outputs =
    {
      self,
      nixpkgs,
      floe,
    }:
    let
      forEachSystem = nixpkgs.lib.genAttrs [
        "x86_64-linux"
        "aarch64-linux"
      ];
    in
    {
      packages = forEachSystem (
        system:
        let
          pkgs = nixpkgs.legacyPackages.${system};
        in
        rec {
          app = pkgs.writeShellScriptBin "app" ''
            echo "hello from an image that floe made"
          '';
          # nix build .#docker && podman load < result
          docker = floe.lib.${system}.buildImage {
            name = "app";
            contents = [ app ];
          };
          default = docker;
        }
      );

      # nix run .#run-with-podman, .#docker-info, .#push-to-registry, .#export-image
      apps = forEachSystem (
        system: floe.lib.${system}.apps { inherit (self.packages.${system}) docker; }
      );
    };
}
