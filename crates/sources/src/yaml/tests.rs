use super::*;

fn read(text: &str) -> Vec<Result<String, String>> {
    documents(text)
        .map(|document| document.map(|document| document.json).map_err(|unreadable| unreadable.problem.to_string()))
        .collect()
}

fn one(text: &str) -> String {
    let [document] = read(text).try_into().unwrap_or_else(|all| panic!("{text}: {all:?}"));
    document.unwrap_or_else(|problem| panic!("{text}: {problem}"))
}

#[test]
fn documents_are_split_as_kubectl_does_and_as_yaml_says() {
    for (text, want) in [
        ("a: 1\n---\nb: 2\n", &["{\"a\":1}", "{\"b\":2}"][..]),
        ("--- # first\na: 1\n--- \n\n---\n# nothing\n---\nb: 2", &["{\"a\":1}", "{\"b\":2}"]),
        ("--- {a: 1}\n--- {b: 2}\n", &["{\"a\":1}", "{\"b\":2}"]),
        ("%YAML 1.2\n---\na: 1\n...\n%YAML 1.1\n---\nb: 2\n", &["{\"a\":1}", "{\"b\":2}"]),
        ("# licence\n%YAML 1.2\n# more\n---\na: 1\n", &["{\"a\":1}"]),
        ("\u{feff}a: 1\n", &["{\"a\":1}"]),
        ("a: 1\r\n---\r\nb: 2\r\n", &["{\"a\":1}", "{\"b\":2}"]),
        ("{\"a\":1}\n{\"b\":2}", &["{\"a\":1}", "{\"b\":2}"]),
        ("{\"a\":1}\n---\nb: 2\n", &["{\"a\":1}", "{\"b\":2}"]),
        ("{a: 1}", &["{\"a\":1}"]),
        ("{\"a\": 1, b: 2}", &["{\"a\":1,\"b\":2}"]),
        ("", &[]),
        ("# only this\n", &[]),
        ("a: |\n  --- x\n  ---\nb: 1\n", &["{\"a\":\"--- x\\n---\\n\",\"b\":1}"]),
        ("---a: 1\n", &["{\"---a\":1}"]),
        // kubectl treats these as markers; in the first line they are texts for it too. After JSON, and after another
        // marker, it refuses the file (`YAMLReader.Read`, v0.36), and network-guard reads what is in it.
        ("a: 1\n---# b: 2\nb: 2\n---#\nc: 3\n", &["{\"a\":1}", "{\"b\":2}", "{\"c\":3}"]),
        ("# licence\n---# next\n\n---# next\na: 1\n---# last", &["{\"a\":1}"]),
        ("{\"a\":1}\n\n---# next\nb: 2\n", &["{\"a\":1}", "{\"b\":2}"]),
        ("{\"a\":1}\n---# b: 2\n", &["{\"a\":1}", "{\"---# b\":2}"]),
        ("a: 1\n---\n---# b: 2\n", &["{\"a\":1}", "{\"---# b\":2}"]),
        ("a: 1\n---\n---\n---# c\nb: 2\n", &["{\"a\":1}", "{\"b\":2}"]),
        ("---# a: 1\nb: 2\n", &["{\"---# a\":1,\"b\":2}"]),
    ] {
        let got: Vec<String> = read(text).into_iter().map(|document| document.unwrap()).collect();
        assert_eq!(got, want, "{text:?}");
    }
}

#[test]
fn duplicate_keys_and_merges_are_settled_as_by_goyaml() {
    for (text, want) in [
        ("a: {x: 1}\na: {w: 2}\n", r#"{"a":{"w":2}}"#),
        ("{\"a\": {\"x\": 1}, \"a\": 2}", r#"{"a":2}"#),
        ("b: &b {x: 1, w: 2}\na: {<<: *b, w: 3}\n", r#"{"a":{"w":3,"x":1},"b":{"w":2,"x":1}}"#),
        ("b: &b {x: 1, w: 2}\na: {w: 3, <<: *b}\n", r#"{"a":{"w":2,"x":1},"b":{"w":2,"x":1}}"#),
        (
            "b: [&b {x: 1}, &c {x: 2, w: 2}]\na: {<<: [*b, *c, {z: 1}]}\n",
            r#"{"a":{"w":2,"x":1,"z":1},"b":[{"x":1},{"w":2,"x":2}]}"#,
        ),
        ("\"<<\": 1\n", r#"{"<<":1}"#),
        ("a: &a {x: 1}\na: 2\nc: *a\n", r#"{"a":2,"c":{"x":1}}"#),
        ("y: 1\n", r#"{"true":1}"#),
        ("k: &k name\n*k : 1\n", r#"{"k":"name","name":1}"#),
    ] {
        assert_eq!(one(text), want, "{text}");
    }
    let json = "{\"a\": 1}\n{\"b\": [{\"c\": 1, \"c\": 2}]}";
    let twice = documents(json).nth(1).unwrap().unwrap().twice;
    assert_eq!(twice, [(2, "c".to_owned())]);
    let twice = documents("a: 1\nb:\n  c: 1\n  c: 2\n").next().unwrap().unwrap().twice;
    assert_eq!(twice, [(4, "c".to_owned())]);
}

/// For goyaml the colon is a part of the key, for YAML 1.2 it is not.
#[test]
fn a_colon_that_a_bracket_or_a_comma_follows_is_refused() {
    for text in
        ["a: {b:}", "a: {b :}", "a: {b:,c}", "a: [b:]", "a: {b c\n d:}", "a: {x\n 'y:}", "a: {~a#\t :}", "a: {b\n  :,}"]
    {
        let [Err(problem)] = &read(text)[..] else { panic!("{text:?} is read") };
        assert!(problem.contains("write a blank between `:` and `"), "{text:?}: {problem}");
    }
    assert_eq!(one("a: {b: , c: {}, \"d\":[]}"), r#"{"a":{"b":null,"c":{},"d":[]}}"#);
    assert_eq!(one("a:}: b\n"), r#"{"a:}":"b"}"#);
}

#[test]
fn a_hundred_aliases_are_fine_and_a_billion_laughs_are_not() {
    let list = format!("a: &a {{x: 1}}\nb: [{}]\n", vec!["*a"; 100].join(", "));
    assert_eq!(one(&list).matches("{\"x\":1}").count(), 101);
    let mut laughs = "a: &a [ha, ha, ha, ha, ha, ha, ha, ha, ha, ha]\n".to_owned();
    for (name, before) in ('b'..='z').zip('a'..='y') {
        laughs += &format!("{name}: &{name} [{}]\n", vec![format!("*{before}"); 10].join(", "));
    }
    assert_eq!(
        read(&laughs),
        [Err("line 8: its aliases (`*name`) expand to more than 64 MiB, which is refused".to_owned())]
    );
    assert!(read("a: &a [*a]\n")[0].as_ref().unwrap_err().contains("a value that contains it"));
}

#[test]
fn places_are_those_of_the_file() {
    let text = "# one\na: 1\n---\n# two\nkind: List\nitems:\n- a: 1\n- b: 2\n---\n{\n---\nlast: 1\n... \nmore: 1\n";
    let all: Vec<_> = documents(text).collect();
    let document = |at: usize| all[at].clone().unwrap();
    assert_eq!((document(0).line, document(1).line, document(1).items), (2, 5, vec![7, 8]));
    assert_eq!(all[2].clone().unwrap_err().problem.line, 10);
    assert_eq!((document(3).line, document(3).rest), (12, Some(14)));
    let directive = documents("a: 1\n...\n# next\n%YAML 1.1\n---\nb: 2\n").next().unwrap().unwrap();
    assert_eq!(directive.rest, None);
    let json = "{\"kind\": \"List\",\n\"items\": [\n{\"a\": 1},\n\n{\"b\": 2}]}\n{\"c\": 1}\n";
    let all: Vec<Document> = documents(json).map(Result::unwrap).collect();
    assert_eq!((all[0].items.clone(), all[1].line), (vec![3, 5], 6));
}

#[test]
fn other_encodings_are_read_or_named() {
    let utf16 = |text: &str, write: fn(u16) -> [u8; 2]| -> Vec<u8> {
        std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(write).collect()
    };
    for bytes in [utf16("a: ö", u16::to_le_bytes), utf16("a: ö", u16::to_be_bytes), "a: ö".into()] {
        assert_eq!(decode(bytes), ("a: ö".to_owned(), None));
    }
    // Each byte that is no text becomes one character, and so does half a pair of UTF-16.
    for (bytes, want, line) in [
        (b"a: 1\nb: \xe2\x82x\xff".to_vec(), "a: 1\nb: \u{fffd}\u{fffd}x\u{fffd}", 2),
        (b"\xff\xfea\0\n\0\0\xd8b\0".to_vec(), "a\n\u{fffd}b", 2),
        (b"\xff\xfea\0b".to_vec(), "a\u{fffd}", 1),
    ] {
        assert_eq!(decode(bytes), (want.to_owned(), Some(line)));
    }
}
