# The package of a floe that is built already: the program installs itself.
{ system, program }:
derivation {
  name = "floe";
  inherit system;
  builder = program;
  args = [ "derivation" ];
  __structuredAttrs = true;
  floe.form = "program";
}
// {
  meta = {
    description = "Turns Nix closures into OCI images";
    mainProgram = "floe";
  };
}
