//! What pages tell people to type can be typed: commands are parsed by our own command line, blocks of YAML and JSON are
//! read, configurations accepted. Nothing is run.

use std::io::Write as _;
use std::process::{Command, Stdio};

use clap::Parser as _;
use clap::error::ErrorKind;
use network_guard::cli::Args;
use network_guard::config::Configuration;
use serde_json::Value;

use super::markdown::{Block, pages};

/// The words of the commands in a line of a shell, without redirections, variables that are set before, and comments. Good for
/// what pages have: words, quotes, pipes and lists.
fn commands(line: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        match (quote, c) {
            (Some(end), c) if c == end => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '\\') => word.get_or_insert_default().extend(rest.next()),
            (None, '#') if word.is_none() => break,
            (None, '|' | '&' | ';') => {
                commands.last_mut().unwrap().extend(word.take());
                commands.push(Vec::new());
            }
            (None, c) if c.is_whitespace() => commands.last_mut().unwrap().extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    commands.last_mut().unwrap().extend(word.take());
    for command in &mut commands {
        let is_set = |word: &str| {
            word.split_once('=').is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
        };
        while command.first().is_some_and(|word| is_set(word)) {
            command.remove(0);
        }
        command.retain(|word| !word.starts_with('>'));
    }
    commands.retain(|command| !command.is_empty());
    commands
}

/// The lines of a block that are typed: where it has prompts, those behind them. Lines that go on are one.
fn typed(block: &Block) -> Vec<String> {
    let text = block.text.replace("\\\n", " ");
    let has_prompts = text.lines().any(|line| line.starts_with("$ "));
    let lines = text.lines();
    lines.filter_map(|line| if has_prompts { line.strip_prefix("$ ") } else { Some(line) }).map(str::to_owned).collect()
}

/// The part of a command that is ours, also where something else starts it.
fn ours(words: &[String]) -> Option<&[String]> {
    let is_ours = |word: &String| word == "network-guard" || word.ends_with("/network-guard");
    let behind = words.iter().position(|word| word == "--").map_or(0, |dashes| dashes + 1);
    [0, behind].into_iter().filter_map(|start| words.get(start..)).find(|words| words.first().is_some_and(is_ours))
}

/// Why a command of network-guard cannot be typed. A mention may leave out what is needed.
fn wrong(words: &[String], is_mention: bool) -> Option<String> {
    let error = Args::try_parse_from(words).err()?;
    let is_fine = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => true,
        ErrorKind::MissingRequiredArgument | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => is_mention,
        _ => false,
    };
    (!is_fine).then(|| error.to_string())
}

/// What can be made.
fn targets() -> Vec<String> {
    let makefile = super::file("Makefile");
    let names = makefile.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name);
    names.filter(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '-')).map(str::to_owned).collect()
}

#[test]
fn commands_can_be_typed() {
    let (mut found, mut problems) = ((0, 0), Vec::new());
    let targets = targets();
    // One page is made from the command line itself, and shows how a usage is written.
    for page in pages().into_iter().filter(|page| page.path != "docs/reference/commands.md") {
        let in_blocks = page.blocks.iter().filter(|block| block.language.is_empty());
        let lines = in_blocks.flat_map(|block| typed(block).into_iter().map(move |line| (line, block.line, false)));
        let mentions = page.inline_code().into_iter().filter(|text| !text.contains('…')).map(|text| (text, 0, true));
        for (line, place, is_mention) in lines.chain(mentions) {
            for words in commands(&line) {
                if let Some(words) = ours(&words).filter(|words| words.len() > 1) {
                    found.0 += 1;
                    problems
                        .extend(wrong(words, is_mention).map(|why| format!("{}:{place}: {line}: {why}", page.path)));
                }
                if words[0] == "make" {
                    found.1 += 1;
                    let unknown = words[1..].iter().filter(|word| !word.contains('=') && !targets.contains(word));
                    problems.extend(unknown.map(|word| format!("{}:{place}: make {word}", page.path)));
                }
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(found.0 > 40 && found.1 > 8, "{found:?}");
}

/// A shell understands every block that has commands and no output.
#[test]
fn blocks_of_commands_are_shell() {
    let mut found = 0;
    for page in pages() {
        for block in page.blocks.iter().filter(|block| block.language.is_empty()) {
            let begins = |line: &str| {
                let word = line.split([' ', '=']).next().unwrap();
                ["kubectl", "helm", "docker", "make", "export", "network-guard", "NAME", "NS", "NAMESPACE", "("]
                    .contains(&word)
            };
            if !block.text.lines().any(begins) || block.text.contains("$ ") || block.text.contains('…') {
                continue;
            }
            let mut shell =
                Command::new("bash").arg("-n").stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            shell.stdin.take().unwrap().write_all(block.text.as_bytes()).unwrap();
            let output = shell.wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{}:{}: {said}\n{}", page.path, block.line, block.text);
            found += 1;
        }
    }
    assert!(found > 50, "{found}");
}

/// The sections of a configuration.
const SECTIONS: [&str; 6] = ["vpn", "overlay", "peering", "rules", "certificates", "server"];

#[test]
fn blocks_of_data_are_read() {
    let (mut read, mut configurations) = (0, 0);
    for page in pages() {
        for block in &page.blocks {
            let place = format!("{}:{}", page.path, block.line);
            match &*block.language {
                "json" => drop(serde_json::from_str::<Value>(&block.text).expect(&place)),
                "yaml" => {
                    for document in network_guard_sources::yaml::documents(&block.text) {
                        let Ok(document) = document else { panic!("{place}") };
                        let value: Value = serde_json::from_str(&document.json).expect(&place);
                        let mut keys = value.as_object().into_iter().flatten().map(|(key, _)| key.as_str());
                        if keys.all(|key| SECTIONS.contains(&key)) {
                            let head = "apiVersion: config.network-guard.extensions.gardener.cloud/v1alpha1\n\
                                        kind: NetworkGuardConfiguration\n";
                            let parsed = Configuration::parse(&format!("{head}{}", block.text));
                            assert!(parsed.is_ok(), "{place}: {}", parsed.unwrap_err());
                            configurations += 1;
                        }
                    }
                }
                "" | "mermaid" | "text" => continue,
                other => panic!("{place}: a block of {other}"),
            }
            read += 1;
        }
    }
    assert!(read > 5 && configurations > 4, "{read}, of which {configurations} configurations");
}

#[test]
fn words_are_those_of_a_shell() {
    for (line, want) in [
        ("a b", "a b"),
        ("A=1 b=2 c", "b=2 c"),
        ("a 'b c' \"d\" | e; f && g # h", "a b c d / e / f / g"),
        ("a >b", "a"),
        (r"a \| b", "a | b"),
        ("# a", ""),
    ] {
        let said: Vec<String> = commands(line).iter().map(|words| words.join(" ")).collect();
        assert_eq!(said.join(" / "), want, "{line}");
    }
}
