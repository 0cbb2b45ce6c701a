//! What is logged, as it is said by `--log-level`, NETWORK_GUARD_LOG_LEVEL, and `logLevel` of the charts.
//!
//! What no part of this program ever logs as would be taken by the filter without a word, and log nothing. So each part is
//! checked, and the schemas of the charts have the same rule as a regular expression.

use std::fmt;
use std::str::FromStr;

use tracing_subscriber::EnvFilter;

/// How much is logged, most important first. `off` is for a target that says too much; all of it is never switched off, nor is
/// it where nothing but such targets is named.
const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];
const OFF: &str = "off";

/// Our own lines, and the modules that write some; a test compares them with the code.
const OWN: &str = "network_guard";
const MODULES: [&str; 4] = ["cli", "controllers", "server", "sources"];

/// Libraries that log, as code calls them; a test compares them with `Cargo.lock`.
const LIBRARIES: [&str; 7] =
    ["hyper_rustls", "hyper_util", "kube_client", "kube_runtime", "rustls", "tower", "tower_http"];

/// Of this one all or nothing is logged. What its module `client` says is never: it quotes all of an answer that it cannot read,
/// and that may be a Secret.
const WHOLE: &str = "kube_client";

/// Checked words such as `info,network_guard=debug`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::cli) struct Level(String);

impl FromStr for Level {
    type Err = String;

    /// Each part between commas is a level, of which there is one at most, or a target and a level.
    fn from_str(text: &str) -> Result<Self, String> {
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
                None => return wrong(not_a_level(part, is_target(part))),
                Some((target, _)) if !is_target(target) => return wrong(not_a_target(target)),
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
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Level {
    /// The filter of the log: never with what [`WHOLE`] says of answers.
    pub(super) fn filter(&self) -> EnvFilter {
        let filter = EnvFilter::try_new(&self.0).expect("each part was checked");
        filter.add_directive("kube_client::client=off".parse().expect("it is a directive"))
    }
}

/// Whether something can log as this: a crate that we know, and what may be modules of it. Of our own the first is checked.
fn is_target(text: &str) -> bool {
    let mut segments = text.split("::");
    let name = segments.next().unwrap_or_default();
    let modules: Vec<&str> = segments.collect();
    let can_be_module = |text: &&str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    let is_known = match modules.first() {
        Some(module) if name == OWN => MODULES.contains(module),
        Some(_) if name == WHOLE => false,
        _ => name == OWN || LIBRARIES.contains(&name),
    };
    is_known && modules.iter().all(can_be_module)
}

fn not_a_level(part: &str, is_target: bool) -> String {
    if is_target {
        return format!("says of what, but not how much; is {:?} meant?", format!("{part}=debug"));
    }
    let levels = LEVELS.join(", ");
    if part.trim() != part || part.is_empty() {
        return format!("is not a level ({levels}); commas alone stand between parts, such as \"info,{OWN}=debug\"");
    }
    if part == OFF {
        return format!("is for single targets, such as \"info,kube_runtime={OFF}\"; is \"error\" meant?");
    }
    format!("is not a level ({levels}); is {:?} meant?", similar(part, LEVELS.into_iter()))
}

fn not_a_target(target: &str) -> String {
    if target.split("::").next() == Some(WHOLE) {
        return format!("of {WHOLE} all or nothing is logged, but never what it quotes; is {WHOLE:?} meant?");
    }
    let own = MODULES.iter().map(|module| format!("{OWN}::{module}"));
    let all: Vec<String> = [OWN].into_iter().chain(LIBRARIES).map(str::to_owned).chain(own).collect();
    let similar = similar(target, all.iter().map(String::as_str));
    let known = LIBRARIES.join(", ");
    format!("nothing logs as {target:?}, but {OWN}, its modules, and {known}; is {similar:?} meant?")
}

fn similar<'a>(text: &str, known: impl Iterator<Item = &'a str>) -> &'a str {
    let text = text.to_ascii_lowercase();
    known.max_by(|a, b| strsim::jaro_winkler(a, &text).total_cmp(&strsim::jaro_winkler(b, &text))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::*;

    /// What is right, and of what is wrong what is said.
    const TABLE: [(&str, &str); 29] = [
        ("info", ""),
        ("trace", ""),
        ("info,network_guard=debug", ""),
        ("network_guard=debug,info", ""),
        ("network_guard=debug", ""),
        ("warn,network_guard::server=debug,kube_runtime=off", ""),
        ("warn,network_guard::controllers::overlay=trace,rustls::server::hs=error", ""),
        ("banana", "\"banana\": is not a level (error, warn, info, debug, trace); is \"warn\" meant?"),
        ("Info", "is \"info\" meant?"),
        ("warning", "is \"warn\" meant?"),
        ("4", "is not a level"),
        ("", "commas alone stand between parts"),
        ("info,", "part 2, \"\": is not a level"),
        ("info, network_guard=debug", "part 2, \" network_guard=debug\": nothing logs as \" network_guard\""),
        ("info,network_gaurd=debug", "part 2, \"network_gaurd=debug\": nothing logs as \"network_gaurd\""),
        ("info,network_gaurd=debug", "is \"network_guard\" meant?"),
        ("info,network_guard::sever=debug", "is \"network_guard::server\" meant?"),
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
            match text.parse::<Level>() {
                Ok(level) => assert!(want.is_empty() && level.to_string() == text, "{text} is taken"),
                Err(error) => assert!(!want.is_empty() && error.contains(want), "{text}: {error}"),
            }
        }
    }

    #[test]
    fn what_is_taken_is_logged() {
        for (text, _) in TABLE.into_iter().filter(|(_, want)| want.is_empty()) {
            let filter = text.parse::<Level>().unwrap().filter();
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
            let text = level.parse::<Level>().unwrap().filter().to_string();
            assert!(text.contains("kube_client::client=off"), "{text}");
        }
    }

    /// The same rule as a regular expression, for the schemas of the charts.
    fn pattern() -> String {
        let (levels, modules) = (LEVELS.join("|"), MODULES.join("|"));
        let libraries: Vec<&str> = LIBRARIES.into_iter().filter(|library| *library != WHOLE).collect();
        let path = "(::[a-z0-9_]+)*";
        let target = format!("({OWN}(::({modules}){path})?|{WHOLE}|({}){path})", libraries.join("|"));
        let part = format!("{target}=({levels}|{OFF})");
        // One of them says that something is logged.
        format!("^({part},)*({levels}|{target}=({levels}))(,{part})*$")
    }

    /// What Helm makes of it, a test of the charts compares.
    #[test]
    fn the_schemas_of_the_charts_have_the_same_rule() {
        let admission = "gardener-extension-admission-network-guard/charts";
        for chart in
            ["gardener-extension-network-guard", &format!("{admission}/runtime"), &format!("{admission}/application")]
        {
            let schema: serde_json::Value =
                serde_json::from_str(&read(&format!("charts/{chart}/values.schema.json"))).unwrap();
            assert_eq!(schema["properties"]["logLevel"]["pattern"], pattern(), "{chart}");
        }
    }

    #[test]
    fn targets_are_those_that_log() {
        let logging: Vec<String> = std::fs::read_dir(root("src"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_dir() && logs(path))
            .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
            .collect();
        let known: BTreeSet<&str> = MODULES.into_iter().collect();
        assert_eq!(logging.iter().map(String::as_str).collect::<BTreeSet<_>>(), known);

        let lock = read("Cargo.lock");
        let depends = |package: &str, on: &str| package.lines().any(|line| line.trim() == format!("\"{on}\","));
        for library in LIBRARIES {
            let name = format!("name = \"{}\"", library.replace('_', "-"));
            let package = lock.split("[[package]]").find(|package| package.lines().any(|line| line == name));
            assert!(package.is_some_and(|package| depends(package, "tracing") || depends(package, "log")), "{library}");
        }
    }

    fn root(path: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
    }

    fn read(path: &str) -> String {
        std::fs::read_to_string(root(path)).unwrap()
    }

    /// Whether a file of a folder writes lines of the log.
    fn logs(folder: &Path) -> bool {
        let levels = LEVELS.map(|level| format!("tracing::{level}!("));
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).any(|path| {
            if path.is_dir() {
                return logs(&path);
            }
            let text = std::fs::read_to_string(&path).unwrap();
            path.extension().is_some_and(|extension| extension == "rs")
                && levels.iter().any(|level| text.contains(level))
        })
    }
}
