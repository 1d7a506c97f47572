# The functions of nixpkgs' dockerTools that make images, with their arguments; docs/migrating.md has the table.
{
  buildImage,
  derive,
  program,
  system,
  pkgs,
}:
let
  check = import ./check.nix;
  drop-in = import ./drop-in.nix;
  forms = import ./forms.nix;

  compressors = {
    gz = "gzip";
    zstd = "zstd";
    none = "none";
  };

  script = "floe runs no scripts: put small files into `files` of floe's own buildImage, and what a script makes into a package among the contents";
  base = "an archive with one image says itself which it is";

  layered = drop-in.fields // {
    inherit (forms) contents;
    maxLayers = forms.numberWithin 2 127;
    extraCommands = {
      refuse = script;
      unless = [ "" ];
    };
    fakeRootCommands = {
      refuse = script;
      unless = [ "" ];
    };
    enableFakechroot = {
      refuse = script;
      unless = [ false ];
    };
    includeStorePaths = {
      refuse = "an image of floe holds what its programs refer to; mount /nix/store into a container to try without";
      unless = [ true ];
    };
    includeNixDB = drop-in.database;
    mtime = {
      refuse = "files in layers have the store's own time, one second after 1970 began, so that layers stay equal";
      unless = [
        "1970-01-01T00:00:01Z"
        1
      ];
    };
    uid = drop-in.rootOwns;
    gid = drop-in.rootOwns;
    uname = drop-in.rootNamed;
    gname = drop-in.rootNamed;
    layeringPipeline.refuse = "floe's own buildImage has `layering`";
    debug = {
      refuse = "`floe plan` and `floe inspect` show the layers";
      unless = [ false ];
    };
  };

  whole = drop-in.fields // {
    copyToRoot = forms.contents;
    inherit (forms) contents;
    inherit (layered)
      extraCommands
      includeNixDB
      uid
      gid
      ;
    fromImageName.refuse = base;
    fromImageTag.refuse = base;
    runAsRoot.refuse = script;
    keepContentsDirlinks = {
      refuse = "folders of `/` are real ones, so that engines can add files to /etc; deeper ones of a single package stay links";
      unless = [ false ];
    };
    # There is no virtual machine whose size would matter.
    diskSize = forms.number;
    buildVMMemorySize = forms.number;
  };

  compressor = {
    form = "\"gz\", \"zstd\" or \"none\"";
    accepts = value: compressors ? ${value};
  };

  translated =
    function: fields: output: arguments:
    let
      given = check "floe.dockerTools.${function}" fields arguments;
      linked = drop-in.toList (given.contents or [ ]) ++ drop-in.toList (given.copyToRoot or [ ]);
    in
    buildImage (
      drop-in.common given
      // {
        inherit output;
        root = linked;
        # As `lndir` has it: what was named first stays.
        root-conflicts = "first";
      }
      // (if given ? maxLayers then { max-layers = given.maxLayers; } else { })
      // (if given ? compressor then { compression = compressors.${given.compressor}; } else { })
    );

  links =
    name: links:
    derive {
      inherit name system;
      order = {
        form = "links";
        inherit links;
      };
    };
  bundle = "${pkgs.cacert}/etc/ssl/certs/ca-bundle.crt";

  instead = name: hint: throw "floe.dockerTools: '${name}' is not there\nhint: ${hint}";
in
{
  buildImage = translated "buildImage" (whole // { inherit compressor; }) "archive";
  buildLayeredImage = translated "buildLayeredImage" (layered // { inherit compressor; }) "archive";

  # The result is a program that writes the archive: ./result | podman load
  streamLayeredImage =
    arguments:
    let
      image = translated "streamLayeredImage" layered "recipe" arguments;
      stream = program {
        name = "stream";
        isOutput = true;
        does = {
          does = "call";
          words = [
            "export"
            image.recipe
            "-"
          ];
        };
      };
    in
    image // stream;

  # floe writes passwd, group and nsswitch.conf into every image.
  fakeNss = links "fake-nss" { };
  binSh = links "bin-sh" { "bin/sh" = "${pkgs.bashInteractive}/bin/bash"; };
  usrBinEnv = links "usr-bin-env" { "usr/bin/env" = "${pkgs.coreutils}/bin/env"; };
  caCertificates = links "ca-certificates" {
    "etc/ssl/certs/ca-bundle.crt" = bundle;
    "etc/ssl/certs/ca-certificates.crt" = bundle;
    "etc/pki/tls/certs/ca-bundle.crt" = bundle;
  };

  shadowSetup = instead "shadowSetup" "floe writes passwd and group; `user` says who runs the image";
  pullImage = instead "pullImage" "nixpkgs' own pullImage gives an archive that `fromImage` takes; `floe copy docker://REFERENCE docker-archive:FILE` makes one too";
  exportImage = instead "exportImage" "`floe export IMAGE FILE` writes an image; its root file system is what a container has";
  mergeImages = instead "mergeImages" "each image has an archive of its own: load them one after the other";
  buildImageWithNixDb = instead "buildImageWithNixDb" "floe writes no Nix database into an image that it makes in a derivation";
  buildLayeredImageWithNixDb = instead "buildLayeredImageWithNixDb" "floe writes no Nix database into an image that it makes in a derivation";
  buildNixShellImage = instead "buildNixShellImage" "list the shell's packages in `root`, with pkgs.bashInteractive first";
  streamNixShellImage = instead "streamNixShellImage" "list the shell's packages in `root`, with pkgs.bashInteractive first";
}
