//! The relationships between packages, as `Depends` and `Provides` write them.
//!
//! Debian Policy 7.1: a comma separates what all must hold, a bar separates alternatives, a constraint on the
//! version stands in parentheses, an architecture after a colon.

use std::cmp::Ordering;

use super::version::compare_versions;

/// What must hold between a package's version and a constraint's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    /// `<<`
    Earlier,
    /// `<=`
    EarlierOrEqual,
    /// `=`
    Equal,
    /// `>=`
    LaterOrEqual,
    /// `>>`
    Later,
}

/// One alternative: a package's name and what its version must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Alternative {
    /// The name of a real or a virtual package.
    pub name: String,
    /// The constraint on its version.
    pub constraint: Option<(Relation, String)>,
}

impl Alternative {
    /// Says whether a package of this version fulfils the constraint.
    ///
    /// A virtual package without a version (`None`) fulfils only what asks for none (Debian Policy 7.5).
    #[must_use]
    pub(super) fn accepts(&self, version: Option<&str>) -> bool {
        let Some((relation, wanted)) = &self.constraint else { return true };
        let Some(version) = version else { return false };
        let order = compare_versions(version, wanted);
        match relation {
            Relation::Earlier => order == Ordering::Less,
            Relation::EarlierOrEqual => order != Ordering::Greater,
            Relation::Equal => order == Ordering::Equal,
            Relation::LaterOrEqual => order != Ordering::Less,
            Relation::Later => order == Ordering::Greater,
        }
    }
}

/// Parses a field such as `Depends`: all of the outer list, one of each inner list.
///
/// Order is kept. An empty field is an empty list; an architecture qualifier such as `:any` says nothing within
/// one architecture and is dropped. Fields come from lists that apt has verified, so a constraint that this
/// does not understand is a constraint left out.
#[must_use]
pub(super) fn parse_relationships(field: &str) -> Vec<Vec<Alternative>> {
    field
        .split(',')
        .map(|group| group.split('|').filter_map(parse_alternative).collect::<Vec<_>>())
        .filter(|group| !group.is_empty())
        .collect()
}

fn parse_alternative(text: &str) -> Option<Alternative> {
    let (name, constraint) = match text.split_once('(') {
        Some((name, rest)) => (name, parse_constraint(rest.trim_end().trim_end_matches(')'))),
        None => (text, None),
    };
    let name = name.split([':', '[', '<']).next().unwrap_or(name).trim();
    (!name.is_empty()).then(|| Alternative { name: name.to_owned(), constraint })
}

fn parse_constraint(text: &str) -> Option<(Relation, String)> {
    let text = text.trim();
    let (relation, version) = [
        ("<<", Relation::Earlier),
        ("<=", Relation::EarlierOrEqual),
        (">=", Relation::LaterOrEqual),
        (">>", Relation::Later),
        ("=", Relation::Equal),
    ]
    .into_iter()
    .find_map(|(sign, relation)| text.strip_prefix(sign).map(|version| (relation, version)))?;
    Some((relation, version.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes the parsed field back, one group a line.
    fn written(field: &str) -> String {
        let alternative = |alternative: &Alternative| match &alternative.constraint {
            Some((relation, version)) => format!("{} {relation:?} {version}", alternative.name),
            None => alternative.name.clone(),
        };
        let groups = parse_relationships(field);
        groups
            .iter()
            .map(|group| group.iter().map(alternative).collect::<Vec<_>>().join(" or "))
            .collect::<Vec<_>>()
            .join("; ")
    }

    #[test]
    fn reads_relationship_fields() {
        let check = |field: &str, expected: &str| assert_eq!(written(field), expected, "{field}");
        check("", "");
        check("libc6", "libc6");
        check("libc6 (>= 2.34), libnode108 (= 18.20.4)", "libc6 LaterOrEqual 2.34; libnode108 Equal 18.20.4");
        check("debconf (>= 0.5) | debconf-2.0", "debconf LaterOrEqual 0.5 or debconf-2.0");
        check("python3:any (>= 3.11~), perl:any", "python3 LaterOrEqual 3.11~; perl");
        check("a (<< 1), b (>> 1:2-3), c (<=4)", "a Earlier 1; b Later 1:2-3; c EarlierOrEqual 4");
        check("a,, b |", "a; b");
    }

    #[test]
    fn checks_versions_against_constraints() {
        let check = |text: &str, version: Option<&str>, expected: bool| {
            assert_eq!(parse_relationships(text)[0][0].accepts(version), expected, "{text} {version:?}");
        };
        check("a", None, true);
        check("a", Some("1"), true);
        check("a (>= 1)", None, false);
        check("a (>= 1)", Some("1"), true);
        check("a (>> 1)", Some("1"), false);
        check("a (<< 2~)", Some("2~rc1"), false);
        check("a (<< 2)", Some("2~rc1"), true);
        check("a (= 1-1)", Some("1-1+b1"), false);
        check("a (<= 1)", Some("1.0"), false);
    }
}
