# What the drop-in functions share: arguments that dockerTools and nix2container have alike, and their defaults.
let
  number = {
    form = "a number";
    accepts = builtins.isInt;
  };
in
rec {
  toList = value: if builtins.isList value then value else [ value ];

  fields = {
    name = {
      form = "a string such as \"app\"";
      accepts = builtins.isString;
    };
    tag = {
      form = "a string such as \"1.0\"";
      accepts = builtins.isString;
    };
    config = {
      form = "an attribute set of OCI's words such as { Cmd = [ \"/bin/app\" ]; }";
      accepts = builtins.isAttrs;
    };
    created = (import ./fields.nix).created;
    fromImage = {
      form = "an image of floe, or an archive that `docker load` takes";
      accepts = value: builtins.isPath value || value ? outPath;
    };
    architecture = {
      form = "a string such as \"arm64\"";
      accepts = builtins.isString;
      synonyms = [ "arch" ];
    };
    meta = {
      form = "an attribute set";
      accepts = builtins.isAttrs;
    };
    passthru = {
      form = "an attribute set";
      accepts = builtins.isAttrs;
    };
  };

  rootOwns = {
    refuse = "store paths belong to root in every image, so that their layers stay equal; `user` says who runs the image, and `files` of floe's own buildImage have owners";
    unless = [ 0 ];
  };
  rootNamed = {
    refuse = "layers name owners by number alone";
    unless = [ "root" ];
  };
  noMachine = number;

  # The arguments that mean the same in both, as those of floe's own buildImage. Like their images, these run as root.
  common =
    given:
    let
      config = given.config or { };
      isUser = name: name == "User" || name == "user";
      hasUser = builtins.any isUser (builtins.attrNames config);
      # The tag of an image without one follows from all that it is made of.
      inputs = builtins.unsafeDiscardStringContext (builtins.toJSON (builtins.removeAttrs given [ "meta" "passthru" ]));
    in
    {
      tag = given.tag or (builtins.substring 0 32 (builtins.hashString "sha256" inputs));
      inherit config;
      meta = given.meta or { };
      passthru = given.passthru or { };
    }
    // (if given ? name then { inherit (given) name; } else { })
    // (if given ? fromImage then { base = given.fromImage; } else { })
    # Who runs an image with a base is the base's to say.
    // (if hasUser || given ? fromImage then { } else { user = "root"; })
    // (if given ? created then { inherit (given) created; } else { })
    // (if given ? architecture then { platform = "linux/${given.architecture}"; } else { });
}
