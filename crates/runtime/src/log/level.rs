//! The log level: the value of `--log-level`, NETWORK_GUARD_LOG_LEVEL, and `logLevel` of the charts.
//!
//! The filter would accept a target that never logs, silently, and log nothing. So each part is checked, and the
//! schemas of the charts have the same rule as a regular expression.

use std::fmt;

use tracing_subscriber::EnvFilter;

/// The levels, most important first. `off` is for a noisy target; it never switches off the whole log, nor does a value
/// that names only such targets.
const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];
const OFF: &str = "off";

/// The targets that lines of the log may have.
#[derive(Clone, Copy, Debug)]
pub struct Targets {
    /// The program: all of its own lines.
    pub program: &'static str,
    /// Its targets: its modules, and its other crates.
    pub parts: &'static [&'static str],
    /// Libraries that log, by their names in code.
    pub libraries: &'static [&'static str],
}

/// Of this library everything or nothing is logged. Lines of its module `client` never are: they quote all of an answer
/// that cannot be read, which may be a Secret.
const WHOLE: &str = "kube_client";

/// A checked value such as `info,network_guard=debug`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Level(String);

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Level {
    /// Each part between commas is a level, at most one, or a target with a level.
    pub fn parse(text: &str, targets: &Targets) -> Result<Self, String> {
        let (mut general, mut is_any_on) = (None, false);
        for (index, part) in text.split(',').enumerate() {
            let at = if text.contains(',') { format!("part {}, ", index + 1) } else { String::new() };
            let wrong = |problem: String| Err(format!("{at}{part:?}: {problem}"));
            match part.split_once('=') {
                None if LEVELS.contains(&part) => {
                    if let Some(first) = general.replace(part) {
                        return wrong(format!("is a second level for everything, besides {first:?}; leave one out"));
                    }
                }
                None => return wrong(targets.not_a_level(part)),
                Some((target, _)) if !targets.have(target) => return wrong(targets.not_a_target(target)),
                Some((_, level)) if LEVELS.contains(&level) => is_any_on = true,
                Some((_, level)) if level == OFF => {}
                Some((_, level)) => {
                    let similar = similar(level, LEVELS.into_iter().chain([OFF]));
                    return wrong(format!("{level:?} is none of {}, {OFF}; is {similar:?} meant?", LEVELS.join(", ")));
                }
            }
        }
        if general.is_none() && !is_any_on {
            return Err(format!("{text:?}: logs nothing at all; is {:?} meant?", format!("info,{text}")));
        }
        Ok(Self(text.to_owned()))
    }

    /// The filter of the log, always without what [`WHOLE`] says about answers.
    pub(super) fn filter(&self) -> EnvFilter {
        let filter = EnvFilter::try_new(&self.0).expect("each part was checked");
        filter.add_directive("kube_client::client=off".parse().expect("it is a directive"))
    }
}

impl Targets {
    /// Whether this may be a target: a known crate, and possibly modules of it. Of our own modules the first is
    /// checked.
    fn have(&self, text: &str) -> bool {
        if text == self.program || text == WHOLE {
            return true;
        }
        let with_path = self.parts.iter().chain(self.libraries).filter(|known| **known != WHOLE);
        let mut paths = with_path.filter_map(|known| text.strip_prefix(known));
        paths.any(|path| path.is_empty() || path.strip_prefix("::").is_some_and(|path| path.split("::").all(is_module)))
    }

    fn not_a_level(&self, part: &str) -> String {
        if self.have(part) {
            return format!("says of what, but not how much; is {:?} meant?", format!("{part}=debug"));
        }
        let levels = LEVELS.join(", ");
        if part.trim() != part || part.is_empty() {
            let program = self.program;
            return format!(
                "is not a level ({levels}); commas alone stand between parts, such as \"info,{program}=debug\""
            );
        }
        if part == OFF {
            return format!("is for single targets, such as \"info,kube_runtime={OFF}\"; is \"error\" meant?");
        }
        format!("is not a level ({levels}); is {:?} meant?", similar(part, LEVELS.into_iter()))
    }

    fn not_a_target(&self, target: &str) -> String {
        if target.split("::").next() == Some(WHOLE) {
            return format!("of {WHOLE} all or nothing is logged, but never what it quotes; is {WHOLE:?} meant?");
        }
        let Self { program, parts, libraries } = self;
        let similar = similar(target, [program].into_iter().chain(*libraries).chain(*parts).copied());
        let known = libraries.join(", ");
        format!("nothing logs as {target:?}, but {program}, its modules, and {known}; is {similar:?} meant?")
    }
}

/// Whether this may be the name of a module.
fn is_module(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

fn similar<'a>(text: &str, known: impl Iterator<Item = &'a str>) -> &'a str {
    let text = text.to_ascii_lowercase();
    known.max_by(|a, b| strsim::jaro_winkler(a, &text).total_cmp(&strsim::jaro_winkler(b, &text))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGETS: Targets = Targets {
        program: "network_guard",
        parts: &["network_guard_controllers", "network_guard_runtime"],
        libraries: &["kube_client", "kube_runtime", "rustls", "tower"],
    };

    fn parse(text: &str) -> Result<Level, String> {
        Level::parse(text, &TARGETS)
    }

    /// Valid values, and the messages for invalid ones.
    const TABLE: [(&str, &str); 29] = [
        ("info", ""),
        ("trace", ""),
        ("info,network_guard=debug", ""),
        ("network_guard=debug,info", ""),
        ("network_guard=debug", ""),
        ("warn,network_guard_runtime=debug,kube_runtime=off", ""),
        ("warn,network_guard_controllers::overlay=trace,rustls::server::hs=error", ""),
        ("banana", "\"banana\": is not a level (error, warn, info, debug, trace); is \"warn\" meant?"),
        ("Info", "is \"info\" meant?"),
        ("warning", "is \"warn\" meant?"),
        ("4", "is not a level"),
        ("", "commas alone stand between parts"),
        ("info,", "part 2, \"\": is not a level"),
        ("info, network_guard=debug", "part 2, \" network_guard=debug\": nothing logs as \" network_guard\""),
        ("info,network_gaurd=debug", "part 2, \"network_gaurd=debug\": nothing logs as \"network_gaurd\""),
        ("info,network_gaurd=debug", "is \"network_guard\" meant?"),
        ("info,network_guard_runtim=debug", "is \"network_guard_runtime\" meant?"),
        ("info,network-guard=debug", "is \"network_guard\" meant?"),
        ("info,network_guard", "says of what, but not how much; is \"network_guard=debug\" meant?"),
        ("network_guard=verbose", "\"verbose\" is none of error, warn, info, debug, trace, off"),
        ("network_guard=", "\"\" is none of"),
        ("a=b=c", "nothing logs as \"a\""),
        ("info,debug", "part 2, \"debug\": is a second level for everything, besides \"info\"; leave one out"),
        ("off", "is for single targets"),
        ("kube_client=trace", ""),
        ("kube_runtime=off", "\"kube_runtime=off\": logs nothing at all; is \"info,kube_runtime=off\" meant?"),
        ("network_guard=off,tower=off", "logs nothing at all"),
        ("info,kube_client::client=trace", "of kube_client all or nothing is logged, but never what it quotes"),
        ("info,kube_client::client=off", "is \"kube_client\" meant?"),
    ];

    #[test]
    fn every_part_is_a_level_or_a_known_target_with_one() {
        for (text, want) in TABLE {
            match parse(text) {
                Ok(level) => assert!(want.is_empty() && level.to_string() == text, "{text} is taken"),
                Err(error) => assert!(!want.is_empty() && error.contains(want), "{text}: {error}"),
            }
        }
    }

    #[test]
    fn accepted_targets_are_logged() {
        for (text, _) in TABLE.into_iter().filter(|(_, want)| want.is_empty()) {
            let filter = parse(text).unwrap().filter();
            // A filter that nothing can pass has no level at all.
            assert!(
                filter.max_level_hint().is_some_and(|most| most > tracing::level_filters::LevelFilter::OFF),
                "{text}"
            );
            let said = filter.to_string();
            assert!(text.split(',').all(|part| said.split(',').any(|directive| directive == part)), "{text}: {said}");
        }
    }

    #[test]
    fn answers_that_cannot_be_read_are_not_quoted() {
        for level in ["info", "trace", "kube_client=trace", "kube_client=trace,info"] {
            let text = parse(level).unwrap().filter().to_string();
            assert!(text.contains("kube_client::client=off"), "{text}");
        }
    }
}
