//! The end of the VPN in a Shoot.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| network_guard_fuzz::hold("vpn_shoot", input));
