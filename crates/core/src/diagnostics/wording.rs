//! Texts for people: parts of them are what somebody else wrote, of any length.

/// One text of a denial, a failure or the log, in characters: three times the longest that a rule says of names that can be.
const LINE_LIMIT: usize = 1_000;

/// A text with nothing in it that a terminal would obey: part of it is what somebody else wrote.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A text for one line of an answer or of the log: printable, and cut where it is longer than anybody reads.
pub fn line(text: &str) -> String {
    cut(text, LINE_LIMIT)
}

/// The beginning of a text, printable, with so many characters.
pub fn cut(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        None => printable(text),
        Some((end, _)) => printable(&text[..end]) + "...",
    }
}

/// How many there are of something, in words: `1 Shoot`, `2 Shoots`.
pub fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_in_words() {
        assert_eq!([0, 1, 2].map(|count| counted(count, "Shoot")), ["0 Shoots", "1 Shoot", "2 Shoots"]);
    }

    #[test]
    fn lines_are_cut() {
        let long = "\u{1f525}\n".repeat(1 << 20);
        assert_eq!(line(&long).chars().count(), LINE_LIMIT + 3);
        assert_eq!(line("short\n"), "short ");
    }
}
