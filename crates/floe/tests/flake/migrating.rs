//! docs/migrating.md row by row: what its examples are said to do, they do.

use std::collections::BTreeSet;

use floe_testkit::machine::nix_command;

use crate::floe_flake::{package_set, workspace};
use crate::project::{run, succeed};

/// One row of a function's table.
struct Row {
    /// `dockerTools.buildImage`
    function: String,
    /// The argument.
    argument: String,
    /// Its example, in Nix.
    example: String,
    /// The hint of the error; `None` where it works.
    hint: Option<String>,
}

fn rows() -> Vec<Row> {
    let text = std::fs::read_to_string(workspace().join("docs/migrating.md")).expect("a document");
    let mut function = String::new();
    let mut rows = Vec::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            function = title.trim_matches('`').to_owned();
        }
        let cells: Vec<&str> = line.split(" | ").map(|cell| cell.trim_matches(['|', ' '])).collect();
        let [argument, example, outcome] = cells.as_slice() else { continue };
        let code = |cell: &str| Some(cell.strip_prefix('`')?.strip_suffix('`')?.to_owned());
        let (Some(argument), Some(example)) = (code(argument), code(example)) else { continue };
        let hint = outcome.strip_prefix("refused: ").map(str::to_owned);
        assert!(hint.is_some() || outcome.starts_with("works"), "{line}");
        rows.push(Row { function: function.clone(), argument, example, hint });
    }
    rows
}

fn expression(function: &str, arguments: &str) -> String {
    format!(
        "let
           pkgs = import {packages} {{ system = \"x86_64-linux\"; }};
           lib = import {library}/nix/lib {{ system = \"x86_64-linux\"; programs.x86_64-linux = \"/floe\"; inherit pkgs; }};
           result = with lib; {function} {{ {arguments} }};
         in result.drvPath or (builtins.toJSON (builtins.attrNames result))",
        packages = package_set().display(),
        library = workspace().display()
    )
}

#[test]
fn every_row_is_true() {
    let rows = rows();
    assert!(rows.len() > 50, "{} rows: the reader of the tables is broken", rows.len());
    for Row { function, argument, example, hint } in rows {
        let name =
            if function.ends_with("buildLayer") || argument == "name" { "" } else { "name = \"app\"; " };
        let arguments = format!("{name}{argument} = {example};");
        let mut command = nix_command("nix");
        command.args(["eval", "--impure", "--raw", "--expr", &expression(&function, &arguments)]);
        match hint {
            None => drop(succeed(&mut command)),
            Some(hint) => {
                let said = run(&mut command, 1).stderr;
                assert!(said.contains(&format!("hint: {hint}")), "{function} {arguments}: {said}");
            }
        }
    }
}

#[test]
fn every_argument_has_a_row() {
    for function in [
        "dockerTools.buildImage",
        "dockerTools.buildLayeredImage",
        "dockerTools.streamLayeredImage",
        "nix2container.buildImage",
        "nix2container.buildLayer",
    ] {
        let mut command = nix_command("nix");
        command.args(["eval", "--impure", "--raw", "--expr", &expression(function, "frobnicate = 1;")]);
        let said = run(&mut command, 1).stderr;
        let known = said.split("hint: known arguments: ").nth(1).and_then(|rest| rest.lines().next());
        let known: BTreeSet<&str> =
            known.unwrap_or_else(|| panic!("{function}: {said}")).split(", ").collect();
        let rows = rows();
        let rows = rows.iter().filter(|row| row.function == function).map(|row| row.argument.as_str());
        assert_eq!(rows.collect::<BTreeSet<_>>(), known, "{function}");
    }
}
