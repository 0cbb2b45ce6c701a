//! The body of an admission call, as any bytes: what is read is what serde reads.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| network_guard_fuzz::hold("review", input));
