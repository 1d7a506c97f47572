//! `floe rollback`: a tag names an earlier generation again.

use clap::Args;
use floe_destination::RecordedName;
use serde_json::json;

use crate::failure::{Failure, Outcome};
use crate::places::Places;
use crate::recorded;
use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  floe rollback app          app:latest is again what it was before its last build
  floe rollback app:1.0 3    app:1.0 is generation 3
  floe history app           which generations there are";

/// Let a tag name an earlier generation again
///
/// Nothing is built or removed. Without a number the tag goes back one step of its own way; again, and it goes back
/// another. The next build moves it on as ever.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// A recorded image, NAME[:TAG]
    #[arg(value_name = "IMAGE")]
    pub(crate) image: String,
    /// The generation's number [default: what the tag named before it last moved]
    #[arg(value_name = "GENERATION")]
    pub(crate) generation: Option<String>,
}

/// Moves the tag.
pub(crate) fn run(arguments: &Arguments, terminal: &Terminal) -> Outcome {
    let places = Places::find()?;
    let record = recorded::open(&places)?;
    let RecordedName::Tag(name) = recorded::parse(&arguments.image)? else {
        let failure = Failure::bad_usage(format!("'{}' is a generation: expected a tag", arguments.image));
        return Err(failure.hint("the generation stands apart: floe rollback app 3"));
    };
    let repository = name.repository();
    let number = match &arguments.generation {
        Some(number) => match recorded::parse(&format!("{repository}@{}", number.trim_start_matches('@')))? {
            RecordedName::Generation(_, number) => Some(number),
            RecordedName::Tag(_) => None,
        },
        None => None,
    };
    // A tag that is not there is said before anything waits for a lock.
    let from = recorded::resolve(&record, &RecordedName::Tag(name.clone()))?;
    let to = recorded::move_tag(&record.lock()?, &name, number)?.ok_or_else(|| match number {
        Some(number) => {
            let wanted = RecordedName::Generation(repository.clone(), number);
            match recorded::history(&record, &repository) {
                Ok(history) => recorded::unknown(&record, &wanted, &history),
                Err(failure) => failure,
            }
        }
        None => Failure::failed(format!(
            "{name} has nothing to go back to: expected an earlier build than {from}"
        ))
        .hint(format!("choose one by its number: floe history {repository}")),
    })?;
    if terminal.is_json() {
        return terminal.json(&json!({ "name": name.to_string(), "from": from, "generation": to }));
    }
    terminal.note(format!("{name} is {repository}@{to} now; it was {repository}@{from}"));
    Ok(())
}
