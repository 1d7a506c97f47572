//! An image that a flake has made already: `floe build .#docker`, where `docker` is what floe's `buildImage` gives.
//!
//! Packing such an output into another image would be a mistake. Its recipe is taken instead: the output itself, or, for an
//! archive, the attribute `recipe` beside it. It is what it is, so only its name can be asked to be another.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use floe_destination::ImageName;
use floe_store::{Store, StorePath};

use crate::configuration::{Content, ImageOptions};
use crate::failure::{Failure, Outcome};
use crate::flake::recipe_file::{self, ARCHIVE_ENDING, RecipeFile};
use crate::gather::{Gathered, build_installable};
use crate::places::Places;
use crate::recorded::{OtherPlatform, Recorded};
use crate::terminal::Terminal;

/// Finds the image that the only content is, for each system that was asked for; `None` when it is none.
///
/// # Errors
/// When a recipe cannot be built or read, or more is asked of the image than a name.
pub(crate) fn find(
    places: &Places,
    gathered: &[Gathered],
    options: &ImageOptions,
    store: &Store,
    terminal: &Terminal,
) -> Outcome<Option<(ImageName, Recorded)>> {
    let mut made = Vec::new();
    for gathered in gathered {
        let Some(recipe) = recipe(gathered, options, store, terminal)? else { return Ok(None) };
        recipe.keep_base(places)?;
        made.push(recipe);
    }
    let mut made = made.into_iter();
    let Some(RecipeFile { name, recorded, .. }) = made.next() else { return Ok(None) };
    let asked = ImageOptions {
        name: options.name.clone(),
        tag: options.tag.clone(),
        contents: options.contents.clone(),
        systems: options.systems.clone(),
        ..ImageOptions::default()
    };
    if *options != asked {
        let failure = Failure::bad_usage(format!("{name} is made by a flake already"));
        return Err(failure.hint(
            "say in the flake's buildImage what the image is to be; here only --name and --tag count",
        ));
    }
    let (new_name, tag) = (options.name.as_deref().unwrap_or(name.name()), options.tag.as_deref());
    let name = format!("{new_name}:{}", tag.unwrap_or(name.tag())).parse().map_err(Failure::usage)?;
    let other = |RecipeFile { recorded: Recorded { image, roots, .. }, .. }| OtherPlatform {
        image,
        roots,
        added: BTreeMap::new(),
    };
    let Recorded { image, roots, .. } = recorded;
    Ok(Some((name, Recorded::new(image, roots, BTreeMap::new(), store).with(made.map(other).collect()))))
}

/// The recipe that is the only content, or beside the archive that is.
fn recipe(
    gathered: &Gathered,
    options: &ImageOptions,
    store: &Store,
    terminal: &Terminal,
) -> Outcome<Option<RecipeFile>> {
    let [root] = gathered.closure.roots() else { return Ok(None) };
    if !gathered.added.is_empty() || !gathered.root.is_empty() {
        return Ok(None);
    }
    let file = location(store, root);
    // What is not there is no recipe either: packing says which path is missing.
    if file.is_file()
        && let Some(recipe) = RecipeFile::read_if_recipe(&file)?
    {
        return Ok(Some(recipe));
    }
    if !root.name().ends_with(ARCHIVE_ENDING) {
        return Ok(None);
    }
    let Some([Content::Installable(text)]) = options.contents.as_deref() else {
        let message = format!("{} is an image's archive, not something to put into one", root.name());
        return Err(Failure::bad_usage(message).hint("name the flake's attribute: floe build .#docker"));
    };
    let built = build_installable(store, &recipe_attribute(text), gathered.system.as_ref(), terminal)?;
    let path = built.first().map(|path| location(store, path)).unwrap_or_default();
    recipe_file::read(&path).map(Some)
}

/// Where a store path's file is.
fn location(store: &Store, path: &StorePath) -> PathBuf {
    let full_path = store.store_dir().full_path(path);
    store.root().unwrap_or(Path::new("/")).join(full_path.trim_start_matches('/'))
}

/// The recipe beside an installable: `.#docker` has it as `.#docker.recipe`.
fn recipe_attribute(installable: &str) -> String {
    match installable.split_once('#') {
        None => format!("{installable}#default.recipe"),
        Some((flake, "")) => format!("{flake}#default.recipe"),
        Some((flake, attribute)) => {
            let attribute = attribute.split('^').next().unwrap_or(attribute);
            format!("{flake}#{attribute}.recipe")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_recipe_beside_an_image() {
        for (installable, expected) in [
            (".#docker", ".#docker.recipe"),
            (".#docker^out", ".#docker.recipe"),
            (".#", ".#default.recipe"),
            ("github:owner/app", "github:owner/app#default.recipe"),
        ] {
            assert_eq!(recipe_attribute(installable), expected);
        }
    }
}
