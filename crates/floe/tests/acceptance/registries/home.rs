//! A user's home folder: whoever works in it shares its logins, certificates and configuration.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use floe_testkit::machine::peer;
use floe_testkit::registry::distribution::{Authentication, Configuration, Distribution};
use floe_testkit::registry::{PASSWORD, USERNAME};

use crate::program::{Desk, program, run, succeed};

/// Variables that lead away from the home folder.
const NOT_PASSED_ON: [&str; 10] = [
    "DOCKER_AUTH_CONFIG",
    "DOCKER_CONFIG",
    "REGISTRY_AUTH_FILE",
    "XDG_CONFIG_HOME",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
];

/// A home folder with a small recorded image, `site:1`, in gzip, which every engine reads.
pub(crate) struct Home {
    desk: Desk,
}

impl Home {
    pub(crate) fn new() -> Self {
        let home = Self { desk: Desk::new() };
        for folder in ["home", "run"] {
            std::fs::create_dir_all(home.path(folder)).expect("a folder");
        }
        home.desk.write("site/index.html", "<h1>hello</h1>\n");
        succeed(&mut home.floe(&[
            "build",
            "./site",
            "--name",
            "site",
            "--tag",
            "1",
            "--compression",
            "gzip",
        ]));
        home
    }

    /// A path beside the home folder, which is `home`.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.desk.path(name)
    }

    /// Writes a file, with the folders on the way to it.
    pub(crate) fn write(&self, name: &str, contents: &str) -> PathBuf {
        self.desk.write(name, contents)
    }

    /// floe with these words.
    pub(crate) fn floe(&self, words: &[&str]) -> Command {
        self.let_in(self.desk.floe(words))
    }

    /// A program of Debian's with these words.
    pub(crate) fn program(&self, name: &str, words: &[&str]) -> Command {
        self.let_in(program(name, words))
    }

    /// A command that works in this home.
    pub(crate) fn let_in(&self, mut command: Command) -> Command {
        for variable in NOT_PASSED_ON {
            command.env_remove(variable);
        }
        command.env("HOME", self.path("home")).env("XDG_RUNTIME_DIR", self.path("run"));
        command
    }

    /// Logs floe in as the registry's one user.
    pub(crate) fn log_in(&self, host: &str) {
        let login = ["login", host, "--username", USERNAME, "--password-stdin"];
        let said = succeed(self.floe(&login).stdin(self.holding(PASSWORD)));
        assert!(
            said.stderr.starts_with(&format!("logged in to {host} as {USERNAME}; kept ")),
            "{}",
            said.stderr
        );
    }

    /// Standard input that holds a text with an end of line.
    pub(crate) fn holding(&self, text: &str) -> Stdio {
        let path = self.write("stdin", &format!("{text}\n"));
        std::fs::File::open(path).expect("it was written just now").into()
    }

    /// Pushes the recorded image.
    pub(crate) fn push(&self, reference: &str) {
        succeed(&mut self.floe(&["push", "site:1", reference]));
    }

    /// Runs floe, which fails with exit code 1, and returns what it said.
    pub(crate) fn failure(&self, words: &[&str]) -> String {
        run(&mut self.floe(words), 1).stderr
    }
}

/// Starts a registry of distribution 2.8.
pub(crate) fn distribution(authentication: Authentication) -> Distribution {
    let configuration = Configuration { authentication, ..Configuration::default() };
    Distribution::start(configuration).unwrap_or_else(|error| panic!("{error}"))
}

/// A program of Debian's newer suite with these words.
pub(crate) fn newer(home: &Home, name: &str, words: &[&str]) -> Command {
    let mut command = Command::new(peer(name).unwrap_or_else(|error| panic!("{error}")));
    command.args(words);
    home.let_in(command)
}
