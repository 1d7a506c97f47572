# The keys of floe.toml as arguments of buildImage: what each looks like in Nix.
#
# Types are checked while evaluating; ports, users, durations and the like are read by the builder, by the same rules as in
# floe.toml. `inherits` is not here: `//` joins attribute sets.
let
  forms = import ./forms.nix;
  isText = builtins.isString;
  isNumber = builtins.isInt;
  isTextOrNumber = value: isText value || isNumber value;
  isListOf = isElement: value: builtins.isList value && builtins.all isElement value;
  isTableOf =
    isElement: value:
    builtins.isAttrs value && value.type or null != "derivation" && builtins.all isElement (builtins.attrValues value);
  isOneOf = words: value: builtins.elem value words;
  # What has a place in the store: a package, a path of this flake, or a text that was made from one.
  isContent =
    value: builtins.isPath value || value ? outPath || (isText value && builtins.hasContext value);
  isFile =
    value:
    isText value
    || isTableOf isTextOrNumber value && value ? text;

  texts = {
    form = "a list of strings";
    accepts = isListOf isText;
    hint = "put a single one in brackets: [ \"…\" ]";
  };
  table = {
    form = "an attribute set of strings";
    accepts = isTableOf isText;
    hint = "numbers and booleans are written in quotes";
  };
  contents = {
    form = "a list of packages and paths";
    accepts = isListOf isContent;
    hint = "write the package itself, such as pkgs.hello: a plain string is not built and not kept";
  };
in
{
  name = {
    form = "a string such as \"app\" or \"registry.example.com/team/app\"";
    accepts = isText;
    synonyms = [ "repository" ];
  };
  tag = {
    form = "a string such as \"1.0\"";
    accepts = isText;
    synonyms = [ "version" ];
  };
  contents = contents // {
    synonyms = [
      "packages"
      "paths"
    ];
  };
  root = contents // {
    synonyms = [
      "copyToRoot"
      "copy-to-root"
    ];
  };
  root-conflicts = {
    form = "\"refuse\" or \"first\"";
    accepts = isOneOf [
      "refuse"
      "first"
    ];
  };
  files = {
    form = "an attribute set from paths to texts, or to { text, mode, owner }";
    accepts = value: isTableOf isFile value || isListOf (file: isFile file && file ? path) value;
    synonyms = [ "extraFiles" ];
  };
  entrypoint = texts // {
    synonyms = [
      "command"
      "Entrypoint"
    ];
  };
  cmd = texts // {
    synonyms = [
      "args"
      "Cmd"
    ];
  };
  env = table // {
    synonyms = [
      "environment"
      "Env"
    ];
  };
  required-env = texts // {
    synonyms = [ "requiredEnv" ];
  };
  user = {
    form = "\"UID:GID\", a number for both, or \"root\"";
    accepts = isTextOrNumber;
    synonyms = [ "uid" ];
  };
  workdir = {
    form = "an absolute path as a string";
    accepts = isText;
    synonyms = [
      "workingDir"
      "WorkingDir"
    ];
  };
  ports = {
    form = "a list of numbers and strings such as [ 3000 \"53/udp\" ]";
    accepts = isListOf isTextOrNumber;
    synonyms = [
      "exposedPorts"
      "ExposedPorts"
    ];
  };
  volumes = texts;
  labels = table;
  annotations = table;
  stop-signal = {
    form = "a string such as \"SIGINT\", or a number";
    accepts = isTextOrNumber;
    synonyms = [ "stopSignal" ];
  };
  healthcheck = {
    form = "an attribute set such as { test = [ \"/bin/app\" \"--check\" ]; interval = \"30s\"; }";
    accepts =
      value: isTableOf (setting: isTextOrNumber setting || isListOf isText setting) value && value ? test;
  };
  created = {
    form = "a time such as \"2025-01-31T12:00:00Z\", or seconds since 1970";
    accepts = value: isNumber value || isText value && value != "now";
    hint = "a build has no clock; `self.lastModified` is the time of the flake's last change";
    synonyms = [ "mtime" ];
  };
  platform = {
    form = "a string such as \"linux/arm64\" or \"aarch64-linux\"";
    accepts = isText;
    synonyms = [
      "system"
      "architecture"
      "arch"
    ];
  };
  systems.refuse = "a flake has an image for each system: `floe build .#docker --system x86_64-linux --system aarch64-linux` joins them in an index";
  frequencies.refuse = "a derivation of floe plans by its contents alone: `floe build` reckons with what was learned, with `frequencies` in floe.toml";
  # An image of floe, an archive in the store, or a text that says which kind it is: "oci:${directory}".
  base = {
    form = "an image of floe, an archive such as ./debian.tar, or \"oci:\${directory}\"";
    accepts =
      value:
      builtins.isPath value
      || value ? outPath
      || isText value && builtins.hasContext value && builtins.match "(oci|oci-archive|docker-archive):/.*" value != null;
    hint = "a build has no network, so the base lies in the store: fetch it with a fixed-output derivation such as dockerTools.pullImage";
    synonyms = [
      "from"
      "fromImage"
    ];
  };
  base-without = texts;
  layering = {
    form = "\"stable\", \"auto-layer\", \"popularity\" or \"nixery\"";
    accepts = isOneOf [
      "stable"
      "auto-layer"
      "popularity"
      "nixery"
    ];
  };
  max-layers = forms.numberWithin 2 127 // {
    synonyms = [ "maxLayers" ];
  };
  compression = {
    form = "a string such as \"zstd\", \"gzip:6\" or \"none\"";
    accepts = isText;
    synonyms = [ "compressor" ];
  };
}
