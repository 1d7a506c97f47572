//! The updates that a release has had: for each source package an older version that its lists still hold.
//!
//! In: the names of root packages. Out: what to hold (`PackageSetConfig::held`) to be back before an update. They are
//! real: the release as it came out beside its point releases and security updates.

use std::collections::BTreeMap;

use super::package_set::{PackageSet, PackageSetConfig, PackageSetError};

/// An update of one source package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// The source package.
    pub source: String,
    /// Its packages below the roots, with the version before.
    pub before: BTreeMap<String, String>,
}

/// Returns the updates that concern anything below the roots of a package set, by source package.
///
/// A source counts when all of its packages below the roots have an older version; of several the oldest is taken.
///
/// # Errors
///
/// Those of [`PackageSet::prepare`].
pub fn updates(config: PackageSetConfig) -> Result<Vec<Update>, PackageSetError> {
    let set = PackageSet::prepare(config)?;
    let resolution = set.resolution()?;
    let mut sources: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, resolved) in &resolution {
        sources.entry(&resolved.package.source).or_default().push(name);
    }
    let update = |(source, packages): (&str, Vec<&str>)| {
        let before = |name: &str| {
            let oldest = set.versions(name).last()?;
            (oldest != resolution[name].package.version).then(|| (name.to_owned(), oldest.to_owned()))
        };
        let before = packages.into_iter().map(before).collect::<Option<BTreeMap<_, _>>>()?;
        Some(Update { source: source.to_owned(), before })
    };
    Ok(sources.into_iter().filter_map(update).collect())
}
