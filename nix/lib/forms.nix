# What values of several functions look like: in words, and as a test.
let
  isContent = value: builtins.isPath value || value ? outPath;
in
{
  text = example: {
    form = "a string such as \"${example}\"";
    accepts = builtins.isString;
  };
  number = {
    form = "a number";
    accepts = builtins.isInt;
  };
  numberWithin = least: most: {
    form = "a number from ${toString least} to ${toString most}";
    accepts = value: builtins.isInt value && value >= least && value <= most;
  };
  attributes = {
    form = "an attribute set";
    accepts = builtins.isAttrs;
  };
  ociConfig = {
    form = "an attribute set of OCI's words such as { Cmd = [ \"/bin/app\" ]; }";
    accepts = builtins.isAttrs;
  };
  contents = {
    form = "a package or a list of packages";
    accepts = value: isContent value || builtins.isList value;
  };
  archive = {
    form = "an image of floe, or an archive that `docker load` takes";
    accepts = isContent;
  };
}
