//! From root packages to the acyclic graph of everything they need.
//!
//! In: a release's packages, the roots' names, and versions to hold. Out: one version of each package, with the
//! packages it depends on. Debian allows cycles and Nix does not, so some edges within each strongly connected
//! component are cut. A component does not depend on where the walk began, so a package's dependencies are the
//! same whichever roots were asked for.

use std::collections::{BTreeMap, BTreeSet};

use super::dependency::Alternative;
use super::package_list::{Package, PackageList};

/// An error from choosing packages.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ResolutionError {
    /// A root, or a version that was asked for, is not in the release.
    #[error("the release has no package {name}{}", version.as_ref().map(|version| format!(" of version {version}")).unwrap_or_default())]
    UnknownPackage {
        /// The package's name.
        name: String,
        /// The version, when one was asked for.
        version: Option<String>,
    },
    /// No alternative of a dependency is in the release.
    #[error("{package} depends on {wanted}, which no package of the release fulfils")]
    Unfulfilled {
        /// The package that depends.
        package: String,
        /// The names of the alternatives.
        wanted: String,
    },
    /// Two packages need different versions of a third.
    #[error("{package} depends on {name}, but not in its version {version}, which another package needs")]
    Conflict {
        /// The package whose dependency came second.
        package: String,
        /// The package that both need.
        name: String,
        /// The version that was chosen first.
        version: String,
    },
}

/// A chosen package and what it depends on.
#[derive(Debug, Clone)]
pub(super) struct ResolvedPackage<'list> {
    /// The package in the version that was chosen.
    pub package: &'list Package,
    /// Names of packages of the same resolution, in the order of the package's fields.
    ///
    /// Invariant: no duplicates, and over the whole resolution no cycle.
    pub dependencies: Vec<String>,
}

/// Chooses everything that `roots` need, by name.
///
/// A package listed in `held` has the version given there; others have the newest version that fits the first
/// dependency that names them. An alternative is taken when it is the first that can be had, a real package before
/// one that provides its name.
///
/// # Errors
///
/// When a root or a dependency cannot be had, or two dependencies exclude one another.
pub(super) fn resolve<'list>(
    list: &'list PackageList,
    roots: &[&str],
    held: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, ResolvedPackage<'list>>, ResolutionError> {
    let mut walk = Walk { list, held, chosen: BTreeMap::new() };
    let mut waiting = Vec::new();
    for root in roots {
        let anything = Alternative { name: (*root).to_owned(), constraint: None };
        let Some(package) = walk.candidate(&anything) else {
            let version = held.get(*root).cloned();
            return Err(ResolutionError::UnknownPackage { name: (*root).to_owned(), version });
        };
        waiting.extend(walk.choose(package));
    }
    while let Some(package) = waiting.pop() {
        let mut dependencies: Vec<String> = Vec::new();
        for group in &package.depends {
            let dependency = walk.fulfil(package, group)?;
            waiting.extend(walk.choose(dependency));
            if dependency.name != package.name && !dependencies.contains(&dependency.name) {
                dependencies.push(dependency.name.clone());
            }
        }
        if let Some(resolved) = walk.chosen.get_mut(&package.name) {
            resolved.dependencies = dependencies;
        }
    }
    let mut chosen = walk.chosen;
    cut_cycles(&mut chosen);
    Ok(chosen)
}

/// Returns `root` and everything below it.
#[must_use]
pub(super) fn closure_of<'name>(
    resolution: &'name BTreeMap<String, ResolvedPackage<'_>>,
    roots: &[&'name str],
) -> BTreeSet<&'name str> {
    let mut closure = BTreeSet::new();
    let mut waiting = roots.to_vec();
    while let Some(name) = waiting.pop() {
        if let Some(resolved) = resolution.get(name)
            && closure.insert(name)
        {
            waiting.extend(resolved.dependencies.iter().map(String::as_str));
        }
    }
    closure
}

struct Walk<'list, 'held> {
    list: &'list PackageList,
    held: &'held BTreeMap<String, String>,
    chosen: BTreeMap<String, ResolvedPackage<'list>>,
}

impl<'list> Walk<'list, '_> {
    /// The package that fulfils one group of alternatives.
    fn fulfil(&self, package: &Package, group: &[Alternative]) -> Result<&'list Package, ResolutionError> {
        if let Some(found) = group.iter().find_map(|alternative| self.candidate(alternative)) {
            return Ok(found);
        }
        for alternative in group {
            if let Some(other) = self.chosen.get(&alternative.name) {
                return Err(ResolutionError::Conflict {
                    package: package.name.clone(),
                    name: alternative.name.clone(),
                    version: other.package.version.clone(),
                });
            }
        }
        let wanted =
            group.iter().map(|alternative| alternative.name.as_str()).collect::<Vec<_>>().join(" | ");
        Err(ResolutionError::Unfulfilled { package: package.name.clone(), wanted })
    }

    /// The real package of that name, or else the first that provides the name.
    fn candidate(&self, alternative: &Alternative) -> Option<&'list Package> {
        let real =
            self.available(&alternative.name).find(|package| alternative.accepts(Some(&package.version)));
        real.or_else(|| {
            let providers = self.list.providers(&alternative.name);
            providers.iter().flat_map(|provider| self.available(provider)).find(|package| {
                package.provides.iter().filter(|provided| provided.name == alternative.name).any(|provided| {
                    alternative.accepts(provided.constraint.as_ref().map(|(_, version)| version.as_str()))
                })
            })
        })
    }

    /// The versions that may still be taken: the chosen one, the held one, or all.
    fn available(&self, name: &str) -> impl Iterator<Item = &'list Package> {
        let chosen = self.chosen.get(name).map(|resolved| resolved.package.version.as_str());
        let only = chosen.or_else(|| self.held.get(name).map(String::as_str)).map(str::to_owned);
        self.list
            .versions(name)
            .iter()
            .filter(move |package| only.as_ref().is_none_or(|only| *only == package.version))
    }

    /// Takes a package; returns it when it was not taken before.
    fn choose(&mut self, package: &'list Package) -> Option<&'list Package> {
        if self.chosen.contains_key(&package.name) {
            return None;
        }
        self.chosen.insert(package.name.clone(), ResolvedPackage { package, dependencies: Vec::new() });
        Some(package)
    }
}

/// Makes the graph acyclic, component by component.
///
/// A program needs its libraries more than scripts and data need the program that reads them: first go the edges
/// from a package for all architectures to one that is built for this one (`node-acorn` → `nodejs`), and then,
/// in what is still cyclic, those that lead back to a package being visited.
fn cut_cycles(packages: &mut BTreeMap<String, ResolvedPackage<'_>>) {
    for component in components(packages) {
        let is_portable = |name: &String| packages[name].package.architecture == "all";
        let (portable, native): (BTreeSet<_>, BTreeSet<_>) = component.into_iter().partition(is_portable);
        for name in &portable {
            if let Some(resolved) = packages.get_mut(name) {
                resolved.dependencies.retain(|dependency| !native.contains(dependency));
            }
        }
    }
    for component in components(packages) {
        let mut visit = Visit { component: &component, finished: BTreeSet::new(), cut: Vec::new() };
        if let Some(first) = component.iter().next() {
            visit.descend(packages, first, &mut Vec::new());
        }
        for (name, dependency) in visit.cut {
            if let Some(resolved) = packages.get_mut(&name) {
                resolved.dependencies.retain(|other| *other != dependency);
            }
        }
    }
}

/// A walk through one strongly connected component: all of it can be reached from any of its members.
struct Visit<'component> {
    component: &'component BTreeSet<String>,
    finished: BTreeSet<String>,
    cut: Vec<(String, String)>,
}

impl Visit<'_> {
    fn descend(
        &mut self,
        packages: &BTreeMap<String, ResolvedPackage<'_>>,
        name: &str,
        path: &mut Vec<String>,
    ) {
        path.push(name.to_owned());
        for dependency in &packages[name].dependencies {
            if path.contains(dependency) {
                self.cut.push((name.to_owned(), dependency.clone()));
            } else if self.component.contains(dependency) && !self.finished.contains(dependency) {
                self.descend(packages, dependency, path);
            }
        }
        path.pop();
        self.finished.insert(name.to_owned());
    }
}

/// The strongly connected components with more than one member (Kosaraju's two walks, without recursion).
fn components(packages: &BTreeMap<String, ResolvedPackage<'_>>) -> Vec<BTreeSet<String>> {
    let mut finished = Vec::new();
    let mut seen = BTreeSet::new();
    for start in packages.keys() {
        let mut path: Vec<(&str, usize)> = Vec::new();
        if seen.insert(start.as_str()) {
            path.push((start, 0));
        }
        while let Some((name, next)) = path.last_mut() {
            if let Some(dependency) = packages[*name].dependencies.get(*next) {
                *next += 1;
                if seen.insert(dependency) {
                    path.push((dependency, 0));
                }
            } else {
                finished.push(*name);
                path.pop();
            }
        }
    }
    let mut dependents: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, resolved) in packages {
        for dependency in &resolved.dependencies {
            dependents.entry(dependency).or_default().push(name);
        }
    }
    let mut assigned: BTreeSet<&str> = BTreeSet::new();
    let mut components = Vec::new();
    for start in finished.into_iter().rev() {
        let mut component = BTreeSet::new();
        let mut waiting = vec![start];
        while let Some(name) = waiting.pop() {
            if assigned.insert(name) {
                component.insert(name.to_owned());
                waiting.extend(dependents.get(name).into_iter().flatten());
            }
        }
        if component.len() > 1 {
            components.push(component);
        }
    }
    components
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A release in short form: `name version: depends; provides` a line; a name in capitals is a native package.
    fn release(lines: &str) -> PackageList {
        let text: Vec<String> = lines
            .lines()
            .map(|line| {
                let (package, relationships) =
                    line.split_once(": ").unwrap_or((line.trim_end_matches(':'), ""));
                let (name, version) = package.trim().split_once(' ').expect("a test names a version");
                let (depends, provides) = relationships.split_once("; ").unwrap_or((relationships, ""));
                let architecture = if name == name.to_uppercase() { "amd64" } else { "all" };
                format!(
                    "Package: {name}\nVersion: {version}\nArchitecture: {architecture}\nSHA256: 00\n\
                     Depends: {depends}\nProvides: {provides}\n"
                )
            })
            .collect();
        PackageList::parse([text.join("\n").as_str()])
    }

    /// Resolves and writes `name=version(dependencies)` for each package.
    fn resolved(lines: &str, roots: &[&str], held: &[(&str, &str)]) -> String {
        let held = held.iter().map(|(name, version)| ((*name).to_owned(), (*version).to_owned())).collect();
        match resolve(&release(lines), roots, &held) {
            Ok(packages) => packages
                .values()
                .map(|resolved| {
                    let Package { name, version, .. } = resolved.package;
                    format!("{name}={version}({})", resolved.dependencies.join(","))
                })
                .collect::<Vec<_>>()
                .join(" "),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn walks_dependencies() {
        let check =
            |lines: &str, roots: &[&str], expected: &str| assert_eq!(resolved(lines, roots, &[]), expected);
        check("a 1: b, c\nb 1: c\nc 1:\nd 1:", &["a"], "a=1(b,c) b=1(c) c=1()");
        check("a 1: b:any\nb 1:", &["a"], "a=1(b) b=1()");
        check("a 1: b, b (>= 1)\nb 1:", &["a"], "a=1(b) b=1()");
        check("a 1: a", &["a"], "a=1()");
        check("a 1: missing | b\nb 1:", &["a"], "a=1(b) b=1()");
        check("a 1: b | c\nb 1:\nc 1:", &["a"], "a=1(b) b=1()");
        check("a 1: b (>= 2) | c\nb 1:\nc 1:", &["a"], "a=1(c) c=1()");
    }

    #[test]
    fn finds_providers_of_virtual_packages() {
        let check = |lines: &str, expected: &str| assert_eq!(resolved(lines, &["a"], &[]), expected);
        check("a 1: v\np 1: ; v\nb 1: ; v", "a=1(b) b=1()");
        check("a 1: v\nv 1:\nb 1: ; v", "a=1(v) v=1()");
        check("a 1: v (>= 2)\nb 1: ; v\nc 1: ; v (= 2)", "a=1(c) c=1()");
        check("a 1: v (>= 3)\nb 1: ; v (= 2)", "a depends on v, which no package of the release fulfils");
    }

    #[test]
    fn chooses_versions() {
        let lines = "a 1: b (= 1)\na 2: b (= 2)\nb 1:\nb 2:\nc 1: a, b (<< 2)";
        let check = |roots: &[&str], held: &[(&str, &str)], expected: &str| {
            assert_eq!(resolved(lines, roots, held), expected);
        };
        check(&["a"], &[], "a=2(b) b=2()");
        check(&["a"], &[("a", "1")], "a=1(b) b=1()");
        check(&["a"], &[("a", "3")], "the release has no package a of version 3");
        check(&["z"], &[], "the release has no package z");
        check(&["c", "a", "b"], &[], "c depends on b, but not in its version 2, which another package needs");
    }

    #[test]
    fn cuts_cycles_alike_from_every_root() {
        let lines = "libc 1: gcc\ngcc 1: base, libc\nbase 1:\nx 1: gcc\ny 1: libc";
        for root in ["gcc", "libc", "x", "y"] {
            let got = resolved(lines, &[root], &[]).replace(" x=1(gcc)", "").replace(" y=1(libc)", "");
            assert_eq!(got, "base=1() gcc=1(base,libc) libc=1()", "from {root}");
        }
        assert_eq!(resolved("a 1: b\nb 1: c, a\nc 1: a, b", &["c"], &[]), "a=1(b) b=1(c) c=1()");
        // Seen from the first name, LIB, the edge of NODE to its own library would lead back.
        let lines = "LIB 1: acorn\nNODE 1: LIB\nacorn 1: NODE";
        assert_eq!(resolved(lines, &["LIB"], &[]), "LIB=1(acorn) NODE=1(LIB) acorn=1()");
    }

    #[test]
    fn lists_what_is_below_some_roots() {
        let list = release("a 1: b\nb 1: c\nc 1:\nd 1: c");
        let resolution = resolve(&list, &["a", "d"], &BTreeMap::new()).expect("all packages are there");
        assert_eq!(Vec::from_iter(closure_of(&resolution, &["b"])), ["b", "c"]);
        assert_eq!(Vec::from_iter(closure_of(&resolution, &["a", "d"])), ["a", "b", "c", "d"]);
        assert!(closure_of(&resolution, &["z"]).is_empty());
    }
}
