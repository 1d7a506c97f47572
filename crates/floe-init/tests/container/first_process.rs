//! The duties of a container's first process, and of one that is not the first.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::container::{Container, Ended, container_name};

#[test]
fn ends_as_its_program_does() {
    let container = Container::new();
    container.write("bin/plain", "not executable");
    for (arguments, code, expected) in [
        (&["--", "/bin/sh", "-c", "exit 0"] as &[&str], 0, ""),
        (&["--", "sh", "-c", "exit 42"], 42, ""),
        (&["run", "--", "sh", "-c", "exit 255"], 255, ""),
        (&["--", "sh", "-c", "kill -TERM $$"], 143, ""),
        (&["--", "sh", "-c", "kill -KILL $$"], 137, ""),
        (&["--", "none"], 127, "cannot run none: no such program"),
        (&["--", "/bin/none"], 127, "cannot run /bin/none: no such program"),
        (&["--", "/bin/plain"], 126, "cannot run /bin/plain: Permission denied"),
        (&["--"], 78, "there is nothing to run"),
        (&[], 2, "there is nothing to do"),
        (&["sh"], 2, "'sh' is no subcommand"),
        (&["run", "--none", "--", "sh"], 2, "unknown flag --none"),
    ] {
        let Ended { code: found, stderr, .. } = container.run(&[], arguments);
        assert_eq!(found, Some(code), "{arguments:?}: {stderr}");
        assert!(stderr.contains(expected), "{arguments:?}: {stderr}");
        assert!(!expected.is_empty() || stderr.is_empty(), "{arguments:?}: {stderr}");
    }
}

#[test]
fn runs_as_any_user_without_a_shell() {
    let container = Container::new();
    for (user, expected) in [("1001:1001", "1001 1001\n"), ("4242:0", "4242 0\n"), ("0:0", "0 0\n")] {
        let Ended { code, stdout, stderr } =
            container.script(&[&format!("--user={user}")], "echo $(id -u) $(id -g)");
        assert_eq!((code, stdout.as_str()), (Some(0), expected), "{stderr}");
    }
    std::fs::remove_file(container.root().join("bin/sh")).expect("a link");
    let Ended { stdout, .. } = container.run(&[], &["--", "/bin/busybox", "echo", "a  $b", "'c'"]);
    assert_eq!(stdout, "a  $b 'c'\n");
}

#[test]
fn passes_signals_on() {
    let container = Container::new();
    let script = "for s in HUP INT QUIT TERM USR1 USR2 WINCH CONT ALRM PIPE; do trap \"echo $s\" $s; done; \
                  trap 'echo last; exit 3' RTMIN; echo ready; while :; do sleep 0.05; done";
    let name = container_name();
    let mut command = container.command(&["--name", &name]);
    let child =
        command.args(["--", "sh", "-c", script]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("podman");
    let mut lines = Lines::of(&mut child);
    assert_eq!(lines.next(), "ready");
    for signal in ["HUP", "INT", "QUIT", "TERM", "USR1", "USR2", "WINCH", "CONT", "ALRM", "PIPE"] {
        assert!(container.podman(&["kill", "--signal", signal, &name]).status.success());
        assert_eq!(lines.next(), signal);
    }
    // A real-time signal, by number.
    assert!(container.podman(&["kill", "--signal", "34", &name]).status.success());
    // busybox may not know its name; then the default ends the program, and the code says so.
    let code = child.wait().expect("podman").code();
    assert!(matches!(code, Some(3 | 162)), "{code:?}");
}

/// Lines of a child's standard output, one at a time.
struct Lines(std::io::Lines<std::io::BufReader<std::process::ChildStdout>>);

impl Lines {
    fn of(child: &mut std::process::Child) -> Self {
        use std::io::BufRead as _;
        Self(std::io::BufReader::new(child.stdout.take().expect("a pipe")).lines())
    }

    fn next(&mut self) -> String {
        self.0.next().expect("a line before the end").expect("a readable line")
    }
}

#[test]
fn reaps_orphans() {
    let container = Container::new();
    // Twenty children whose parent ends at once; whoever gets them must take their ends.
    let script = "i=0; while [ $i -lt 20 ]; do (sleep 0.1 &) ; i=$((i+1)); done; \
                  n=0; while [ $n -lt 100 ]; do sleep 0.1; z=0; l=0; for d in /proc/[0-9]*; do \
                  read -r s < $d/stat 2>/dev/null || continue; case \"$s\" in *') Z '*) z=$((z+1));; *sleep*) l=$((l+1));; esac; done; \
                  [ $z -eq 0 ] && [ $l -eq 0 ] && { echo clean; exit 0; }; n=$((n+1)); done; echo $z zombies; exit 1";
    let Ended { code, stdout, stderr } = container.script(&[], script);
    assert_eq!((code, stdout.as_str()), (Some(0), "clean\n"), "{stderr}");
}

#[test]
fn reaps_and_forwards_where_it_is_not_the_first_process() {
    let container = Container::new();
    // podman's own init is the first process.
    let script = "echo $PPID; (sleep 0.2; echo late) & exec sleep 0.01";
    let Ended { code, stdout, stderr } =
        container.run(&["--init", "--init-path=/usr/bin/catatonit"], &["--", "sh", "-c", script]);
    assert_eq!(code, Some(0), "{stderr}");
    let parent = stdout.lines().next().unwrap_or_default();
    assert_ne!(parent, "1", "floe-init was the first process after all");
    // Its orphans are floe-init's, not those of the first process.
    let orphan =
        "(sh -c 'sleep 0.3; read -r s < /proc/self/stat; set -- $s; echo $4' &); sleep 1; echo $PPID";
    let Ended { stdout, .. } =
        container.run(&["--init", "--init-path=/usr/bin/catatonit"], &["--", "sh", "-c", orphan]);
    let lines: Vec<&str> = stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{stdout}");
    assert_ne!(lines[1], "1");
}

#[test]
fn gives_the_program_the_terminal() {
    let container = Container::new();
    // The program's process group is the terminal's foreground one, so it may read, and Ctrl-C is meant for it.
    let script = "trap 'echo interrupted; exit 5' INT; echo ready; read -r line; echo got $line; \
                  while :; do sleep 0.05; done";
    let mut run = container.command(&["--interactive", "--tty"]);
    run.args(["--", "sh", "-c", script]);
    let line = command_line(&run);
    let mut terminal = Command::new("script");
    terminal.envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
    terminal.args(["--quiet", "--return", "--echo", "never", "--command", &line, "/dev/null"]);
    let child = terminal.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("script, of Debian's bsdutils");
    let mut input = child.stdin.take().expect("a pipe");
    let mut lines = Lines::of(&mut child);
    assert_eq!(lines.next().trim(), "ready");
    input.write_all(b"hello\n").expect("a terminal");
    let answered = (0..3).any(|_| lines.next().trim() == "got hello");
    assert!(answered);
    std::thread::sleep(Duration::from_millis(100));
    input.write_all(b"\x03").expect("a terminal");
    let interrupted = (0..3).any(|_| lines.next().contains("interrupted"));
    assert!(interrupted);
    assert_eq!(child.wait().expect("script").code(), Some(5));
}

/// A command as a shell takes it; none of its words has a single quote but the last, a script.
fn command_line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let quoted = words.map(|word| format!("'{}'", word.to_string_lossy().replace('\'', "'\\''")));
    quoted.collect::<Vec<_>>().join(" ")
}
