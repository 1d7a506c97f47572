//! The figures' place in `docs/layering.md`: between two marks, the rest is written by hand.

use std::fmt::Write as _;
use std::fs;

use anyhow::{Context as _, Result};

use super::figures::{Figure, Fleet, Row};
use super::planner::Planner;
use crate::steps::workspace;
use crate::terminal::say;

const BEGIN: &str = "<!-- figures of `cargo xtask bench layers` -->\n";
const END: &str = "<!-- end of figures -->\n";

/// Puts the figures into the page, and shows them.
pub(super) fn write(rows: &[Row], fleets: &[Fleet], speed: &str) -> Result<()> {
    let figures = figures(rows, fleets, speed)?;
    say(&figures);
    let page = workspace().join("docs/layering.md");
    let text = fs::read_to_string(&page).with_context(|| format!("cannot read {}", page.display()))?;
    let (before, rest) =
        text.split_once(BEGIN).with_context(|| format!("no '{}' in the page", BEGIN.trim()))?;
    let (_, after) = rest.split_once(END).with_context(|| format!("no '{}' in the page", END.trim()))?;
    fs::write(&page, format!("{before}{BEGIN}{figures}{END}{after}"))
        .with_context(|| format!("cannot write {}", page.display()))
}

fn figures(rows: &[Row], fleets: &[Fleet], speed: &str) -> Result<String> {
    let mut text = String::new();
    let planners: Vec<&str> = Planner::ALL.iter().map(|planner| planner.name()).collect();
    writeln!(text, "\n### Update ratio, 100 layers\n")?;
    writeln!(text, "| update | paths | steps | changed | {} |", planners.join(" | "))?;
    writeln!(text, "|---|---:|---:|---:|{}", "---:|".repeat(planners.len()))?;
    for row in rows {
        let figure = |figure: Option<Figure>| match figure {
            None => "–".to_owned(),
            Some(Figure::Ratio(ratio)) if ratio < 100.0 => format!("{ratio:.3}"),
            Some(Figure::Ratio(ratio)) => format!("{ratio:.0}"),
            Some(Figure::Moved(bytes)) => megabytes(bytes),
        };
        let figures: Vec<String> = row.figures().map(figure).collect();
        let (paths, steps) = (row.paths.to_string(), row.steps.to_string());
        let cells = [row.name.clone(), paths, steps, megabytes(row.changed), figures.join(" | ")];
        writeln!(text, "| {} |", cells.join(" | "))?;
    }
    writeln!(text, "\n### Layers of the last version\n")?;
    writeln!(text, "| update | {} |", planners.join(" | "))?;
    writeln!(text, "|---|{}", "---:|".repeat(planners.len()))?;
    for row in rows {
        let layers: Vec<String> = row.layers.iter().map(ToString::to_string).collect();
        writeln!(text, "| {} | {} |", row.name, layers.join(" | "))?;
    }
    writeln!(text, "\n### Sharing\n")?;
    writeln!(text, "| fleet | images | layers | {} | a layer each |", planners.join(" | "))?;
    writeln!(text, "|---|---:|---:|{}---:|", "---:|".repeat(planners.len()))?;
    for fleet in fleets {
        let sharing: Vec<String> = fleet.sharing.iter().map(|sharing| percent(*sharing)).collect();
        let (images, budget) = (fleet.images.to_string(), fleet.budget.to_string());
        let cells = [fleet.name.clone(), images, budget, sharing.join(" | "), percent(fleet.best)];
        writeln!(text, "| {} |", cells.join(" | "))?;
    }
    writeln!(text, "\n### Time to plan 5,000 paths\n\n```text\n{speed}\n```\n")?;
    Ok(text)
}

fn megabytes(bytes: u64) -> String {
    match bytes {
        0..100_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

fn percent(part: f64) -> String {
    format!("{:.1} %", part * 100.0)
}
