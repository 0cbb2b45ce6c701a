//! The table of what one call may cost, `benches/counts.txt`, and how a measurement is held against it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// How far instructions may be from the table, in per cent: another compiler or C library moves them a little. Allocations
/// are the same everywhere.
const TOLERANCE: u64 = 10;

/// What one call costs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cost {
    /// The size of its body; for an event the number of objects that there are.
    pub bytes: u64,
    /// How often memory is asked for.
    pub allocations: u64,
    /// Executed instructions; `None` where they were not counted.
    pub instructions: Option<u64>,
}

/// Costs by the name of the call.
pub type Table = BTreeMap<String, Cost>;

/// Reads a table: a line for each call, `#` begins a comment.
pub fn read(text: &str) -> Result<Table, String> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    let row = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, bytes, allocations, instructions] = words.as_slice() else { return None };
        let number = |word: &str| word.parse().ok();
        let cost = Cost {
            bytes: number(bytes)?,
            allocations: number(allocations)?,
            instructions: Some(number(instructions)?),
        };
        Some(((*name).to_owned(), cost))
    };
    lines.map(|line| row(line).ok_or_else(|| format!("not a row of the table: {line:?}"))).collect()
}

/// Writes a table, as [`read`] reads it; a call whose instructions were not counted has none to write.
pub fn write(costs: &Table) -> Option<String> {
    let mut text = String::from(
        "# What one call of each webhook costs: the size of its body in bytes, allocations, instructions (x86-64); and one event of a\n\
         # watch, with the number of objects in place of bytes.\n\
         # `make test` compares, `make counts` writes this file. More needs a reason in the change that brings it.\n",
    );
    for (name, cost) in costs {
        let instructions = cost.instructions?;
        let _ = writeln!(text, "{name:<34}{:>8}{:>8}{instructions:>12}", cost.bytes, cost.allocations);
    }
    Some(text)
}

/// What is not as the table says, a sentence each. Less is not right either: a table that promises too much room lets the
/// next change have it.
pub fn judge(table: &Table, measured: &Table) -> Vec<String> {
    let mut said = Vec::new();
    for (name, cost) in measured {
        let Some(want) = table.get(name) else {
            said.push(format!("{name} is not in the table: run `make counts`"));
            continue;
        };
        if cost.bytes != want.bytes {
            said.push(format!(
                "{name} has a body of {} bytes, in the table {}: another call; run `make counts`",
                cost.bytes, want.bytes
            ));
            continue;
        }
        said.extend(compare(name, "allocations", cost.allocations, want.allocations, 0));
        if let (Some(got), Some(want)) = (cost.instructions, want.instructions) {
            said.extend(compare(name, "instructions", got, want, TOLERANCE));
        }
    }
    let gone = table.keys().filter(|name| !measured.contains_key(*name));
    said.extend(gone.map(|name| format!("{name} is in the table only: run `make counts`")));
    said
}

fn compare(name: &str, what: &str, got: u64, want: u64, tolerance: u64) -> Option<String> {
    let (less, more) = (want * (100 - tolerance), want * (100 + tolerance));
    let advice = match got * 100 {
        got if got > more => "costs more: make it cheaper, or say why and run `make counts`",
        got if got < less => "costs less: lower the table, run `make counts`",
        _ => return None,
    };
    Some(format!("{name}: {got} {what}, in the table {want}: {advice}"))
}
