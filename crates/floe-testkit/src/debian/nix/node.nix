# Node 22 and npm under nixpkgs' names, from the npm registry's archives: Debian 12 has Node 18.
#
# `nodejs-slim_22` is the program alone, `nodejs_22` has npm as well.
{
  debian,
  system,
  platform,
}:
let
  pins = builtins.fromJSON (builtins.readFile ./node.json);

  # Like the .deb files: already in the store under this fixed-output path.
  archive =
    package: version: sha256:
    derivation {
      name = "${package}-${version}.tgz";
      inherit system;
      builder = "/bin/bash";
      args = [
        "-c"
        "echo >&2 'the archive of ${package} is not in the store: run cargo xtask closure node-22'; exit 1"
      ];
      outputHashMode = "flat";
      outputHashAlgo = "sha256";
      outputHash = sha256;
    };

  build =
    name: attrs: script:
    derivation (
      attrs
      // {
        name = "${name}-${pins.version}";
        pname = name;
        inherit (pins) version;
        inherit system;
        builder = "/bin/bash";
        args = [
          "-c"
          ("set -euo pipefail; export PATH=/usr/bin:/bin; umask 022; mkdir -p $out/bin;\n" + script)
        ];
      }
    )
    // {
      inherit (pins) version;
      meta.mainProgram = "node";
    };

  node = pins.archives.${system};
  slim =
    build "nodejs-slim"
      {
        src = archive node.package pins.version node.sha256;
        inherit (debian) libc6;
        cxx = debian."libstdc++6";
        inherit (platform) triplet loader;
        libgcc = debian.libgcc-s1;
      }
      ''
        tar --extract --gzip --file=$src --no-same-owner --to-stdout package/bin/node > $out/bin/node
        chmod 755 $out/bin/node
        # An RPATH, unlike a RUNPATH, also serves the libraries that npm packages bring: Debian's loader would look for
        # theirs in /lib, where nixpkgs' looks beside itself.
        patchelf --set-interpreter $libc6/lib/$triplet/$loader --force-rpath \
          --set-rpath $libc6/lib/$triplet:$cxx/lib/$triplet:$libgcc/lib/$triplet $out/bin/node
      '';
in
{
  nodejs-slim_22 = slim;
  nodejs_22 =
    build "nodejs"
      {
        src = archive "npm" pins.npm.version pins.npm.sha256;
        inherit slim;
      }
      ''
        mkdir -p $out/lib/node_modules/npm
        tar --extract --gzip --file=$src --no-same-owner --strip-components=1 --directory=$out/lib/node_modules/npm
        ln -s $slim/bin/node $out/bin/node
        for program in npm npx; do
          sed "1s|.*|#!$slim/bin/node|" -i $out/lib/node_modules/npm/bin/$program-cli.js
          chmod 755 $out/lib/node_modules/npm/bin/$program-cli.js
          ln -s ../lib/node_modules/npm/bin/$program-cli.js $out/bin/$program
        done
      '';
}
