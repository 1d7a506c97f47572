//! Some tests need another process: one that is killed, or one that sees an engine's environment.
//!
//! The test binary starts itself with a role in its environment; [`plays_its_role`] is what then runs.

use std::env;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use floe_destination::engine::{self, RunRequest};
use floe_destination::{DestinationName, Documents, EngineKind, Manifests, Selection, SourceName};
use floe_image::oci::Platform;

use crate::image::{Compression, Image};

const ROLE: &str = "FLOE_TEST_ROLE";
const DESTINATION: &str = "FLOE_TEST_DESTINATION";
const NAME: &str = "FLOE_TEST_NAME";
const COMPRESSION: &str = "FLOE_TEST_COMPRESSION";
const ARGUMENTS: &str = "FLOE_TEST_ARGUMENTS";

/// What a child process does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    /// Delivers the busybox image to a destination, blobs unknown.
    DeliverCold,
    /// Delivers the busybox image to a destination, digests known.
    DeliverWarm,
    /// Delivers an index of busybox images.
    DeliverIndex,
    /// Writes a blob into the sink, says `written`, and waits to be killed.
    Stop,
    /// Opens the destination's text as a source, reads all of it, and says what it found.
    Read,
    /// Runs the image and writes what the container writes.
    Run,
    /// Says which engine is here, and whether it reads zstd.
    Detect,
}

/// A command that plays a role; its environment may be added to.
pub(crate) fn command(
    role: Role,
    destination: &str,
    name: Option<&str>,
    compression: Compression,
) -> Command {
    let mut command = Command::new(env::current_exe().expect("the test binary has a path"));
    command
        .args(["--exact", "roles::plays_its_role", "--nocapture", "--test-threads=1"])
        .env(ROLE, format!("{role:?}"))
        .env(DESTINATION, destination)
        .env(COMPRESSION, format!("{compression:?}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    name.map(|name| command.env(NAME, name));
    command
}

/// Gives arguments of a container.
pub(crate) fn with_arguments(command: &mut Command, arguments: &[&str]) {
    command.env(ARGUMENTS, arguments.join("\n"));
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok()
}

/// Does nothing in an ordinary test run: only a child has a role.
#[test]
fn plays_its_role() {
    let Some(role) = variable(ROLE) else { return };
    let destination = variable(DESTINATION).expect("a child has a destination");
    let name = variable(NAME);
    let compression = match variable(COMPRESSION).as_deref() {
        Some("Zstd") => Compression::Zstd,
        Some("Gzip") => Compression::Gzip,
        _ => Compression::None,
    };
    let say = |text: &str| {
        writeln!(io::stdout(), "\n{text}").and_then(|()| io::stdout().flush()).expect("standard output");
    };
    let open = || {
        let destination: DestinationName = destination.parse().expect("a destination");
        let spool: PathBuf = env::temp_dir();
        destination.open(Path::new(&spool)).expect("it opens").expect("it is no registry")
    };
    let image = || Image::busybox(compression, "a page\n");
    let describe = |error: &dyn std::error::Error| {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            text += &format!(": {error}");
            source = error.source();
        }
        text
    };
    let report = |result: Result<floe_destination::Delivered, floe_destination::DeliverError>| match result {
        Ok(delivered) => say(&format!("delivered {}", delivered.location)),
        Err(error) => say(&format!("failed {}", describe(&error))),
    };
    match role.as_str() {
        "DeliverCold" => report(image().deliver_cold(open(), name.as_deref())),
        "DeliverWarm" => report(image().deliver_warm(open(), name.as_deref())),
        "DeliverIndex" => report(crate::indexes::deliver(open())),
        "Stop" => {
            let destination = open();
            let mut writer = destination.sink().begin(None).expect("room");
            writer.write_all(&[7; 1 << 20]).and_then(|()| writer.flush()).expect("space");
            say("written");
            io::stdin().read_to_end(&mut Vec::new()).expect("standard input");
        }
        "Read" => match read(&destination) {
            Ok(text) => say(&text),
            Err(error) => say(&format!("failed {}", describe(error.as_ref()))),
        },
        "Run" => {
            let engine = EngineKind::ALL.into_iter().find(|engine| engine.name() == destination);
            let request = RunRequest {
                image: name.expect("an image"),
                image_entrypoint: vec!["/bin/busybox".to_owned()],
                args: variable(ARGUMENTS).iter().flat_map(|text| text.lines()).map(str::to_owned).collect(),
                remove: true,
                read_only: true,
                no_new_privileges: true,
                cap_drop: vec!["ALL".to_owned()],
                tmpfs: vec!["/tmp:size=1m".to_owned()],
                env: vec![("GREETING".to_owned(), "good day".to_owned())],
                engine_args: match engine {
                    Some(EngineKind::Containerd) | None => Vec::new(),
                    Some(_) => vec!["--network=none".to_owned()],
                },
                ..RunRequest::default()
            };
            match engine::run(engine.expect("an engine"), &request) {
                Ok(status) => say(&format!("ended with {status}")),
                Err(error) => say(&format!("failed {}", describe(&error))),
            }
        }
        "Detect" => {
            let found = engine::detect().map_or("none", EngineKind::name);
            let docker = engine::reads_zstd(EngineKind::Docker);
            say(&format!(
                "found {found}; docker {}",
                docker.map_or_else(|error| error.to_string(), |yes| yes.to_string())
            ));
        }
        other => panic!("there is no role {other}"),
    }
}

/// Reads every byte of a source; returns its digests.
fn read(text: &str) -> Result<String, Box<dyn std::error::Error>> {
    let name: SourceName = text.parse()?;
    let source = name.open(&env::temp_dir())?.expect("it is no registry");
    let manifests = Manifests::read(source.as_ref(), source.root(), &Selection::All)?;
    for blob in manifests.blobs()? {
        source.copy_to(&blob, &mut io::sink())?;
    }
    let image = Documents::read(source.as_ref(), source.root(), &Platform::new("linux", "amd64"))?;
    let called = source.name().map(ToString::to_string).unwrap_or_default();
    let (root, config) = (source.root().digest, image.manifest.config.digest);
    Ok(format!("read root {root}, config {config}, layers {}, {called}", image.manifest.layers.len()))
}
