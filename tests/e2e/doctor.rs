//! `network-guard doctor`, on real API servers with a real network-guard: well, and with each fault.

#![allow(clippy::print_stdout, reason = "people may want to see what it says")]

mod garden;
mod rights;
mod seed;

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// What it said, and how it ended.
struct Said {
    report: Value,
    code: Option<i32>,
    text: String,
}

impl Said {
    /// The answer of a check: its state, and everything that it says.
    fn check(&self, name: &str) -> (&str, String) {
        let checks = self.report["checks"].as_array().unwrap_or_else(|| panic!("{}", self.text));
        let check = checks.iter().find(|check| check["name"] == name).unwrap();
        let lines = |field: &str| check[field].as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned());
        (check["state"].as_str().unwrap(), lines("saw").chain(lines("do")).collect::<Vec<_>>().join("\n"))
    }

    /// All checks that ended so.
    fn named(&self, state: &str) -> Vec<&str> {
        let checks = self.report["checks"].as_array().unwrap_or_else(|| panic!("{}", self.text));
        checks.iter().filter(|check| check["state"] == state).map(|check| check["name"].as_str().unwrap()).collect()
    }
}

/// Asks the doctor as programs do.
fn doctor(role: &str, kubeconfig: &Path, further: &[&str]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_network-guard"));
    command.args(["doctor", role, "-o", "json", "--timeout", "60", "--kubeconfig"]).arg(kubeconfig).args(further);
    command.env_remove("GARDEN_KUBECONFIG");
    let output = command.output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Said { report: serde_json::from_slice(&output.stdout).unwrap_or_default(), code: output.status.code(), text }
}
