//! Templates: what `floe new` writes for each kind of image that people begin with.
//!
//! [`Answers`] come in, the project's [`File`]s go out; nothing is read or written here.

mod flake;
mod toml;

use floe_image::image::REQUIRED_ENV_LABEL;

/// A kind of image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Template {
    /// A program that was built, and nothing else.
    App,
    /// Programs for people and pipelines, with a shell.
    Tools,
    /// A place to work on mounted sources.
    Development,
}

/// What a person wants of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answers {
    /// The image's name, which is also its entry's.
    pub(crate) name: String,
    /// What the image holds: an installable, a link or a directory; `None` where a flake of ours says it.
    pub(crate) contents: Option<String>,
    /// nixpkgs' names of programs.
    pub(crate) packages: Vec<String>,
    /// Where the program listens.
    pub(crate) port: Option<u16>,
    /// Variables that a container cannot do without.
    pub(crate) required_env: Vec<String>,
    /// Whether a flake is written.
    pub(crate) flake: bool,
}

/// A file to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct File {
    /// Its name in the project.
    pub(crate) name: &'static str,
    /// What it says.
    pub(crate) text: String,
}

impl Template {
    /// All templates, the commonest first.
    pub(crate) const ALL: [Self; 3] = [Self::App, Self::Tools, Self::Development];

    /// The name by which it is asked for.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Tools => "tools",
            Self::Development => "development",
        }
    }

    /// What it makes, in a few words.
    pub(crate) fn summary(self) -> &'static str {
        match self {
            Self::App => "a new application's image",
            Self::Tools => "tools baked into an image",
            Self::Development => "a development container",
        }
    }

    /// What speaks for it and what against it, in a line.
    pub(crate) fn trade_off(self) -> &'static str {
        match self {
            Self::App => "smallest and safest: what the program needs; each change is a new image",
            Self::Tools => "starts at once, needs no network; has a shell, a new tool is a new image",
            Self::Development => "edit outside, run inside on mounted sources; large, not for production",
        }
    }

    /// The packages that it begins with.
    pub(crate) fn packages(self) -> &'static [&'static str] {
        match self {
            Self::App => &[],
            Self::Tools => &["bashInteractive", "coreutils", "curl", "jq"],
            Self::Development => &["bashInteractive", "coreutils", "findutils", "git", "gnugrep", "gnused"],
        }
    }

    /// The files of a project that begins with it.
    pub(crate) fn files(self, answers: &Answers) -> Vec<File> {
        let mut files = vec![File { name: "floe.toml", text: toml::of(self, answers) }];
        if self == Self::App {
            files.push(File { name: ".env.example", text: env_example(answers) });
        }
        if answers.flake {
            files.push(File { name: "flake.nix", text: flake::of(self, answers) });
        }
        files.push(File { name: ".gitignore", text: EXCLUDES.to_owned() });
        files
    }
}

/// What must not get into an image: a flake's sources are what git tracks, so that this file keeps it out of those too.
const EXCLUDES: &str = "\
# What git ignores, a flake does not see: neither the store nor an image gets it.
.env
.env.*
!.env.example
result
result-*
*.tar
";

fn env_example(answers: &Answers) -> String {
    let name = &answers.name;
    let mut text = format!(
        "# Copy this file to .env, fill it in, and run: floe run {name} --env-file .env\n\
         # .env is yours alone: it is ignored by git, and no image holds it.\n"
    );
    if answers.required_env.is_empty() {
        text += &format!("# Variables in `required-env` of floe.toml belong here ({REQUIRED_ENV_LABEL}).\n");
    }
    for variable in &answers.required_env {
        text += &format!("{variable}=\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::Configuration;

    /// What a person answers who says yes to everything.
    fn answers(template: Template, flake: bool) -> Answers {
        Answers {
            name: "demo".to_owned(),
            contents: (!flake).then(|| "./result".to_owned()),
            packages: template.packages().iter().map(|package| (*package).to_owned()).collect(),
            port: Some(3000),
            required_env: vec!["TOKEN".to_owned()],
            flake,
        }
    }

    #[test]
    fn writes_files_that_floe_reads() {
        for template in Template::ALL {
            for flake in [true, false] {
                let files = template.files(&answers(template, flake));
                let text =
                    |name: &str| files.iter().find(|file| file.name == name).map(|file| file.text.as_str());
                let configuration =
                    Configuration::parse("floe.toml", text("floe.toml").expect("it is written"));
                let configuration = configuration.unwrap_or_else(|errors| panic!("{}", errors.render()));
                assert_eq!(configuration.names().collect::<Vec<_>>(), ["demo"]);
                let image = configuration.image("demo").expect("the entry");
                assert!(image.contents.is_some() || image.root.is_some(), "{template:?}");
                assert_eq!(text("flake.nix").is_some(), flake);
            }
        }
    }

    #[test]
    fn shows_what_an_application_begins_with() {
        let shown = Template::App.files(&answers(Template::App, true)).into_iter();
        let shown: Vec<String> = shown.map(|file| format!("--- {}\n{}", file.name, file.text)).collect();
        insta::assert_snapshot!(shown.join("\n"));
    }
}
