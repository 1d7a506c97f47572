//! `floe load`: a recorded image goes into an engine.

use clap::{Args, ValueEnum};
use floe_destination::{Delivered, DestinationName, EngineKind, ImageName, engine};
use floe_image::layer::Compression;
use serde_json::json;

use crate::failure::Outcome;
use crate::places::Places;
use crate::recorded::{self, Recorded};
use crate::terminal::Terminal;
use crate::workshop::Workshop;

const EXAMPLES: &str = "\
Examples:
  floe load podman          load the only recorded image
  floe load docker app      load app:latest
  floe load containerd app:1.0";

/// Load a recorded image into an engine
///
/// Layers that the engine has already are not sent again where it can say so.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The engine
    #[arg(value_name = "ENGINE")]
    pub(crate) engine: Engine,
    /// A recorded image, NAME[:TAG]; may be left out when there is only one
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
    let name = recorded::select(&places, arguments.image.as_deref())?;
    let recorded = recorded::read(&places, &name)?;
    let delivered = load(&places, &name, &recorded, arguments.engine.kind(), terminal)?;
    if terminal.is_json() {
        return terminal
            .json(&json!({ "location": delivered.location, "digest": delivered.manifest.digest }));
    }
    terminal.note(format!("loaded {}", delivered.location));
    Ok(())
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
    let compression = match recorded.image.compression {
        // Not compressing is the fastest way into an engine on this machine.
        Compression::Zstd(_) if !engine::reads_zstd(engine)? => Compression::None,
        compression => compression,
    };
    let destination = DestinationName::Engine { engine, name: None };
    workshop.deliver(&recorded.image, name, &destination, compression)
}
