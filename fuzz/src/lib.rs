//! Every parser of bytes that floe did not write itself, as a function of any bytes.
//!
//! A target returns nothing: what it checks is that the parser does not panic, and where a value can be written
//! again, that it reads back as itself. The seeds of a target are the files in `corpus/<its name>`.

#![forbid(unsafe_code)]

mod files;
mod layers;
mod nix;
mod oci;
mod words;

/// A parser under test.
pub struct Target {
    /// Its name, and that of its directory of seeds.
    pub name: &'static str,
    /// Inputs that the smoke run tries: fewer where each needs a file.
    pub iterations: u32,
    /// Parses; panics where the parser is wrong.
    pub run: fn(&[u8]),
}

/// Inputs for parsers that work in memory.
const IN_MEMORY: u32 = 400_000;

/// Inputs for parsers that read files.
const IN_FILES: u32 = 20_000;

/// All targets, in the order of the crates.
pub const TARGETS: &[Target] = &[
    Target { name: "path_info_json", iterations: IN_MEMORY, run: nix::path_info_json },
    Target { name: "structured_attrs", iterations: IN_MEMORY, run: nix::structured_attrs },
    Target { name: "registration", iterations: IN_MEMORY, run: nix::registration },
    Target { name: "daemon_path_info", iterations: IN_MEMORY, run: nix::daemon_path_info },
    Target { name: "derivation", iterations: IN_MEMORY, run: nix::derivation },
    Target { name: "elf", iterations: IN_MEMORY, run: nix::elf },
    Target { name: "oci_documents", iterations: IN_MEMORY, run: oci::documents },
    Target { name: "references", iterations: IN_MEMORY, run: words::references },
    Target { name: "names", iterations: IN_MEMORY, run: words::names },
    Target { name: "configuration", iterations: IN_FILES, run: words::configuration },
    Target { name: "lock", iterations: IN_FILES, run: words::lock },
    Target { name: "archive", iterations: IN_FILES, run: files::archive },
    Target { name: "layout", iterations: IN_FILES, run: files::layout },
    Target { name: "layers", iterations: IN_FILES, run: layers::layers },
];
