//! Files are read as kubectl reads them: our reader beside kubectl's own code, on documents that are made up.
//!
//! PyYAML is no second measure. What it reads otherwise than kubectl (`1:30` is 90 for it, `1e3` a text, `2001-01-01` a date) is read as
//! kubectl reads it; what both read alike is compared here already; and what kubectl refuses never reaches an API server.
//!
//! Whatever kubectl reads, we read alike or, very rarely, refuse. What it refuses we may read (`--- {…}` on one line, `%YAML 1.2`) or refuse.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use network_guard_sources::yaml;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};
use serde::Deserialize;
use serde_json::Value;

use crate::harness::tool;

/// What kubectl's code makes of a text.
#[derive(Deserialize)]
struct Read {
    documents: Option<Vec<Value>>,
    error: Option<String>,
}

fn by_kubectl(texts: &[String]) -> Vec<Read> {
    let mut child = Command::new(tool("yaml-read")).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = serde_json::to_vec(texts).unwrap();
    // It reads all of its input before it writes.
    let writer = std::thread::spawn(move || stdin.write_all(&input).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

fn by_us(text: &str) -> Result<Vec<Value>, String> {
    yaml::documents(text)
        .map(|document| match document {
            Ok(document) => Ok(serde_json::from_str(&document.json).unwrap()),
            Err(unreadable) => Err(unreadable.problem.to_string()),
        })
        .collect()
}

/// What came of reading texts by both.
#[derive(Default)]
struct Compared {
    /// How many kubectl has read.
    read: usize,
    /// Those that we read otherwise.
    different: Vec<String>,
    /// Those that we refuse.
    refused: Vec<String>,
}

fn compare(texts: &[String]) -> Compared {
    let mut compared = Compared::default();
    for (text, theirs) in texts.iter().zip(by_kubectl(texts)) {
        let Some(theirs) = theirs.documents.filter(|_| theirs.error.is_none()) else { continue };
        // A document that is one text is no manifest, and no client of an API server could use it.
        if !theirs.iter().all(|document| document.is_object() || document.is_array()) {
            continue;
        }
        compared.read += 1;
        match by_us(text) {
            Ok(ours) if ours == theirs => {}
            Ok(ours) => compared.different.push(format!("{text:?}\n  kubectl: {theirs:?}\n  we: {ours:?}")),
            Err(problem) => compared.refused.push(format!("{text:?}\n  kubectl: {theirs:?}\n  we: {problem}")),
        }
    }
    compared.different.sort_by_key(String::len);
    compared.refused.sort_by_key(String::len);
    compared
}

fn sample<T>(strategy: impl Strategy<Value = T>, count: usize) -> Vec<T> {
    let mut runner = TestRunner::new(Config::default());
    (0..count).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

/// A value, as somebody may write it.
#[derive(Clone, Debug)]
enum Node {
    Scalar(String),
    Block(Vec<String>, bool),
    List(Vec<Node>, bool),
    Map(Vec<(String, Node)>, bool),
    Anchor(u8, Box<Node>),
    Alias(u8),
    Merge(u8, Box<Node>),
}

fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z]{1,6}",
        2 => prop::sample::select(vec![
            "yes", "no", "on", "off", "y", "n", "True", "null", "~", "017", "0o17", "0x1F", "1_000", "1e3", "1.50", ".5", "-0",
            "08", "1:30", "2001-01-01", "2001-01-01T00:00:00Z", "10.250.0.0/16", "fd00::/8", "18446744073709551615",
            "9223372036854775808", "1e400", "''", "\"\"", "\"a\\tb\\u00e9\"", "'it''s'", "\"yes\"", "'12'", "a b", "a:b", "a#b",
            "-a", "http://x/y?z=1", "!!str 12", "!!int \"7\"", "!!float 3", "!local x", "! 12", "&b c", "é", "100Mi", "<<x", "=", "a\\b",
        ]).prop_map(str::to_owned),
    ]
}

fn node() -> impl Strategy<Value = Node> {
    let leaf = prop_oneof![
        8 => scalar().prop_map(Node::Scalar),
        1 => (prop::collection::vec("[ a-z#:-]{0,6}", 0..4), any::<bool>()).prop_map(|(lines, folded)| Node::Block(lines, folded)),
        1 => (0_u8..3).prop_map(Node::Alias),
    ];
    leaf.prop_recursive(4, 30, 5, |inner| {
        let key = prop_oneof![8 => "[a-c]{1,2}", 1 => scalar()];
        let map = || prop::collection::vec((key.clone(), inner.clone()), 0..5);
        prop_oneof![
            3 => (prop::collection::vec(inner.clone(), 0..4), any::<bool>()).prop_map(|(list, flow)| Node::List(list, flow)),
            5 => (map(), prop::bool::weighted(0.3)).prop_map(|(map, flow)| Node::Map(map, flow)),
            1 => (0_u8..3, inner.clone()).prop_map(|(name, node)| Node::Anchor(name, Box::new(node))),
            1 => (0_u8..3, map()).prop_map(|(name, map)| Node::Merge(name, Box::new(Node::Map(map, false)))),
        ]
    })
}

/// Writes it; `space` picks among the ways there are.
fn write(node: &Node, indent: usize, in_flow: bool, space: &mut impl FnMut(usize) -> usize, out: &mut String) {
    let pad = " ".repeat(indent);
    let comment = |space: &mut dyn FnMut(usize) -> usize| ["", "", "", " # why", "  #"][space(5)];
    match node {
        Node::Scalar(text) => *out += text,
        Node::Alias(name) => *out += &format!("*n{name}"),
        Node::Anchor(name, inner) => {
            *out += &format!("&n{name} ");
            write(inner, indent, in_flow, space, out);
        }
        Node::Merge(name, inner) => {
            if let Node::Map(members, _) = &**inner {
                let mut members = members.clone();
                let at = space(members.len() + 1);
                let merged = if space(2) == 0 {
                    Node::Alias(*name)
                } else {
                    Node::List(vec![Node::Alias(*name), Node::Alias(0)], true)
                };
                members.insert(at, ("<<".to_owned(), merged));
                write(&Node::Map(members, false), indent, in_flow, space, out);
            }
        }
        Node::Block(lines, _) if in_flow => *out += &format!("{:?}", lines.join(" ")),
        Node::Block(lines, is_folded) => {
            *out += if *is_folded { ">" } else { "|" };
            *out += ["", "-", "+"][space(3)];
            *out += comment(space);
            for line in lines {
                *out += &format!("\n{pad}  {line}");
            }
        }
        Node::List(list, compact) if *compact || in_flow || list.is_empty() => {
            *out += "[";
            for (i, item) in list.iter().enumerate() {
                *out += if i > 0 { [", ", ",", " , ", ",\n    "][if in_flow { 0 } else { space(3) }] } else { "" };
                write(item, indent, true, space, out);
            }
            *out += "]";
        }
        Node::Map(map, compact) if *compact || in_flow || map.is_empty() => {
            *out += "{";
            for (i, (key, value)) in map.iter().enumerate() {
                *out += if i > 0 { ", " } else { "" };
                *out += &format!("{key}: ");
                write(value, indent, true, space, out);
            }
            *out += "}";
        }
        Node::List(list, _) => {
            for item in list {
                *out += &format!("{}\n{pad}- ", comment(space));
                write(item, indent + 2, false, space, out);
            }
        }
        Node::Map(map, _) => {
            for (key, value) in map {
                *out += &format!("{}\n{pad}{key}: ", comment(space));
                let deeper = indent + 1 + space(3);
                write(value, deeper, false, space, out);
            }
        }
    }
}

fn document() -> impl Strategy<Value = String> {
    (node(), prop::collection::vec(any::<prop::sample::Index>(), 64)).prop_map(|(node, choices)| {
        let mut next = 0;
        let mut space = |most: usize| {
            next += 1;
            choices[next % choices.len()].index(most)
        };
        // Anchors that aliases may name.
        // A document that is one text is no manifest.
        let is_collection = matches!(node, Node::Map(..) | Node::List(..) | Node::Merge(..));
        let most = if is_collection { 3 } else { 1 };
        let mut text =
            ["first: [&n0 {a: 1, b: [x]}, &n1 {a: 2}, &n2 [1, 2]]\nrest:", "", "---"][space(most)].to_owned();
        if !text.is_empty() {
            text += " ";
        }
        write(&node, usize::from(text.starts_with('f')), false, &mut space, &mut text);
        text.trim_start_matches('\n').to_owned() + ["\n", "", "\n...\n", "\n# end\n", " \n\n"][space(5)]
    })
}

/// Several documents in one file.
fn file() -> impl Strategy<Value = String> {
    let marker = prop::sample::select(vec![
        "---\n",
        "--- \n",
        "--- # next\n",
        "---# next\n",
        "---# a: b\n",
        "---#\n",
        "---\n---\n",
        "---\n# only a comment\n---\n",
    ]);
    let ends = prop::sample::select(vec!["\n", "\r\n"]);
    (prop::collection::vec((document(), marker), 1..4), ends).prop_map(|(documents, end)| {
        let text: String = documents.into_iter().map(|(document, marker)| format!("{document}\n{marker}")).collect();
        text.replace('\n', end)
    })
}

/// Pieces of YAML in any order: most are refused, and some mean what nobody expects.
fn soup() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a", "b", "1", ": ", ":", "- ", "-", "\n", "\n  ", "\n    ", " ", "\"", "'", "x y", "{", "}", "[", "]", ", ",
        "#", " #c", "|\n", ">-\n", "? ", "&a ", "*a", "!!str ", "~", "<<: ", "\t", "é", "\\n", "%", "@", "\n---\n",
        "\n...\n", "yes", "0x1", "\r\n", "|2\n",
    ]);
    let start = prop::sample::select(vec!["", "a: ", "a:\n  ", "- "]);
    (start, prop::collection::vec(piece, 1..14)).prop_map(|(start, pieces)| start.to_owned() + &pieces.concat())
}

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e9..1e9).prop_map(Value::from),
        "[a-z\"\\\\\n\té€😀]{0,5}".prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[ab]{1,2}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    });
    let object =
        prop::collection::btree_map("[a-d]{1,3}", value, 0..4).prop_map(|map| Value::Object(map.into_iter().collect()));
    (prop::collection::vec((object, any::<bool>()), 1..4), prop::sample::select(vec!["", "\n", " \n\n", "\n---\n"]))
        .prop_map(|(objects, between)| {
            let text = |(object, is_pretty): &(Value, bool)| {
                if *is_pretty { serde_json::to_string_pretty(object).unwrap() } else { object.to_string() }
            };
            objects.iter().map(text).collect::<Vec<_>>().join(between)
        })
}

/// Nothing that kubectl reads is read otherwise. We refuse very little of it: what goyaml leaves unread behind a document
/// (`a: {}]`), a key that ends in a colon (`{a:}`), and a block text whose first lines are blank and indented further than the others.
#[test]
fn files_are_read_as_kubectl_reads_them() {
    let mut problems = String::new();
    for (name, texts, least, most_refused) in [
        ("documents", sample(document(), 4_000), 1_500, 10),
        ("files", sample(file(), 2_000), 300, 10),
        ("pieces", sample(soup(), 20_000), 1_000, 100),
        ("JSON", sample(json(), 1_000), 500, 0),
    ] {
        let Compared { read, different, refused } = compare(&texts);
        say!("{name}: kubectl reads {read} of {}; we refuse {} of them", texts.len(), refused.len());
        if read < least || !different.is_empty() || refused.len() > most_refused {
            let some = |all: &[String]| all[..all.len().min(12)].join("\n");
            let (different, refused) = (some(&different), some(&refused));
            problems += &format!("{name}: of {read} differ\n{different}\nand are refused\n{refused}\n");
        }
    }
    assert!(problems.is_empty(), "{problems}");
}

/// Manifests that people have: our own examples, fixtures, and Gardener's CRDs.
#[test]
fn manifests_are_read_as_kubectl_reads_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut texts = Vec::new();
    for folder in ["examples", "webhook-config", "charts/examples", "tests/fixtures", ".cache/tools/seed-crds"] {
        collect(&root.join(folder), &mut texts);
    }
    let Compared { read, different, refused } = compare(&texts);
    assert!(read > 20, "{read} of {} files", texts.len());
    assert!(different.is_empty() && refused.is_empty(), "{}\n{}", different.join("\n"), refused.join("\n"));
}

fn collect(path: &Path, texts: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(path) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, texts);
        } else if path
            .extension()
            .is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|known| extension == *known))
        {
            texts.extend(fs::read_to_string(&path));
        }
    }
}
