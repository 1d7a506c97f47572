# A derivation whose builder is floe itself: { name, system, graph, order } → derivation.
#
# `order` says what is made (crates/floe/src/commands/derivation.rs); `graph` lists what the image holds.
{ programs }:
{
  name,
  system,
  order,
  graph ? [ ],
  hasReferences ? true,
}:
let
  # The documents of an archive name store paths, which Nix would take for references of the archive. Versions that cannot
  # be told otherwise keep the contents as long as the archive, which costs room and nothing else.
  canDiscardReferences = builtins.compareVersions builtins.nixVersion "2.18" >= 0;
in
derivation (
  {
    inherit name system;
    builder = programs.${system} or (throw "floe: no floe builds images on '${system}': expected one of ${toString (builtins.attrNames programs)}");
    args = [ "derivation" ];
    __structuredAttrs = true;
    exportReferencesGraph.graph = graph;
    floe = order;
    # Packing is faster than sending the closure to another machine, or asking a cache.
    preferLocalBuild = true;
  }
  // (if hasReferences || !canDiscardReferences then { } else { unsafeDiscardReferences.out = true; })
)
