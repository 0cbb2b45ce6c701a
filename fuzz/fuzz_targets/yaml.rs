//! A file of YAML or JSON, as any bytes.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| network_guard_fuzz::hold("yaml", input));
