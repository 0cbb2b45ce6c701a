//! The fuzzer's bytes as choices. Whatever they are, there is a choice: behind the end all bytes are zero.

/// The longest text that is made of them.
const LONGEST: usize = 63;

pub(super) struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn byte(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or_default()
    }

    pub(super) fn flag(&mut self) -> bool {
        self.byte() % 2 == 1
    }

    /// Less than this, which must not be zero.
    pub(super) fn below(&mut self, end: usize) -> usize {
        let large = if end > 256 { usize::from(self.byte()) << 8 } else { 0 };
        (large + usize::from(self.byte())) % end
    }

    pub(super) fn choose<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        &of[self.below(of.len())]
    }

    pub(super) fn number(&mut self) -> i64 {
        i64::from_le_bytes(std::array::from_fn(|_| self.byte()))
    }

    pub(super) fn text(&mut self) -> String {
        let length = self.below(LONGEST + 1).min(self.0.len());
        let (text, rest) = self.0.split_at(length);
        self.0 = rest;
        String::from_utf8_lossy(text).into_owned()
    }
}
