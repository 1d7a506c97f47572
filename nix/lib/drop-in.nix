# What the drop-in functions share: arguments that dockerTools and nix2container have alike, and their defaults.
let
  forms = import ./forms.nix;
in
rec {
  toList = value: if builtins.isList value then value else [ value ];

  fields = {
    name = forms.text "app";
    tag = forms.text "1.0";
    config = forms.ociConfig;
    created = (import ./fields.nix).created;
    fromImage = forms.archive;
    architecture = forms.text "arm64" // {
      synonyms = [ "arch" ];
    };
    meta = forms.attributes;
    passthru = forms.attributes;
  };

  rootOwns = {
    refuse = "store paths belong to root in every image, so that their layers stay equal; `user` says who runs the image, and `files` of floe's own buildImage have owners";
    unless = [ 0 ];
  };
  rootNamed = {
    refuse = "layers name owners by number alone";
    unless = [ "root" ];
  };
  database = {
    refuse = "floe writes no Nix database into an image that it makes in a derivation";
    unless = [ false ];
  };

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
