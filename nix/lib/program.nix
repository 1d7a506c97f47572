# A program that calls floe: { name, does } → a package for `nix run`, or, where `isOutput`, the program's file alone.
{
  derive,
  system,
  programs,
}:
{
  name,
  does,
  isOutput ? false,
}:
derive {
  inherit name system;
  order = {
    form = "application";
    floe = programs.${system};
    program = if isOutput then null else name;
    application = does;
  };
}
// {
  meta.mainProgram = name;
}
