//! Taking down what a service leaves behind: container monitors, containers, mounts, files.
//!
//! Comes in: a service's directory, whose owner is stopping or was killed. A monitor (conmon, containerd-shim) is no
//! child of the test: its engine starts it detached, so that containers outlive the engine. It is recognised by the
//! directory in its arguments, whose name is unique, and only when its program is one that an engine starts.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::mount::{UnmountFlags, unmount};
use rustix::process::{Pid, Signal, kill_process};

use super::output;

/// The name of the script in a service's directory that runs before anything is killed.
pub(super) const TEARDOWN: &str = "teardown";

/// The programs that engines and registries consist of. An editor or a `tail` that has a file of the directory open
/// is not among them, and stays alive.
const PROGRAMS: &[&str] = &[
    "conmon",
    "containerd",
    "containerd-shim",
    "containerd-shim-runc-v2",
    "docker-proxy",
    "docker-registry",
    "dockerd",
    "podman",
    "runc",
];

/// Clears each directory below `parent` whose owner no longer runs.
pub(super) fn clear(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let mut parts = name.to_str().unwrap_or_default().split('.').skip(1);
        let owner = parts.next().and_then(|part| part.parse::<u32>().ok());
        let started = parts.next().and_then(|part| part.parse::<u64>().ok());
        if let (Some(owner), Some(started)) = (owner, started)
            && start_time(owner) != Some(started)
        {
            reclaim(&entry.path());
        }
    }
}

/// Runs the directory's teardown, kills what still uses the directory, unmounts, removes.
///
/// Nothing is returned, since it runs while a test ends, perhaps by a panic: what cannot be removed is tried again
/// by the next run's [`clear`].
pub(super) fn reclaim(directory: &Path) {
    let teardown = directory.join(TEARDOWN);
    if teardown.exists() {
        // A failure leaves work for the steps below, and says nothing about the test.
        drop(output::run(Command::new("sh").arg(&teardown), Duration::from_secs(60)));
    }
    kill_users_of(directory);
    unmount_below(directory);
    // As above.
    drop(fs::remove_dir_all(directory));
}

/// When a process started, in clock ticks since the machine did; `None` when there is no such process.
///
/// With the process id this names a process for good: an id is used again, but not at the same time of start.
pub(super) fn start_time(process: u32) -> Option<u64> {
    // proc_pid_stat(5): field 22, counted from the state (field 3) behind the parenthesised name, which may itself
    // hold spaces and parentheses.
    stat_fields(process)?.get(19)?.parse().ok()
}

fn stat_fields(process: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    Some(fields.split_ascii_whitespace().map(str::to_owned).collect())
}

fn is_running(process: u32) -> bool {
    stat_fields(process).is_some_and(|fields| fields.first().is_some_and(|state| state != "Z"))
}

/// Kills the directory's programs and their descendants, the containers, and waits until they are gone.
fn kill_users_of(directory: &Path) {
    let processes = processes();
    let mut doomed: BTreeSet<u32> =
        processes.iter().copied().filter(|&process| is_program_of(process, directory)).collect();
    loop {
        let before = doomed.len();
        for &process in &processes {
            let parent = stat_fields(process).and_then(|fields| fields.get(1)?.parse().ok());
            if parent.is_some_and(|parent| doomed.contains(&parent)) {
                doomed.insert(process);
            }
        }
        if doomed.len() == before {
            break;
        }
    }

    for process in doomed.iter().filter_map(|&process| Pid::from_raw(i32::try_from(process).ok()?)) {
        // It may have ended by itself since the list was made.
        let _ = kill_process(process, Signal::KILL);
    }
    let deadline = Instant::now() + Duration::from_secs(5);
    while doomed.iter().any(|&process| is_running(process)) && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(5));
    }
}

fn processes() -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn is_program_of(process: u32, directory: &Path) -> bool {
    let Ok(command_line) = fs::read(format!("/proc/{process}/cmdline")) else { return false };
    let mut arguments = command_line.split(|&byte| byte == 0);
    let program = arguments.next().unwrap_or_default();
    let program = program.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    let needle = directory.as_os_str().as_bytes();
    PROGRAMS.iter().any(|name| name.as_bytes() == program)
        && arguments.any(|argument| argument.windows(needle.len()).any(|window| window == needle))
}

/// Unmounts everything below the directory, innermost first.
fn unmount_below(directory: &Path) {
    let Ok(mounts) = fs::read_to_string("/proc/self/mountinfo") else { return };
    // proc_pid_mountinfo(5): the mount point is field 5. Later mounts may cover earlier ones. The directory's own
    // name has no byte that the kernel would escape.
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4)).map(PathBuf::from);
    let mut points: Vec<PathBuf> = points.filter(|point| point.starts_with(directory)).collect();
    points.reverse();
    for point in points {
        // Lazily: a process in another mount namespace may still hold it for a moment.
        let _ = unmount(&point, UnmountFlags::DETACH);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_a_start_time_and_no_process_has_the_largest_number() {
        assert!(start_time(std::process::id()).is_some_and(|ticks| ticks > 0));
        assert_eq!(start_time(u32::MAX), None);
    }
}
