# The part of nixpkgs' `lib` that flakes of small programs use.
rec {
  inherit (builtins)
    attrNames
    attrValues
    concatMap
    concatStringsSep
    elem
    filter
    head
    isAttrs
    isList
    length
    listToAttrs
    map
    mapAttrs
    removeAttrs
    ;

  platforms = rec {
    linux = [
      "x86_64-linux"
      "aarch64-linux"
    ];
    all = linux;
  };
  licenses = {
    asl20.spdxId = "Apache-2.0";
    mit.spdxId = "MIT";
  };

  importJSON = file: builtins.fromJSON (builtins.readFile file);
  fetchers.proxyImpureEnvVars = [
    "http_proxy"
    "https_proxy"
    "no_proxy"
    "HTTP_PROXY"
    "HTTPS_PROXY"
    "NO_PROXY"
  ];
  fileset = {
    unions = files: files;
    # The files and everything below them, with the folders on the way to them.
    toSource =
      { root, fileset }:
      builtins.path {
        name = "source";
        path = root;
        filter =
          path: _type:
          builtins.any (
            file: hasPrefix "${toString file}/" "${path}/" || hasPrefix "${path}/" (toString file)
          ) fileset;
      };
  };
  hasPrefix =
    prefix: string: builtins.substring 0 (builtins.stringLength prefix) string == prefix;

  genAttrs = names: value: listToAttrs (map (name: { inherit name; value = value name; }) names);
  nameValuePair = name: value: { inherit name value; };
  optional = condition: element: if condition then [ element ] else [ ];
  optionals = condition: elements: if condition then elements else [ ];
  optionalString = condition: string: if condition then string else "";
  optionalAttrs = condition: attrs: if condition then attrs else { };
  concatStrings = concatStringsSep "";
  concatMapStringsSep = separator: f: list: concatStringsSep separator (map f list);
  escapeShellArg = argument: "'${builtins.replaceStrings [ "'" ] [ "'\\''" ] (toString argument)}'";
  escapeShellArgs = concatMapStringsSep " " escapeShellArg;
  makeBinPath = concatMapStringsSep ":" (package: "${package}/bin");
  getBin = package: package;
  getExe = package: "${package}/bin/${package.meta.mainProgram or package.pname}";
  getExe' = package: program: "${package}/bin/${program}";
  removeSuffix =
    suffix: string:
    let
      kept = builtins.stringLength string - builtins.stringLength suffix;
    in
    if kept >= 0 && builtins.substring kept (-1) string == suffix then
      builtins.substring 0 kept string
    else
      string;
  makeOverridable = f: arguments: f arguments // { override = new: makeOverridable f (arguments // new); };
}
