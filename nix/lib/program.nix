# A program that calls floe: { name, does } → a package for `nix run`.
{
  derive,
  system,
  programs,
}:
{ name, does }:
derive {
  inherit name system;
  order = {
    form = "application";
    floe = programs.${system};
    program = name;
    application = does;
  };
}
// {
  meta.mainProgram = name;
}
