//! Formatting of names in messages.

use std::borrow::Cow;
use std::fmt::{Display, Write as _};

/// As many of these names as fit into `room` characters, at least one, and the number of the others.
pub(super) fn names_within<T: Display>(names: &[T], room: usize) -> String {
    let mut text = String::new();
    for (i, name) in names.iter().enumerate() {
        let name = name.to_string();
        if i > 0 && text.chars().count() + name.chars().count() > room {
            let left = names.len() - i;
            let _ = write!(text, " and {left} more");
            break;
        }
        text.push_str(if i == 0 { "" } else { ", " });
        text.push_str(&name);
    }
    text
}

/// A name as a YAML string: `123` and `null` are valid names too.
pub(super) fn scalar(name: &str) -> Cow<'_, str> {
    const OTHERS: [&str; 9] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    if name.starts_with(|c: char| c.is_ascii_digit()) || OTHERS.contains(&name) {
        format!("\"{name}\"").into()
    } else {
        name.into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    proptest! {
        /// A name that is copied into YAML is read as the same string.
        #[test]
        fn names_are_texts(
            name in prop_oneof!["[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", "[0-9]{1,9}", "(null|true|yes|no|on|off|y|n|0x1f|1e3|0o17)"],
        ) {
            let read: Value = serde_saphyr::from_str(&format!("- {{name: {}}}", scalar(&name))).unwrap();
            prop_assert_eq!(read, json!([{"name": name}]));
        }

        #[test]
        fn names_fit(names in prop::collection::vec("[a-z]{1,80}", 1..40)) {
            let text = names_within(&names, 100);
            prop_assert!(text.chars().count() <= 100 + 80 + " and 40 more".len());
            prop_assert!(text.starts_with(&names[0]));
            let shown = text.split(" and ").next().unwrap().split(", ").count();
            let left = text.split_once(" and ").map_or(0, |(_, left)| left.trim_end_matches(" more").parse().unwrap());
            prop_assert_eq!(shown + left, names.len());
        }
    }
}
