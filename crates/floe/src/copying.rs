//! Copying: what the commands that move images share, from two names to a line for each place that has the image.
//!
//! The order: read the manifests, refuse what a destination cannot take, then move bytes.

use floe_destination::{
    DeliverError, Delivered, Destination, DestinationName, Documents, EngineKind, ImageSource, Manifests,
    ParsedManifest, Selection, SourceName,
};
use floe_image::image::BaseLayer;
use floe_image::oci::{Descriptor, Index, MediaType, Platform};
use serde_json::json;

use crate::arguments::{PlatformArguments, RegistryArguments};
use crate::failure::{Failure, Outcome};
use crate::places::Places;
use crate::recorded::elsewhere::Recording;
use crate::terminal::{Terminal, size};
use crate::transports::{Transports, explain_delivery, mount_sources, references};
use crate::watch::Watch;

/// Copies what a source names to destinations, and says where it is.
pub(crate) fn copy(
    source_name: &SourceName,
    destination_names: &[DestinationName],
    platforms: &PlatformArguments,
    registries: &RegistryArguments,
    terminal: &Terminal,
) -> Outcome {
    let places = Places::find()?;
    let transports =
        Transports::new(&places, terminal, registries, references([source_name], destination_names));
    let progress = terminal.progress();
    progress.phase("reading manifests");
    let source = transports.source(source_name)?;
    let manifests = choose(source.as_ref(), source_name, platforms, &transports, terminal)?;
    drop(progress);
    for name in destination_names {
        check_takes(name, Some(source_name), &manifests, terminal)?;
    }
    let is_record = |name: &&DestinationName| matches!(name, DestinationName::Record(_));
    let names: Vec<DestinationName> =
        destination_names.iter().filter(|name| !is_record(name)).cloned().collect();
    let open = |name| transports.destination(name, mount_sources(source_name, name, &manifests)?);
    let destinations = names.iter().map(open).collect::<Outcome<Vec<_>>>()?;
    if !names.is_empty() {
        deliver(source.as_ref(), &manifests, &names, destinations, &transports, terminal)?;
    }
    for name in destination_names {
        if let DestinationName::Record(name) = name {
            let recording = Recording { source: source.as_ref(), source_name, places: &places, terminal };
            recording.record(&manifests, name.as_ref(), &transports)?;
        }
    }
    Ok(())
}

/// Moves what a source names to opened destinations, and says where it is.
pub(crate) fn deliver(
    source: &dyn ImageSource,
    manifests: &Manifests,
    names: &[DestinationName],
    destinations: Vec<Box<dyn Destination>>,
    transports: &Transports<'_>,
    terminal: &Terminal,
) -> Outcome {
    let progress = terminal.progress();
    progress.phase("copying");
    let copied = floe_destination::copy(source, manifests, None, destinations, &Watch(progress));
    let delivered = copied.map_err(|error| transports.explain_delivery(error))?;
    report(&delivered, names, terminal)
}

/// Reads the manifests of what is wanted: a whole index, or one image.
fn choose(
    source: &dyn ImageSource,
    name: &SourceName,
    platforms: &PlatformArguments,
    transports: &Transports<'_>,
    terminal: &Terminal,
) -> Outcome<Manifests> {
    let wanted = platforms.wanted();
    let selection = if platforms.all { Selection::All } else { Selection::Platform(wanted.clone()) };
    let explain = |error| transports.explain_documents(error);
    let manifests = Manifests::read(source, source.root(), &selection).map_err(explain)?;
    let is_index = source.root().media_type.is_index();
    if is_index && !platforms.all && platforms.platform.is_none() {
        terminal.note(format!("{name} is for several platforms: taking {wanted}; --all takes all"));
    }
    if !is_index && platforms.platform.is_some() {
        let config = Documents::read(source, source.root(), &wanted).map_err(explain)?.config;
        check_platform(name, config.platform(), &wanted, source.root())?;
    }
    Ok(manifests)
}

/// Refuses an image that stands alone and is for another platform than the one that was named.
fn check_platform(name: &SourceName, offered: Platform, wanted: &Platform, root: &Descriptor) -> Outcome {
    let alone = Index::new(vec![Descriptor { platform: Some(offered.clone()), ..root.clone() }]);
    if alone.choose(wanted).is_some() {
        return Ok(());
    }
    let failure = Failure::failed(format!("{name} is an image for {offered}: expected one for {wanted}"));
    Err(failure.hint("there is no other image of that name; without --platform it is taken as it is"))
}

/// Refuses what a destination cannot take, before anything is moved.
pub(crate) fn check_takes(
    name: &DestinationName,
    source: Option<&SourceName>,
    manifests: &Manifests,
    terminal: &Terminal,
) -> Outcome {
    let top = manifests.top().parse()?;
    if let ParsedManifest::Index(index) = top
        && !name.takes_index()
    {
        let platforms = index.platforms().into_iter().map(ToString::to_string).collect();
        return Err(explain_delivery(DeliverError::OneImage { place: format!("'{name}'"), platforms }));
    }
    let has_zstd = manifests.blobs()?.iter().any(|blob| blob.media_type == MediaType::LayerZstd);
    if !has_zstd || name.reads_zstd()? {
        return Ok(());
    }
    let hint = match source {
        Some(SourceName::Recorded(image)) => format!("pack it as docker reads it: floe load docker {image}"),
        _ => "use a newer docker, podman or containerd; a copy changes no layer".to_owned(),
    };
    cannot_read_zstd(name, "image", &hint, terminal)
}

/// Refuses a place that cannot read the layers of a base, which are not packed again, before anything is moved.
pub(crate) fn check_takes_base(name: &DestinationName, base: &[BaseLayer], terminal: &Terminal) -> Outcome {
    let has_zstd = base.iter().any(|base| base.layer.descriptor.media_type == MediaType::LayerZstd);
    if !has_zstd || name.reads_zstd()? {
        return Ok(());
    }
    let hint =
        "use a newer docker, podman or containerd, or a base in gzip; a base's layers stay as they are";
    cannot_read_zstd(name, "base", hint, terminal)
}

/// An error where docker itself is to read zstd, and a warning where nobody knows who will read a file.
fn cannot_read_zstd(name: &DestinationName, what: &str, hint: &str, terminal: &Terminal) -> Outcome {
    if let DestinationName::Engine { engine: EngineKind::Docker, .. } = name {
        let message = format!(
            "the {what} has layers in zstd, which this docker does not read: expected version 23 or later"
        );
        return Err(Failure::failed(message).hint(hint));
    }
    terminal.warning(format!("docker before version 23 does not load {name}: its layers are in zstd"));
    Ok(())
}

/// Says where the image is now.
fn report(delivered: &[Delivered], names: &[DestinationName], terminal: &Terminal) -> Outcome {
    for (place, name) in delivered.iter().zip(names) {
        let digest = place.manifest.digest;
        let result = json!({ "location": place.location, "digest": digest, "written": place.written });
        match (terminal.is_json(), name) {
            // Where standard output carries the image itself, the result goes beside the events.
            (true, DestinationName::StandardOutput(_)) => terminal.event(&result),
            (true, _) => terminal.json(&result)?,
            (false, _) => {
                terminal.note(format!("{}  {digest}  {} written", place.location, size(place.written)));
            }
        }
    }
    Ok(())
}
