# What is built on one system for all: the packages that npm fetches, the bundle, and the start script around it.
{
  lib,
  nodejs_22,
  stdenvNoCC,
}:
let
  source = lib.fileset.toSource {
    root = ../.;
    fileset = lib.fileset.unions [
      ../index.html
      ../package.json
      ../package-lock.json
      ../server
      ../src
      ../tsconfig.json
      ../vite.config.ts
    ];
  };
  locked = lib.fileset.toSource {
    root = ../.;
    fileset = lib.fileset.unions [
      ../package.json
      ../package-lock.json
    ];
  };

  # How npm writes a system, and the digest of what it fetches for it: some packages are programs.
  systems = {
    x86_64-linux = {
      cpu = "x64";
      hash = "sha256-50I8aJdp5+h8XuijH4mYRuj44AZ95G5ArCM8ntujnEA=";
    };
    aarch64-linux = {
      cpu = "arm64";
      hash = "sha256-ars/qq/VkGBWKFXlmJGsn20dQMBw6G827+IhGey/0zk=";
    };
  };

  version = (lib.importJSON ../package.json).version;
in
rec {
  # system → `node_modules` as the lock file has it. The digest is fixed, so the build may use the network.
  nodeModules =
    system:
    stdenvNoCC.mkDerivation {
      pname = "node-modules";
      inherit version;
      src = locked;
      nativeBuildInputs = [ nodejs_22 ];
      impureEnvVars = lib.fetchers.proxyImpureEnvVars ++ [
        "NODE_EXTRA_CA_CERTS"
        "npm_config_registry"
      ];
      buildPhase = ''
        export HOME=$TMPDIR
        npm ci --ignore-scripts --no-audit --no-fund --no-progress --no-update-notifier \
          --os=linux --cpu=${systems.${system}.cpu} --libc=glibc
        # npm's own note of what it did differs between its versions.
        rm node_modules/.package-lock.json
      '';
      installPhase = ''
        mkdir -p $out
        cp -r node_modules $out/
      '';
      # Programs in it keep their first lines: a fixed output names no other store path.
      dontFixup = true;
      outputHashMode = "recursive";
      outputHashAlgo = "sha256";
      outputHash = systems.${system}.hash;
    };

  # The page in client/, and the server as one file in server/.
  bundle = stdenvNoCC.mkDerivation {
    pname = "tanstack-bff";
    inherit version;
    src = source;
    nativeBuildInputs = [ nodejs_22 ];
    buildPhase = ''
      export HOME=$TMPDIR
      cp -r ${nodeModules stdenvNoCC.hostPlatform.system}/node_modules .
      for step in typescript/bin/tsc "vite/bin/vite.js build" \
        "vite/bin/vite.js build --ssr server/main.ts --outDir dist/server --emptyOutDir"; do
        node node_modules/$step
      done
    '';
    installPhase = ''
      cp -r dist $out
    '';
  };

  # packages of a system → the application with a start script for it.
  app =
    pkgs:
    stdenvNoCC.mkDerivation {
      pname = "tanstack-bff-app";
      inherit version;
      dontUnpack = true;
      installPhase = ''
        mkdir -p $out
        cat > $out/start.sh <<'EOF'
        #!${pkgs.bash}/bin/bash
        # Starts the server with the variables of .env.docker, where there is such a file.
        set -euo pipefail
        args=()
        [[ ! -f .env.docker ]] || args+=(--env-file=.env.docker)
        exec ${pkgs.nodejs-slim_22}/bin/node "''${args[@]}" ${bundle}/server/main.js
        EOF
        chmod +x $out/start.sh
      '';
      meta.description = "A TanStack application with a back end for its front end";
    };
}
