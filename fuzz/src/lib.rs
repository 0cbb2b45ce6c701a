//! The laws behind the fuzz targets.

#![forbid(unsafe_code)]

mod laws;

/// Holds an input against the law of a target.
///
/// # Panics
///
/// When it breaks it, or there is no such target.
pub fn hold(target: &str, input: &[u8]) {
    let (_, law) = laws::TARGETS.iter().find(|(name, _)| *name == target).expect("it is a target");
    law(input);
}
