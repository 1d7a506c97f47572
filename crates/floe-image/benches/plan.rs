//! Times every planner on 5,000 paths, with a graph as package sets have it. Run by `cargo xtask bench layers`.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a benchmark tells times")]

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::time::Instant;

use floe_image::plan::{Policy, Previous, Strategy, plan};
use floe_store::{Closure, NarHash, PathInfo, StoreDir, StorePath};

const PATHS: usize = 5_000;

/// Odd, so that one run is the median.
const RUNS: usize = 11;

fn main() {
    let closure = closure();
    let max_layers = NonZeroUsize::new(99).expect("99 is not 0");
    for strategy in [Strategy::Popularity, Strategy::AutoLayer, Strategy::Nixery, Strategy::Stable] {
        time(&format!("{strategy:?}"), &closure, &Policy::new(strategy, max_layers));
    }
    let mut policy = Policy::new(Strategy::Stable, max_layers);
    // The image before lacked a tenth of the paths.
    let layers = plan(&closure, &policy).layers.into_iter().map(|layer| {
        let is_old = |path: &StorePath| !path.hash_part().as_bytes()[9].is_multiple_of(10);
        layer.paths.into_iter().filter(is_old).collect()
    });
    policy.previous = Some(Previous { layers: layers.collect(), ..Previous::default() });
    time("Stable, with a previous image", &closure, &policy);
}

fn time(name: &str, closure: &Closure, policy: &Policy) {
    let mut times: Vec<f64> = Vec::new();
    for _ in 0..RUNS {
        let start = Instant::now();
        let planned = plan(closure, policy);
        times.push(start.elapsed().as_secs_f64() * 1000.0);
        assert!(!planned.layers.is_empty() && planned.layers.len() <= policy.max_layers.get());
    }
    times.sort_by(f64::total_cmp);
    println!("{name}: {:.0} ms ({:.0} to {:.0})", times[RUNS / 2], times[0], times[RUNS - 1]);
}

/// Each path refers to up to eleven earlier ones: to neighbours, and to some that many refer to. Sizes are spread over
/// five orders of magnitude.
fn closure() -> Closure {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let names: Vec<StorePath> = (0..PATHS).map(|number| random.store_path(number)).collect();
    let info = |number: usize| {
        let mut references = BTreeSet::new();
        for _ in 0..random.below(12).min(number) {
            let earlier = if random.below(3) == 0 {
                random.below(number.min(40))
            } else {
                number - 1 - random.below(number.min(300))
            };
            references.insert(names[earlier].clone());
        }
        PathInfo {
            path: names[number].clone(),
            nar_hash: NarHash::from_bytes([0; 32]),
            nar_size: (1_000 << random.below(16)) + random.below(1_000) as u64,
            references,
            deriver: None,
            content_address: None,
        }
    };
    let infos: Vec<PathInfo> = (0..PATHS).map(info).collect();
    Closure::of_all(StoreDir::default(), infos).expect("every reference is there")
}

/// xorshift64 (Marsaglia 2003): the same paths in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).expect("less than a limit that is a usize")
    }

    fn store_path(&mut self, number: usize) -> StorePath {
        let digits = b"0123456789abcdfghijklmnpqrsvwxyz";
        let hash: String = (0..32).map(|_| char::from(digits[self.below(32)])).collect();
        format!("{hash}-package{number}-{}.{}", number % 7, number % 13).parse().expect("a store path")
    }
}
