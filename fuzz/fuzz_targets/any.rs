//! libFuzzer's front door: the target that `FLOE_FUZZ_TARGET` names.

#![no_main]

use std::sync::LazyLock;

use floe_fuzz::{TARGETS, Target};

static TARGET: LazyLock<&'static Target> = LazyLock::new(|| {
    let name = std::env::var("FLOE_FUZZ_TARGET").expect("FLOE_FUZZ_TARGET names a target");
    TARGETS.iter().find(|target| target.name == name).expect("FLOE_FUZZ_TARGET names one of TARGETS")
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| (TARGET.run)(bytes));
