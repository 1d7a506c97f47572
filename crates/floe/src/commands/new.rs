//! `floe new`: a project begins, from a template.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use crate::configuration::value::variable_name;
use crate::configuration::{Content, Port, entry_name};
use crate::failure::{Failure, Outcome};
use crate::suggestion;
use crate::template::{Answers, File, Template};
use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  floe new                          ask what is wanted, and write it into this folder
  floe new --list                   the templates, with what speaks for and against each
  floe new --template app --yes web
                                    no questions: a flake and its image, in the folder web
  floe new --template app --contents ./result --port 8080 --yes
                                    an image of what is there already
  floe new --template tools --package git --package openssh --flake --yes

Then: floe build";

/// Begin a project: write floe.toml and what belongs to it
///
/// Asks which kind of image is wanted and the few things that it depends on; --yes takes what was not said as proposed.
/// Writes floe.toml, .env.example, .gitignore, which keeps secrets and build results out, and a flake when wanted. A
/// file that is there already is only replaced after asking.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The project's folder, made when it is not there [default: this one]
    #[arg(value_name = "DIR", default_value = ".", hide_default_value = true)]
    pub(crate) directory: PathBuf,
    /// The template: app, tools or development
    #[arg(long, value_name = "NAME")]
    pub(crate) template: Option<String>,
    /// Ask nothing
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// List the templates
    #[arg(long, conflicts_with_all = ["template", "yes"])]
    pub(crate) list: bool,
    /// The image's name [default: the folder's]
    #[arg(long, value_name = "NAME", help_heading = "Answers")]
    pub(crate) name: Option<String>,
    /// What the image holds: an installable, a result link, a directory [default: what is there, else a new flake]
    #[arg(long, value_name = "CONTENT", help_heading = "Answers", conflicts_with = "flake")]
    pub(crate) contents: Option<String>,
    /// A program of nixpkgs in the image; repeatable
    #[arg(long = "package", value_name = "NAME", help_heading = "Answers")]
    pub(crate) packages: Vec<String>,
    /// Where the program listens
    #[arg(long, value_name = "PORT", help_heading = "Answers")]
    pub(crate) port: Option<u16>,
    /// A variable that a container cannot do without; repeatable
    #[arg(long, value_name = "NAME", help_heading = "Answers")]
    pub(crate) required_env: Vec<String>,
    /// Write a flake that builds what the image holds
    #[arg(long, help_heading = "Answers")]
    pub(crate) flake: bool,
}

/// Asks, and writes.
pub(crate) fn run(arguments: &Arguments, terminal: &Terminal) -> Outcome {
    if arguments.list {
        return list(terminal);
    }
    if !arguments.yes && !terminal.can_ask() {
        let failure =
            Failure::bad_usage("standard input is no terminal to ask at: expected --template and --yes");
        return Err(failure
            .hint("such as: floe new --template app --yes")
            .hint("`floe new --list` shows the templates"));
    }
    let template = template(arguments, terminal)?;
    let answers = answers(template, arguments, terminal)?;
    let files = template.files(&answers);
    let files = agreed(files, arguments, terminal)?;
    write(&arguments.directory, &files)?;
    report(&arguments.directory, &answers, &files, terminal)
}

fn list(terminal: &Terminal) -> Outcome {
    for template in Template::ALL {
        let (name, summary, trade_off) = (template.name(), template.summary(), template.trade_off());
        if terminal.is_json() {
            terminal.json(&json!({ "template": name, "summary": summary, "trade-off": trade_off }))?;
        } else {
            terminal.line(format!("{name:<12} {summary}\n{:<12} {trade_off}", ""))?;
        }
    }
    Ok(())
}

/// The template that was named, else the one that is chosen.
fn template(arguments: &Arguments, terminal: &Terminal) -> Outcome<Template> {
    let find = |word: &str| Template::ALL.into_iter().find(|template| template.name() == word);
    let names = Template::ALL.map(Template::name);
    if let Some(word) = &arguments.template {
        return find(word).ok_or_else(|| {
            let failure = Failure::bad_usage(format!("no template '{word}': expected {}", names.join(", ")));
            match suggestion::nearest(word, names) {
                Some(nearest) => failure.hint(format!("did you mean '{nearest}'?")),
                None => failure.hint("`floe new --list` says what each is for"),
            }
        });
    }
    if arguments.yes {
        let failure = Failure::bad_usage("--yes asks nothing: expected --template");
        return Err(failure.hint(format!("name one of: {}", names.join(", "))));
    }
    let mut question = "What is it to be?\n".to_owned();
    for (index, template) in Template::ALL.into_iter().enumerate() {
        let (number, summary, trade_off) = (index + 1, template.summary(), template.trade_off());
        writeln!(question, "  {number}  {summary}\n     {trade_off}").expect("a string takes text");
    }
    terminal.note(question.trim_end());
    ask(terminal, "number or name", names[0], |answer| {
        let by_number =
            answer.parse::<usize>().ok().and_then(|number| Template::ALL.get(number.wrapping_sub(1)));
        by_number.copied().or_else(|| find(answer)).ok_or_else(|| format!("1 to {}, or a name", names.len()))
    })
}

/// What the template depends on: what was said, else what is asked, else what is proposed.
fn answers(template: Template, arguments: &Arguments, terminal: &Terminal) -> Outcome<Answers> {
    let proposed_name = proposed_name(&arguments.directory);
    let name = match (&arguments.name, arguments.yes) {
        (Some(name), _) => checked(name, "the image's name", read_name)?,
        (None, true) => proposed_name,
        (None, false) => ask(terminal, "name of the image", &proposed_name, read_name)?,
    };
    let has_flake = arguments.directory.join("flake.nix").exists();
    let (contents, flake) = contents(template, arguments, has_flake, terminal)?;
    let packages = packages(template, arguments, terminal)?;
    let port = match (arguments.port, template) {
        (Some(port), _) => Some(port),
        (None, Template::App) if arguments.yes => Some(3000),
        (None, Template::App) => ask(terminal, "port that it listens on, or none", "3000", read_port)?,
        (None, _) => None,
    };
    let required_env = match (arguments.required_env.as_slice(), template) {
        ([], Template::App) if !arguments.yes => {
            ask(terminal, "variables that it cannot do without, or none", "none", read_variables)?
        }
        (named, _) => checked(&named.join(" "), "a variable", read_variables)?,
    };
    Ok(Answers { name, contents, packages, port, required_env, flake })
}

/// What the image holds, and whether a flake is to be written for it.
fn contents(
    template: Template,
    arguments: &Arguments,
    has_flake: bool,
    terminal: &Terminal,
) -> Outcome<(Option<String>, bool)> {
    if let Some(contents) = &arguments.contents {
        return Ok((Some(checked(contents, "contents", read_contents)?), false));
    }
    if arguments.flake {
        return Ok((None, true));
    }
    let proposed = match (template, has_flake, arguments.directory.join("result").exists()) {
        (Template::App, true, _) => Some(".#default"),
        (Template::App, false, true) => Some("./result"),
        // Without a flake the packages are named in floe.toml itself.
        _ => None,
    };
    match (template, proposed, arguments.yes) {
        (_, Some(proposed), true) => Ok((Some(proposed.to_owned()), false)),
        (Template::App, None, true) => Ok((None, true)),
        (Template::Tools | Template::Development, None, true) => Ok((None, !has_flake)),
        (Template::App, proposed, false) => {
            let question =
                "what it holds (an installable, ./result, a directory), or new for a flake to begin with";
            let contents = ask(terminal, question, proposed.unwrap_or("new"), read_contents)?;
            let is_new = contents == "new";
            Ok(((!is_new).then_some(contents), is_new))
        }
        (Template::Tools | Template::Development, _, false) => {
            let question = "Write a flake for the packages? Its lock file keeps their versions";
            Ok((None, !has_flake && terminal.confirm(question)?))
        }
    }
}

fn packages(template: Template, arguments: &Arguments, terminal: &Terminal) -> Outcome<Vec<String>> {
    let proposed = template.packages().join(" ");
    match (arguments.packages.as_slice(), template) {
        (_, Template::App) if arguments.packages.is_empty() => Ok(Vec::new()),
        ([], _) if arguments.contents.is_some() => Ok(Vec::new()),
        ([], _) if arguments.yes => checked(&proposed, "a package", read_packages),
        ([], _) => ask(terminal, "packages of nixpkgs", &proposed, read_packages),
        (named, _) => checked(&named.join(" "), "a package", read_packages),
    }
}

/// Asks until the answer can be used; an empty one takes what is proposed.
fn ask<T>(
    terminal: &Terminal,
    question: &str,
    proposed: &str,
    read: impl Fn(&str) -> Result<T, String>,
) -> Outcome<T> {
    /// Whoever errs so often wants something else.
    const MOST_ATTEMPTS: usize = 5;

    for _ in 0..MOST_ATTEMPTS {
        let answer = terminal.ask(format!("{question} [{proposed}]"))?;
        match read(if answer.is_empty() { proposed } else { &answer }) {
            Ok(read) => return Ok(read),
            Err(expected) => terminal.note(format!("'{answer}' will not do: expected {expected}")),
        }
    }
    Err(Failure::bad_usage(format!("{question}: no answer that can be used")))
}

/// Reads what a flag said.
fn checked<T>(word: &str, what: &str, read: impl Fn(&str) -> Result<T, String>) -> Outcome<T> {
    read(word).map_err(|expected| Failure::bad_usage(format!("'{word}' is not {what}: expected {expected}")))
}

fn read_name(text: &str) -> Result<String, String> {
    entry_name(text).map(|()| text.to_owned()).map_err(|bad| bad.expected)
}

fn read_contents(text: &str) -> Result<String, String> {
    text.parse::<Content>().map(|_| text.to_owned()).map_err(|bad| bad.expected)
}

fn read_port(text: &str) -> Result<Option<u16>, String> {
    match text {
        "none" => Ok(None),
        text => text.parse::<Port>().map(|port| Some(port.number)).map_err(|bad| bad.expected),
    }
}

fn read_variables(text: &str) -> Result<Vec<String>, String> {
    let words = text.split_whitespace().filter(|word| *word != "none");
    words.map(|word| variable_name(word).map_err(|bad| bad.expected)).collect()
}

/// Names of attributes, with dots between them.
fn read_packages(text: &str) -> Result<Vec<String>, String> {
    let is_name = |word: &str| {
        let first = word.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
        first && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-'.".contains(&byte))
    };
    let words: Vec<&str> = text.split_whitespace().collect();
    if words.is_empty() || !words.iter().all(|word| is_name(word)) {
        return Err("names of nixpkgs, such as git python3Packages.requests".to_owned());
    }
    Ok(words.into_iter().map(str::to_owned).collect())
}

/// The folder's name, made a name of an entry.
fn proposed_name(directory: &Path) -> String {
    let absolute = std::path::absolute(directory).unwrap_or_default();
    let name = absolute.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let is_allowed = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
    let name: String = name.chars().map(|letter| if is_allowed(letter) { letter } else { '-' }).collect();
    let name = name.trim_matches(['-', '_']).to_owned();
    if entry_name(&name).is_ok() { name } else { "app".to_owned() }
}

/// The files that may be written: those that are there already only after asking.
fn agreed(files: Vec<File>, arguments: &Arguments, terminal: &Terminal) -> Outcome<Vec<File>> {
    let mut agreed = Vec::new();
    for file in files {
        let path = arguments.directory.join(file.name);
        if path.symlink_metadata().is_err() {
            agreed.push(file);
        } else if file.name == ".gitignore" {
            terminal.note(".gitignore is there already; see that it ignores .env and result");
        } else if arguments.yes {
            let failure =
                Failure::failed(format!("{} is there already, and nothing was written", path.display()));
            return Err(failure.hint("name another folder: floe new DIR; or leave out --yes, to be asked"));
        } else if terminal.confirm(format!("{} is there already. Replace it?", path.display()))? {
            agreed.push(file);
        }
    }
    Ok(agreed)
}

/// Writes each file whole: beside its place first, then over it.
fn write(directory: &Path, files: &[File]) -> Outcome {
    let cannot = |path: &Path, error: io::Error| {
        anyhow::Error::new(error).context(format!("cannot write {}", path.display()))
    };
    fs::create_dir_all(directory).map_err(|error| cannot(directory, error))?;
    for File { name, text } in files {
        let path = directory.join(name);
        let staged = directory.join(format!("{name}.floe-{}", std::process::id()));
        let written = fs::File::create_new(&staged)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .and_then(|()| fs::rename(&staged, &path));
        if let Err(error) = written {
            // What cannot be removed is named by its own name beside the file.
            fs::remove_file(&staged).ok();
            return Err(cannot(&path, error).into());
        }
    }
    Ok(())
}

fn report(directory: &Path, answers: &Answers, files: &[File], terminal: &Terminal) -> Outcome {
    let names: Vec<&str> = files.iter().map(|file| file.name).collect();
    if terminal.is_json() {
        return terminal.json(&json!({ "directory": directory, "image": answers.name, "files": names }));
    }
    terminal.note(format!("wrote {}", names.join(", ")));
    let there =
        if directory == Path::new(".") { String::new() } else { format!("cd {} && ", directory.display()) };
    terminal.note(format!("next: {there}floe build && floe run {}", answers.name));
    Ok(())
}
