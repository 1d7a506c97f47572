//! A small image that really runs: busybox and one page, in the archive form that every engine loads.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::Context as _;
use floe_testkit::service::program;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

/// The image's reference; the domain exists nowhere, so that nobody pulls it by accident.
pub(crate) const REFERENCE: &str = "floe.test/busybox:1";

/// The content of `/www/index.html`.
pub(crate) const PAGE: &str = "a page from busybox\n";

/// Writes a docker-archive with one layer: busybox and a page, run as user 1000.
pub(crate) fn write_archive(path: &Path) -> anyhow::Result<()> {
    let busybox = program::find("busybox")?;
    let busybox = fs::read(&busybox).with_context(|| busybox.display().to_string())?;

    let mut layer = Builder::new(Vec::new());
    for directory in ["bin/", "dev/", "etc/", "proc/", "sys/", "www/"] {
        append(&mut layer, directory, EntryType::Directory, 0o755, &[])?;
    }
    append(&mut layer, "bin/busybox", EntryType::Regular, 0o755, &busybox)?;
    append(&mut layer, "www/index.html", EntryType::Regular, 0o644, PAGE.as_bytes())?;
    let layer = layer.into_inner()?;

    let layer_digest = sha256(&layer);
    let config = json!({
        "architecture": "amd64",
        "os": "linux",
        "config": { "Entrypoint": ["/bin/busybox"], "User": "1000:1000" },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{layer_digest}")] },
    });
    let config = serde_json::to_vec(&config)?;
    let config_name = format!("{}.json", sha256(&config));
    let layer_name = format!("{layer_digest}.tar");
    let manifest = json!([{ "Config": config_name, "RepoTags": [REFERENCE], "Layers": [layer_name] }]);

    let mut archive = Builder::new(fs::File::create(path)?);
    append(&mut archive, "manifest.json", EntryType::Regular, 0o644, &serde_json::to_vec(&manifest)?)?;
    append(&mut archive, &config_name, EntryType::Regular, 0o644, &config)?;
    append(&mut archive, &layer_name, EntryType::Regular, 0o644, &layer)?;
    archive.into_inner()?.sync_all()?;
    Ok(())
}

fn append<W: Write>(
    tar: &mut Builder<W>,
    name: &str,
    kind: EntryType,
    mode: u32,
    content: &[u8],
) -> anyhow::Result<()> {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(content.len() as u64);
    tar.append_data(&mut header, name, content)?;
    Ok(())
}

/// The digest in hexadecimal digits.
pub(crate) fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}
