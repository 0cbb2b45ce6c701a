//! The text of a PeeringConfig, as any bytes that are text.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| network_guard_fuzz::hold("peering", input));
