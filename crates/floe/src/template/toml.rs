//! The `floe.toml` of each template.

use super::{Answers, Template};

/// Writes the file. Names were checked where they were given, so that none needs more than quotes.
pub(super) fn of(template: Template, answers: &Answers) -> String {
    let name = &answers.name;
    let head = "# What floe makes of this project. Every key: `floe man` writes floe.toml(5).\n\n";
    let body = match template {
        Template::App => app(answers),
        Template::Tools => tools(answers),
        Template::Development => development(answers),
    };
    format!("{head}[image.{name}]\n{body}")
}

fn app(answers: &Answers) -> String {
    let contents = answers.contents.as_deref().unwrap_or(".#app");
    let mut text = format!(
        "# Store paths, links to them such as ./result, flake installables, or directories.\n\
         contents = [{}]\n",
        quoted(contents)
    );
    if let Some(port) = answers.port {
        text += &format!("ports = [{port}]\n");
    }
    if answers.required_env.is_empty() {
        text += "# required-env = [\"DATABASE_URL\"]   # `floe run` refuses to start without them\n";
    } else {
        text += &format!(
            "# `floe run` refuses to start without them; .env.example lists them.\nrequired-env = {}\n",
            list(&answers.required_env)
        );
    }
    text
}

fn tools(answers: &Answers) -> String {
    format!(
        "# Linked into /bin, /etc and /share; where two have the same file, the first one wins.\n\
         root = {}\n\
         root-conflicts = \"first\"\n\
         entrypoint = [\"/bin/bash\"]\n\
         workdir = \"/tmp\"\n",
        root(answers)
    )
}

fn development(answers: &Answers) -> String {
    format!(
        "# Run it on the sources of this folder:\n\
         #   floe run {} --writable --volume .:/work --engine-arg --interactive --engine-arg --tty\n\
         root = {}\n\
         root-conflicts = \"first\"\n\
         entrypoint = [\"/bin/bash\"]\n\
         workdir = \"/work\"\n\
         # Rebuilt from the same inputs it is the same image; mounted sources are never part of it.\n\
         volumes = [\"/work\"]\n",
        answers.name,
        root(answers)
    )
}

/// The packages, each of nixpkgs; or the one that our flake joins them to.
fn root(answers: &Answers) -> String {
    match &answers.contents {
        Some(contents) => list(std::slice::from_ref(contents)),
        None if answers.flake => "[\".#tools\"]".to_owned(),
        None => {
            let packages: Vec<String> =
                answers.packages.iter().map(|package| format!("nixpkgs#{package}")).collect();
            list(&packages)
        }
    }
}

fn list(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    format!("[{}]", words.join(", "))
}

/// A TOML string: what JSON escapes, TOML escapes in the same way (TOML 1.0, "Basic strings").
fn quoted(word: &str) -> String {
    serde_json::Value::from(word).to_string()
}
