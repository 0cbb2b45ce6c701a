//! `--log-level` and `--log-format`, and the targets that lines of the log may have.

use clap::ValueEnum;

use network_guard_runtime::log::{Format, Level, Targets};

/// network-guard's own targets, and libraries that log, by their names in code; tests compare them with the code and
/// with `Cargo.lock`.
const TARGETS: Targets = Targets {
    program: "network_guard",
    parts: &["network_guard::wiring", "network_guard_controllers", "network_guard_runtime", "network_guard_sources"],
    libraries: &["hyper_rustls", "hyper_util", "kube_client", "kube_runtime", "rustls", "tower", "tower_http"],
};

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum LogFormat {
    /// One JSON object a line
    Json,
    /// Lines for people
    Text,
}

impl From<LogFormat> for Format {
    fn from(format: LogFormat) -> Self {
        match format {
            LogFormat::Json => Self::Json,
            LogFormat::Text => Self::Text,
        }
    }
}

/// Parses `--log-level`.
pub(super) fn level(text: &str) -> Result<Level, String> {
    Level::parse(text, &TARGETS)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::*;

    const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

    /// The rule as a regular expression, for the schemas of the charts.
    fn pattern() -> String {
        let levels = LEVELS.join("|");
        // Of this library everything or nothing is logged.
        let whole = "kube_client";
        let others = TARGETS.libraries.iter().filter(|library| **library != whole);
        let with_path: Vec<&str> = TARGETS.parts.iter().chain(others).copied().collect();
        let target = format!("({}|({})(::[a-z0-9_]+)*|{whole})", TARGETS.program, with_path.join("|"));
        let part = format!("{target}=({levels}|off)");
        // At least one part logs something.
        format!("^({part},)*({levels}|{target}=({levels}))(,{part})*$")
    }

    /// A test of the charts checks what Helm makes of it.
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
    fn targets_match_the_code() {
        let named = |folder: &str, between: &str| -> Vec<String> {
            let folders = std::fs::read_dir(root(folder)).unwrap().map(|entry| entry.unwrap().path());
            let logging = folders.filter(|path| path.is_dir() && logs(path));
            logging
                .map(|path| format!("{}{between}{}", TARGETS.program, path.file_name().unwrap().to_str().unwrap()))
                .collect()
        };
        // Modules of the program, and its other crates.
        let logging: BTreeSet<String> = named("src", "::").into_iter().chain(named("crates", "_")).collect();
        let known: BTreeSet<String> = TARGETS.parts.iter().copied().map(str::to_owned).collect();
        assert_eq!(logging, known);

        let lock = read("Cargo.lock");
        let depends = |package: &str, on: &str| package.lines().any(|line| line.trim() == format!("\"{on}\","));
        for library in TARGETS.libraries {
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
