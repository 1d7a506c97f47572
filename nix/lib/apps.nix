# { docker = IMAGE; docker-dev = IMAGE; … } → the attributes of a flake's `apps.<system>`.
{ program }:
images:
let
  isImage = image: image ? recipe;
  strangers = builtins.filter (name: !isImage images.${name}) (builtins.attrNames images);
  recipes =
    if strangers != [ ] then
      throw "floe.apps: '${builtins.head strangers}' is not an image: expected what buildImage gives"
    else
      builtins.mapAttrs (_name: image: image.recipe) images;
  app = name: summary: {
    type = "app";
    program = "${
      program {
        inherit name;
        does = {
          does = name;
          images = recipes;
        };
      }
    }/bin/${name}";
    meta.description = summary;
  };
in
builtins.mapAttrs app {
  run-with-podman = "Runs an image in podman, with the variables of .env.docker";
  docker-info = "Shows what the images are, layer by layer";
  push-to-registry = "Pushes an image: REPOSITORY TAG [IMAGE]";
  export-image = "Writes an image to a file: IMAGE FILE";
}
