//! Finds where the long values of an object end.
//!
//! The reader of a review has to find the end of the object in it, and so comes by the ends of all that is in that object. Those of
//! its longest parts are noted, so that the reader of the object steps over managed fields and templates without another search.

use super::{LongValues, Malformed, Members};

/// In what is shorter than this, together with all that follows, to search again takes less than to note.
const WORTH: usize = 20 << 10;

/// How deep long values are looked for: members of the object, and members of those.
const DEEPEST: usize = 2;

/// How many members are looked at on these levels together. A Deployment has some dozens. To look at very many small ones takes
/// far longer than to search the end of the object in the plain way, so then that is done.
const MOST_MEMBERS: usize = 512;

impl<'a> Members<'a> {
    /// Skips the value that comes next, and notes the long values in it, if that is worth it.
    pub fn skip_noting(&mut self) -> Result<(&'a str, LongValues), Malformed> {
        if self.rest().len() < WORTH { Ok((self.skip()?, LongValues::default())) } else { self.skip_noting_any() }
    }

    fn skip_noting_any(&mut self) -> Result<(&'a str, LongValues), Malformed> {
        self.skip_space();
        let text = self.rest();
        let mut inside = Members::of(text);
        let mut noting = Noting { long: LongValues::default(), length: text.len(), members_left: MOST_MEMBERS };
        match noting.note(&mut inside, DEEPEST) {
            Some(()) => Ok((self.skip_to(inside.rest())?, noting.long)),
            // It is no object, has too many members, or something is wrong in it that its reader will name.
            None => Ok((self.skip()?, LongValues::default())),
        }
    }
}

/// The long values that were found so far.
struct Noting {
    long: LongValues,
    /// That of the whole text.
    length: usize,
    /// How many more members are looked at.
    members_left: usize,
}

impl Noting {
    /// Notes the long values of the object that comes next.
    fn note(&mut self, members: &mut Members<'_>, depth: usize) -> Option<()> {
        members.enter().ok()?;
        while members.key().ok()?.is_some() {
            self.members_left = self.members_left.checked_sub(1)?;
            let start = self.length - members.rest().len();
            let first = *members.rest().as_bytes().first()?;
            if first == b'{' && depth > 1 {
                self.note(members, depth - 1)?;
            } else {
                let value = members.skip().ok()?;
                // Brackets and quotes in what should be a number would count when the end of the object is searched.
                let is_whole = matches!(first, b'"' | b'{' | b'[')
                    || value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'+' | b'.'));
                is_whole.then_some(())?;
            }
            if first != b'"' {
                self.long.note(start, self.length - members.rest().len());
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::long::{LONG, MOST};
    use super::*;

    /// With and without notes the same is found, in whatever text.
    fn check(text: &str) -> usize {
        let (mut noting, mut plain) = (Members::of(text), Members::of(text));
        let noted = noting.skip_noting_any();
        assert_eq!(noted.map(|(value, _)| value), plain.skip(), "{text}");
        let Ok((value, long)) = noted else { return 0 };
        assert_eq!(noting.rest(), plain.rest(), "{text}");
        for (start, end) in long.found() {
            let part = &value[*start as usize..];
            assert_eq!(Members::of(part).skip(), Ok(&value[*start as usize..*end as usize]), "{text}");
        }
        assert_eq!(walk(Members::knowing(value, long), DEEPEST + 1), walk(Members::of(value), DEEPEST + 1), "{text}");
        long.found().len()
    }

    /// All members down to this depth.
    fn walk(mut members: Members<'_>, depth: usize) -> Result<Vec<String>, Malformed> {
        fn inside(members: &mut Members<'_>, depth: usize, found: &mut Vec<String>) -> Result<(), Malformed> {
            members.enter()?;
            while let Some(key) = members.key()? {
                if depth > 1 && members.rest().starts_with('{') && key.len() % 2 == 0 {
                    inside(members, depth - 1, found)?;
                } else {
                    found.push(format!("{key}: {}", members.skip()?));
                }
            }
            Ok(())
        }
        let mut found = Vec::new();
        inside(&mut members, depth, &mut found)?;
        members.end()?;
        Ok(found)
    }

    #[test]
    fn what_is_long_is_noted() {
        let long = |text: &str| format!("[{text}\"{}\"]", "x".repeat(LONG));
        let many = format!("{{{}\"z\":1}}", format!("\"a\":{},", long("")).repeat(3 * MOST));
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        let nested = format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
        for (text, want) in [
            (format!(" {{ \"a\" : {} , \"b\":\"{}\"}} ", long("1,"), "x".repeat(LONG)), 1),
            (format!("{{\"a\":{{\"b\":{},\"c\":{{\"d\":{}}}}}}}x", long(""), long("")), 3),
            (format!("{{\"a\\\"\":{},\"a\":[],\"a\":{}}}", long("\"]\","), long("")), 2),
            (many, MOST),
            (deep, 1),
            // Twice that of the levels that are looked at, and nothing of those below.
            (nested, 2),
            (format!("{{\"a\":x{{}},\"b\":{}}}", long("")), 0),
            (format!("{{\"a\":{},b}}", long("")), 0),
            (long(""), 0),
            ("null,".to_owned(), 0),
            ("{".to_owned(), 0),
            (String::new(), 0),
        ] {
            assert_eq!(check(&text), want, "{}", &text[..text.len().min(100)]);
        }
    }

    /// What has more members than any real object is searched in the plain way, which takes far less.
    #[test]
    fn of_very_many_members_nothing_is_noted() {
        let long = format!("\"a\":[\"{}\"]", "x".repeat(LONG));
        let more = |count: usize| ",\"b\":1".repeat(count);
        for (text, want) in [
            (format!("{{{long}{}}}", more(MOST_MEMBERS - 1)), 1),
            (format!("{{{long}{}}}", more(MOST_MEMBERS)), 0),
            (format!("{{{long}{}}}", more(100_000)), 0),
            (format!("{{{long}{},{long}}}", more(MOST_MEMBERS)), 0),
            // Those of both levels count.
            (format!("{{\"aa\":{{{long}{}}}}}", more(MOST_MEMBERS - 2)), 2),
            (format!("{{\"aa\":{{{long}{}}}}}", more(MOST_MEMBERS - 1)), 0),
            (format!("{{{long},\"aa\":{{\"b\":1{}}}{}}}", more(MOST_MEMBERS / 2), more(MOST_MEMBERS / 2)), 0),
            // Those below do not.
            (format!("{{\"aa\":{{\"bb\":{{{long}{}}}}}}}", more(100_000)), 2),
        ] {
            assert_eq!(check(&text), want, "{} bytes", text.len());
        }
    }

    proptest! {
        #[test]
        fn nothing_else_is_found_with_notes(
            pieces in prop::collection::vec(
                prop_oneof![
                    4 => "[{}\\[\\],:\"]",
                    4 => r#"("a":|"bb":|"a":\{|"bb":\{"a":|\},|\],|1,|x)"#,
                    2 => Just(format!("\"bb\":[\"{}\"],", "]\\\"".repeat(LONG / 3))),
                    1 => r"[\\ ]",
                    1 => ".",
                ],
                0..40,
            ),
            beginning in prop_oneof![3 => Just("{"), 1 => Just("{\"bb\":{"), 1 => Just("")],
            end in prop_oneof![Just("\"a\":1}"), Just("\"a\":1}}"), Just("")],
        ) {
            check(&format!("{beginning}{}{end}", pieces.concat()));
        }

        /// Whatever serde_json writes.
        #[test]
        fn objects_are_read_the_same(
            members in prop::collection::btree_map(".{0,4}", prop::collection::btree_map(".{0,4}", ".{0,3}", 0..60), 0..6),
            pretty in any::<bool>(),
        ) {
            let text = if pretty { serde_json::to_string_pretty(&members) } else { serde_json::to_string(&members) };
            check(&text.unwrap());
        }
    }
}
