//! `floe doctor`: what may stand in the way on this machine.

use std::path::PathBuf;

use clap::Args;
use floe_image::oci::Reference;

use crate::arguments::RegistryArguments;
use crate::configuration::ConfigurationFile;
use crate::doctor::{self, Finding, Patient, State};
use crate::failure::{Failure, Outcome};
use crate::gather;
use crate::places::Places;
use crate::registries;
use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  floe doctor                              Nix, engines, disks, the record, this project's floe.toml
  floe doctor registry.example.com/team/app:1.0
                                           and whether this image can be reached
  floe doctor --json | jq 'select(.state != \"ok\")'
                                           for machines: a line of JSON for each finding

Exit codes: 0 no problem, though there may be warnings; 1 a problem; each names what mends it.";

/// Look for what may stand in the way on this machine, and say what mends it
///
/// Looks at Nix (version, database, daemon, settings, caches), engines, disks, the record, the project's floe.toml
/// (contents, variables, ports), and the registries of its images and of those that are named. Changes nothing.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Images in registries that should be there: HOST/REPOSITORY[:TAG]
    #[arg(value_name = "REFERENCE")]
    pub(crate) references: Vec<String>,
    /// Look at this file [default: floe.toml here or in the nearest parent directory]
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Look at the Nix store whose root is this directory [default: /]
    #[arg(long, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) registries: RegistryArguments,
}

/// Looks, and shows what was found.
pub(crate) fn run(arguments: &Arguments, terminal: &Terminal) -> Outcome {
    let references: Vec<Reference> =
        arguments.references.iter().map(|text| registries::parse(text)).collect::<Outcome<_>>()?;
    let current_directory = std::env::current_dir()?;
    let file = ConfigurationFile::load(arguments.file.as_deref(), &current_directory).map_err(Failure::from);
    let mut later = file.as_ref().ok().and_then(Option::as_ref).map(of_file).unwrap_or_default();
    later.retain(|reference| !references.contains(reference));
    let findings = doctor::examine(&Patient {
        store: &gather::store(arguments.store.clone()),
        places: &Places::find(),
        file: &file,
        references: &references,
        later: &later,
        registries: &arguments.registries,
    });
    for finding in &findings {
        if terminal.is_json() {
            terminal.json(finding)?;
        } else {
            show(finding, terminal)?;
        }
    }
    verdict(&findings, terminal)
}

/// The images of a file whose names begin with a registry's host.
fn of_file(file: &ConfigurationFile) -> Vec<Reference> {
    let names = file.configuration.names().filter_map(|entry| {
        let options = file.image(entry)?;
        let tag = options.tag.as_deref().unwrap_or("latest");
        let name: floe_destination::ImageName = format!("{}:{tag}", options.name?).parse().ok()?;
        name.has_host().then(|| name.reference().clone())
    });
    names.collect()
}

fn show(finding: &Finding, terminal: &Terminal) -> Outcome {
    let Finding { area, state, what, fixes } = finding;
    terminal.line(format!("{:<8} {area}: {what}", state.word()))?;
    fixes.iter().try_for_each(|fix| terminal.line(format!("         fix: {fix}")))
}

fn verdict(findings: &[Finding], terminal: &Terminal) -> Outcome {
    let count = |state| findings.iter().filter(|finding| finding.state == state).count();
    let counted = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    let warnings = counted(count(State::Warning), "warning");
    match count(State::Problem) {
        0 => {
            terminal.note(format!("no problem, {warnings}"));
            Ok(())
        }
        problems => Err(Failure::failed(format!("{}, {warnings}", counted(problems, "problem")))
            .hint("each finding above names what mends it")),
    }
}
