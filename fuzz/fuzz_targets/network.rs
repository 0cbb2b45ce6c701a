//! A Network whose overlay is switched, or whose records were changed by others.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| network_guard_fuzz::hold("network", input));
