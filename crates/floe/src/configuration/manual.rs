//! The manual page floe.toml(5), made from the table of keys.

use clap_mangen::roff::{Roff, bold, italic, roman};

use super::keys::{FILE_KEYS, HEALTHCHECK_KEYS, KEYS};
use super::reader::Key;

/// The page in roff; the same on every machine.
pub(crate) fn manual() -> String {
    let mut page = Roff::new();
    page.control("TH", ["floe.toml", "5"]);
    page.control("SH", ["NAME"]);
    page.text([roman("floe.toml - describes container images for floe(1)")]);
    page.control("SH", ["DESCRIPTION"]);
    page.text([roman(
        "A TOML file in the current directory or the nearest parent directory that has one. \
         Each table [image.NAME] describes an image that `floe build NAME` builds.",
    )]);
    section(&mut page, "KEYS OF [image.NAME]", KEYS);
    section(&mut page, "KEYS OF healthcheck", HEALTHCHECK_KEYS);
    section(&mut page, "KEYS OF files", FILE_KEYS);
    page.to_roff()
}

fn section<T>(page: &mut Roff, title: &str, keys: &[Key<T>]) {
    // The table's texts are Markdown, whose quotes of code a page does not need.
    let plain = |text: &str| text.replace('`', "");
    page.control("SH", [title]);
    for key in keys {
        page.control("TP", []);
        page.text([bold(key.name), roman(" ("), italic(key.form), roman(")")]);
        page.text([roman(format!("{}. Default: {}.", plain(key.summary), plain(key.default)))]);
    }
}
