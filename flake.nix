{
  description = "floe turns Nix closures into OCI images";

  # Builds floe itself and its development shell. No image needs anything of it: where a `prebuilt/<system>/floe` lies in
  # this flake, `inputs.floe.inputs.nixpkgs.follows = ""` does without it.
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs = { self, nixpkgs }: import ./nix { inherit self nixpkgs; };
}
