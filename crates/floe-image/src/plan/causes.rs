//! What makes a path change, and how often.
//!
//! In Nix a path changes exactly when its own source does or that of anything it needs. So the causes of a
//! path are those sources and, where versions were looked at ([`super::Frequencies`]), each step from one
//! version to the next in which the path did change. A layer changes when any cause of any of its paths
//! comes about, so causes are sets and what counts is the weight of a union.

use std::collections::BTreeMap;

use super::Frequencies;
use super::graph::ReferenceGraph;
use super::index_set::IndexSet;

/// How often the application changes for each time that one of the sources below it does.
pub(super) const APPLICATION_RATE: f64 = 64.0;

/// How many steps must be looked at until they count as much as what is expected without looking.
const EXPECTED_STEPS: u32 = 8;

/// Bits in a word of an [`IndexSet`].
const WORD_BITS: usize = u64::BITS as usize;

/// The causes of every path of a closure.
pub(super) struct Causes {
    /// The causes of each path, by the path's index.
    pub(super) of_path: Vec<IndexSet>,
    /// What a set of causes weighs.
    pub(super) rates: Rates,
}

/// How often causes come about, in changes of a single source of the runtime.
///
/// Causes of one kind lie side by side, each kind from a word of its own on: runtime, application, steps.
pub(super) struct Rates {
    /// The word that the application's sources begin with.
    application: usize,
    /// The word that the steps begin with.
    steps: usize,
    /// How many steps were looked at.
    step_count: u32,
}

impl Rates {
    /// How often any of the causes comes about.
    pub(super) fn of(&self, causes: &IndexSet) -> f64 {
        self.of_union(causes, causes)
    }

    /// How often any cause of either set comes about.
    pub(super) fn of_union(&self, left: &IndexSet, right: &IndexSet) -> f64 {
        let count = |from: usize, to: usize| {
            let words = left.words()[from..to].iter().zip(&right.words()[from..to]);
            words.map(|(left, right)| (left | right).count_ones()).sum::<u32>()
        };
        let runtime = f64::from(count(0, self.application));
        let application = f64::from(count(self.application, self.steps));
        let steps = f64::from(count(self.steps, left.words().len()));
        // What is expected and what was seen, as if both had been seen: Laplace's rule of succession.
        let expected = f64::from(EXPECTED_STEPS) * (runtime + APPLICATION_RATE * application);
        (expected + APPLICATION_RATE * steps) / f64::from(EXPECTED_STEPS + self.step_count)
    }
}

impl Causes {
    /// Finds the causes of a closure's paths, which come in canonical `order`.
    pub(super) fn new(
        graph: &ReferenceGraph<'_>,
        order: &[usize],
        application: &IndexSet,
        frequencies: &Frequencies,
    ) -> Self {
        let sources = sources(graph, order, application);
        let application_from = sources.runtime.next_multiple_of(WORD_BITS);
        let steps_from = application_from + sources.application.next_multiple_of(WORD_BITS);
        let limit = steps_from + frequencies.steps();

        let mut of_path = vec![IndexSet::new(limit); graph.paths.len()];
        for component in &graph.components {
            let mut causes = IndexSet::new(limit);
            for path in component {
                causes.insert(match sources.of_path[*path] {
                    Source::Runtime(number) => number,
                    Source::Application(number) => application_from + number,
                });
                for step in frequencies.changes(graph.package(*path)) {
                    causes.insert(steps_from + step);
                }
                for reference in &graph.references[*path] {
                    causes.union_with(&of_path[*reference]);
                }
            }
            for path in component {
                of_path[*path] = causes.clone();
            }
        }
        let rates = Rates {
            application: application_from / WORD_BITS,
            steps: steps_from / WORD_BITS,
            step_count: u32::try_from(frequencies.steps()).unwrap_or(u32::MAX - EXPECTED_STEPS),
        };
        Self { of_path, rates }
    }
}

/// What a path is made of, numbered within its kind.
#[derive(Clone, Copy)]
enum Source {
    Runtime(usize),
    Application(usize),
}

/// The source of each path, and how many there are of each kind.
struct Sources {
    of_path: Vec<Source>,
    runtime: usize,
    application: usize,
}

/// Outputs of one derivation share a source, and nothing else does: `openssl-3.0.13`, `openssl-3.0.13-bin`.
fn sources(graph: &ReferenceGraph<'_>, order: &[usize], application: &IndexSet) -> Sources {
    let mut first_paths = BTreeMap::new();
    let mut first_path = |path: &usize| {
        let package = graph.paths[*path].path.package();
        let version = without_output(package.version);
        // Without a version the name is too common to say anything: `source`, `config.json`.
        let namesake = if version.is_empty() { *path } else { usize::MAX };
        *first_paths.entry((package.name, version, namesake)).or_insert(*path)
    };
    let first_paths: Vec<(usize, usize)> = order.iter().map(|path| (*path, first_path(path))).collect();
    // A source that the application has a part in changes as often as the application.
    let mut often = IndexSet::new(graph.paths.len());
    for (path, first) in &first_paths {
        if application.contains(*path) {
            often.insert(*first);
        }
    }
    let mut sources =
        Sources { of_path: vec![Source::Runtime(0); graph.paths.len()], runtime: 0, application: 0 };
    for (path, first) in &first_paths {
        sources.of_path[*path] = if path != first {
            sources.of_path[*first]
        } else if often.contains(*first) {
            sources.application += 1;
            Source::Application(sources.application - 1)
        } else {
            sources.runtime += 1;
            Source::Runtime(sources.runtime - 1)
        };
    }
    sources
}

/// A version without the name of an output: `3.0.13` of `3.0.13-bin`, but all of `2.36-9`.
fn without_output(version: &str) -> &str {
    let output = version
        .bytes()
        .zip(version.bytes().skip(1))
        .position(|(dash, next)| dash == b'-' && next.is_ascii_alphabetic());
    output.map_or(version, |at| &version[..at])
}
