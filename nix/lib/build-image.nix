# buildImage: every key of floe.toml, `config` in OCI's words, `permissions` of files in `root`, and how the image is kept.
#
# The result is the archive's derivation, or the recipe's with `output = "recipe"`; either has both as attributes, and the
# programs `push`, `load`, `run`, `inspect` and `export`, which stream from the recipe.
{
  derive,
  program,
  system,
}:
let
  check = import ./check.nix;
  fields = import ./fields.nix;
  forms = import ./forms.nix;
  fromConfig = import ./oci-config.nix;

  buildFields = fields // {
    config = forms.ociConfig;
    output = {
      form = "\"archive\" or \"recipe\"";
      accepts =
        value:
        builtins.elem value [
          "archive"
          "recipe"
        ];
    };
    permissions = {
      form = "a list of attribute sets such as { path = package; regex = \".*\"; mode = \"0644\"; uid = 1000; gid = 1000; }";
      accepts = value: builtins.isList value && builtins.all builtins.isAttrs value;
    };
    buildSystem = {
      form = "the system that packs the image, such as \"x86_64-linux\"";
      accepts = builtins.isString;
    };
    meta = forms.attributes;
    passthru = forms.attributes;
  };
  notKeys = [
    "config"
    "output"
    "permissions"
    "buildSystem"
    "meta"
    "passthru"
  ];

  # The store paths that a text mentions: they are contents, or the image would lack what it runs. The base is none: its
  # layers are what the image holds.
  storePath = "(${builtins.storeDir}/[0-9a-z]{32}-[0-9a-zA-Z+._?=-]+)";
  mentioned =
    value:
    if builtins.isString value then
      if builtins.hasContext value then
        map (match: builtins.appendContext (builtins.head match) (builtins.getContext value)) (
          builtins.filter builtins.isList (builtins.split storePath value)
        )
      else
        [ ]
    else if builtins.isList value then
      builtins.concatMap mentioned value
    else if builtins.isAttrs value then
      builtins.concatMap mentioned (builtins.attrValues value)
    else
      [ ];

  unique = builtins.foldl' (seen: path: if builtins.elem path seen then seen else seen ++ [ path ]) [ ];
  # A file's name holds no slash, and a store path's name only these characters.
  storeName =
    name:
    builtins.concatStringsSep "-" (
      builtins.filter (part: builtins.isString part && part != "") (builtins.split "[^0-9a-zA-Z+._?=-]+" name)
    );
in
arguments:
let
  given = check "floe.buildImage" buildFields arguments;
  translated = fromConfig "floe.buildImage" (given.config or { });
  twice = builtins.filter (key: given ? ${key}) (builtins.attrNames translated);
  keys =
    if !(given ? name) then
      throw "floe.buildImage: 'name' is missing\nhint: name the image: name = \"app\""
    else if twice != [ ] then
      throw "floe.buildImage: '${builtins.head twice}' is given twice, by itself and in 'config'\nhint: say it once"
    else
      translated // builtins.removeAttrs given notKeys;

  paths = key: map (content: "${content}") (keys.${key} or [ ]);
  image =
    keys
    // (if keys ? contents then { contents = paths "contents"; } else { })
    // (if keys ? root then { root = paths "root"; } else { })
    // (if keys ? base then { base = baseName keys.base; } else { });
  baseName =
    base:
    if base ? archive then
      "docker-archive:${base.archive}"
    else if builtins.isString base then
      base
    else
      "docker-archive:${base}";
  permissions = map (rule: rule // { path = "${rule.path}"; }) (given.permissions or [ ]);
  graph = unique (paths "contents" ++ paths "root" ++ mentioned (builtins.removeAttrs image [ "base" ]));

  order = form: {
    inherit form system permissions;
    image = { inherit compression; } // image;
  };
  output = given.output or "archive";
  # Docker before version 23 reads no zstd. An image and its other form have the same digest.
  compression = if output == "archive" then "gzip" else "zstd";
  made =
    form: ending:
    derive {
      name = "${storeName keys.name}${ending}";
      system = given.buildSystem or system;
      order = order form;
      hasReferences = form == "recipe";
      inherit graph;
    };
  archive = made "archive" ".image.tar";
  recipe = made "recipe" ".image.json";

  calls = builtins.mapAttrs (
    name: words:
    program {
      inherit name;
      does = {
        does = "call";
        words = words;
      };
    }
  );
in
(if output == "archive" then archive else recipe)
// calls {
  push = [ "push" recipe ];
  load = [ "load" recipe ];
  run = [ "run" recipe ];
  inspect = [ "inspect" recipe ];
  export = [ "export" recipe ];
}
// {
  inherit archive recipe;
  imageName = keys.name;
  imageTag = keys.tag or "latest";
  meta = given.meta or { };
  passthru = given.passthru or { };
}
// given.passthru or { }
