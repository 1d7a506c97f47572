//! Rounds of two seeders that are killed at random moments; what always holds is checked after each.
//!
//! `FLOE_ROUNDS` sets how many, `FLOE_ROUNDS_SEED` which moments; a failure names both.

use std::env;
use std::time::Duration;

use rustix::process::Signal;

use crate::image::{Contents, Image, names};
use crate::volume::{Volume, signal};

/// Rounds of a usual test run.
const ROUNDS: u64 = 60;

/// A new volume after so many rounds, so that early and late moments of a seed are both met.
const ROUNDS_OF_A_VOLUME: u64 = 6;

/// The longest time before a kill, in milliseconds: about as long as a seed takes.
const LONGEST: u64 = 100;

#[test]
#[expect(clippy::print_stdout, reason = "the harness shows it when a round fails")]
fn kills_leave_only_whole_paths_valid() {
    let number =
        |name: &str, default| env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let rounds = number("FLOE_ROUNDS", ROUNDS);
    let seed = number("FLOE_ROUNDS_SEED", 1);
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let images = ["a", "b"].map(|prefix| {
        let own = names(prefix, 12);
        Image::new(&Contents { names: &[names("shared", 4), own].concat(), size: 150_000 })
    });
    let mut volume = Volume::in_memory("size=128m");
    let mut killed = 0;
    for round in 0..rounds {
        if round % ROUNDS_OF_A_VOLUME == 0 {
            finish(&volume, &images);
            volume = Volume::in_memory("size=128m");
        }
        let mut seeders = images.each_ref().map(|image| {
            volume.seeder(image).stderr(std::process::Stdio::null()).spawn().expect("a program that starts")
        });
        let first = usize::from(random.below(2) == 1);
        for index in [first, 1 - first] {
            std::thread::sleep(Duration::from_millis(random.below(LONGEST)));
            signal(&seeders[index], Signal::KILL);
        }
        for seeder in &mut seeders {
            killed += u64::from(!seeder.wait().expect("a child").success());
        }
        println!("round {round} of {rounds}, seed {seed}: {} paths are valid", volume.check());
    }
    finish(&volume, &images);
    assert!(killed > rounds / 2, "only {killed} of {} seeders were killed before they were done", 2 * rounds);
}

/// A start that nobody kills.
fn finish(volume: &Volume, images: &[Image]) {
    for image in images {
        volume.seed(image);
        volume.check_seeded(image, 0, 0);
    }
}

/// Marsaglia's xorshift: the same numbers for the same seed on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}
