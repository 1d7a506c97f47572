//! `floe derivation`: floe as the builder of a Nix derivation, which `nix/lib` writes.
//!
//! In come structured attributes (Nix manual, "Structured attributes"): what is asked of the image with the keys of
//! `floe.toml`, and the closure of its contents. Out goes an archive, a recipe, a program or a tree of links.
//! Nothing else is looked at: no network, no home, no clock, no memo, so that the same derivation gives the same bytes.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::{self, Read as _, Write};
use std::num::NonZeroUsize;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use floe_destination::{ArchiveDestination, ArchiveFormat, Destination, ImageName, SourceName};
use floe_image::image::{Image, compose};
use floe_image::layer::root_tree::RootEntry;
use floe_image::oci::{Descriptor, Platform};
use floe_image::{BlobError, BlobSink, BlobWriter};
use floe_store::read::structured_attrs;
use floe_store::{Closure, StorePath, system_of};
use serde::Deserialize;
use serde_json::Value;

use super::build::image_name;
use crate::arguments::{GlobalArguments, ProgressWhen, RegistryArguments};
use crate::base::Bases;
use crate::configuration::{Content, Created, ImageOptions, parse_entry};
use crate::failure::{Failure, Outcome};
use crate::flake::application::{self, Application};
use crate::flake::permissions::{self, Permission};
use crate::flake::recipe_file::RecipeFile;
use crate::gather::{Gathered, store};
use crate::places::Places;
use crate::recorded::Recorded;
use crate::settings::settings;
use crate::terminal::{Terminal, size};
use crate::workshop::{Known, Workshop, explain_compose};

/// The graph's name in the derivation.
const GRAPH: &str = "graph";

/// The largest file of attributes that is read; that of 100,000 store paths is a quarter of it.
const LARGEST_ATTRIBUTES: u64 = 256 << 20;

/// Make the output of the Nix derivation that this process builds
#[derive(Args, Clone, Debug)]
pub(crate) struct Arguments {}

/// The attributes that count here.
#[derive(Debug, Deserialize)]
struct Attributes {
    outputs: Outputs,
    floe: Order,
}

#[derive(Debug, Deserialize)]
struct Outputs {
    out: PathBuf,
}

/// What is ordered.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, tag = "form")]
enum Order {
    /// An archive that every engine loads.
    Archive(ImageOrder),
    /// The image's recipe alone.
    Recipe(ImageOrder),
    /// floe itself, as a package.
    Program {},
    /// Links from paths below the output to their targets.
    Links { links: BTreeMap<String, PathBuf> },
    /// A program that calls floe.
    Application {
        /// The store path of the floe that the program calls.
        floe: PathBuf,
        /// The program's name in `bin`; `None`: the output is the program itself.
        program: Option<String>,
        /// What it does.
        application: Application,
    },
}

/// What an image is to be.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct ImageOrder {
    /// The keys of `floe.toml`.
    image: Value,
    /// The system that the image is for, where its contents do not tell.
    system: String,
    /// Permissions of files that packages put into `/`.
    #[serde(default)]
    permissions: Vec<Permission>,
}

/// Makes the output.
pub(crate) fn run(_arguments: &Arguments) -> Outcome {
    // Nix gives its builders a terminal, but what it shows and keeps of them is lines.
    let plain = GlobalArguments { progress: ProgressWhen::Plain, ..GlobalArguments::default() };
    let terminal = &Terminal::new(&plain);
    let bytes = read_attributes()?;
    let attributes: Attributes =
        serde_json::from_slice(&bytes).context("cannot read the derivation's attributes")?;
    let out = attributes.outputs.out;
    match attributes.floe {
        Order::Archive(order) => {
            let site = Site::new(&order, &bytes, terminal)?;
            site.archive(&out, terminal)
        }
        Order::Recipe(order) => {
            let site = Site::new(&order, &bytes, terminal)?;
            site.recipe(&out, terminal)
        }
        Order::Program {} => install_itself(&out),
        Order::Links { links } => write_links(&out, &links),
        Order::Application { floe, program, application } => {
            let file = program.map_or_else(|| out.clone(), |program| out.join("bin").join(program));
            write_program(&file, &floe, &application)
        }
    }
}

/// The file `.attrs.json` of the build directory, else the one that Nix names.
///
/// Nix 2.8 names it by the path that it has outside of the sandbox: <https://github.com/NixOS/nix/issues/6736>.
fn read_attributes() -> Outcome<Vec<u8>> {
    let named = std::env::var_os("NIX_ATTRS_JSON_FILE").map(PathBuf::from);
    let beside = build_directory()?.join(".attrs.json");
    let path = named.filter(|_| !beside.exists()).unwrap_or(beside);
    let read = || -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(&path)?.take(LARGEST_ATTRIBUTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    Ok(read().with_context(|| format!("cannot read the derivation's attributes in {}", path.display()))?)
}

fn build_directory() -> Outcome<PathBuf> {
    std::env::var_os("NIX_BUILD_TOP").map(PathBuf::from).ok_or_else(|| {
        Failure::bad_usage(
            "this command is the builder of a Nix derivation: expected NIX_BUILD_TOP to be set",
        )
        .hint("write images into a flake with floe.lib.<system>.buildImage, or call `floe build`")
    })
}

/// Everything that an image is made from and with.
struct Site {
    options: ImageOptions,
    /// Files and folders of the image's own, for their permissions.
    owned: Vec<RootEntry>,
    gathered: Gathered,
    places: Places,
}

impl Site {
    fn new(order: &ImageOrder, attributes: &[u8], terminal: &Terminal) -> Outcome<Self> {
        let mut options = parse_entry("the derivation's image", &order.image)?;
        if let Some(base) =
            options.base.as_ref().filter(|base| matches!(base.source, SourceName::Registry(_)))
        {
            let message = format!("a derivation's image cannot be built upon {}", base.written);
            return Err(
                Failure::bad_usage(message).hint("a build asks no registry: name an archive in the store")
            );
        }
        let store = store(None);
        let closure = structured_attrs::parse(attributes, GRAPH, store.store_dir())?;
        terminal.detail(format!("{} store paths", closure.len()));
        let root = options.root.iter().flatten().map(|content| in_closure(content, &closure));
        let root = root.collect::<Outcome<Vec<StorePath>>>()?;
        let trees = store.trees();
        if options.platform.is_none() && system_of(&closure, &trees).is_none() {
            options.platform = Platform::from_system(&order.system);
        }
        // One second after 1970 began, as store paths have it: the builder has no environment to ask.
        options.created = options.created.or_else(|| Created::from_seconds(1));
        let owned = permissions::entries(&order.permissions, &closure, &trees)?;
        let top = build_directory()?;
        let gathered =
            Gathered { closure, trees, root, added: Default::default(), last_modified: None, system: None };
        Ok(Self {
            options,
            owned,
            gathered,
            places: Places { data: top.join("data"), cache: top.join("cache") },
        })
    }

    /// Packs the image into a sink.
    fn assemble(&self, terminal: &Terminal, sink: &dyn BlobSink) -> Outcome<(ImageName, Image)> {
        let workshop = self.workshop(terminal);
        let name = image_name(None, &self.options, &self.gathered)?;
        let mut settings = settings(&self.options, &self.gathered, &workshop.memo(), &(), None)?;
        // The base lies in the store as well: nothing is locked, and no registry is asked.
        let registries = RegistryArguments::default();
        let bases = Bases {
            places: &self.places,
            terminal,
            registries: &registries,
            remembers: false,
            may_lock: true,
        };
        settings.base = bases.of_image(&self.options, &settings.platform, None)?;
        settings.files.splice(0..0, self.owned.iter().cloned());
        let draft =
            compose(&self.gathered.closure, &settings, &self.gathered.trees).map_err(explain_compose)?;
        let image =
            workshop.assemble(draft, self.options.compression.unwrap_or_default(), &Known::NOTHING, sink)?;
        terminal.note(format!("{name}  {} in {} layers", size(image.compressed_size()), image.layer_count()));
        terminal.note(image.digest());
        Ok((name, image))
    }

    fn workshop<'a>(&'a self, terminal: &'a Terminal) -> Workshop<'a> {
        Workshop {
            trees: &self.gathered.trees,
            places: &self.places,
            terminal,
            threads: build_cores(),
            remembers: false,
        }
    }

    fn archive(&self, out: &Path, terminal: &Terminal) -> Outcome {
        let file = File::create_new(out).with_context(|| format!("cannot make {}", out.display()))?;
        let spool = self.places.make_spool()?;
        // Down a stream, since whatever else was written beside the output would lie in the store.
        let name = out.display().to_string();
        let archive = ArchiveDestination::stream(Box::new(file), &name, ArchiveFormat::Hybrid, &spool)?;
        let (name, image) = self.assemble(terminal, archive.sink())?;
        self.workshop(terminal).finish(&[&image], &name, vec![Box::new(archive)])?;
        Ok(())
    }

    fn recipe(&self, out: &Path, terminal: &Terminal) -> Outcome {
        let (name, image) = self.assemble(terminal, &Nowhere)?;
        let roots = self.gathered.closure.roots().to_vec();
        let base = self.options.base.as_ref().map(|base| base.written.clone());
        let recipe = RecipeFile::new(name, base, Recorded::of_derivation(image, roots, &store(None)));
        fs::write(out, recipe.to_bytes()?).with_context(|| format!("cannot write {}", out.display()))?;
        Ok(())
    }
}

/// The store path of a content; Nix has brought all of them into the graph.
fn in_closure(content: &Content, closure: &Closure) -> Outcome<StorePath> {
    let store_dir = closure.store_dir();
    let path = store_dir.parse(&content.to_string()).map_err(|error| {
        Failure::usage(error)
            .hint("name packages in `contents` and `root`, such as pkgs.hello, not files in them")
    })?;
    if closure.info(&path).is_none() {
        let message = format!("{} is not among the derivation's graph", store_dir.full_path(&path));
        return Err(Failure::failed(message)
            .hint("write the package itself into the list, not its path as a plain string"));
    }
    Ok(path)
}

/// The threads that Nix allows this build; `None`, for all processors, when it says 0.
fn build_cores() -> Option<NonZeroUsize> {
    std::env::var("NIX_BUILD_CORES").ok()?.parse().ok()
}

/// A sink that takes everything and keeps nothing: a recipe needs the digests alone.
struct Nowhere;

impl BlobSink for Nowhere {
    fn holds(&self, _blob: &Descriptor) -> Result<bool, BlobError> {
        Ok(false)
    }

    fn begin(&self, _known: Option<&Descriptor>) -> Result<Box<dyn BlobWriter + '_>, BlobError> {
        Ok(Box::new(Self))
    }
}

impl Write for Nowhere {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl BlobWriter for Nowhere {
    fn commit(self: Box<Self>, _blob: &Descriptor) -> Result<(), BlobError> {
        Ok(())
    }
}

/// Copies this program to `bin/floe`.
fn install_itself(out: &Path) -> Outcome {
    let copy = out.join("bin/floe");
    make_parent(&copy)?;
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    fs::copy(&program, &copy).with_context(|| format!("cannot copy {}", program.display()))?;
    Ok(())
}

/// Makes a tree of symbolic links.
fn write_links(out: &Path, links: &BTreeMap<String, PathBuf>) -> Outcome {
    fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    for (path, target) in links {
        let link = out.join(path);
        make_parent(&link)?;
        symlink(target, &link).with_context(|| format!("cannot make {}", link.display()))?;
    }
    Ok(())
}

/// Writes a script whose interpreter is floe itself: there is no shell in its closure.
fn write_program(file: &Path, floe: &Path, application: &Application) -> Outcome {
    make_parent(file)?;
    let document = serde_json::to_string(application)?;
    let text = format!("#!{} {}\n{document}\n", floe.display(), application::INTERPRETER_WORD);
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    fs::set_permissions(file, Permissions::from_mode(0o755))
        .with_context(|| format!("cannot make {} executable", file.display()))?;
    Ok(())
}

fn make_parent(path: &Path) -> Outcome {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    Ok(())
}
