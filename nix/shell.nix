# What floe is developed with.
{
  cargo,
  clippy,
  mkShell,
  nodejs,
  podman,
  rustc,
  rustfmt,
  skopeo,
}:
mkShell {
  packages = [
    cargo
    clippy
    nodejs
    podman
    rustc
    rustfmt
    skopeo
  ];
}
