//! Images built upon others: a Debian, busybox on nothing, a root without programs.

mod building;
mod extracting;
mod locking;
mod mistakes;
mod platforms;
mod pushing;

use std::path::PathBuf;

use floe_testkit::base;
use serde_json::Value;

use crate::layout::Layout;
use crate::program::{Desk, succeed};

/// A desk with the small bases as the layouts `busybox` and `distroless`, and a folder `tool` with a program
/// `id`, which is busybox and runs without any library.
fn desk() -> Desk {
    let desk = Desk::new();
    std::fs::create_dir_all(desk.path("tool/bin")).expect("folders");
    let busybox = floe_testkit::service::program::find("busybox").unwrap_or_else(|error| panic!("{error}"));
    std::fs::copy(busybox, desk.path("tool/bin/id")).expect("a program");
    base::busybox(&desk.path("busybox")).unwrap_or_else(|error| panic!("{error}"));
    base::distroless(&desk.path("distroless")).unwrap_or_else(|error| panic!("{error}"));
    desk
}

/// The layout of the Debian, which lies in the cache.
fn debian() -> PathBuf {
    base::debian().unwrap_or_else(|error| panic!("{error}"))
}

/// Builds with `--json` and returns the digest.
fn build(desk: &Desk, words: &[&str]) -> String {
    let written = succeed(desk.floe(&["build", "--json"]).args(words));
    let result: Value = serde_json::from_slice(&written.stdout).expect("JSON");
    result["digest"].as_str().expect("a digest").to_owned()
}

/// The image of a layout begins with the layers of a base, byte for byte, and its config goes on where the base's ends.
fn check_layers_are_the_bases(image: &Layout, base: &Layout) {
    let count = base.layers().len();
    for (layer, of_base) in image.layers().iter().zip(base.layers()) {
        assert_eq!(layer["digest"], of_base["digest"]);
        assert_eq!(layer["size"], of_base["size"]);
        assert_eq!(layer["mediaType"], "application/vnd.oci.image.layer.v1.tar+gzip");
        let [bytes, of_base] =
            [image.blob(layer), base.blob(of_base)].map(|path| std::fs::read(path).expect("a blob"));
        assert!(bytes == of_base, "the bytes differ");
    }
    let diff_ids = |layout: &Layout| layout.config["rootfs"]["diff_ids"].as_array().expect("a list").clone();
    assert_eq!(diff_ids(image)[..count], diff_ids(base)[..]);
    let history = |layout: &Layout| layout.config["history"].as_array().cloned().unwrap_or_default();
    let lines = history(base).len();
    assert_eq!(history(image)[..lines], history(base)[..]);
    let of_layers = history(image).iter().filter(|line| line["empty_layer"] != true).count();
    assert_eq!(of_layers, image.layers().len(), "a line for each layer");
}
