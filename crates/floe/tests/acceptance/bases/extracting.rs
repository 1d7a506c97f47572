//! `floe extract`: what GNU tar unpacks of the same layers, and nothing outside the directory.

use std::path::Path;

use floe_testkit::registry::in_process;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{debian, desk};
use crate::layout::Layout;
use crate::program::{Desk, answer, program, run, succeed, text};

/// Every file below a directory: path, kind, mode, owner, size of contents or target.
fn listing(directory: &Path) -> Vec<String> {
    let format = "%P %y %m %U %G %l %T@ %s\n";
    let found = answer(program("find", &[text(directory)]).args(["-mindepth", "1", "-printf", format]));
    // A directory's size is the file system's matter.
    let line = |line: &str| {
        if line.split(' ').nth(1) == Some("d") {
            line.rsplit_once(' ').map_or(line, |(rest, _)| rest).to_owned()
        } else {
            line.to_owned()
        }
    };
    let mut lines: Vec<String> = found.lines().map(line).collect();
    lines.sort();
    lines
}

#[test]
fn gives_what_tar_unpacks() {
    let desk = Desk::new();
    let layout = Layout::read(&debian());
    layout.unpack(&desk.path("expected"));
    let image = format!("oci:{}:1", debian().display());
    let keep = ["owners", "setuid", "devices", "xattrs"].map(|what| format!("--keep={what}"));
    succeed(desk.floe(&["extract", &image, "whole"]).args(&keep));
    let (expected, found) = (listing(&desk.path("expected")), listing(&desk.path("whole")));
    let differences: Vec<&String> = expected.iter().filter(|line| !found.contains(line)).take(5).collect();
    assert!(differences.is_empty() && expected.len() == found.len(), "{differences:?}");
    succeed(
        program("diff", &["-r", "--no-dereference", "-x", "dev"])
            .args([desk.text("expected"), desk.text("whole")]),
    );

    // By default nobody gets another one's rights, and no device is made.
    let said = succeed(&mut desk.floe(&["extract", &image, "plain"])).stderr;
    assert!(said.contains("device nodes left out"), "{said}");
    let privileged = ["-perm", "/6000", "-or", "-type", "b", "-or", "-type", "c"];
    assert_eq!(answer(program("find", &[&desk.text("plain")]).args(privileged)), "");
    // A link on the way is followed in the image, and a part is enough.
    succeed(&mut desk.floe(&["extract", &image, "/bin/sh", "one"]));
    assert!(desk.path("one/dash").is_file());
    let failed = run(&mut desk.floe(&["extract", &image, "/etc", "one"]), 1).stderr;
    assert!(failed.contains("is there already") && failed.contains("hint: "), "{failed}");
}

/// A tar with raw names, as no honest program writes it.
fn hostile_tar(entries: &[(&str, u8, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, kind, target) in entries {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o4777);
        header.set_entry_type(tar::EntryType::new(*kind));
        let content = if *kind == b'0' { target.as_bytes() } else { b"" };
        header.set_size(content.len() as u64);
        let raw = header.as_mut_bytes();
        raw[..name.len()].copy_from_slice(name.as_bytes());
        if *kind != b'0' {
            raw[157..157 + target.len()].copy_from_slice(target.as_bytes());
        }
        header.set_cksum();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

/// Writes a layout with one layer by hand.
fn write_layout(directory: &Path, layer: &[u8], diff_id: &str) {
    let blobs = directory.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).expect("folders");
    let put = |bytes: &[u8], media_type: &str| {
        let hex = hex(bytes);
        std::fs::write(blobs.join(&hex), bytes).expect("a blob");
        json!({ "mediaType": media_type, "digest": format!("sha256:{hex}"), "size": bytes.len() })
    };
    let config = json!({
        "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": [diff_id] },
    });
    let config = put(config.to_string().as_bytes(), "application/vnd.oci.image.config.v1+json");
    let layer = put(layer, "application/vnd.oci.image.layer.v1.tar+gzip");
    let manifest = json!({ "schemaVersion": 2, "config": config, "layers": [layer] });
    let mut manifest = put(manifest.to_string().as_bytes(), "application/vnd.oci.image.manifest.v1+json");
    manifest["annotations"] = json!({ "org.opencontainers.image.ref.name": "1" });
    let index = json!({ "schemaVersion": 2, "manifests": [manifest] });
    std::fs::write(directory.join("index.json"), index.to_string()).expect("a file");
    std::fs::write(directory.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("a file");
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_pulled_layer_cannot_write_outside() {
    let registry = in_process::Registry::start().unwrap_or_else(|error| panic!("{error}"));
    let desk = desk();
    desk.write("victim/passwd", "root");
    for (name, entries) in [
        ("dots", &[("../victim/passwd", b'0', "evil")][..]),
        ("link", &[("l", b'2', "../victim"), ("l/passwd", b'0', "evil"), ("../l", b'5', "")]),
        ("hard-link", &[("h", b'1', "../victim/passwd"), ("h", b'0', "evil")]),
        ("whiteout", &[("../victim/.wh.passwd", b'0', "")]),
    ] {
        let tar = hostile_tar(entries);
        write_layout(&desk.path(name), &tar, &format!("sha256:{}", hex(&tar)));
        super::locking::put(&desk, name, &format!("{}/{name}:1", registry.host()));
        let image = format!("docker://{}/{name}:1", registry.host());
        for words in
            [&["extract", &image, "out"][..], &["build", "./tool", "--base", &image, "--to", "oci:out"]]
        {
            let failed = run(&mut desk.floe(words), 1).stderr;
            assert!(failed.contains(" is malformed"), "{name}: {failed}");
            assert!(!desk.path("out").exists(), "{name}");
        }
        assert_eq!(
            std::fs::read_to_string(desk.path("victim/passwd")).expect("it is there"),
            "root",
            "{name}"
        );
    }
}

#[test]
fn bombs_and_lies_are_refused() {
    let desk = desk();
    // 4 GiB of zeros in 4 MiB of gzip members, each of 1 MiB.
    let zeros = desk.write("zeros", &"\0".repeat(1 << 20));
    let member = run(program("gzip", &["--best", "--stdout", "--no-name"]).arg(&zeros), 0).stdout;
    write_layout(
        &desk.path("bomb"),
        &member.repeat(4096),
        "sha256:0000000000000000000000000000000000000000000000000000000000000000",
    );
    let tar = hostile_tar(&[("file", b'0', "content")]);
    write_layout(
        &desk.path("lie"),
        &tar,
        "sha256:0000000000000000000000000000000000000000000000000000000000000000",
    );
    for (name, expected) in [("bomb", "the tar"), ("lie", "has the diff ID")] {
        let failed = run(&mut desk.floe(&["extract", &format!("oci:{name}"), "out"]), 1).stderr;
        assert!(failed.contains(expected), "{name}: {failed}");
        assert!(!desk.path("out").exists());
    }
    // A manifest of more than 4 MiB is not read.
    let large = format!("{{\"schemaVersion\":2,\"manifests\":[],\"x\":\"{}\"}}", "x".repeat(5 << 20));
    let index = json!({ "schemaVersion": 2, "manifests": [{
        "mediaType": "application/vnd.oci.image.index.v1+json", "digest": format!("sha256:{}", hex(large.as_bytes())),
        "size": large.len(),
    }] });
    write_layout(
        &desk.path("large"),
        &tar,
        "sha256:0000000000000000000000000000000000000000000000000000000000000000",
    );
    desk.write(&format!("large/blobs/sha256/{}", hex(large.as_bytes())), &large);
    desk.write("large/index.json", &index.to_string());
    let failed = run(&mut desk.floe(&["extract", "oci:large", "out"]), 1).stderr;
    assert!(failed.contains("expected at most 4194304"), "{failed}");
}
