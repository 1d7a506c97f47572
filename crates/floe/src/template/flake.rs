//! The `flake.nix` of each template: packages that `floe.toml` names, built by nixpkgs.

use super::{Answers, Template};

/// Writes the file.
pub(super) fn of(template: Template, answers: &Answers) -> String {
    let (about, package) = match template {
        Template::App => ("an application and its image", app(answers)),
        Template::Tools => ("tools in an image", tools(answers)),
        Template::Development => ("a development container", tools(answers)),
    };
    format!(
        r#"{{
  description = "{}: {about}";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    {{ self, nixpkgs }}:
    let
      forEachSystem = nixpkgs.lib.genAttrs [
        "x86_64-linux"
        "aarch64-linux"
      ];
    in
    {{
      packages = forEachSystem (
        system:
        let
          pkgs = nixpkgs.legacyPackages.${{system}};
        in
        {{
{package}
        }}
      );
    }};
}}
"#,
        answers.name
    )
}

/// A server that answers, so that the image runs before the program is written.
fn app(answers: &Answers) -> String {
    let port = answers.port.unwrap_or(3000);
    format!(
        r#"          # Put your own program here; it becomes the image's entrypoint.
          app = pkgs.writeShellScriptBin "app" ''
            page=$(${{pkgs.coreutils}}/bin/mktemp -d)
            echo "<h1>{}</h1>" > "$page/index.html"
            # The first process of a container is asked to stop, and must listen.
            trap 'kill "$!"' TERM INT
            ${{pkgs.busybox}}/bin/busybox httpd -f -p "${{PORT:-{port}}}" -h "$page" &
            wait
          '';"#,
        answers.name
    )
    // `${PORT}` is the shell's: Nix reads `''${` as the two characters.
    .replace("\"${PORT:", "\"''${PORT:")
}

fn tools(answers: &Answers) -> String {
    let packages: String =
        answers.packages.iter().map(|package| format!("              pkgs.{package}\n")).collect();
    format!(
        r#"          tools = pkgs.buildEnv {{
            name = "tools";
            paths = [
{packages}            ];
          }};"#
    )
}
