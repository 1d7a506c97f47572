//! A rule is why some paths share a layer: one short phrase for people, an object for programs.

use std::fmt;

use serde::Serialize;

/// Why paths share a layer.
///
/// Packages are named without their versions. [`fmt::Display`] gives a phrase such as
/// `changes with openssl (3 users)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Rule {
    /// What the image was asked for, and paths made for it alone: changes with every build of the application.
    Application,
    /// Each of the paths is, or needs, this package, and so changes when it does.
    ChangesWith {
        /// The most particular package that they have in common.
        package: String,
        /// How many of the layer's paths need it.
        users: usize,
    },
    /// Small paths that do not pay for a layer of their own.
    SmallPaths {
        /// The most particular package that needs them all, or `None` when only the application does.
        user: Option<String>,
    },
    /// Paths that one package needs; none of them depends on all that the others do.
    UsedBy {
        /// The most particular package that needs them all.
        package: String,
    },
    /// One path alone.
    Alone {
        /// Its NAR size, in bytes.
        nar_size: u64,
    },
    /// One path alone, since much of the closure needs it.
    Popular {
        /// Its place in the order of popularity; the first has 1.
        rank: usize,
        /// How many other paths need it.
        users: usize,
    },
    /// A large path, and what nothing but it needs.
    LargePath {
        /// The large path's package.
        package: String,
        /// The large path's NAR size, in bytes.
        nar_size: u64,
    },
    /// What several large paths need in common.
    SharedBy {
        /// The large paths' packages, sorted, each once.
        packages: Vec<String>,
    },
    /// What was left when the budget was spent.
    Remainder,
    /// Machines that have the previous image hold this layer, byte for byte.
    Kept {
        /// The layer's place among the previous image's layers of store paths, from 1.
        layer: usize,
        /// How many of its paths nothing needs any more: carrying them costs less than sending the rest again.
        carried: usize,
    },
    /// What the dominator tree of the references says that one package needs alone.
    Dominated {
        /// The package that every way to the others leads through.
        package: String,
    },
}

impl fmt::Display for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Application => formatter.write_str("application"),
            Self::ChangesWith { package, users } => {
                write!(formatter, "changes with {package} ({})", Count(*users, "user"))
            }
            Self::SmallPaths { user: Some(user) } => write!(formatter, "small paths used by {user}"),
            Self::SmallPaths { user: None } => formatter.write_str("small paths"),
            Self::UsedBy { package } => write!(formatter, "used by {package}"),
            Self::Alone { nar_size } => write!(formatter, "own layer: {}", Bytes(*nar_size)),
            Self::Popular { rank, users } => {
                write!(formatter, "number {rank} by popularity ({})", Count(*users, "user"))
            }
            Self::LargePath { package, nar_size } => {
                write!(formatter, "large path {package}: {}", Bytes(*nar_size))
            }
            Self::SharedBy { packages } => match packages.as_slice() {
                [] => formatter.write_str("shared"),
                [only] => write!(formatter, "used by {only}"),
                [first, second] => write!(formatter, "shared by {first} and {second}"),
                [first, second, rest @ ..] => {
                    write!(formatter, "shared by {first}, {second} and {} more", rest.len())
                }
            },
            Self::Remainder => formatter.write_str("remainder"),
            Self::Kept { layer, carried: 0 } => {
                write!(formatter, "kept: layer {layer} of the previous image")
            }
            Self::Kept { layer, carried } => {
                let carried = Count(*carried, "path");
                write!(
                    formatter,
                    "kept: layer {layer} of the previous image, with {carried} no longer needed"
                )
            }
            Self::Dominated { package } => write!(formatter, "needed by {package} alone"),
        }
    }
}

/// A number with its noun: `1 user`, `2 users`.
struct Count(usize, &'static str);

impl fmt::Display for Count {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(count, noun) = self;
        write!(formatter, "{count} {noun}{}", if *count == 1 { "" } else { "s" })
    }
}

/// A size as people read it, in powers of 1000: `950 B`, `1.5 kB`, `45 MB`.
struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = u128::from(self.0);
        let units = [("B", 1), ("kB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000)];
        // From 999.5 on, a unit would read 1000.
        let fits = |&&(_, unit): &&(&str, u128)| size * 10 < unit * 9_995;
        let (name, unit) = *units.iter().find(fits).unwrap_or(&units[3]);
        let tenths = (size * 10 + unit / 2) / unit;
        if tenths < 100 && tenths % 10 != 0 {
            write!(formatter, "{}.{} {name}", tenths / 10, tenths % 10)
        } else {
            write!(formatter, "{} {name}", (size + unit / 2) / unit)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rule: Rule, phrase: &str, json: &str) {
        assert_eq!(rule.to_string(), phrase);
        assert_eq!(serde_json::to_string(&rule).expect("a rule serialises"), json);
    }

    #[test]
    fn reads_as_a_phrase_and_as_json() {
        let package = || "openssl".to_owned();
        check(Rule::Application, "application", r#"{"kind":"application"}"#);
        check(
            Rule::ChangesWith { package: package(), users: 3 },
            "changes with openssl (3 users)",
            r#"{"kind":"changes-with","package":"openssl","users":3}"#,
        );
        check(
            Rule::SmallPaths { user: Some("nodejs".to_owned()) },
            "small paths used by nodejs",
            r#"{"kind":"small-paths","user":"nodejs"}"#,
        );
        check(Rule::SmallPaths { user: None }, "small paths", r#"{"kind":"small-paths","user":null}"#);
        check(
            Rule::UsedBy { package: package() },
            "used by openssl",
            r#"{"kind":"used-by","package":"openssl"}"#,
        );
        check(
            Rule::Alone { nar_size: 45_000_123 },
            "own layer: 45 MB",
            r#"{"kind":"alone","nar_size":45000123}"#,
        );
        check(
            Rule::Popular { rank: 2, users: 1 },
            "number 2 by popularity (1 user)",
            r#"{"kind":"popular","rank":2,"users":1}"#,
        );
        check(
            Rule::LargePath { package: package(), nar_size: 1_540 },
            "large path openssl: 1.5 kB",
            r#"{"kind":"large-path","package":"openssl","nar_size":1540}"#,
        );
        check(
            Rule::SharedBy { packages: ["a", "b", "c", "d"].map(str::to_owned).to_vec() },
            "shared by a, b and 2 more",
            r#"{"kind":"shared-by","packages":["a","b","c","d"]}"#,
        );
        check(Rule::Remainder, "remainder", r#"{"kind":"remainder"}"#);
        check(
            Rule::Kept { layer: 12, carried: 0 },
            "kept: layer 12 of the previous image",
            r#"{"kind":"kept","layer":12,"carried":0}"#,
        );
        check(
            Rule::Kept { layer: 1, carried: 2 },
            "kept: layer 1 of the previous image, with 2 paths no longer needed",
            r#"{"kind":"kept","layer":1,"carried":2}"#,
        );
        check(
            Rule::Dominated { package: package() },
            "needed by openssl alone",
            r#"{"kind":"dominated","package":"openssl"}"#,
        );
    }

    #[test]
    fn rounds_sizes_to_what_people_read() {
        for (size, expected) in [
            (0, "0 B"),
            (950, "950 B"),
            (1_000, "1 kB"),
            (1_540, "1.5 kB"),
            (9_960, "10 kB"),
            (999_499, "999 kB"),
            (999_960, "1 MB"),
            (u64::MAX, "18446744074 GB"),
        ] {
            assert_eq!(Bytes(size).to_string(), expected, "{size}");
        }
    }
}
