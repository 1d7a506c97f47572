//! `cargo xtask closure`: builds a closure that tests share and prints its root store paths, one a line.

use std::time::Instant;

use anyhow::{Result, bail};
use floe_testkit::debian;

use crate::terminal::{answer, say, seconds};

/// Builds the closure of that name; what is built already is only printed.
pub(crate) fn run(name: &str) -> Result<()> {
    let start = Instant::now();
    let closure = match name {
        "node" => debian::node_closure(),
        "node-22" => debian::node_22(),
        "developer" => debian::developer_closure(),
        "nix" => debian::nix_closure(),
        "server" => debian::node_server(),
        _ => bail!("unknown closure {name}: expected node, node-22, developer, nix or server"),
    }?;
    for root in &closure.roots {
        answer(&root.display().to_string());
    }
    say(&format!(
        "the package set is {} ({})",
        closure.flake.display(),
        seconds(start.elapsed()).trim_start()
    ));
    Ok(())
}
