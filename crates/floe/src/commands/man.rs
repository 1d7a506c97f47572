//! `floe man`: the manual pages.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;

use crate::arguments::CommandLine;
use crate::configuration::manual;
use crate::failure::Outcome;
use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  floe man | man -l -                        read the first page
  floe man ~/.local/share/man                install all of them";

/// Write the manual pages
///
/// With DIR, all pages are written into DIR/man1 and DIR/man5; without, floe(1) goes to standard output.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The directory; made if it is not there
    #[arg(value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
}

/// Writes the pages.
pub(crate) fn run(arguments: &Arguments, terminal: &Terminal) -> Outcome {
    let mut command = CommandLine::command();
    command.build();
    let Some(directory) = &arguments.directory else {
        return terminal.text(&page(&command, "floe")?);
    };
    let is_for_people = |subcommand: &&Command| subcommand.get_name() != "help" && !subcommand.is_hide_set();
    let subcommands = command.get_subcommands().filter(is_for_people);
    let pages = subcommands.map(|subcommand| (format!("floe-{}", subcommand.get_name()), subcommand));
    for (name, command) in std::iter::once(("floe".to_owned(), &command)).chain(pages) {
        write(terminal, &directory.join("man1").join(format!("{name}.1")), &page(command, &name)?)?;
    }
    write(terminal, &directory.join("man5").join("floe.toml.5"), &manual())
}

fn write(terminal: &Terminal, path: &Path, page: &str) -> Outcome {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    fs::write(path, page).with_context(|| format!("cannot write {}", path.display()))?;
    terminal.note(path.display());
    Ok(())
}

fn page(command: &Command, name: &str) -> Outcome<String> {
    let mut page = Vec::new();
    // The page's title must not move with the date.
    Man::new(command.clone()).title(name).date("").render(&mut page)?;
    Ok(String::from_utf8(page)?)
}
