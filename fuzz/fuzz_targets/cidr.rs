//! CIDRs, and the ranges that they are mapped into.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| network_guard_fuzz::hold("cidr", input));
