//! `floe inspect`: what an image is, layer by layer in packages.

use std::collections::BTreeMap;

use clap::Args;
use floe_destination::ImageName;
use floe_image::image::{BaseLayer, BlobOrigin, Image, ImageLayer};
use floe_image::layer::LayerContents;
use serde_json::{Value, json};

use crate::failure::Outcome;
use crate::places::Places;
use crate::recorded::{self, Recorded};
use crate::terminal::{Column, Table, Terminal, size};

const EXAMPLES: &str = "\
Examples:
  floe inspect app                       name, digest, platform, config, layers with their packages
  floe inspect ./result                  a recipe that `nix build` made
  floe inspect app --json | jq .config   the same for machines";

/// Show what images are: digest, platform, config, layers with their packages
///
/// Each is a recorded image or a recipe file. Nothing is packed or read from the store.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Recorded images, NAME[:TAG] or NAME@GENERATION, or recipe files; may be left out when only one is recorded
    #[arg(value_name = "IMAGE")]
    pub(crate) images: Vec<String>,
}

/// Shows the images.
pub(crate) fn run(arguments: &Arguments, terminal: &Terminal) -> Outcome {
    let places = Places::find()?;
    let words: Vec<Option<&str>> = match arguments.images.as_slice() {
        [] => vec![None],
        words => words.iter().map(|word| Some(word.as_str())).collect(),
    };
    let images = words.iter().map(|word| recorded::find(&places, *word)).collect::<Outcome<Vec<_>>>()?;
    for (index, (name, Recorded { image, .. })) in images.iter().enumerate() {
        if terminal.is_json() {
            terminal.json(&document(name, image))?;
            continue;
        }
        if index > 0 {
            terminal.line("")?;
        }
        show(name, image, terminal)?;
    }
    Ok(())
}

fn document(name: &ImageName, image: &Image) -> Value {
    let layer = |layer: &ImageLayer| {
        json!({
            "digest": layer.layer.descriptor.digest, "size": layer.layer.descriptor.size,
            "diff-id": layer.layer.diff_id, "reason": layer.reason,
            "nar-size": layer.contents.nar_size(), "store-paths": store_paths(layer),
        })
    };
    let base = |base: &BaseLayer| {
        json!({
            "digest": base.layer.descriptor.digest, "size": base.layer.descriptor.size,
            "diff-id": base.layer.diff_id, "origin": base.origin,
        })
    };
    json!({
        "name": name.name(), "tag": name.tag(), "digest": image.digest(),
        "platform": image.config.platform().to_string(), "created": image.config.created,
        "size": image.compressed_size(), "config": image.config.config, "annotations": image.annotations,
        "base": image.base.iter().map(base).collect::<Vec<_>>(),
        "layers": image.layers.iter().map(layer).collect::<Vec<_>>(),
    })
}

fn show(name: &ImageName, image: &Image, terminal: &Terminal) -> Outcome {
    let config = &image.config.config;
    let unpacked = image.layers.iter().map(|layer| layer.contents.nar_size()).sum();
    let layers = image.layer_count();
    let sizes = format!("{} in {layers} layers, {} unpacked", size(image.compressed_size()), size(unpacked));
    let list = |words: &Option<Vec<String>>| words.as_ref().map(|words| shell_words(words));
    let pairs = |pairs: &BTreeMap<String, String>| {
        pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
    };
    let joined = |words: Vec<String>| (!words.is_empty()).then(|| words.join(" "));
    terminal.line(name)?;
    for (title, value) in [
        ("digest", Some(image.digest().to_string())),
        ("platform", Some(image.config.platform().to_string())),
        ("created", image.config.created.clone()),
        ("size", Some(sizes)),
        ("user", config.user.clone()),
        ("entrypoint", list(&config.entrypoint)),
        ("cmd", list(&config.cmd)),
        ("workdir", config.working_dir.clone()),
        ("ports", joined(config.exposed_ports.keys().cloned().collect())),
        ("volumes", joined(config.volumes.keys().cloned().collect())),
        ("stop signal", config.stop_signal.clone()),
        ("healthcheck", config.healthcheck.as_ref().map(|check| shell_words(&check.test))),
    ] {
        if let Some(value) = value {
            terminal.line(format!("  {title:<13}{value}"))?;
        }
    }
    for (title, values) in [
        ("env", config.env.clone()),
        ("labels", pairs(&config.labels)),
        ("annotations", pairs(&image.annotations)),
    ] {
        for (index, value) in values.iter().enumerate() {
            terminal.line(format!("  {:<13}{value}", if index == 0 { title } else { "" }))?;
        }
    }
    terminal.line("")?;
    terminal.table(&layer_table(image))
}

fn layer_table(image: &Image) -> Table {
    let mut table = Table::new([
        Column::Right("LAYER"),
        Column::Right("SIZE"),
        Column::Right("UNPACKED"),
        Column::Left("RULE"),
        Column::Left("HOLDS"),
    ]);
    for (index, base) in image.base.iter().enumerate() {
        let from = match &base.origin {
            BlobOrigin::Registry(reference) => format!("{}/{}", reference.host(), reference.repository()),
            BlobOrigin::Kept => String::new(),
        };
        let size = size(base.layer.descriptor.size);
        table.row([(index + 1).to_string(), size, String::new(), "base".to_owned(), from]);
    }
    for (index, layer) in image.layers.iter().enumerate() {
        let packages =
            store_paths(layer).iter().filter_map(|path| path.get(HASH_AND_DASH..)).collect::<Vec<_>>();
        table.row([
            (image.base.len() + index + 1).to_string(),
            size(layer.layer.descriptor.size),
            size(layer.contents.nar_size()),
            layer.reason.clone(),
            packages.join(" "),
        ]);
    }
    table
}

/// The characters of a base name before the package's name.
const HASH_AND_DASH: usize = 33;

/// The base names of a layer's store paths; none for the root's layer.
fn store_paths(layer: &ImageLayer) -> Vec<&str> {
    match &layer.contents {
        LayerContents::StorePaths { paths, .. } => paths.iter().map(|entry| entry.path.as_str()).collect(),
        LayerContents::Root(_) | LayerContents::Entries { .. } => Vec::new(),
    }
}

/// Words as a shell would read them again.
fn shell_words(words: &[String]) -> String {
    let is_plain = |word: &str| {
        !word.is_empty()
            && word.chars().all(|letter| letter.is_alphanumeric() || "-_./:=@%+,".contains(letter))
    };
    let quoted = |word: &String| {
        if is_plain(word) { word.clone() } else { format!("'{}'", word.replace('\'', r"'\''")) }
    };
    words.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_what_a_shell_would_split() {
        let words = ["/bin/app", "--port=3000", "a b", "", "it's"].map(str::to_owned);
        assert_eq!(shell_words(&words), r"/bin/app --port=3000 'a b' '' 'it'\''s'");
    }
}
