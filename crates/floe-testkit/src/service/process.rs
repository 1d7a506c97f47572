//! A program that runs in the background until its owner lets go.
//!
//! Comes in: a command. Goes out: a [`Process`] with its output in a log file. It is stopped by its own process id,
//! politely first. When the test process is killed, the kernel ends it: `setpriv --pdeathsig` arranges that without
//! unsafe code.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::program::{self, MissingProgram};

/// How long a program may take to become ready; twenty times what the slowest needs on an idle machine.
pub const START_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a program may take to stop before it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// How many lines of a log an error shows.
const LOG_LINES: usize = 20;

/// A program did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A program is not installed.
    #[error(transparent)]
    Missing(#[from] MissingProgram),
    /// The program could not be started, or its log not be written.
    #[error("cannot start {name}")]
    Spawn {
        /// The program's name.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// The program ended before it was ready.
    #[error("{name} ended with {status} before it was ready; its log ends:\n{log}")]
    Ended {
        /// The program's name.
        name: String,
        /// How it ended.
        status: ExitStatus,
        /// The last lines that it wrote.
        log: String,
    },
    /// The program runs, but was not ready in time.
    #[error("{name} was not ready after {timeout:?}; its log ends:\n{log}")]
    NotReady {
        /// The program's name.
        name: String,
        /// How long it was given.
        timeout: Duration,
        /// The last lines that it wrote.
        log: String,
    },
}

/// A running program. Dropping it stops the program and waits for its end.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program whose output, both kinds, goes to the file `log`.
    ///
    /// Of the command, the program, the arguments and the environment count.
    ///
    /// # Errors
    ///
    /// [`StartError::Missing`] when the program is not installed, [`StartError::Spawn`] when it cannot be run.
    pub fn start(command: &Command, log: PathBuf) -> Result<Self, StartError> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut guarded = Command::new(program::find("setpriv")?);
        guarded.args(["--pdeathsig", "TERM", "--"]).arg(program::find(&name)?).args(command.get_args());
        for (variable, value) in command.get_envs() {
            match value {
                Some(value) => guarded.env(variable, value),
                None => guarded.env_remove(variable),
            };
        }

        let cannot_start = |source| StartError::Spawn { name: name.clone(), source };
        let file = File::create(&log).map_err(cannot_start)?;
        guarded.stdin(Stdio::null()).stdout(file.try_clone().map_err(cannot_start)?).stderr(file);
        let child = spawn_from_lasting_thread(guarded).map_err(cannot_start)?;
        Ok(Self { name, child, log })
    }

    /// Calls `ready` until it returns a value, which is then returned.
    ///
    /// `ready` gets the log as written so far.
    ///
    /// # Errors
    ///
    /// [`StartError::Ended`] or [`StartError::NotReady`], with the end of the log.
    pub fn wait_until<T>(&mut self, mut ready: impl FnMut(&str) -> Option<T>) -> Result<T, StartError> {
        let deadline = Instant::now() + START_TIMEOUT;
        let mut pause = Duration::from_millis(5);
        loop {
            if let Some(value) = ready(&self.log()) {
                return Ok(value);
            }
            let ended = self.child.try_wait();
            let ended = ended.map_err(|source| StartError::Spawn { name: self.name.clone(), source })?;
            if let Some(status) = ended {
                return Err(StartError::Ended { name: self.name.clone(), status, log: self.log_tail() });
            }
            if Instant::now() >= deadline {
                return Err(StartError::NotReady {
                    name: self.name.clone(),
                    timeout: START_TIMEOUT,
                    log: self.log_tail(),
                });
            }
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }

    /// The program's process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where the program's output goes.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// What the program has written so far; bytes that are not UTF-8 are replaced.
    pub fn log(&self) -> String {
        // The log serves error messages: one that cannot be read must not hide the error itself.
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// The last 20 lines that the program has written.
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let mut lines = VecDeque::with_capacity(LOG_LINES);
        for line in log.lines() {
            if lines.len() == LOG_LINES {
                lines.pop_front();
            }
            lines.push_back(line);
        }
        Vec::from(lines).join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The child has not been waited for, so its id is still its own. Errors mean that it is gone already.
        if let Some(process) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
            && let Ok(None) = self.child.try_wait()
        {
            let _ = kill_process(process, Signal::TERM);
            let deadline = Instant::now() + STOP_TIMEOUT;
            while let Ok(None) = self.child.try_wait()
                && Instant::now() < deadline
            {
                thread::sleep(Duration::from_millis(5));
            }
        }
        // Both do nothing to a child that has ended.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Starts a child from a thread that lives as long as this process.
///
/// The kernel sends the parent-death signal when the *thread* that started the child ends, and a test's thread ends
/// with its test, while the service may be shared with others: prctl(2), `PR_SET_PDEATHSIG`.
fn spawn_from_lasting_thread(command: Command) -> io::Result<Child> {
    type Order = (Command, Sender<io::Result<Child>>);
    static ORDERS: OnceLock<Sender<Order>> = OnceLock::new();

    let orders = ORDERS.get_or_init(|| {
        let (orders, incoming) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, reply) in incoming {
                // The asker waits for the reply, so it cannot have gone.
                drop(reply.send(command.spawn()));
            }
        });
        orders
    });
    let (reply, answer) = mpsc::channel();
    orders.send((command, reply)).map_err(|_| io::Error::other("the spawning thread is gone"))?;
    answer.recv().map_err(|_| io::Error::other("the spawning thread is gone"))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().expect("the temporary directory is writable");
        let log = directory.path().join("log");
        (directory, log)
    }

    #[test]
    fn is_stopped_when_dropped() {
        let (_directory, log) = log();
        let process =
            Process::start(Command::new("sleep").arg("600"), log).expect("sleep is on every machine");
        let id = process.id();
        assert!(Path::new(&format!("/proc/{id}")).exists());
        drop(process);
        assert!(!Path::new(&format!("/proc/{id}")).exists());
    }

    #[test]
    fn an_early_end_shows_the_log() {
        let (_directory, log) = log();
        let mut command = Command::new("sh");
        command.args(["-c", "echo the port is taken; exit 4"]);
        let mut process = Process::start(&command, log).expect("sh is on every machine");
        let error = process.wait_until(|_| None::<()>).expect_err("it is never ready");
        assert_eq!(
            error.to_string(),
            "sh ended with exit status: 4 before it was ready; its log ends:\nthe port is taken"
        );
    }

    #[test]
    fn outlives_the_thread_that_asked_for_it() {
        let (_directory, log) = log();
        let start = || Process::start(Command::new("sleep").arg("600"), log);
        let process = thread::scope(|scope| scope.spawn(start).join());
        let mut process = process.expect("no panic").expect("sleep is on every machine");
        thread::sleep(Duration::from_millis(20));
        assert!(matches!(process.child.try_wait(), Ok(None)));
    }
}
