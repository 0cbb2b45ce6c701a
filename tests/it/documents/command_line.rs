//! `docs/reference/commands.md`: every command with its arguments, from the command line itself.

use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory as _};

use super::reference::{MADE, cell};

const ABOUT: &str = "# Commands\n\nEvery command with its arguments. `network-guard COMMAND --help` prints the same.\n";

/// An argument as it is typed.
fn typed(arg: &Arg) -> String {
    let values = arg.get_value_names().unwrap_or_default().join(" ");
    let takes = arg.get_action().takes_values();
    let name = match (arg.get_long(), arg.get_short()) {
        (Some(long), Some(short)) => format!("-{short}, --{long}"),
        (Some(long), None) => format!("--{long}"),
        (None, Some(short)) => format!("-{short}"),
        (None, None) => return values,
    };
    if takes { format!("{name} {values}") } else { name }
}

/// What is said of it, with the values that it takes.
fn meaning(arg: &Arg) -> String {
    let help = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
    let possible = arg.get_possible_values();
    let is_shown = arg.get_action().takes_values() && !possible.is_empty();
    let values = possible.iter().map(|value| match value.get_help() {
        Some(help) => format!("`{}` ({help})", value.get_name()),
        None => format!("`{}`", value.get_name()),
    });
    let values = values.collect::<Vec<_>>().join(", ");
    cell(&if is_shown { format!("{help}; one of {values}") } else { help })
}

fn describe(command: &mut Command, out: &mut String) {
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").split_whitespace().collect::<Vec<_>>().join(" ");
    let about = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
    let name = command.get_bin_name().unwrap_or(command.get_name()).to_owned();
    let _ = write!(out, "\n## {name}\n\n{}\n\nUsage: `{usage}`\n", about.trim());
    if let Some(after) = command.get_after_help() {
        let _ = write!(out, "\n```text\n{}\n```\n", after.to_string().trim());
    }
    let is_told = |arg: &&Arg| !["help", "version"].contains(&arg.get_id().as_str()) && !arg.is_hide_set();
    let args: Vec<&Arg> = command.get_arguments().filter(is_told).collect();
    if !args.is_empty() {
        out.push_str("\n| argument | default | in the environment | |\n|---|---|---|---|\n");
    }
    for arg in args {
        let default: Vec<String> =
            arg.get_default_values().iter().map(|value| format!("`{}`", value.to_string_lossy())).collect();
        let default = if arg.is_required_set() { "required".to_owned() } else { default.join(", ") };
        let env = arg.get_env().map(|env| format!("`{}`", env.to_string_lossy())).unwrap_or_default();
        let _ = writeln!(
            out,
            "| `{}` | {} | {env} | {} |",
            typed(arg),
            if arg.get_action().takes_values() { &default } else { "" },
            meaning(arg)
        );
    }
    for command in command.get_subcommands_mut().filter(|command| command.get_name() != "help") {
        describe(command, out);
    }
}

pub fn page() -> String {
    let mut command = network_guard::cli::Args::command();
    command.build();
    let mut out = format!("{MADE}{ABOUT}");
    describe(&mut command, &mut out);
    out
}
