//! The annotation that lists the pairs: it has a bound, whatever the Cluster lists.

use super::*;
use crate::vpn::sidecar::OVERLAPS_ANNOTATION;

/// All annotations of an object together, in bytes (`TotalAnnotationSizeLimitB` of Kubernetes). Others need some of it.
const KUBERNETES: usize = 256 << 10;

/// A Shoot with so many node networks in the Seed's Pod network, and none beside.
fn with_overlaps(count: usize) -> Call {
    Call::overlapping().cluster(|spec| {
        let nodes: Vec<String> = (0..count).map(|i| format!("10.250.{}.{}/30", 128 + i / 64, i % 64 * 4)).collect();
        spec["shoot"]["spec"]["networking"]["nodes"] = json!(nodes[0]);
        spec["shoot"]["status"]["networking"]["nodes"] = json!(nodes);
    })
}

fn annotation(object: &Value) -> &str {
    object["metadata"]["annotations"][OVERLAPS_ANNOTATION].as_str().unwrap()
}

#[test]
fn has_a_bound_and_says_how_many_more_there_are() {
    for (count, listed, more) in [
        (1, 1, None),
        (99, 99, None),
        (100, 100, None),
        (101, 100, Some("; and 1 more")),
        (6_000, 100, Some("; and 5900 more")),
    ] {
        let done = with_overlaps(count).run();
        let text = annotation(&done.object);
        assert_eq!((text.matches(" overlaps ").count(), text.find("; and ").map(|at| &text[at..])), (listed, more));
        assert!(text.starts_with("nodes 10.250.128.0/30 overlaps Seed pods 10.250.128.0/17"), "{count}: {text}");
        assert!(text.len() < KUBERNETES / 32, "{count}: {} bytes", text.len());
        let audit = done.verdict.audit.iter().find(|(key, _)| *key == AUDIT_OVERLAPS).unwrap();
        assert_eq!(audit.1, text, "{count}");
    }
}

/// A reader of the annotation decides alike with a cut one and with a whole one.
#[test]
fn decides_alike_when_it_is_cut() {
    for count in [100, 101, 6_000] {
        let stored = with_overlaps(count).run().object;
        let again = Call { object: stored.clone(), ..with_overlaps(count) };
        let done = again.clone().over(plain()).run();
        assert_eq!((done.verdict.decision, &done.object), ("unchanged", &stored), "{count}: applied again");
        // gardenlet's own template comes again.
        let done = with_overlaps(count).over(stored.clone()).run();
        assert_eq!(done.object.to_string(), stored.to_string(), "{count}: the same bytes");
        // Nobody knows the Cluster: what is stored stays.
        let unanswered = Some(Answer::Unanswered("x".to_owned()));
        let done = with_overlaps(count).over(stored.clone()).without_cluster(unanswered).run();
        assert_eq!((done.verdict.decision, &done.object), ("kept", &stored), "{count}: kept");
        let mut labelled = stored.clone();
        labelled["metadata"]["labels"]["team"] = json!("a");
        let done = Call { object: labelled, ..again.clone() }.over(stored.clone()).run();
        assert_eq!(done.verdict.decision, "starts-nothing", "{count}: a label");
        let mut asked = stored.clone();
        asked["metadata"]["annotations"][OVERLAPS_ANNOTATION] = json!("ask");
        let done = Call { object: asked, ..again }.over(stored.clone()).run();
        assert_eq!((done.verdict.decision, &done.object), ("updated", &stored), "{count}: asked for");
        let done = Call { object: stored, ..Call::new("ha", "ha") }.live().run();
        assert_eq!(done.object["metadata"]["annotations"].get(OVERLAPS_ANNOTATION), None, "{count}: taken away");
    }
}
