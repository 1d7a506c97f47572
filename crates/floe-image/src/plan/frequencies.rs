//! How often packages change, learned from versions that were; plain text that is read, and committed, by people.
//!
//! ```text
//! # floe frequencies 1: each package, and the steps between versions in which it changed
//! steps 4
//! nodejs 3
//! server 1 2 3 4
//! ```
//!
//! The steps of each package are kept, not their number alone: what changed in the same steps changes together.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use floe_store::StorePath;

/// The first line of the text; what follows the colon is for people.
const TITLE: &str = "# floe frequencies 1: each package, and the steps between versions in which it changed";

/// The part of the first line that says what the text is.
const FORM: &str = "# floe frequencies 1";

/// The most steps that count; older ones say little about what comes.
const MOST_STEPS: usize = 256;

/// In which steps, from one version of an image to the next, each package changed.
///
/// Nothing is known by default. [`fmt::Display`] and [`FromStr`] write and read the text that
/// `floe plan --learn` keeps in a file; the same versions give the same text.
///
/// ```
/// use floe_image::plan::Frequencies;
///
/// let text = "# floe frequencies 1\nsteps 4\nnodejs 3\nserver 1 2 3 4\n";
/// let frequencies: Frequencies = text.parse()?;
/// assert_eq!(frequencies.steps(), 4);
/// # Ok::<(), floe_image::plan::ParseFrequenciesError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frequencies {
    steps: usize,
    /// The steps in which a package changed, counted from 0. Invariant: ascending, below `steps`, at least one.
    changes: BTreeMap<String, Vec<usize>>,
}

/// Why a text holds no frequencies.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseFrequenciesError {
    /// The text is something else, or of a later form.
    #[error("the first line is '{0}': expected '{FORM}'")]
    Title(String),
    /// The second line does not say how many steps there are.
    #[error("the second line is '{0}': expected 'steps' and a number up to {MOST_STEPS}")]
    Steps(String),
    /// A line does not name a package and its steps.
    #[error("line {line} is '{text}': expected a package and ascending steps from 1 to {steps}")]
    Line {
        /// The line's number, from 1.
        line: usize,
        /// The line.
        text: String,
        /// The last step.
        steps: usize,
    },
}

impl Frequencies {
    /// Looks at versions of an image, oldest first: at the store paths of each.
    ///
    /// A package changed in a step when both versions have it, from different store paths. Packages go by name,
    /// without version and hash. Of very many versions the last 257 count.
    #[must_use]
    pub fn learn(versions: &[BTreeSet<StorePath>]) -> Self {
        let versions = &versions[versions.len().saturating_sub(MOST_STEPS + 1)..];
        let by_package: Vec<BTreeMap<&str, Vec<&StorePath>>> = versions.iter().map(by_package).collect();
        let mut changes: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (step, pair) in by_package.windows(2).enumerate() {
            for (package, before) in &pair[0] {
                if pair[1].get(package).is_some_and(|after| after != before) {
                    changes.entry((*package).to_owned()).or_default().push(step);
                }
            }
        }
        Self { steps: versions.len().saturating_sub(1), changes }
    }

    /// How many steps were looked at.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// The steps in which a package changed, from 0, ascending.
    pub(super) fn changes(&self, package: &str) -> impl Iterator<Item = usize> {
        self.changes.get(package).into_iter().flatten().copied()
    }
}

fn by_package(version: &BTreeSet<StorePath>) -> BTreeMap<&str, Vec<&StorePath>> {
    let mut packages: BTreeMap<&str, Vec<&StorePath>> = BTreeMap::new();
    for path in version {
        packages.entry(path.package().name).or_default().push(path);
    }
    packages
}

impl fmt::Display for Frequencies {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{TITLE}\nsteps {}", self.steps)?;
        for (package, steps) in &self.changes {
            write!(formatter, "{package}")?;
            for step in steps {
                write!(formatter, " {}", step + 1)?;
            }
            writeln!(formatter)?;
        }
        Ok(())
    }
}

impl FromStr for Frequencies {
    type Err = ParseFrequenciesError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut lines = text.lines().enumerate();
        let mut next = || lines.next().map_or("", |(_, line)| line);
        let title = next();
        if title.strip_prefix(FORM).is_none_or(|rest| !rest.is_empty() && !rest.starts_with(':')) {
            return Err(ParseFrequenciesError::Title(title.to_owned()));
        }
        let count = next();
        let steps = count.strip_prefix("steps ").and_then(|steps| steps.parse().ok());
        let steps: usize = steps
            .filter(|steps| *steps <= MOST_STEPS)
            .ok_or_else(|| ParseFrequenciesError::Steps(count.to_owned()))?;
        let mut changes = BTreeMap::new();
        for (at, line) in lines {
            // People may leave gaps and remarks.
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let malformed = || ParseFrequenciesError::Line { line: at + 1, text: line.to_owned(), steps };
            let (package, changed) = changed(line, steps).ok_or_else(malformed)?;
            if changes.insert(package, changed).is_some() {
                return Err(malformed());
            }
        }
        Ok(Self { steps, changes })
    }
}

/// A package and its steps, counted from 0.
fn changed(line: &str, steps: usize) -> Option<(String, Vec<usize>)> {
    let mut words = line.split_whitespace();
    let package = words.next()?.to_owned();
    let step = |word: &str| word.parse::<usize>().ok()?.checked_sub(1).filter(|step| *step < steps);
    let changed = words.map(step).collect::<Option<Vec<usize>>>()?;
    let ascends = changed.windows(2).all(|pair| pair[0] < pair[1]);
    (ascends && !changed.is_empty()).then_some((package, changed))
}
