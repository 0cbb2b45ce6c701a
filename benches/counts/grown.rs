//! When work grows too fast with its review, and what is said of it.

/// What twice the size may cost more than two and a half times, in instructions: a limit is crossed between the two sizes, and what
/// is too much is told of.
const SLACK: u64 = 1_000_000;

/// One review in two sizes.
pub struct Grown {
    /// What is called.
    pub call: &'static str,
    /// What makes the review large.
    pub kind: &'static str,
    /// The bytes of both.
    pub bytes: [usize; 2],
    /// The instructions of both.
    pub instructions: [u64; 2],
}

impl Grown {
    /// What is wrong with it.
    pub fn judge(&self) -> Option<String> {
        let Self { call, kind, bytes: [small, large], instructions: [once, twice] } = self;
        let most = once * 5 / 2 + SLACK;
        (*twice > most).then(|| {
            format!(
                "{call}, with {kind}: {once} instructions for {small} bytes, {twice} for {large}, where {most} are the most: look \
                 for a loop in a loop; for this kind alone: --growth {kind:?}"
            )
        })
    }
}

/// The kind that stands behind `--growth`, if any: without one all are counted.
pub fn chosen(arguments: &[String]) -> Option<&str> {
    let after = arguments.iter().skip_while(|argument| *argument != "--growth").nth(1)?;
    (!after.starts_with("--")).then_some(after)
}
