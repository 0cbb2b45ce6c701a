//! A Deployment of a Shoot's kube-apiserver that others have changed.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| network_guard_fuzz::hold("deployment", input));
