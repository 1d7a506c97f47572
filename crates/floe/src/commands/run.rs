//! `floe run`: a recorded image runs in an engine, hardened unless flags loosen it.

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;

use clap::Args;
use floe_destination::engine::{self, RunRequest, Volume};

use super::load::{self, Engine};
use crate::environment::{self, variable};
use crate::failure::{Failure, Outcome};
use crate::places::Places;
use crate::recorded::{self, Recorded};
use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  floe run app                              run app:latest with its ports published
  floe run app -- --help                    give it other arguments
  floe run app --env-file .env --detach     with the environment it needs, in the background
  floe run app --publish 8080:3000          on another port of this machine
  floe run app --writable --cap-add NET_BIND_SERVICE
                                            loosen what is closed by default";

/// Run a recorded image in podman, docker or containerd
///
/// Closed by default: the root file system is read-only with a fresh /tmp, no capabilities, no new privileges, the
/// image's user. Only the image's ports are open. Flags loosen each.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// A recorded image, NAME[:TAG] or NAME@GENERATION; may be left out when there is only one
    #[arg(value_name = "IMAGE")]
    pub(crate) image: Option<String>,
    /// Arguments that take the place of the image's cmd
    #[arg(value_name = "ARGS", last = true)]
    pub(crate) arguments: Vec<String>,
    /// The engine [default: podman if it is there, else docker, else containerd]
    #[arg(long, help_heading = "Container")]
    pub(crate) engine: Option<Engine>,
    /// Give the engine's run this word too; repeatable
    #[arg(long, value_name = "WORD", allow_hyphen_values = true, help_heading = "Container")]
    pub(crate) engine_arg: Vec<String>,
    /// Run in the background
    #[arg(short, long, help_heading = "Container")]
    pub(crate) detach: bool,
    /// The container's name
    #[arg(long, help_heading = "Container")]
    pub(crate) name: Option<String>,
    /// Set an environment variable, or pass on this machine's when only NAME is given; repeatable
    #[arg(short, long, value_name = "NAME[=VALUE]", help_heading = "Container")]
    pub(crate) env: Vec<String>,
    /// Set the variables of a file with a NAME=VALUE on each line; repeatable
    #[arg(long, value_name = "FILE", help_heading = "Container")]
    pub(crate) env_file: Vec<PathBuf>,
    /// Mount a folder or a volume: SOURCE:PATH[:ro]; repeatable
    #[arg(long, value_name = "SOURCE:PATH", help_heading = "Container")]
    pub(crate) volume: Vec<String>,
    /// Publish a port: [HOST:]CONTAINER[/udp]; repeatable; takes the place of the image's own
    #[arg(short, long, value_name = "PORT", help_heading = "Container")]
    pub(crate) publish: Vec<String>,
    /// Publish no port
    #[arg(long, conflicts_with = "publish", help_heading = "Container")]
    pub(crate) no_publish: bool,
    /// Let the root file system be written
    #[arg(long, help_heading = "Loosen")]
    pub(crate) writable: bool,
    /// Give back a capability, such as NET_BIND_SERVICE; repeatable
    #[arg(long, value_name = "CAPABILITY", help_heading = "Loosen")]
    pub(crate) cap_add: Vec<String>,
    /// Let programs gain privileges, such as by set-user-ID
    #[arg(long, help_heading = "Loosen")]
    pub(crate) new_privileges: bool,
}

/// Loads the image into an engine, where it is not there yet, and runs it.
pub(crate) fn run(arguments: Arguments, terminal: &Terminal) -> Outcome {
    let places = Places::find()?;
    let (name, recorded) = recorded::find(&places, arguments.image.as_deref())?;
    // What is missing is said before anything is loaded or started.
    environment::check(&recorded.image_here().config.config, &arguments.env, &arguments.env_file)?;

    let engine = arguments.engine.map_or_else(load::detected_engine, |engine| Ok(engine.kind()))?;
    load::load(&places, &name, &recorded, engine, terminal)?;
    let request = request(arguments, &recorded, name.in_engine(engine))?;
    let status = engine::run(engine, &request)?;
    if status.success() {
        return Ok(());
    }
    let how = status.code().map_or_else(|| status.to_string(), |code| format!("exit code {code}"));
    Err(Failure::failed(format!("{name} ended with {how}")))
}

/// The hardened request: a read-only root but for `/tmp`, no capabilities, no new privileges, and the
/// ports that the image declares; each flag loosens one of them.
fn request(arguments: Arguments, recorded: &Recorded, image: String) -> Outcome<RunRequest> {
    let config = &recorded.image_here().config.config;
    let ports = match (arguments.no_publish, arguments.publish.is_empty()) {
        (true, _) => Vec::new(),
        (false, false) => arguments.publish.iter().map(|port| published(port)).collect(),
        (false, true) => config.exposed_ports.keys().map(|port| published(port)).collect(),
    };
    let added = arguments.cap_add.iter().map(|capability| format!("--cap-add={capability}"));
    let engine_args = added.chain(arguments.engine_arg).collect();
    let volumes = arguments.volume.iter().map(|text| volume(text)).collect::<Outcome<_>>()?;
    Ok(RunRequest {
        image,
        image_entrypoint: config.entrypoint.clone().unwrap_or_default(),
        args: arguments.arguments,
        name: arguments.name,
        remove: true,
        detach: arguments.detach,
        interactive: !arguments.detach && !io::stdin().is_terminal(),
        tty: false,
        read_only: !arguments.writable,
        tmpfs: vec!["/tmp:mode=1777".to_owned()],
        cap_drop: vec!["ALL".to_owned()],
        no_new_privileges: !arguments.new_privileges,
        ports,
        env: arguments.env.iter().filter_map(|text| variable(text)).collect(),
        env_file: arguments.env_file,
        volumes,
        engine_args,
        ..RunRequest::default()
    })
}

/// `3000` is published under the same number of this machine.
fn published(port: &str) -> String {
    match port.split_once(':') {
        Some(_) => port.to_owned(),
        None => format!("{}:{port}", port.split('/').next().unwrap_or(port)),
    }
}

fn volume(text: &str) -> Outcome<Volume> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, read_only) = match parts.as_slice() {
        [source, target] => (source, target, false),
        [source, target, "ro"] => (source, target, true),
        [source, target, "rw"] => (source, target, false),
        _ => return Err(bad_volume(text)),
    };
    if source.is_empty() || !target.starts_with('/') {
        return Err(bad_volume(text));
    }
    // Engines take a relative source for a volume's name.
    let source = if source.starts_with('.') {
        std::path::absolute(source)?.to_string_lossy().into_owned()
    } else {
        (*source).to_owned()
    };
    Ok(Volume { source, target: (*target).to_owned(), read_only })
}

fn bad_volume(text: &str) -> Failure {
    Failure::bad_usage(format!("'{text}' is no volume: expected SOURCE:PATH or SOURCE:PATH:ro"))
        .hint("such as --volume ./data:/data")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn publishes_ports_under_their_own_number() {
        for (port, expected) in
            [("3000", "3000:3000"), ("53/udp", "53:53/udp"), ("8080:80", "8080:80"), ("80/tcp", "80:80/tcp")]
        {
            assert_eq!(published(port), expected);
        }
    }

    #[test]
    fn reads_volumes() {
        let read = volume("/srv:/data:ro").expect("a volume");
        assert_eq!((read.source.as_str(), read.target.as_str(), read.read_only), ("/srv", "/data", true));
        assert!(volume("cache:/cache").is_ok());
        for text in ["", "/srv", ":/data", "/srv:data", "/srv:/data:xx", "a:/b:ro:c"] {
            assert!(volume(text).is_err(), "{text}");
        }
    }
}
