//! Each variable's value and where it comes from; and what is wrong, all of it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::requirement::Requirement;
use super::{secret_file, variable_file};

/// What the environment is made of.
pub(super) struct Sources {
    pub(super) process: BTreeMap<OsString, OsString>,
    /// In order of precedence: a later file does not change what an earlier one says.
    pub(super) files: Vec<PathBuf>,
    /// The image's defaults, for what nothing else says.
    pub(super) defaults: Option<PathBuf>,
    pub(super) requirements: Vec<Requirement>,
    /// Further variables that may come from `<NAME>_FILE`.
    pub(super) secrets: Vec<String>,
}

/// The environment of the program.
#[derive(Debug)]
pub(crate) struct Environment {
    /// All variables that the program gets.
    pub(crate) variables: BTreeMap<OsString, OsString>,
    /// How many requirements were met.
    pub(super) met: usize,
}

/// Something wrong with one variable or file, as one line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem(pub(super) String);

/// Puts the environment together, or tells every problem.
pub(super) fn resolve(sources: &Sources) -> Result<Environment, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut variables = sources.process.clone();
    let mut origins: BTreeMap<OsString, String> = BTreeMap::new();
    take_secrets(sources, &mut variables, &mut origins, &mut problems);
    for file in sources.files.iter().chain(&sources.defaults) {
        take_file(file, &mut variables, &mut origins, &mut problems);
    }
    let unmet = sources.requirements.iter().filter_map(|requirement| {
        let name: OsString = requirement.name.clone().into();
        // What is wrong with its own file is said already.
        let is_said =
            problems.iter().any(|Problem(line)| line.starts_with(&format!("{}: ", requirement.name)));
        if is_said { None } else { unmet(requirement, variables.get(&name), origins.get(&name)) }
    });
    let unmet: Vec<Problem> = unmet.collect();
    problems.extend(unmet);
    if problems.is_empty() {
        return Ok(Environment { variables, met: sources.requirements.len() });
    }
    Err(problems)
}

/// Reads the files that `<NAME>_FILE` names. Only for declared names: `SSL_CERT_FILE` is a path that a program wants.
fn take_secrets(
    sources: &Sources,
    variables: &mut BTreeMap<OsString, OsString>,
    origins: &mut BTreeMap<OsString, String>,
    problems: &mut Vec<Problem>,
) {
    let required = sources.requirements.iter().map(|requirement| &requirement.name);
    let names: std::collections::BTreeSet<&String> = required.chain(&sources.secrets).collect();
    for name in names {
        let pointer = OsString::from(format!("{name}_FILE"));
        let Some(file) = variables.get(&pointer).filter(|file| !file.is_empty()).map(PathBuf::from) else {
            continue;
        };
        if variables.get(&OsString::from(name)).is_some_and(|value| !value.is_empty()) {
            let problem = format!("{name}: both {name} and {name}_FILE are set (hint: unset one of them)");
            problems.push(Problem(problem));
            continue;
        }
        match secret_file::read(&file) {
            Ok(value) => {
                // Many programs read such files themselves and refuse to find both.
                variables.remove(&pointer);
                variables.insert(name.into(), value);
                origins.insert(name.into(), format!("{name}_FILE, {}", file.display()));
            }
            Err(reason) => problems.push(Problem(format!(
                "{name}: {reason} (source: {name}_FILE; hint: mount the secret so that this user can read it)"
            ))),
        }
    }
}

fn take_file(
    file: &Path,
    variables: &mut BTreeMap<OsString, OsString>,
    origins: &mut BTreeMap<OsString, String>,
    problems: &mut Vec<Problem>,
) {
    match variable_file::read(file) {
        Ok(found) => {
            for (name, value) in found {
                let name = OsString::from(name);
                if !variables.contains_key(&name) {
                    variables.insert(name.clone(), value.into());
                    origins.insert(name, file.display().to_string());
                }
            }
        }
        Err(found) => problems.extend(found.into_iter().map(Problem)),
    }
}

/// One line about a requirement that is not met: name, rule, source, hint.
fn unmet(requirement: &Requirement, value: Option<&OsString>, origin: Option<&String>) -> Option<Problem> {
    let Requirement { name, rule } = requirement;
    let Some(value) = value else {
        return Some(Problem(format!(
            "{name}: {rule} (source: set nowhere; hint: set {name}, or {name}_FILE to a file that holds it)"
        )));
    };
    if value.to_str().is_some_and(|value| rule.accepts(value)) {
        return None;
    }
    let source = origin.map_or("the environment", String::as_str);
    let state = if value.is_empty() { "is empty" } else { "has another form" };
    Some(Problem(format!("{name}: {rule} (source: {source}; it {state}; hint: correct it there)")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(process: &[(&str, &str)], requirements: &[&str]) -> Sources {
        Sources {
            process: process.iter().map(|(name, value)| (name.into(), value.into())).collect(),
            files: Vec::new(),
            defaults: None,
            requirements: requirements
                .iter()
                .map(|text| Requirement::parse(text).expect("a requirement"))
                .collect(),
            secrets: vec!["TOKEN".to_owned()],
        }
    }

    #[test]
    fn first_source_wins() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = |name: &str, text: &str| {
            let file = folder.path().join(name);
            std::fs::write(&file, text).expect("a file");
            file
        };
        let secret = file("secret", "from secret\n");
        let mut sources =
            sources(&[("A", "process"), ("TOKEN_FILE", secret.to_str().expect("UTF-8"))], &["A", "B", "C"]);
        sources.files = vec![file("first", "A=1\nB=1\nTOKEN=1\n"), file("second", "B=2\n")];
        sources.defaults = Some(file("defaults", "A=0\nB=0\nC=0\n"));
        let environment = resolve(&sources).expect("an environment");
        let value =
            |name: &str| environment.variables.get(&OsString::from(name)).and_then(|value| value.to_str());
        assert_eq!([value("A"), value("B"), value("C")], [Some("process"), Some("1"), Some("0")]);
        assert_eq!([value("TOKEN"), value("TOKEN_FILE")], [Some("from secret"), None]);
        assert_eq!(environment.met, 3);
    }

    #[test]
    fn tells_all_problems_and_no_value() {
        let mut sources = sources(
            &[
                ("PORT", "hush99999"),
                ("TOKEN", "hush"),
                ("TOKEN_FILE", "/none"),
                ("KEY_FILE", "/none"),
                ("SSL_CERT_FILE", "/none"),
            ],
            &["PORT:port", "KEY", "GONE:url"],
        );
        sources.files = vec![PathBuf::from("/none")];
        let problems = resolve(&sources).expect_err("problems");
        let lines: Vec<&str> = problems.iter().map(|Problem(line)| line.as_str()).collect();
        let begins = |index: usize, text: &str| assert!(lines[index].starts_with(text), "{lines:#?}");
        begins(0, "KEY: cannot read /none");
        begins(1, "TOKEN: both TOKEN and TOKEN_FILE are set");
        begins(2, "cannot read /none");
        begins(3, "PORT: must be a port, 1 to 65535 (source: the environment; it has another form");
        begins(4, "GONE: must be a URL");
        assert_eq!(lines.len(), 5);
        assert!(!lines.concat().contains("hush"));
    }
}
