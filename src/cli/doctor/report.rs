//! The report of the doctor: one result for each check, for people and for programs.

use std::fmt::Write as _;

use serde::Serialize;

/// The result of one check, from best to worst.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// The fact was seen, and is right.
    Ok,
    /// The doctor could not find out.
    Unknown,
    /// The fact was seen, and is wrong.
    Problem,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unknown => "unknown",
            Self::Problem => "problem",
        }
    }

    /// The colour in terminals: green, yellow, red (ECMA-48, SGR).
    fn colour(self) -> &'static str {
        match self {
            Self::Ok => "\x1b[32m",
            Self::Unknown => "\x1b[33m",
            Self::Problem => "\x1b[1;31m",
        }
    }
}

/// One question, and its answer.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(super) struct Check {
    /// The question in a word.
    pub(super) name: &'static str,
    /// The worst result.
    pub(super) state: State,
    /// The facts.
    pub(super) saw: Vec<String>,
    /// The advice.
    #[serde(rename = "do")]
    pub(super) advice: Vec<String>,
}

impl Check {
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, state: State::Ok, saw: Vec::new(), advice: Vec::new() }
    }

    /// A fact that is right, or neutral.
    pub(super) fn fine(&mut self, saw: impl Into<String>) {
        self.saw.push(saw.into());
    }

    /// A fact that is wrong.
    pub(super) fn problem(&mut self, saw: impl Into<String>, advice: impl Into<String>) {
        self.add(State::Problem, saw.into(), advice.into());
    }

    /// A fact that could not be found out.
    pub(super) fn unknown(&mut self, saw: impl Into<String>, advice: impl Into<String>) {
        self.add(State::Unknown, saw.into(), advice.into());
    }

    fn add(&mut self, state: State, saw: String, advice: String) {
        self.state = self.state.max(state);
        self.saw.push(saw);
        if !self.advice.contains(&advice) {
            self.advice.push(advice);
        }
    }
}

/// The whole report.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    /// The role: `seed` or `garden`.
    pub(super) role: &'static str,
    /// The API server that was asked.
    pub(super) server: String,
    /// The user who asked.
    pub(super) user: Option<String>,
    /// The namespace of the release, where it is known.
    pub(super) namespace: Option<String>,
    /// The worst of all checks.
    pub(super) state: State,
    pub(super) checks: Vec<Check>,
}

/// The width of a line, in characters.
const WIDTH: usize = 110;

/// The column where the text of a line begins: behind `problem  registered  `.
const INDENT: usize = 21;

impl Report {
    /// 0: no problem; 1: there is a problem; 2: something could not be found out.
    pub(super) fn exit_code(&self) -> u8 {
        match self.state {
            State::Ok => 0,
            State::Problem => 1,
            State::Unknown => 2,
        }
    }

    /// The text for people; with colours for a terminal.
    pub(super) fn text(&self, coloured: bool) -> String {
        let mut text = format!("{} at {}", if self.role == "seed" { "Seed" } else { "Garden" }, self.server);
        if let Some(user) = &self.user {
            let _ = write!(text, ", asked as {user}");
        }
        if let Some(namespace) = &self.namespace {
            let _ = write!(text, "; network-guard is in {namespace}");
        }
        text += "\n\n";
        for Check { name, state, saw, advice } in &self.checks {
            let word = state.word();
            let lines: Vec<String> = saw.iter().map(|line| wrapped(line, "")).collect();
            let (before, after) = if coloured { (state.colour(), "\x1b[0m") } else { ("", "") };
            let _ = writeln!(text, "{before}{word:<7}{after}  {name:<10}  {}", lines.join("\n").trim_start());
            for line in advice {
                let _ = writeln!(text, "{}", wrapped(line, "-> "));
            }
        }
        let said = match self.state {
            State::Ok => "All is well.".to_owned(),
            State::Problem => format!("There is a problem: {}.", self.named(State::Problem)),
            State::Unknown => {
                format!("No problem was found, but not everything could be checked: {}.", self.named(State::Unknown))
            }
        };
        text + "\n" + &said + "\n"
    }

    fn named(&self, state: State) -> String {
        let named: Vec<&str> =
            self.checks.iter().filter(|check| check.state == state).map(|check| check.name).collect();
        named.join(", ")
    }

    /// The report for programs.
    pub(super) fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("texts and lists") + "\n"
    }
}

/// A line, broken between words; a word that is longer than a line, such as a URL, stays whole, and so does a command
/// in backticks, which people copy.
fn wrapped(line: &str, mark: &str) -> String {
    let (first, next) = (" ".repeat(INDENT) + mark, " ".repeat(INDENT + mark.len()));
    let mut text = first;
    let (mut width, mut is_command) = (0, false);
    for word in line.split_whitespace() {
        let length = word.chars().count();
        if width > 0 && !is_command && INDENT + mark.len() + width + 1 + length > WIDTH {
            text = text + "\n" + &next;
            width = 0;
        } else if width > 0 {
            text.push(' ');
            width += 1;
        }
        text += word;
        width += length;
        is_command ^= word.matches('`').count() % 2 == 1;
    }
    text
}
