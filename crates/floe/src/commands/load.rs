//! `floe load`: a recorded image goes into an engine.

use clap::{Args, ValueEnum};
use floe_destination::registry::PushConfig;
use floe_destination::{Delivered, DestinationName, EngineKind, ImageName, engine};
use floe_image::layer::Compression;
use serde_json::json;

use crate::arguments::RegistryArguments;
use crate::copying::check_takes_base;
use crate::failure::{Failure, Outcome};
use crate::places::Places;
use crate::recorded::{self, Recorded};
use crate::suggestion;
use crate::terminal::Terminal;
use crate::transports::{Transports, references};
use crate::workshop::Workshop;

const EXAMPLES: &str = "\
Examples:
  floe load podman          load the only recorded image
  floe load docker app      load app:latest
  floe load podman app@2    load an earlier generation, as app:generation-2
  floe load ./result        load a recipe that `nix build` made into the engine that is there
  floe load containerd app:1.0";

/// Load a recorded image into an engine
///
/// Layers that the engine has already are not sent again where it can say so. A single word that names no engine is the
/// image.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// podman, docker or containerd [default: podman if it is there, else docker, else containerd]
    #[arg(value_name = "ENGINE")]
    pub(crate) engine: Option<String>,
    /// A recorded image, NAME[:TAG] or NAME@GENERATION, or a recipe file; may be left out when only one is recorded
    #[arg(value_name = "IMAGE")]
    pub(crate) image: Option<String>,
}

/// The engines that images run in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    Podman,
    Docker,
    Containerd,
}

impl Engine {
    /// The engine, as destinations know it.
    pub(crate) fn kind(self) -> EngineKind {
        match self {
            Self::Podman => EngineKind::Podman,
            Self::Docker => EngineKind::Docker,
            Self::Containerd => EngineKind::Containerd,
        }
    }
}

/// Loads the image.
pub(crate) fn run(arguments: &Arguments, terminal: &Terminal) -> Outcome {
    let places = Places::find()?;
    let (engine, image) = split(arguments.engine.as_deref(), arguments.image.as_deref())?;
    let (name, recorded) = recorded::find(&places, image)?;
    let engine = engine.map_or_else(detected_engine, |engine| Ok(engine.kind()))?;
    let delivered = load(&places, &name, &recorded, engine, terminal)?;
    if terminal.is_json() {
        return terminal
            .json(&json!({ "location": delivered.location, "digest": delivered.manifest.digest }));
    }
    terminal.note(format!("loaded {}", delivered.location));
    Ok(())
}

/// Tells the engine from the image; a single word that names no engine is the image.
fn split<'a>(engine: Option<&'a str>, image: Option<&'a str>) -> Outcome<(Option<Engine>, Option<&'a str>)> {
    let Some(word) = engine else { return Ok((None, None)) };
    match (Engine::from_str(word, false), image) {
        (Ok(engine), image) => Ok((Some(engine), image)),
        (Err(_), None) => Ok((None, Some(word))),
        (Err(_), Some(_)) => {
            let failure =
                Failure::bad_usage(format!("'{word}' is no engine: expected podman, docker or containerd"));
            Err(match suggestion::nearest(word, EngineKind::ALL.map(|kind| kind.name())) {
                Some(nearest) => failure.hint(format!("did you mean '{nearest}'?")),
                None => failure.hint("such as: floe load podman app"),
            })
        }
    }
}

/// The engine that answers, the one that needs no daemon first.
pub(super) fn detected_engine() -> Outcome<EngineKind> {
    engine::detect().ok_or_else(|| {
        Failure::failed("no engine answers: expected podman, docker or containerd")
            .hint("install one, such as Debian's package podman, or name one that runs elsewhere")
    })
}

/// Brings a recorded image into an engine.
pub(crate) fn load(
    places: &Places,
    name: &ImageName,
    recorded: &Recorded,
    engine: EngineKind,
    terminal: &Terminal,
) -> Outcome<Delivered> {
    let trees = recorded.trees();
    let workshop = Workshop { trees: &trees, places, terminal, threads: None, remembers: true };
    let image = recorded.image_here();
    let compression = match image.compression {
        // Not compressing is the fastest way into an engine on this machine.
        Compression::Zstd(_) if !engine::reads_zstd(engine)? => Compression::None,
        compression => compression,
    };
    let destination = DestinationName::Engine { engine, name: None };
    check_takes_base(&destination, &image.base, terminal)?;
    let registries = RegistryArguments::default();
    let transports = Transports::new(places, terminal, &registries, references([], [&destination]));
    let opened = transports.destination(&destination, PushConfig::default())?;
    workshop.deliver(image, name, opened, compression)
}
