//! What must hold for any input, a file for each kind of input. `fuzz` lets libFuzzer look for one that breaks it, and `tests/it/fuzz.rs`
//! feeds what it has found so far to the same functions.

mod answer;
mod bytes;
mod cidr;
mod deployment;
mod edits;
mod network;
mod peering;
mod review;
mod scene;
mod shoot;
mod vpn_shoot;
mod yaml;

/// A law: it panics when an input breaks it.
pub(crate) type Law = fn(&[u8]);

/// Each target and its law.
pub(crate) const TARGETS: [(&str, Law); 9] = [
    ("answer", answer::law),
    ("cidr", cidr::law),
    ("deployment", deployment::law),
    ("network", network::law),
    ("peering", peering::law),
    ("review", review::law),
    ("shoot", shoot::law),
    ("vpn_shoot", vpn_shoot::law),
    ("yaml", yaml::law),
];
