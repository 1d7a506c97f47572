//! Removing: tags, generations, or what is old, each decided before anything is touched.

use std::collections::{BTreeMap, BTreeSet};

use floe_destination::{
    Generation, History, LockedRecord, Record, RecordError, RecordedName, RemoveGenerationError,
    RepositoryName,
};
use floe_store::{Store, StoreConfig, StorePath};

use super::find::{explain_history, history, read, unknown};
use super::{Recorded, Roots};
use crate::failure::{Failure, Outcome};
use crate::places::Places;

/// What is to be forgotten.
#[derive(Debug, Default)]
pub(crate) struct Removal {
    /// The names that a person gave, each once.
    pub(crate) named: Vec<RecordedName>,
    /// The generations that go, with those of the tags that go.
    pub(crate) generations: Vec<(RepositoryName, Generation)>,
    /// The histories as they are to be.
    histories: BTreeMap<RepositoryName, History>,
    /// Names whose history cannot be understood: they go whole.
    malformed: BTreeSet<RepositoryName>,
}

/// Looks up names and decides what goes with them, so that a misspelt one removes nothing.
pub(crate) fn plan_removal(record: &Record, names: Vec<RecordedName>) -> Outcome<Removal> {
    let mut removal = Removal::default();
    for name in names {
        let repository = name.repository();
        match record.history(&repository) {
            Ok(_) => removal.add(record, &name)?,
            Err(RecordError::Malformed { .. }) if matches!(name, RecordedName::Tag(_)) => {
                removal.malformed.insert(repository);
            }
            Err(error) => return Err(explain_history(error, &repository)),
        }
        removal.named.push(name);
    }
    Ok(removal)
}

impl Removal {
    /// Whether nothing goes.
    pub(crate) fn is_empty(&self) -> bool {
        self.histories.is_empty() && self.malformed.is_empty()
    }

    /// Decides that a generation goes which no tag names.
    pub(crate) fn add_generation(
        &mut self,
        record: &Record,
        name: &RepositoryName,
        number: Generation,
    ) -> Outcome {
        self.add(record, &RecordedName::Generation(name.clone(), number))
    }

    fn add(&mut self, record: &Record, name: &RecordedName) -> Outcome {
        let repository = name.repository();
        let mut changed = match self.histories.remove(&repository) {
            Some(history) => history,
            None => history(record, &repository)?,
        };
        let gone = match name {
            RecordedName::Tag(tagged) if changed.current(tagged.tag()).is_some() => {
                changed.remove_tag(tagged.tag())
            }
            RecordedName::Tag(_) => return Err(unknown(record, name, &changed)),
            RecordedName::Generation(_, number) => {
                changed.remove_generation(*number).map_err(|error| match error {
                    RemoveGenerationError::Unknown(_) => unknown(record, name, &changed),
                    RemoveGenerationError::InUse { ref tags, .. } => {
                        let tagged = format!("{repository}:{}", tags.first().map_or("", String::as_str));
                        Failure::from(anyhow::Error::new(error).context(format!("cannot remove {name}")))
                            .hint(format!("take the tag back first: floe rollback {tagged}"))
                            .hint(format!("or remove the tag with its generations: floe remove {tagged}"))
                    }
                })?;
                vec![*number]
            }
        };
        self.generations.extend(gone.into_iter().map(|number| (repository.clone(), number)));
        self.histories.insert(repository, changed);
        Ok(())
    }

    /// The bytes of store paths that only what goes holds: what Nix may collect, unless something else keeps it.
    pub(crate) fn store_size(&self, record: &Record) -> Outcome<u64> {
        let mut released: BTreeMap<StorePath, u64> = BTreeMap::new();
        let mut kept: BTreeSet<StorePath> = BTreeSet::new();
        for repository in record.names()? {
            let Ok(history) = record.history(&repository) else { continue };
            for (number, _) in history.generations() {
                // What cannot be read holds nothing that could be counted.
                let Ok(recorded) = read(record, &repository, number) else { continue };
                let paths = recorded.store_paths().map(|(path, size)| (path.clone(), size));
                if self.generations.contains(&(repository.clone(), number)) {
                    released.extend(paths);
                } else {
                    kept.extend(paths.map(|(path, _)| path));
                }
            }
        }
        Ok(released.iter().filter(|(path, _)| !kept.contains(*path)).map(|(_, size)| size).sum())
    }
}

/// Forgets what was decided. The histories change first: from then on what is left over is garbage for `floe gc`.
pub(crate) fn remove(places: &Places, record: &LockedRecord, removal: &Removal) -> Outcome {
    // A recipe that cannot be read names no store; its roots are then those of this machine's.
    let store = |recorded: Option<Recorded>| {
        recorded.map_or_else(|| Store::new(StoreConfig::default()), |recorded| recorded.store())
    };
    let gone = removal.generations.iter().map(|(name, number)| {
        let store = store(record.read(name, *number).ok().flatten());
        (name, *number, store)
    });
    let gone: Vec<_> = gone.collect();
    for (name, history) in &removal.histories {
        record.write_history(name, history)?;
    }
    for (name, number, store) in gone {
        record.remove(name, number)?;
        Roots::of(places, name, number).remove(places, &store)?;
    }
    for name in &removal.malformed {
        record.remove_name(name)?;
        for roots in Roots::all_of(places, name)? {
            roots.remove(places, &store(None))?;
        }
    }
    Ok(())
}
