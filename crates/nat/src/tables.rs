//! The chains of network-guard: the existing ones, the wanted ones, and the transition between them.
//!
//! Only three things in a firewall belong to network-guard: chains whose name begins with [`PREFIX`], the rules in
//! them, and rules elsewhere that jump to them. Nothing else is ever written.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use super::rule_text;
use network_guard_core::net::Family;
use network_guard_core::vpn::nat::{Hook, Plan, Table};

/// The prefix of the names of these chains.
const PREFIX: &str = "NETWORK-GUARD-";

/// The tables of network-guard in the firewall of one family.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tables(BTreeMap<Table, Chains>);

/// The chains of network-guard in one table.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Chains {
    /// The rules of these chains: the part after `-A <chain>`.
    chains: BTreeMap<String, Vec<String>>,
    /// Rules outside that jump into these chains.
    jumps: Vec<Jump>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Jump {
    /// Its chain.
    from: String,
    /// Its position there, from 1.
    position: usize,
    /// The part after `-A <from>`.
    body: String,
}

/// A deviation from the plan.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Drift {
    /// A rule is missing.
    Missing(Place, String),
    /// There is an extra rule.
    Extra(Place, String),
    /// A chain has the right rules, in another order.
    Reordered(Place),
    /// A built-in chain does not jump to the chain.
    NoJump(Place),
    /// A built-in chain jumps to the chain more than once, or only conditionally.
    WrongJump(Place, String),
    /// A built-in chain has other rules before the jump.
    NotFirst(Place, usize),
    /// A chain of network-guard that is not needed.
    Stale(Place),
}

/// A chain.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    family: Family,
    table: Table,
    chain: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = if self.family == Family::V4 { "IPv4" } else { "IPv6" };
        write!(f, "{family} {} {}", self.table.name(), self.chain)
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(place, rule) => write!(f, "{place}: missing rule: {rule}"),
            Self::Extra(place, rule) => write!(f, "{place}: extra rule: {rule}"),
            Self::Reordered(place) => write!(f, "{place}: the rules are in another order"),
            Self::NoJump(place) => write!(f, "{place}: nothing leads to this chain"),
            Self::WrongJump(place, rule) => write!(f, "{place}: extra rule outside leads to it: {rule}"),
            Self::NotFirst(place, position) => {
                write!(f, "{place}: {} other rules are asked before this chain", position - 1)
            }
            Self::Stale(place) => write!(f, "{place}: extra chain"),
        }
    }
}

/// The jump of a built-in chain.
fn jump_to(chain: &str) -> String {
    format!("-j {chain}")
}

fn chain_of(hook: Hook) -> String {
    format!("{PREFIX}{}", hook.name())
}

/// A normalized rule: iptables may change the order of its conditions.
fn canonical(body: &str) -> Vec<&str> {
    let mut starts: Vec<usize> = vec![0];
    starts.extend(body.match_indices(" -").map(|(at, _)| at + 1));
    starts.push(body.len());
    let mut parts: Vec<&str> = starts.windows(2).map(|ends| body[ends[0]..ends[1]].trim()).collect();
    parts.sort_unstable();
    parts
}

fn is_same(a: &str, b: &str) -> bool {
    a == b || canonical(a) == canonical(b)
}

fn same_rules(a: &[String], b: &[String]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b))
}

impl Tables {
    /// The tables that a plan wants in the firewall of this family.
    pub fn wanted(plan: &Plan, family: Family) -> Self {
        let mut tables = Self::default();
        for rule in plan.rules.iter().filter(|rule| rule.family == family) {
            let chains = tables.0.entry(rule.table).or_default();
            let (chain, hook) = (chain_of(rule.hook), rule.hook.name());
            if !chains.chains.contains_key(&chain) {
                chains.jumps.push(Jump { from: hook.to_owned(), position: 1, body: jump_to(&chain) });
            }
            chains.chains.entry(chain).or_default().push(rule_text(rule));
        }
        tables
    }

    /// Reads the output of `iptables-save`. Rules of others are skipped.
    pub fn read(saved: &str) -> Self {
        let mut tables = Self::default();
        let mut table = None;
        let mut positions: BTreeMap<&str, usize> = BTreeMap::new();
        for line in saved.lines() {
            if let Some(name) = line.strip_prefix('*') {
                table = Table::ALL.into_iter().find(|table| table.name() == name);
                positions.clear();
                continue;
            }
            let Some(table) = table else { continue };
            if let Some(chain) = line.strip_prefix(':') {
                let name = chain.split(' ').next().unwrap_or_default();
                if name.starts_with(PREFIX) {
                    tables.0.entry(table).or_default().chains.entry(name.to_owned()).or_default();
                }
            } else if let Some((chain, body)) = line.strip_prefix("-A ").and_then(|rule| rule.split_once(' ')) {
                let position = positions.entry(chain).or_default();
                *position += 1;
                if chain.starts_with(PREFIX) {
                    let chains = &mut tables.0.entry(table).or_default().chains;
                    chains.entry(chain.to_owned()).or_default().push(body.to_owned());
                } else if jump_target(body).is_some() {
                    let jump = Jump { from: chain.to_owned(), position: *position, body: body.to_owned() };
                    tables.0.entry(table).or_default().jumps.push(jump);
                }
            }
        }
        tables
    }

    /// Whether there is nothing of network-guard.
    pub fn is_empty(&self) -> bool {
        self.0.values().all(|chains| chains.chains.is_empty() && chains.jumps.is_empty())
    }

    /// The deviations from what is wanted.
    pub fn drift(&self, wanted: &Self, family: Family) -> Vec<Drift> {
        let mut drift = Vec::new();
        let nothing = Chains::default();
        for table in Table::ALL {
            let (have, want) = (self.0.get(&table).unwrap_or(&nothing), wanted.0.get(&table).unwrap_or(&nothing));
            let place = |chain: &str| Place { family, table, chain: chain.to_owned() };
            for (chain, rules) in &want.chains {
                let found = have.chains.get(chain).map_or(&[][..], Vec::as_slice);
                chain_drift(&place(chain), found, rules, &mut drift);
            }
            drift.extend(
                have.chains.keys().filter(|chain| !want.chains.contains_key(*chain)).map(|c| Drift::Stale(place(c))),
            );
            for jump in &want.jumps {
                if !have.jumps.iter().any(|found| found.from == jump.from && is_same(&found.body, &jump.body)) {
                    drift.push(Drift::NoJump(place(jump_target(&jump.body).unwrap_or_default())));
                }
            }
            let mut right: Vec<&Jump> = want.jumps.iter().collect();
            for jump in &have.jumps {
                let chain = || place(jump_target(&jump.body).unwrap_or_default());
                match right.iter().position(|want| want.from == jump.from && is_same(&want.body, &jump.body)) {
                    Some(index) if right[index].position == jump.position => drop(right.swap_remove(index)),
                    Some(index) => {
                        right.swap_remove(index);
                        drift.push(Drift::NotFirst(chain(), jump.position));
                    }
                    None => drift.push(Drift::WrongJump(chain(), format!("-A {} {}", jump.from, jump.body))),
                }
            }
        }
        drift
    }

    /// The input of `iptables-restore --noflush` for the transition, atomic for each table; `None` when nothing has to
    /// change.
    pub fn transition(&self, to: &Self) -> Option<String> {
        let mut text = String::new();
        let nothing = Chains::default();
        for table in Table::ALL {
            let (have, want) = (self.0.get(&table).unwrap_or(&nothing), to.0.get(&table).unwrap_or(&nothing));
            have.transition(want, table, &mut text);
        }
        (!text.is_empty()).then_some(text)
    }
}

/// The chain of network-guard to which a rule jumps. A chain takes no options, so its name is the end of the rule;
/// inside a comment the end would be a quotation mark.
fn jump_target(body: &str) -> Option<&str> {
    let (rest, target) = body.rsplit_once(' ').unwrap_or_default();
    let flag = rest.rsplit(' ').next().unwrap_or_default();
    let is_name = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-';
    let is_ours = target.starts_with(PREFIX) && target.bytes().all(is_name);
    (matches!(flag, "-j" | "-g") && is_ours).then_some(target)
}

fn chain_drift(place: &Place, have: &[String], want: &[String], drift: &mut Vec<Drift>) {
    if same_rules(have, want) {
        return;
    }
    let before = drift.len();
    let mut rest: BTreeMap<Vec<&str>, Vec<&String>> = BTreeMap::new();
    for rule in have {
        rest.entry(canonical(rule)).or_default().push(rule);
    }
    for rule in want {
        if rest.get_mut(&canonical(rule)).and_then(Vec::pop).is_none() {
            drift.push(Drift::Missing(place.clone(), rule.clone()));
        }
    }
    drift.extend(rest.into_values().flatten().map(|rule| Drift::Extra(place.clone(), rule.clone())));
    if drift.len() == before {
        drift.push(Drift::Reordered(place.clone()));
    }
}

impl Chains {
    fn has_right_jumps(&self, want: &Self) -> bool {
        let are_same = |a: &Jump, b: &Jump| (&a.from, a.position) == (&b.from, b.position) && is_same(&a.body, &b.body);
        self.jumps.len() == want.jumps.len()
            && want.jumps.iter().all(|jump| self.jumps.iter().any(|found| are_same(found, jump)))
    }

    fn transition(&self, want: &Self, table: Table, text: &mut String) {
        let keep_jumps = self.has_right_jumps(want);
        let changed =
            want.chains.iter().filter(|(chain, rules)| !self.chains.get(*chain).is_some_and(|a| same_rules(a, rules)));
        let changed: Vec<_> = changed.collect();
        let stale: Vec<&String> = self.chains.keys().filter(|chain| !want.chains.contains_key(*chain)).collect();
        if keep_jumps && changed.is_empty() && stale.is_empty() {
            return;
        }
        // Writing to a string never fails.
        let _ = writeln!(text, "*{}", table.name());
        // To declare a chain empties it.
        for chain in changed.iter().map(|(chain, _)| *chain).chain(stale.iter().copied()) {
            let _ = writeln!(text, ":{chain} - [0:0]");
        }
        if !keep_jumps {
            // By their text, not by their position: others may have moved them in the meantime.
            for jump in &self.jumps {
                let _ = writeln!(text, "-D {} {}", jump.from, jump.body);
            }
        }
        for (chain, rules) in changed {
            for rule in rules {
                let _ = writeln!(text, "-A {chain} {rule}");
            }
        }
        if !keep_jumps {
            for jump in &want.jumps {
                let _ = writeln!(text, "-I {} {} {}", jump.from, jump.position, jump.body);
            }
        }
        for chain in stale {
            let _ = writeln!(text, "-X {chain}");
        }
        text.push_str("COMMIT\n");
    }
}

#[cfg(test)]
mod tests;
