//! The packages of a release, read from apt's `Packages` files.
//!
//! In: the text of the files. Out: every version of every package by name, and who provides a virtual name.
//! The format is Debian Policy 5.1 (control files); only the fields that a closure needs are kept.

use std::collections::BTreeMap;

use super::dependency::{Alternative, parse_relationships};
use super::version::compare_versions;

/// One version of one package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Package {
    /// Its name.
    pub name: String,
    /// The source package that it is built from, whose packages are updated together.
    pub source: String,
    /// Its Debian version.
    pub version: String,
    /// `all`, or the architecture that it was built for.
    pub architecture: String,
    /// The `.deb` file's SHA-256 in hexadecimal.
    pub sha256: String,
    /// `Pre-Depends` and then `Depends`.
    pub depends: Vec<Vec<Alternative>>,
    /// The virtual packages that it provides.
    pub provides: Vec<Alternative>,
    /// How basic it is, 0 for `required`; decides between providers.
    priority: usize,
}

/// All packages of a release.
#[derive(Debug, Default)]
pub(super) struct PackageList {
    /// Invariant: each list is sorted from the newest version to the oldest, without duplicates.
    versions: BTreeMap<String, Vec<Package>>,
    /// Invariant: each list of real names is sorted by priority, then by name.
    providers: BTreeMap<String, Vec<String>>,
}

impl PackageList {
    /// Reads the texts of `Packages` files; their order does not matter.
    pub(super) fn parse<'text>(texts: impl IntoIterator<Item = &'text str>) -> Self {
        let mut versions: BTreeMap<String, Vec<Package>> = BTreeMap::new();
        for stanza in texts.into_iter().flat_map(|text| text.split("\n\n")) {
            if let Some(package) = parse_stanza(stanza) {
                versions.entry(package.name.clone()).or_default().push(package);
            }
        }
        let mut providers: BTreeMap<String, Vec<(usize, String)>> = BTreeMap::new();
        for packages in versions.values_mut() {
            packages.sort_by(|left, right| compare_versions(&right.version, &left.version));
            packages.dedup_by(|later, earlier| later.version == earlier.version);
            for package in packages.iter() {
                for provided in &package.provides {
                    providers
                        .entry(provided.name.clone())
                        .or_default()
                        .push((package.priority, package.name.clone()));
                }
            }
        }
        let providers = providers
            .into_iter()
            .map(|(name, mut ranked)| {
                ranked.sort();
                ranked.dedup_by(|later, earlier| later.1 == earlier.1);
                (name, ranked.into_iter().map(|(_, provider)| provider).collect())
            })
            .collect();
        Self { versions, providers }
    }

    /// Returns the versions of a real package, the newest first.
    #[must_use]
    pub(super) fn versions(&self, name: &str) -> &[Package] {
        self.versions.get(name).map_or(&[], Vec::as_slice)
    }

    /// Returns the real packages that provide a name: the most basic first, then by name.
    #[must_use]
    pub(super) fn providers(&self, name: &str) -> &[String] {
        self.providers.get(name).map_or(&[], Vec::as_slice)
    }
}

/// The values of `Priority`, the most basic first (Debian Policy 2.5).
const PRIORITIES: [&str; 5] = ["required", "important", "standard", "optional", "extra"];

fn parse_stanza(stanza: &str) -> Option<Package> {
    let mut fields: BTreeMap<&str, &str> = BTreeMap::new();
    for line in stanza.lines().filter(|line| !line.starts_with(' ')) {
        if let Some((field, value)) = line.split_once(':') {
            fields.insert(field, value.trim());
        }
    }
    let text = |field: &str| fields.get(field).copied();
    let mut depends = parse_relationships(text("Pre-Depends").unwrap_or_default());
    depends.extend(parse_relationships(text("Depends").unwrap_or_default()));
    let priority = text("Priority").unwrap_or_default();
    let name = text("Package")?;
    // A source of another version has it in brackets behind its name.
    let source = text("Source").and_then(|source| source.split(' ').next()).unwrap_or(name);
    Some(Package {
        name: name.to_owned(),
        source: source.to_owned(),
        version: text("Version")?.to_owned(),
        architecture: text("Architecture")?.to_owned(),
        sha256: text("SHA256")?.to_owned(),
        depends,
        provides: parse_relationships(text("Provides").unwrap_or_default()).into_iter().flatten().collect(),
        priority: PRIORITIES.iter().position(|known| *known == priority).unwrap_or(PRIORITIES.len()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTS: [&str; 2] = [
        "Package: mawk\nVersion: 1.3\nArchitecture: amd64\nPriority: required\nSHA256: aa\nProvides: awk\n\n\
         Package: gawk\nVersion: 1:5.2\nArchitecture: amd64\nPriority: optional\nSHA256: bb\nProvides: awk\n\
         Depends: libc6 (>= 2.34)\nPre-Depends: dpkg\nDescription: a\n Package: not a field\n",
        "Package: mawk\nVersion: 1.4\nArchitecture: amd64\nPriority: required\nSHA256: cc\nProvides: awk\n\n\
         Package: broken\nVersion: 1\n\n",
    ];

    #[test]
    fn sorts_versions_across_lists() {
        for texts in [LISTS, [LISTS[1], LISTS[0]]] {
            let list = PackageList::parse(texts);
            let versions: Vec<&str> =
                list.versions("mawk").iter().map(|package| package.version.as_str()).collect();
            assert_eq!(versions, ["1.4", "1.3"]);
            assert_eq!(list.providers("awk"), ["mawk", "gawk"]);
            assert!(list.versions("broken").is_empty(), "a package without a digest cannot be fetched");
        }
    }

    #[test]
    fn puts_what_must_be_there_first_before_the_rest() {
        let list = PackageList::parse(LISTS);
        let names: Vec<&str> =
            list.versions("gawk")[0].depends.iter().map(|group| group[0].name.as_str()).collect();
        assert_eq!(names, ["dpkg", "libc6"]);
    }
}
