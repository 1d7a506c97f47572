//! Looking at an image where it is: what `digest`, `manifest` and `config` share. Only documents are read.

use clap::Args;
use floe_destination::{
    ImageSource, ManifestDocument, Manifests, ParsedManifest, Selection, SourceName, read_bytes,
};
use floe_image::oci::{Platform, Reference};

use crate::arguments::{RegistryArguments, this_machine};
use crate::failure::{Failure, Outcome};
use crate::places::Places;
use crate::recorded;
use crate::terminal::Terminal;
use crate::transports::{Transports, parse_source, references};

/// What an image's documents are asked for with.
#[derive(Args, Clone, Debug)]
pub(crate) struct LookArguments {
    /// The image: a recorded one, HOST/REPOSITORY[:TAG][@DIGEST], or any place that `floe copy --help` lists
    #[arg(value_name = "IMAGE")]
    pub(crate) image: String,
    /// The image of an index for this platform, such as linux/arm64
    #[arg(long, value_name = "OS/ARCHITECTURE")]
    pub(crate) platform: Option<Platform>,
    #[command(flatten)]
    pub(crate) registries: RegistryArguments,
}

impl LookArguments {
    /// The place that is meant: a registry needs no `docker://` where a host begins the name and nothing that is recorded
    /// has it.
    pub(crate) fn name(&self, places: &Places) -> Outcome<SourceName> {
        let source = parse_source(&self.image);
        let reference =
            self.image.parse().ok().filter(|reference: &Reference| self.image.starts_with(reference.host()));
        match (&source, reference) {
            (Ok(SourceName::Recorded(_)) | Err(_), Some(reference))
                if !recorded::is_image(places, &self.image)? =>
            {
                Ok(SourceName::Registry(reference))
            }
            _ => source,
        }
    }

    /// Reads the manifest or index that the name stands for, or the platform's manifest.
    pub(crate) fn manifest(&self, terminal: &Terminal) -> Outcome<ManifestDocument> {
        self.look(terminal, |source, transports| {
            let Some(platform) = self.platform.clone() else {
                let bytes =
                    read_bytes(source, source.root()).map_err(|error| transports.explain_documents(error))?;
                return Ok(ManifestDocument::new(source.root().media_type.clone(), bytes));
            };
            Ok(self.one(source, transports, platform)?.top().clone())
        })
    }

    /// Reads the config of the platform's image; of this machine's platform where none was named.
    pub(crate) fn config(&self, terminal: &Terminal) -> Outcome<Vec<u8>> {
        self.look(terminal, |source, transports| {
            let platform = self.platform.clone().unwrap_or_else(this_machine);
            let image = self.one(source, transports, platform)?;
            match image.top().parse()? {
                ParsedManifest::Manifest(manifest) => {
                    read_bytes(source, &manifest.config).map_err(|error| transports.explain_documents(error))
                }
                ParsedManifest::Index(_) => {
                    Err(Failure::failed(format!("{} is an index of indexes alone", self.image)))
                }
            }
        })
    }

    fn one(
        &self,
        source: &dyn ImageSource,
        transports: &Transports<'_>,
        platform: Platform,
    ) -> Outcome<Manifests> {
        Manifests::read(source, source.root(), &Selection::Platform(platform))
            .map_err(|error| transports.explain_documents(error))
    }

    fn look<T>(
        &self,
        terminal: &Terminal,
        read: impl FnOnce(&dyn ImageSource, &Transports<'_>) -> Outcome<T>,
    ) -> Outcome<T> {
        let places = Places::find()?;
        let name = self.name(&places)?;
        let transports = Transports::new(&places, terminal, &self.registries, references([&name], []));
        read(transports.source(&name)?.as_ref(), &transports)
    }
}
