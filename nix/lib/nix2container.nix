# The functions of nix2container, with their arguments; docs/migrating.md has the table.
{ buildImage, program }:
let
  check = import ./check.nix;
  drop-in = import ./drop-in.nix;
  forms = import ./forms.nix;
  inherit (drop-in) toList;

  perms = {
    form = "a list of attribute sets such as { path = root; regex = \".*\"; mode = \"0644\"; }";
    accepts =
      value: builtins.isList value && builtins.all (rule: builtins.isAttrs rule && rule ? path) value;
  };
  layers = {
    form = "a list of what buildLayer gives";
    accepts = value: builtins.isList value && builtins.all (layer: layer.isFloeLayer or false) value;
  };
  # One layer more holds what stands outside the store.
  maxLayers = forms.numberWithin 1 126;

  imageFields = drop-in.fields // {
    copyToRoot = forms.contents;
    inherit layers maxLayers perms;
    arch = drop-in.fields.architecture;
    # The whole config of the base is inherited, the environment too.
    fromImageEnv = {
      form = "true or false";
      accepts = builtins.isBool;
    };
    initializeNixDatabase = drop-in.database;
    nixUid = drop-in.rootOwns;
    nixGid = drop-in.rootOwns;
  };

  layerFields = {
    deps = {
      form = "a list of packages";
      accepts = builtins.isList;
    };
    copyToRoot = forms.contents;
    inherit layers maxLayers perms;
    reproducible = {
      refuse = "floe packs a layer from the store when its bytes are asked for, and refuses a path whose bytes have changed";
      unless = [ true ];
    };
    metadata.refuse = "a layer's line in the history names its packages";
    ignore.refuse = "an image of floe has no file of settings that would have to be left out";
    layersFile.refuse = "floe's own buildImage has `layering`";
    permsFile.refuse = "write the list itself into `perms`";
    fromTar.refuse = "unpack the archive in a package, and name that in copyToRoot";
    ensureDirs.refuse = "`volumes` and `workdir` of floe's own buildImage make folders that the user owns";
  };

  # Everything that a layer and the layers in it bring.
  flat = layer: [ layer ] ++ builtins.concatMap flat layer.layers;
in
{
  buildImage =
    arguments:
    let
      given = check "floe.nix2container.buildImage" imageFields arguments;
      layers = builtins.concatMap flat (given.layers or [ ]);
      brought = name: builtins.concatMap (layer: layer.${name}) layers;
      image = buildImage (
        drop-in.common (given // (if given ? arch then { architecture = given.arch; } else { }))
        // {
          contents = brought "deps";
          root = toList (given.copyToRoot or [ ]) ++ brought "copyToRoot";
          root-conflicts = "first";
          permissions = (given.perms or [ ]) ++ brought "perms";
          output = "recipe";
        }
        // (if given ? maxLayers then { max-layers = given.maxLayers + 1; } else { })
      );
      call =
        name: words:
        program {
          inherit name;
          does = {
            does = "call";
            inherit words;
          };
        };
    in
    image
    // {
      # nix run .#image.copyTo -- oci:DIR, or any other destination of floe
      copyTo = call "copy-to" [
        "export"
        image.recipe
      ];
      copyToRegistry = call "copy-to-registry" [
        "push"
        image.recipe
      ];
      copyToPodman = call "copy-to-podman" [
        "load"
        "podman"
        image.recipe
      ];
      copyToDockerDaemon = call "copy-to-docker-daemon" [
        "load"
        "docker"
        image.recipe
      ];
    };

  # Which store paths share a layer is floe's to say: it groups what changes together, and packs nothing twice.
  buildLayer =
    arguments:
    let
      given = check "floe.nix2container.buildLayer" layerFields arguments;
    in
    builtins.deepSeq (builtins.attrNames given) {
      isFloeLayer = true;
      deps = given.deps or [ ];
      copyToRoot = toList (given.copyToRoot or [ ]);
      perms = given.perms or [ ];
      layers = given.layers or [ ];
    };
}
