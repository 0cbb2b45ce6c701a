//! A Shoot that its owner has changed: filled in, and judged.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| network_guard_fuzz::hold("shoot", input));
