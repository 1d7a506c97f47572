{
  description = "A TanStack application with a back end for its front end, and its container images";

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
      # The page and the server's bundle are the same on every system, and so is the work of packing an image: one system
      # does both, and no emulator is needed for the other's image.
      buildSystem = "x86_64-linux";
      build = nixpkgs.legacyPackages.${buildSystem}.callPackage ./nix/build.nix { };
    in
    {
      packages = forEachSystem (
        system:
        let
          pkgs = nixpkgs.legacyPackages.${system};
          inherit (floe.lib.${system}) buildImage;
          nodejs = pkgs.nodejs-slim_22;
          node = "${nodejs}/bin/node";

          common = {
            inherit buildSystem;
            ports = [ 3000 ];
            # `floe run` refuses without these; the server itself says what is missing or malformed.
            required-env = [
              "WORKOS_API_KEY"
              "WORKOS_CLIENT_ID"
              "WORKOS_REDIRECT_URI"
              "JWT_SECRET"
            ];
            healthcheck = {
              test = [
                node
                "-e"
                "fetch('http://127.0.0.1:' + (process.env.PORT || 3000) + '/health').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"
              ];
              interval = "30s";
              timeout = "3s";
            };
          };
        in
        rec {
          default = docker;

          # Production: Node, the bundle, and nothing to type commands into.
          docker = buildImage (
            common
            // {
              name = "tanstack-bff";
              entrypoint = [
                node
                "${build.bundle}/server/main.js"
              ];
              env.NODE_ENV = "production";
            }
          );

          # Development: a shell, and the packages that the mounted source in /app asks for.
          docker-dev = buildImage (
            common
            // {
              name = "tanstack-bff-dev";
              root = [
                nodejs
                pkgs.bash
                pkgs.coreutils
                (build.nodeModules system)
              ];
              root-conflicts = "first";
              workdir = "/app";
              cmd = [
                "/bin/node"
                "--watch"
                "server/dev.ts"
              ];
            }
          );

          # The same without a container: ./result/start.sh
          app = build.app pkgs;
        }
      );

      # nix run .#run-with-podman, .#docker-info, .#push-to-registry, .#export-image
      apps = forEachSystem (
        system: floe.lib.${system}.apps { inherit (self.packages.${system}) docker docker-dev; }
      );
    };
}
