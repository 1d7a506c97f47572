//! `floe images`: what is recorded.

use clap::Args;
use floe_image::image::Image;
use serde_json::json;

use crate::failure::Outcome;
use crate::places::Places;
use crate::recorded;
use crate::terminal::{Column, Table, Terminal, size};

const EXAMPLES: &str = "\
Examples:
  floe images                            name with generation, tag, digest, size, when
  floe images --json | jq -r .name       for machines: a line of JSON each";

/// List the recorded images
///
/// Each tag with the generation that it names; `floe history NAME` shows a name's other generations.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {}

/// Lists the images.
pub(crate) fn run(_arguments: &Arguments, terminal: &Terminal) -> Outcome {
    let places = Places::find()?;
    let mut table = Table::new([
        Column::Left("NAME"),
        Column::Left("TAG"),
        Column::Left("DIGEST"),
        Column::Left("PLATFORM"),
        Column::Right("LAYERS"),
        Column::Right("SIZE"),
        Column::Left("RECORDED"),
    ]);
    let record = recorded::open(&places)?;
    let names = recorded::names(&record)?;
    for (name, generation) in &names {
        let recorded = recorded::read(&record, &name.repository(), *generation)?;
        let digest = recorded.digest()?;
        let platforms: Vec<String> =
            recorded.images().map(|image| image.config.platform().to_string()).collect();
        let layers: usize = recorded.images().map(Image::layer_count).sum();
        if terminal.is_json() {
            terminal.json(&json!({
                "name": name.name(), "tag": name.tag(), "generation": generation, "digest": digest,
                "platform": platforms[0], "platforms": platforms, "layers": layers,
                "size": recorded.compressed_size(), "recorded": recorded.recorded,
            }))?;
            continue;
        }
        table.row([
            format!("{}@{generation}", name.name()),
            name.tag().to_owned(),
            digest.short(),
            platforms.join(", "),
            layers.to_string(),
            size(recorded.compressed_size()),
            recorded.recorded.strftime("%Y-%m-%d %H:%M").to_string(),
        ]);
    }
    if terminal.is_json() {
        return Ok(());
    }
    if names.is_empty() {
        terminal.note("no image is recorded; make one: floe build ./result");
        return Ok(());
    }
    terminal.table(&table)
}
