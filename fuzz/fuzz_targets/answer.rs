//! The answer to a review, with anything in it: it is what serde would write.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| network_guard_fuzz::hold("answer", input));
