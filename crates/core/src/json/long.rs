//! Where the long values of a text end.

/// What is shorter is searched again.
pub(super) const LONG: usize = 512;

/// How many are noted, of however many there are: a Deployment has six.
pub(super) const MOST: usize = 8;

/// The beginnings and ends of the first long values of an object: a constant size, and of no use with another text.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct LongValues {
    found: [(u32, u32); MOST],
    count: usize,
}

impl LongValues {
    /// Notes a value, if it is long and there is room for it.
    pub(super) fn note(&mut self, start: usize, end: usize) {
        if end - start >= LONG
            && self.count < MOST
            && let (Ok(start), Ok(end)) = (u32::try_from(start), u32::try_from(end))
        {
            self.found[self.count] = (start, end);
            self.count += 1;
        }
    }

    /// Those that were found.
    pub(super) fn found(&self) -> &[(u32, u32)] {
        &self.found[..self.count]
    }

    /// Where the value ends that starts here, if that is known.
    #[inline]
    pub(super) fn end(&self, start: usize) -> Option<usize> {
        let found = self.found().iter().find(|(known, _)| *known as usize == start);
        found.map(|(_, end)| *end as usize)
    }
}
