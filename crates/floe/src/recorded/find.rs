//! Finding the recorded image that a person means.

use floe_destination::{
    Generation, History, ImageName, ParseRecordedNameError, Record, RecordError, RecordedName, RepositoryName,
};

use super::{Recorded, open};
use crate::failure::{Failure, Outcome};
use crate::flake::recipe_file;
use crate::places::Places;
use crate::suggestion;

/// How images are called.
pub(crate) const IMAGE_NAME_HINT: &str =
    "images are called such as app, team/app:1.0 or registry.example.com/team/app:1.0";

/// The image that a word stands for: a recorded name, or the path of a recipe file; without a word, the only one.
/// Returned with what it is called elsewhere.
pub(crate) fn find(places: &Places, word: Option<&str>) -> Outcome<(ImageName, Recorded)> {
    if let Some(path) = word.and_then(recipe_file::path_of_word) {
        let recipe = recipe_file::read(&path)?;
        recipe.keep_base(places)?;
        return Ok((recipe.name, recipe.recorded));
    }
    let record = open(places)?;
    let name = match word {
        Some(word) => parse(word)?,
        None => RecordedName::Tag(only(&record)?),
    };
    let number = resolve(&record, &name)?;
    Ok((name.image_name(), read(&record, &name.repository(), number)?))
}

/// Reads what a person calls a recorded image.
pub(crate) fn parse(text: &str) -> Outcome<RecordedName> {
    text.parse().map_err(|error: ParseRecordedNameError| {
        let hint = match &error {
            ParseRecordedNameError::Name(_) => IMAGE_NAME_HINT,
            ParseRecordedNameError::Number { .. } | ParseRecordedNameError::Both { .. } => {
                "`floe history NAME` lists a name's generations"
            }
        };
        Failure::usage(error).hint(hint)
    })
}

/// Whether a word stands for an image, as [`find`] takes it; a malformed one stands for none.
pub(crate) fn is_image(places: &Places, word: &str) -> Outcome<bool> {
    if recipe_file::path_of_word(word).is_some() {
        return Ok(true);
    }
    let Ok(name) = word.parse::<RecordedName>() else { return Ok(false) };
    let history = history(&open(places)?, &name.repository())?;
    Ok(match &name {
        RecordedName::Tag(name) => history.current(name.tag()).is_some(),
        RecordedName::Generation(_, number) => history.generation(*number).is_some(),
    })
}

/// The generation that a name stands for.
pub(crate) fn resolve(record: &Record, name: &RecordedName) -> Outcome<Generation> {
    let repository = name.repository();
    let history = history(record, &repository)?;
    let found = match name {
        RecordedName::Tag(name) => history.current(name.tag()),
        RecordedName::Generation(_, number) => history.generation(*number).map(|_| *number),
    };
    found.ok_or_else(|| unknown(record, name, &history))
}

/// The history of a name, empty when nothing is recorded under it.
pub(crate) fn history(record: &Record, name: &RepositoryName) -> Outcome<History> {
    record.history(name).map_err(|error| explain_history(error, name))
}

/// What to do about a history that cannot be understood.
pub(super) fn explain_history(error: RecordError, name: &RepositoryName) -> Failure {
    let is_malformed = matches!(error, RecordError::Malformed { .. } | RecordError::TooLarge { .. });
    let failure = Failure::from(error);
    if is_malformed {
        failure
            .hint(format!("forget the name with all its generations, and build it again: floe remove {name}"))
    } else {
        failure
    }
}

/// Reads a generation that its history names.
pub(crate) fn read(record: &Record, name: &RepositoryName, number: Generation) -> Outcome<Recorded> {
    let again = "build the image again";
    let recorded: Option<Recorded> =
        record.read(name, number).map_err(|error| Failure::from(error).hint(again))?;
    let recorded = recorded
        .ok_or_else(|| Failure::failed(format!("the recipe of {name}@{number} is gone")).hint(again))?;
    recorded.check_version(&format!("{name}@{number}"))?;
    Ok(recorded)
}

/// Every recorded name with its tag and generation, sorted.
pub(crate) fn names(record: &Record) -> Outcome<Vec<(ImageName, Generation)>> {
    let mut names = Vec::new();
    for repository in record.names()? {
        let history = history(record, &repository)?;
        names.extend(history.tags().filter_map(|(tag, number)| Some((repository.tagged(tag)?, number))));
    }
    Ok(names)
}

/// The only recorded image.
fn only(record: &Record) -> Outcome<ImageName> {
    let names = names(record)?;
    match names.as_slice() {
        [(only, _)] => Ok(only.clone()),
        [] => Err(Failure::bad_usage("no image is recorded").hint("make one: floe build ./result")),
        names => {
            let message = format!("{} images are recorded: expected the name of one", names.len());
            Err(Failure::bad_usage(message).hint(format!("name one of: {}", listed(names))))
        }
    }
}

fn listed(names: &[(ImageName, Generation)]) -> String {
    names.iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>().join(", ")
}

/// The failure of a name that is not recorded, with the nearest one that is.
pub(crate) fn unknown(record: &Record, name: &RecordedName, history: &History) -> Failure {
    let failure = Failure::failed(format!("no image '{name}' is recorded"));
    if matches!(name, RecordedName::Generation(..)) && !history.is_empty() {
        let numbers: Vec<String> = history.generations().map(|(number, _)| number.to_string()).collect();
        return failure.hint(format!("{} has the generations {}", name.repository(), numbers.join(", ")));
    }
    // A name that cannot be read is no suggestion; whoever asks for it is told.
    let names = names(record).unwrap_or_default();
    let texts: Vec<String> = names.iter().map(|(name, _)| name.to_string()).collect();
    match suggestion::nearest(&name.to_string(), texts.iter().map(String::as_str)) {
        Some(nearest) => failure.hint(format!("did you mean '{nearest}'?")),
        None if names.is_empty() => failure.hint("nothing is recorded yet: floe build ./result"),
        None => failure.hint(format!("recorded are: {}", listed(&names))),
    }
}
