# The part of nixpkgs' trivial builders and stdenv that small programs use.
# Builders run the host's bash and coreutils; what they write into outputs comes from the set.
{
  lib,
  pkgs,
  system,
}:
let
  setup = builtins.toFile "setup.sh" (builtins.readFile ./setup.sh);
  runtimeShell = "${pkgs.bash}/bin/bash";

  # Attributes that describe a package but are no part of its build.
  descriptions = [
    "meta"
    "passthru"
  ];

  mkDerivation =
    argument:
    let
      attrs = if builtins.isFunction argument then argument final else argument;
      final = attrs // { finalPackage = package; };
      package =
        derivation (
          removeAttrs attrs descriptions
          // {
            inherit system;
            name = attrs.name or "${attrs.pname}-${attrs.version}";
            builder = "/bin/bash";
            args = [
              "-c"
              "source ${setup}; genericBuild"
            ];
            shell = runtimeShell;
          }
        )
        // attrs.passthru or { }
        // { meta = attrs.meta or { }; };
    in
    package;

  runCommand =
    name: env: buildCommand:
    mkDerivation ({ inherit name buildCommand; } // env);

  writeTextFile =
    {
      name,
      text,
      executable ? false,
      destination ? "",
      meta ? { },
      ...
    }:
    mkDerivation {
      inherit name text meta;
      passAsFile = [ "text" ];
      buildCommand = ''
        target=$out${destination}
        mkdir -p "$(dirname "$target")"
        cp "$textPath" "$target"
        ${lib.optionalString executable ''chmod +x "$target"''}
      '';
    };
in
rec {
  inherit runCommand writeTextFile runtimeShell;
  runCommandNoCC = runCommand;
  runCommandLocal = runCommand;
  stdenvNoCC = {
    inherit mkDerivation system;
    hostPlatform = { inherit system; };
    shell = runtimeShell;
  };
  stdenv = stdenvNoCC;

  writeText = name: text: writeTextFile { inherit name text; };
  writeScript =
    name: text:
    writeTextFile {
      inherit name text;
      executable = true;
    };
  writeScriptBin =
    name: text:
    writeTextFile {
      inherit name text;
      executable = true;
      destination = "/bin/${name}";
      meta.mainProgram = name;
    };
  writeShellScript = name: text: writeScript name "#!${runtimeShell}\n${text}\n";
  writeShellScriptBin = name: text: writeScriptBin name "#!${runtimeShell}\n${text}\n";

  symlinkJoin =
    {
      name,
      paths,
      postBuild ? "",
      ...
    }:
    runCommand name { inherit paths; } ''
      mkdir -p $out
      for path in $paths; do
        cp --archive --symbolic-link --force --no-preserve=mode "$path"/. $out/
      done
      ${postBuild}
    '';
  mkShell = { packages ? [ ], ... }: symlinkJoin { name = "shell"; paths = packages; };
  buildEnv = { name, paths, ... }: symlinkJoin { inherit name paths; };

  callPackage =
    file: overrides:
    let
      function = if builtins.isFunction file then file else import file;
    in
    function (builtins.intersectAttrs (builtins.functionArgs function) (pkgs // overrides));
}
