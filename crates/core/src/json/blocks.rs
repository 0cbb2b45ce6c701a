//! Where a string, an array or an object ends, many bytes at a time.
//!
//! Strings of a review are short: thirty-two bytes at once, by instructions that every processor of the target has. Arrays and
//! objects are long: sixty-four at once, by the best instructions that the processor turns out to have.

#![allow(clippy::inline_always, reason = "only what is inlined into `dispatch` is compiled for the processor")]

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch, mask8x32, u8x32, u8x64};

/// The position behind the string that starts here with a quote, and whether it has a backslash.
#[inline]
pub(super) fn string_end(bytes: &[u8], start: usize) -> Option<(usize, bool)> {
    let rest = bytes.get(start + 1..)?;
    let block = rest.first_chunk();
    let found = block.map_or(0, |block| dispatch!(Level::baseline(), simd => marked(simd, *block, quote_or_backslash)));
    match short_end(rest, found) {
        Some(length) => Some((start + 1 + length, false)),
        None => long_string_end(bytes, start),
    }
}

/// The position behind the string that starts here with a quote; `None` if it has a backslash or a control character.
#[inline]
pub(super) fn plain_string_end(bytes: &[u8], start: usize) -> Option<usize> {
    let rest = bytes.get(start + 1..)?;
    let block = rest.first_chunk();
    let found = block.map_or(0, |block| dispatch!(Level::baseline(), simd => marked(simd, *block, not_plain)));
    match short_end(rest, found) {
        Some(length) => Some(start + 1 + length),
        None => long_plain_string_end(bytes, start),
    }
}

/// The length up to the end of a string that ends in the first block and has nothing else that is marked.
#[inline(always)]
fn short_end(rest: &[u8], found: u64) -> Option<usize> {
    let offset = found.trailing_zeros() as usize;
    (found != 0 && rest.get(offset) == Some(&b'"')).then_some(offset + 1)
}

#[inline(never)]
fn long_string_end(bytes: &[u8], start: usize) -> Option<(usize, bool)> {
    let mut has_escapes = false;
    let mut at = start + 1;
    loop {
        let rest = bytes.get(at..)?;
        let found = at + dispatch!(Level::baseline(), simd => first(simd, rest, quote_or_backslash))?;
        if bytes[found] == b'"' {
            return Some((found + 1, has_escapes));
        }
        // The byte behind a backslash does not count.
        has_escapes = true;
        at = found + 2;
    }
}

#[inline(never)]
fn long_plain_string_end(bytes: &[u8], start: usize) -> Option<usize> {
    let rest = bytes.get(start + 1..)?;
    let found = start + 1 + dispatch!(Level::baseline(), simd => first(simd, rest, not_plain))?;
    (bytes[found] == b'"').then_some(found + 1)
}

/// Whether a text is a JSON string as it is, between quotes.
pub fn is_plain(text: &str) -> bool {
    dispatch!(Level::baseline(), simd => first(simd, text.as_bytes(), not_plain)).is_none()
}

#[inline(always)]
fn quote_or_backslash<S: Simd>(block: u8x32<S>) -> mask8x32<S> {
    block.simd_eq(b'"') | block.simd_eq(b'\\')
}

#[inline(always)]
fn not_plain<S: Simd>(block: u8x32<S>) -> mask8x32<S> {
    quote_or_backslash(block) | block.min(0x1f).simd_eq(block)
}

/// A bit for each byte that is meant.
#[inline(always)]
fn marked<S: Simd>(simd: S, block: [u8; 32], is_meant: impl Fn(u8x32<S>) -> mask8x32<S>) -> u64 {
    is_meant(u8x32::simd_from(simd, block)).to_bitmask()
}

/// The position of the first byte that is meant.
#[inline(always)]
fn first<S: Simd>(simd: S, bytes: &[u8], is_meant: impl Fn(u8x32<S>) -> mask8x32<S>) -> Option<usize> {
    let mut rest = bytes;
    loop {
        let block = rest.first_chunk().copied().unwrap_or_else(|| padded(rest));
        let found = marked(simd, block, &is_meant);
        if found != 0 {
            let offset = found.trailing_zeros() as usize;
            return (offset < rest.len()).then(|| bytes.len() - rest.len() + offset);
        }
        rest = rest.get(32..)?;
    }
}

/// The last bytes of a text, and zeros behind them.
#[cold]
fn padded<const N: usize>(rest: &[u8]) -> [u8; N] {
    let mut block = [0; N];
    block[..rest.len()].copy_from_slice(rest);
    block
}

/// The position behind the array or object that starts here. Brackets are counted, not matched.
pub(super) fn container_end(bytes: &[u8], start: usize) -> Option<usize> {
    dispatch!(Level::new(), simd => end(simd, bytes, start))
}

#[inline(always)]
fn end<S: Simd>(simd: S, bytes: &[u8], start: usize) -> Option<usize> {
    let (blocks, tail) = bytes.get(start + 1..)?.as_chunks::<64>();
    let mut walk = Walk::default();
    for (number, block) in blocks.iter().enumerate() {
        if let Some(offset) = walk.end_in(&Marks::of(simd, *block)) {
            return Some(start + 1 + number * 64 + offset + 1);
        }
    }
    let offset = walk.end_in(&Marks::of(simd, padded(tail)))?;
    Some(bytes.len() - tail.len() + offset + 1)
}

/// How far into an array or object a block begins.
struct Walk {
    depth: usize,
    strings: Strings,
}

impl Default for Walk {
    fn default() -> Self {
        Self { depth: 1, strings: Strings::default() }
    }
}

impl Walk {
    /// Where in this block it ends; otherwise the next one comes next.
    #[inline(always)]
    fn end_in(&mut self, marks: &Marks) -> Option<usize> {
        let inside = self.strings.inside(marks);
        let (opens, closes) = (marks.opens & !inside, marks.closes & !inside);
        // It can only end here if there are as many closing brackets as are open.
        let count = closes.count_ones() as usize;
        if self.depth <= count
            && let Some(offset) = last(self.depth, opens, closes)
        {
            return Some(offset);
        }
        self.depth = self.depth + opens.count_ones() as usize - count;
        None
    }
}

/// The offset of the bracket that closes the last one that is open.
#[inline(always)]
fn last(depth: usize, opens: u64, closes: u64) -> Option<usize> {
    let (mut left, mut count) = (closes, 0);
    while left != 0 {
        let offset = left.trailing_zeros();
        count += 1;
        let opened = (opens & ((1 << offset) - 1)).count_ones() as usize;
        if depth + opened <= count {
            return Some(offset as usize);
        }
        left &= left - 1;
    }
    None
}

/// A bit for each byte of a block that counts.
struct Marks {
    quotes: u64,
    backslashes: u64,
    opens: u64,
    closes: u64,
}

impl Marks {
    #[inline(always)]
    fn of<S: Simd>(simd: S, block: [u8; 64]) -> Self {
        let block = u8x64::simd_from(simd, block);
        // `[` and `{`, and `]` and `}`, differ in this bit only.
        let folded = block | 0x20;
        Self {
            quotes: block.simd_eq(b'"').to_bitmask(),
            backslashes: block.simd_eq(b'\\').to_bitmask(),
            opens: folded.simd_eq(b'{').to_bitmask(),
            closes: folded.simd_eq(b'}').to_bitmask(),
        }
    }
}

/// How a block begins.
#[derive(Clone, Copy, Default)]
struct Strings {
    /// All bits, inside of a string.
    inside: u64,
    /// One, if the first byte is behind a backslash.
    escaped: u64,
}

impl Strings {
    /// A bit for each byte of the block that is inside of a string.
    #[inline(always)]
    fn inside(&mut self, marks: &Marks) -> u64 {
        let mut inside = self.inside;
        if marks.backslashes | self.escaped == 0 {
            inside ^= parity(marks.quotes);
        } else {
            let (escaped, mut next) = escaped(marks.backslashes, self.escaped);
            let mut quotes = marks.quotes & !escaped;
            if marks.backslashes & !(inside ^ parity(quotes)) != 0 {
                // Outside of strings a backslash escapes nothing; only there it takes a closer look.
                (quotes, next) = unescaped_quotes(marks, *self);
            }
            inside ^= parity(quotes);
            self.escaped = next;
        }
        self.inside = if inside >> 63 == 0 { 0 } else { u64::MAX };
        inside
    }
}

/// The quotes that no backslash inside of a string escapes, and how the next block begins.
#[cold]
fn unescaped_quotes(marks: &Marks, strings: Strings) -> (u64, u64) {
    let mut quotes = marks.quotes & !strings.escaped;
    let mut left = (marks.quotes | marks.backslashes) & !strings.escaped;
    let mut is_inside = strings.inside != 0;
    let mut escaped = 0;
    while left != 0 {
        let mark = left & left.wrapping_neg();
        left ^= mark;
        if quotes & mark != 0 {
            is_inside = !is_inside;
        } else if is_inside {
            let behind = mark << 1;
            quotes &= !behind;
            left &= !behind;
            escaped = u64::from(behind == 0);
        }
    }
    (quotes, escaped)
}

/// Each bit becomes the parity of the bits up to it.
#[inline(always)]
fn parity(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}

/// The bytes behind an odd number of backslashes, and whether the first one of the next block is such a byte.
#[inline(always)]
fn escaped(backslashes: u64, first: u64) -> (u64, u64) {
    const EVEN: u64 = 0x5555_5555_5555_5555;
    let backslashes = backslashes & !first;
    let behind = (backslashes << 1) | first;
    // A carry runs through each row of backslashes. Behind a row that begins at an odd place it changes what is even.
    let odd = backslashes & !EVEN & !behind;
    let (rows, carry) = odd.overflowing_add(backslashes);
    ((EVEN ^ (rows << 1)) & behind, u64::from(carry))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same, byte by byte.
    fn slowly(bytes: &[u8], start: usize) -> Option<usize> {
        let (mut depth, mut in_string, mut at) = (0, false, start);
        while at < bytes.len() {
            match (bytes[at], in_string) {
                (b'\\', true) => at += 1,
                (b'"', _) => {
                    in_string = !in_string;
                    if depth == 0 && !in_string {
                        return Some(at + 1);
                    }
                }
                (b'{' | b'[', false) => depth += 1,
                (b'}' | b']', false) => {
                    depth -= 1;
                    if depth == 0 {
                        return Some(at + 1);
                    }
                }
                _ => {}
            }
            at += 1;
        }
        None
    }

    fn check(bytes: &[u8], start: usize) {
        let want = slowly(bytes, start);
        if bytes[start] == b'"' {
            let text = &bytes[start + 1..];
            assert_eq!(string_end(bytes, start).map(|(end, _)| end), want, "{text:?}");
            let is_plain = want.is_some_and(|end| text[..end - start - 1].iter().all(|b| *b != b'\\' && *b > 0x1f));
            assert_eq!(plain_string_end(bytes, start), want.filter(|_| is_plain), "{text:?}");
            if let Some((end, has_escapes)) = string_end(bytes, start) {
                assert_eq!(has_escapes, bytes[start..end].contains(&b'\\'));
            }
        } else {
            assert_eq!(container_end(bytes, start), want, "{:?}", &bytes[start..]);
            dispatch!(Level::baseline(), simd => assert_eq!(end(simd, bytes, start), want));
        }
    }

    /// Each mark around the edges of blocks, behind an even and an odd number of backslashes.
    #[test]
    fn edges_of_blocks() {
        for length in [0, 1, 13, 14, 15, 16, 17, 30, 31, 32, 33, 47, 48, 61, 62, 63, 64, 65, 126, 127, 128, 129] {
            for end in ["\"", "\\\"", "\\\\\"", "\\\\\\\"\"", "\\", "\u{1f}\"", "\u{ff}\"", "}\"", "[\"", ""] {
                let filler = "x".repeat(length);
                for (before, after) in [("\"", ""), ("[\"", "]"), ("{\"", "}}"), ("[[\"", "\\\"]]]"), ("[\\\"", "]")] {
                    for start in 0..3 {
                        let text = format!("{}{before}{filler}{end}{after}", &"  "[..start]);
                        check(text.as_bytes(), start);
                    }
                }
            }
        }
    }

    proptest! {
        /// Arbitrary bytes, most of which count.
        #[test]
        fn agrees_with_one_byte_at_a_time(
            bytes in prop::collection::vec(
                prop_oneof![6 => Just(b'x'), 2 => Just(b'"'), 2 => Just(b'\\'), 2 => Just(b'['), 1 => Just(b'{'), 2 => Just(b']'),
                    1 => Just(b'}'), 1 => any::<u8>()],
                0..300,
            ),
            open in prop_oneof![Just(b'"'), Just(b'['), Just(b'{')],
            depth in 1usize..80,
            start in 0usize..20,
        ) {
            let depth = if open == b'"' { 1 } else { depth };
            let text = [vec![b' '; start], vec![open; depth], bytes].concat();
            check(&text, start);
        }
    }
}
