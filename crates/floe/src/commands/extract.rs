//! `floe extract`: an image's files are written into a directory.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use floe_destination::Documents;
use floe_image::layer::Layer;
use floe_image::oci::Platform;
use floe_image::unpack::{
    ExtractConfig, ExtractError, Extracted, Layers, Limits, MergedTree, TreePath, extract,
};
use serde_json::json;

use crate::arguments::{PlatformArguments, RegistryArguments};
use crate::failure::{Failure, Outcome};
use crate::places::Places;
use crate::tee::Tee;
use crate::terminal::{Terminal, size};
use crate::transports::{Transports, parse_source, references};
use crate::workshop;

const EXAMPLES: &str = "\
Examples:
  floe extract app ./files                      all files of a recorded image
  floe extract docker://debian:12 /etc ./etc    a directory of an image in a registry
  floe extract docker-archive:app.tar /bin/app .out
                                                one file; .out is made, and holds it
  floe extract oci:images:1.0 ./files --keep owners --keep setuid
                                                as root, with everything as it is in the image

What is written belongs to whoever extracts, without set-user-ID, devices and attributes, unless
--keep asks for them. No file of a stranger's image can leave the directory.";

/// Write an image's files into a new directory
///
/// The layers are merged as a container would see them. The directory appears when all of it is there and verified.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// A recorded image, docker://REFERENCE, oci:DIR[:TAG], an archive, or an engine's image
    #[arg(value_name = "IMAGE")]
    pub(crate) image: String,
    /// What is extracted [default: everything], and the directory that it goes to
    #[arg(value_name = "[PATH] DIR", required = true, num_args = 1..=2)]
    pub(crate) places: Vec<PathBuf>,
    /// Keep what is dropped by default; repeatable
    #[arg(long, value_name = "WHAT")]
    pub(crate) keep: Vec<Keep>,
    /// Of an index take the image for this platform, such as linux/arm64 [default: this machine's]
    #[arg(long, value_name = "OS/ARCHITECTURE")]
    pub(crate) platform: Option<Platform>,
    #[command(flatten)]
    pub(crate) registries: RegistryArguments,
}

/// What is dropped unless it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Keep {
    /// Users and groups, by number; needs root
    Owners,
    /// Set-user-ID, set-group-ID and, with xattrs, capabilities
    Setuid,
    /// Device nodes; needs root
    Devices,
    /// Extended attributes
    Xattrs,
}

/// Extracts the files.
pub(crate) fn run(arguments: &Arguments, terminal: &Terminal) -> Outcome {
    let (path, directory) = match arguments.places.as_slice() {
        [path, directory] => (path.clone(), directory),
        [directory] => (PathBuf::from("/"), directory),
        _ => return Err(Failure::bad_usage("no directory is named: expected [PATH] DIR")),
    };
    let path = TreePath::parse(path.as_os_str().as_encoded_bytes())
        .map_err(|error| Failure::usage(error).hint("name a path in the image, such as /etc"))?;
    let kept = |what| arguments.keep.contains(&what);
    let config = ExtractConfig {
        owners: kept(Keep::Owners),
        setuid: kept(Keep::Setuid),
        devices: kept(Keep::Devices),
        xattrs: kept(Keep::Xattrs),
    };

    let places = Places::find()?;
    let name = parse_source(&arguments.image)?;
    let transports = Transports::new(&places, terminal, &arguments.registries, references([&name], []));
    let source = transports.source(&name)?;
    let platform = PlatformArguments { platform: arguments.platform.clone(), all: false }.wanted();
    let documents = Documents::read(source.as_ref(), source.root(), &platform)
        .map_err(|error| transports.explain_documents(error))?;
    let layers = pair(&documents)?;
    // Layers are read twice: for the tree, then for the contents.
    let cache = source.is_remote().then(|| workshop::cache(&places)).transpose()?;
    let blobs = Tee { source: source.as_ref(), cache: cache.as_ref() };
    let readable = Layers { source: &blobs, layers: &layers, limits: Limits::default() };
    let progress = terminal.progress();
    progress.phase("reading layers");
    let tree = MergedTree::read(&readable)?;
    let path = tree.resolve(&path).map_err(Failure::from)?;
    progress.phase("extracting");
    let extracted = extract(&readable, &tree, &path, directory, config).map_err(explain)?;
    drop(progress);
    if let Some(cache) = &cache {
        cache.evict()?;
    }
    report(&extracted, directory.display().to_string(), terminal)
}

/// The layers with the diff IDs that the config gives them.
fn pair(documents: &Documents) -> Outcome<Vec<Layer>> {
    let (layers, diff_ids) = (&documents.manifest.layers, &documents.config.rootfs.diff_ids);
    if layers.len() != diff_ids.len() {
        let (layers, diff_ids) = (layers.len(), diff_ids.len());
        let message =
            format!("the manifest has {layers} layers and the config {diff_ids} diff IDs: expected as many");
        return Err(Failure::failed(message).hint("the image is damaged: fetch or build it again"));
    }
    let layer =
        |(descriptor, diff_id): (&_, &_)| Layer { descriptor: Clone::clone(descriptor), diff_id: *diff_id };
    Ok(layers.iter().zip(diff_ids).map(layer).collect())
}

fn report(extracted: &Extracted, directory: String, terminal: &Terminal) -> Outcome {
    let Extracted { nodes, bytes, devices_left_out } = *extracted;
    if terminal.is_json() {
        return terminal.json(&json!({
            "directory": directory, "files": nodes, "bytes": bytes, "devices-left-out": devices_left_out,
        }));
    }
    terminal.note(format!("{directory}  {} in {nodes} files", size(bytes)));
    if devices_left_out > 0 {
        terminal
            .note(format!("{devices_left_out} device nodes left out; as root, --keep devices makes them"));
    }
    Ok(())
}

fn explain(error: ExtractError) -> Failure {
    let is_denied = |source: &std::io::Error| source.kind() == std::io::ErrorKind::PermissionDenied;
    let hint = match &error {
        ExtractError::Occupied(_) => Some("name a new directory, or empty this one"),
        ExtractError::Destination { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            Some("make the directory that it goes into first")
        }
        ExtractError::Destination { source, .. } if is_denied(source) => {
            Some("name a place that this user may write to")
        }
        ExtractError::Node { source, .. } if is_denied(source) => {
            Some("owners and devices are root's to set: leave out --keep, or run as root")
        }
        _ => None,
    };
    let failure = Failure::from(error);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
