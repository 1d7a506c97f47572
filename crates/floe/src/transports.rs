//! Transports (containers-transports(5): `docker://`, `oci:`, `podman:`, …): sources and destinations, opened with a
//! command's flags, and the failures of either explained.
//!
//! One registry client serves all of a command's, so that a login or a token is asked for once.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::OnceLock;

use floe_destination::registry::{
    ExchangeError, ManifestName, PushConfig, Registry, RegistryDestination, RegistrySource,
};
use floe_destination::{
    DeliverError, Destination, DestinationName, ImageSource, Manifests, OpenSourceError,
    ParseDestinationError, ParseSourceError, ReadDocumentsError, SourceName,
};
use floe_image::oci::Reference;

use crate::arguments::RegistryArguments;
use crate::failure::{Failure, Kind, Outcome, io_kind};
use crate::places::Places;
use crate::recorded::source::RecordedSource;
use crate::recorded::{self, IMAGE_NAME_HINT};
use crate::registries;
use crate::terminal::Terminal;

/// What sources and destinations are opened with.
pub(crate) struct Transports<'a> {
    places: &'a Places,
    terminal: &'a Terminal,
    registries: &'a RegistryArguments,
    /// The hosts of registries that the user named.
    hosts: BTreeSet<String>,
    client: OnceLock<Registry>,
}

impl<'a> Transports<'a> {
    /// Transports to the registries that these references name, and to everything else.
    pub(crate) fn new<'b>(
        places: &'a Places,
        terminal: &'a Terminal,
        registries: &'a RegistryArguments,
        references: impl IntoIterator<Item = &'b Reference>,
    ) -> Self {
        let hosts = references.into_iter().map(|reference| reference.host().to_owned()).collect();
        Self { places, terminal, registries, hosts, client: OnceLock::new() }
    }

    fn client(&self) -> Outcome<&Registry> {
        match self.client.get() {
            Some(client) => Ok(client),
            None => {
                let client = registries::open(self.registries, self.hosts.iter().cloned(), self.terminal)?;
                Ok(self.client.get_or_init(|| client))
            }
        }
    }

    /// Opens a source.
    pub(crate) fn source(&self, name: &SourceName) -> Outcome<Box<dyn ImageSource>> {
        match name {
            SourceName::Registry(reference) => self.registry_source(reference),
            SourceName::Recorded(image) => {
                let found = recorded::find(self.places, Some(&image.to_string()));
                let (name, recorded) = found.map_err(|failure| {
                    failure.hint(format!("a registry's image is written docker://{image}"))
                })?;
                Ok(Box::new(RecordedSource::open(&recorded, &name, self.places)?))
            }
            name => {
                let spool = self.places.make_spool()?;
                let source = name.open(&spool).map_err(|error| explain_source(error, name))?;
                source.ok_or_else(|| Failure::failed(format!("{name} cannot be read")))
            }
        }
    }

    fn registry_source(&self, reference: &Reference) -> Outcome<Box<dyn ImageSource>> {
        let client = self.client()?;
        match RegistrySource::open(client, reference) {
            Ok(source) => Ok(Box::new(source)),
            Err(OpenSourceError::Manifest(error)) => {
                let repository = client.repository(reference)?;
                Err(registries::explain_manifest(error, &repository, &ManifestName::of(reference)))
            }
            Err(error) => Err(registries::explain(error, reference.host())),
        }
    }

    /// A failure to read an image's documents, with the next step where one is known.
    pub(crate) fn explain_documents(&self, error: ReadDocumentsError) -> Failure {
        let hint = match &error {
            ReadDocumentsError::NoPlatform { available, .. } if !available.is_empty() => {
                Some(format!("name one that is there: --platform {}", available[0]))
            }
            _ => None,
        };
        let failure = self.explain_refusal(Failure::from(error));
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }

    /// A failure to deliver an image, with the next step where one is known.
    pub(crate) fn explain_delivery(&self, error: DeliverError) -> Failure {
        self.explain_refusal(explain_delivery(error))
    }

    /// Adds what to do about a registry's refusal, where one is the cause.
    pub(crate) fn explain_refusal(&self, failure: Failure) -> Failure {
        let Some(cause) = ExchangeError::innermost(failure.error.as_ref()) else { return failure };
        // A token server may have refused for a registry: with one registry it is clear for which.
        let mut hosts = self.hosts.iter();
        let host = match (hosts.next(), hosts.next()) {
            (Some(only), None) => Some(only.clone()),
            _ => cause.host().filter(|host| self.hosts.contains(*host)).map(str::to_owned),
        };
        match host {
            Some(host) if failure.hints.is_empty() => registries::explain(failure.error, &host),
            _ => failure,
        }
    }

    /// Opens a destination; `config` says what is known about a push.
    pub(crate) fn destination(
        &self,
        name: &DestinationName,
        config: PushConfig,
    ) -> Outcome<Box<dyn Destination>> {
        if let DestinationName::Registry(reference) = name {
            return Ok(Box::new(RegistryDestination::open(self.client()?, reference, Vec::new(), config)?));
        }
        if let DestinationName::Record(_) = name {
            let failure = Failure::bad_usage(format!("'{name}' is the record, which takes no bytes"));
            return Err(failure.hint(
                "without a destination an image that is built is recorded; --name says how it is called",
            ));
        }
        if let DestinationName::StandardOutput(_) = name {
            self.terminal.check_stdout_takes_bytes()?;
        }
        let opened = name.open(&self.places.make_spool()?).map_err(explain_delivery)?;
        opened.ok_or_else(|| Failure::failed(format!("{name} cannot be written")))
    }

    /// Opens the destinations of one image, which a host's registries pass on among themselves.
    pub(crate) fn destinations(
        &self,
        names: &[DestinationName],
        config: &PushConfig,
    ) -> Outcome<Vec<Box<dyn Destination>>> {
        let references: Vec<Reference> = references([], names).cloned().collect();
        let together = if references.is_empty() {
            Vec::new()
        } else {
            RegistryDestination::open_together(self.client()?, &references, config)?
        };
        let mut together = together.into_iter();
        let open = |name: &DestinationName| match name {
            DestinationName::Registry(_) => {
                let opened = together.next().expect("one was opened for each reference");
                Ok(Box::new(opened) as Box<dyn Destination>)
            }
            name => self.destination(name, PushConfig::default()),
        };
        names.iter().map(open).collect()
    }
}

/// The repository that a registry may take blobs over from, for every blob of an image that comes from the same host.
pub(crate) fn mount_sources(
    source: &SourceName,
    destination: &DestinationName,
    manifests: &Manifests,
) -> Outcome<PushConfig> {
    let mut config = PushConfig::default();
    if let (SourceName::Registry(from), DestinationName::Registry(to)) = (source, destination)
        && from.host() == to.host()
    {
        let repository = from.repository();
        let blobs = manifests.blobs()?;
        config.mount_sources =
            blobs.iter().map(|blob| (blob.digest, repository.to_owned())).collect::<BTreeMap<_, _>>();
    }
    Ok(config)
}

/// The reference of a source or destination in a registry.
pub(crate) fn references<'a>(
    sources: impl IntoIterator<Item = &'a SourceName>,
    destinations: impl IntoIterator<Item = &'a DestinationName>,
) -> impl Iterator<Item = &'a Reference> {
    let sources = sources.into_iter().filter_map(|name| match name {
        SourceName::Registry(reference) => Some(reference),
        _ => None,
    });
    let destinations = destinations.into_iter().filter_map(|name| match name {
        DestinationName::Registry(reference) => Some(reference),
        _ => None,
    });
    sources.chain(destinations)
}

/// Reads a source's name.
pub(crate) fn parse_source(text: &str) -> Outcome<SourceName> {
    text.parse().map_err(|error| {
        let hint = match &error {
            ParseSourceError::Unknown { .. } if Path::new(text).is_dir() => {
                format!("to read a layout in this directory: oci:{text}")
            }
            ParseSourceError::Unknown { .. } if Path::new(text).exists() => {
                format!("to read an archive of this name: docker-archive:{text}")
            }
            ParseSourceError::Reference { .. }
            | ParseSourceError::Name { .. }
            | ParseSourceError::Recorded { .. } => IMAGE_NAME_HINT.to_owned(),
            ParseSourceError::Unknown { .. } | ParseSourceError::Incomplete(_) => {
                "such as app:1.0, docker://registry.example.com/team/app:1.0 or oci:DIR:1.0".to_owned()
            }
        };
        Failure::usage(error).hint(hint)
    })
}

/// Reads destinations' names.
pub(crate) fn parse_destinations(texts: &[String]) -> Outcome<Vec<DestinationName>> {
    let parse = |text: &String| text.parse::<DestinationName>().map_err(explain_destination);
    texts.iter().map(parse).collect()
}

fn explain_destination(error: ParseDestinationError) -> Failure {
    let hint = match error {
        ParseDestinationError::Tag { .. } => "write a tag such as 1.0: oci:images:1.0",
        ParseDestinationError::Name { .. } | ParseDestinationError::Reference { .. } => IMAGE_NAME_HINT,
        ParseDestinationError::Unknown(_) | ParseDestinationError::NoPath(_) => {
            "write a layout with oci:DIR, a file with docker-archive:FILE, or load it: podman:"
        }
    };
    Failure::usage(error).hint(hint)
}

fn explain_source(error: OpenSourceError, name: &SourceName) -> Failure {
    let hint = match (&error, name) {
        (OpenSourceError::Resolve { .. }, SourceName::OciLayout { directory, .. }) => {
            Some(format!("name one: oci:{}:TAG or oci:{0}@DIGEST", directory.display()))
        }
        (OpenSourceError::Resolve { .. }, SourceName::Archive { .. }) => {
            Some("name one behind the file: docker-archive:FILE:NAME".to_owned())
        }
        (OpenSourceError::Engine(_), SourceName::Engine { engine, .. }) => Some(match engine.program() {
            "ctr" => "what it has: ctr images list".to_owned(),
            program => format!("what it has: {program} images"),
        }),
        _ => None,
    };
    let failure = Failure::from(error);
    match (hint, io_kind(&failure.error)) {
        (Some(hint), _) => failure.hint(hint),
        (None, Some(ErrorKind::NotFound)) => {
            failure.hint("check the path; it is taken from the current directory")
        }
        (None, Some(ErrorKind::PermissionDenied)) => failure.hint("name a file that this user may read"),
        (None, _) => failure,
    }
}

/// A failure to deliver an image to a place on this machine, with the next step where one is known.
pub(crate) fn explain_delivery(error: DeliverError) -> Failure {
    let is_foreign = matches!(error, DeliverError::NotALayout(_) | DeliverError::Malformed { .. });
    let is_index = matches!(error, DeliverError::OneImage { .. });
    let failure = Failure::from(error);
    let hint = match io_kind(&failure.error) {
        Some(ErrorKind::BrokenPipe) => return Failure { kind: Kind::BrokenPipe, ..failure },
        Some(ErrorKind::NotFound) => "make the directory that it goes into first",
        Some(ErrorKind::PermissionDenied) => "name a place that this user may write to",
        Some(ErrorKind::IsADirectory) => "name a file in it, or write a layout: oci:DIR",
        Some(ErrorKind::NotADirectory) => "name a path whose parents are directories",
        None if is_index => "name one of its platforms: --platform linux/amd64",
        None if is_foreign => "name a new directory: oci:DIR writes nothing into a directory of other things",
        _ => return failure,
    };
    failure.hint(hint)
}
