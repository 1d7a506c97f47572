//! Runs every target on its seeds and on mutations of them: a fixed number of inputs, the same ones on each run.
//!
//! `smoke [TARGET…]`. A panic, or an input that takes seconds, ends the run; the input is then in `artifacts/`.

#![forbid(unsafe_code)]

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use floe_fuzz::{TARGETS, Target};

/// An input of a few kilobytes that takes so long would let a stranger stop floe.
const TOO_LONG: Duration = Duration::from_secs(5);

/// Inputs do not grow beyond this: parsers that are quadratic would hide what else is wrong.
const LARGEST: usize = 64 * 1024;

fn main() -> ExitCode {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    if let Some(unknown) = names.iter().find(|name| TARGETS.iter().all(|target| target.name != name.as_str()))
    {
        eprintln!("error: no target {unknown}: see fuzz/src/lib.rs");
        return ExitCode::from(2);
    }
    let mut failed = false;
    for target in
        TARGETS.iter().filter(|target| names.is_empty() || names.iter().any(|name| name == target.name))
    {
        let started = Instant::now();
        match run(target, home) {
            Ok(()) => {
                println!("{:17} {:6} inputs, {:.1?}", target.name, target.iterations, started.elapsed())
            }
            Err(reason) => {
                failed = true;
                println!("{:17} FAILED: {reason}", target.name);
            }
        }
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn run(target: &Target, home: &Path) -> Result<(), String> {
    let seeds = seeds(&home.join("corpus").join(target.name))?;
    let mut numbers =
        Numbers(target.name.bytes().fold(1, |seed: u64, byte| seed.wrapping_mul(31) + u64::from(byte)));
    for input in seeds.iter().cloned().chain([Vec::new()]) {
        try_one(target, &input, home)?;
    }
    for _ in 0..target.iterations {
        let mut input = seeds[numbers.below(seeds.len())].clone();
        for _ in 0..=numbers.below(4) {
            mutate(&mut input, &seeds, &mut numbers);
        }
        input.truncate(LARGEST);
        try_one(target, &input, home)?;
    }
    Ok(())
}

/// The seeds, sorted by name: the order decides what is tried.
fn seeds(directory: &Path) -> Result<Vec<Vec<u8>>, String> {
    let cannot = |error| format!("cannot read {}: {error}", directory.display());
    let entries = fs::read_dir(directory).map_err(cannot)?;
    let mut paths =
        entries.map(|entry| Ok(entry.map_err(cannot)?.path())).collect::<Result<Vec<_>, String>>()?;
    paths.sort();
    let seeds = paths.iter().map(|path| fs::read(path).map_err(cannot)).collect::<Result<Vec<_>, _>>()?;
    if seeds.is_empty() { Err(format!("there are no seeds in {}", directory.display())) } else { Ok(seeds) }
}

fn try_one(target: &Target, input: &[u8], home: &Path) -> Result<(), String> {
    let started = Instant::now();
    let outcome = catch_unwind(|| (target.run)(input));
    let reason = match outcome {
        Err(_) => "a panic",
        Ok(()) if started.elapsed() > TOO_LONG => "an input that takes seconds",
        Ok(()) => return Ok(()),
    };
    let artifacts = home.join("artifacts");
    let path = artifacts.join(target.name);
    let kept = fs::create_dir_all(&artifacts).and_then(|()| fs::write(&path, input));
    kept.map_err(|error| format!("{reason}, and it cannot be kept: {error}"))?;
    Err(format!("{reason}; the input is {}", path.display()))
}

/// Changes an input a little, as a broken disk, a broken program or an enemy would.
fn mutate(input: &mut Vec<u8>, seeds: &[Vec<u8>], numbers: &mut Numbers) {
    let at = numbers.below(input.len() + 1);
    let longest = if numbers.below(4) == 0 { 256 } else { 8 };
    let length = 1 + numbers.below(longest);
    let end = (at + length).min(input.len());
    match numbers.below(9) {
        0 if at < input.len() => input[at] ^= 1 << numbers.below(8),
        1 if at < input.len() => input[at] = INTERESTING[numbers.below(INTERESTING.len())],
        2 => drop(input.drain(at..end)),
        3 => {
            let copy = input[at..end].to_vec();
            let most = if numbers.below(16) == 0 { 500 } else { 3 };
            let times = 1 + numbers.below(most);
            for _ in 0..times.min(LARGEST / copy.len().max(1)) {
                input.splice(at..at, copy.iter().copied());
            }
        }
        4 => input.truncate(at),
        5 => {
            // A piece of another seed.
            let other = &seeds[numbers.below(seeds.len())];
            let from = numbers.below(other.len() + 1);
            let to = (from + length * 4).min(other.len());
            input.splice(at..at, other[from..to].iter().copied());
        }
        6 => {
            let words = WORDS[numbers.below(WORDS.len())];
            input.splice(at..end, words.iter().copied());
        }
        7 => {
            let byte = INTERESTING[numbers.below(INTERESTING.len())];
            input.splice(at..at, std::iter::repeat_n(byte, length));
        }
        _ => input[at..end].reverse(),
    }
}

/// Bytes that mean something to some parser.
const INTERESTING: &[u8] = b"\0\x01\x7f\x80\xff\"'\\/:@.-+=,[]{}() \n\r\t09aAzZ";

/// Words that mean something to some parser, above all numbers at the edges.
const WORDS: &[&[u8]] = &[
    b"0",
    b"-1",
    b"1e999",
    b"4294967296",
    b"9223372036854775807",
    b"9223372036854775808",
    b"18446744073709551615",
    b"18446744073709551616",
    b"null",
    b"true",
    b"{}",
    b"[]",
    b"\"\"",
    b"\\u0000",
    b"\\ud800",
    b"sha256:",
    b"sha512-",
    b"/nix/store/",
    b"..",
    b"../",
    b"\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\0\0\0\0\0\0\0\x80",
    b"\xc3\xa9",
    b"\xf0\x9f\xa7\x8a",
    b"\x80\0\0\0\0\0\0\0\0\0\0\x01",
    b"77777777777\0",
];

/// Numbers without a pattern, the same for the same seed (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % end as u64).expect("below a usize")
    }
}
