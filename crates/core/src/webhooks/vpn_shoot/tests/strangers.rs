//! What strangers are told: nothing.

use proptest::prelude::*;

use super::*;

/// An unknown namespace, a wrong UID and a Shoot without overlap have the same answer, whatever is sent.
#[test]
fn strangers_learn_nothing() {
    let uid = Call::wrong().uid;
    let mut answers = std::collections::BTreeSet::new();
    let apart = |call: Call| call.cluster(seed_pods("10.64.0.0/11"));
    let unreadable = |call: Call| call.cluster(seed_pods("x"));
    let without_uid =
        |call: Call| call.cluster(|spec| drop(spec["shoot"]["metadata"].as_object_mut().unwrap().remove("uid")));
    let nobody = "00000000-0000-0000-0000-000000000000";
    let last = format!("{}0", &uid[..35]);
    for (name, call) in [
        ("an unknown namespace", Call::wrong().with(|call| call.namespace = "shoot--local--other".to_owned())),
        ("no namespace", Call::wrong().with(|call| call.namespace = "../../secrets".to_owned())),
        ("a wrong UID", Call::wrong().with(|call| call.uid = "5a0e2ee7-1f0c-4a3e-9d2b-0d8a3f1c7b55".to_owned())),
        ("a UID that is nearly right", Call::wrong().with(|call| call.uid = last.clone())),
        ("a UID in capitals", Call::wrong().with(|call| call.uid = uid.to_uppercase())),
        ("no UID", Call::wrong().with(|call| call.uid = String::new())),
        ("no overlap", apart(Call::wrong())),
        ("no overlap and a wrong UID", apart(Call::wrong()).with(|call| call.uid = last.clone())),
        ("an unreadable Cluster", unreadable(Call::wrong())),
        ("a Shoot without a UID", without_uid(Call::wrong()).with(|call| call.uid = nobody.to_owned())),
        ("what is no StatefulSet", apart(Call::wrong()).with(|call| call.object = json!({}))),
        (
            "what is none, from a stranger",
            Call::wrong().with(|call| {
                call.object = json!({});
                call.uid = last.clone();
            }),
        ),
        (
            "the right caller, when all is well elsewhere",
            Call::overlapping().object(|object| object["metadata"]["name"] = json!("x")),
        ),
    ] {
        let (asked, _) = call.result();
        assert!(!asked, "{name}: nobody makes us read for a stranger");
        let done = call.run();
        assert!(done.verdict.findings.is_empty() && done.verdict.audit.is_empty(), "{name}");
        answers.insert(done.answer);
    }
    assert_eq!(answers.len(), 1, "{answers:?}");

    // With a stale cache the Cluster is read live, for everybody alike, and then the same holds.
    for (uid, live) in [
        (last.clone(), Some(Answer::Found(fixture("ha-overlap", "cluster")))),
        (uid.clone(), Some(Answer::Absent)),
        (uid.clone(), Some(Answer::Unanswered("x".to_owned()))),
        (last, Some(Answer::Unanswered("x".to_owned()))),
    ] {
        let call = Call { uid, live, is_stale: true, ..Call::wrong() };
        assert!(call.result().0);
        answers.insert(call.run().answer);
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_ne!(Call::wrong().run().answer, *answers.first().unwrap(), "the Shoot itself is told");
}

#[test]
fn what_cannot_be_read_is_told_to_the_shoot_only() {
    let (_, result) = Call::own().with(|call| call.object = json!({})).result();
    assert!(matches!(result, Err(NoVerdict::Unreadable(_))), "{result:?}");
    // vpn2 does without us: the write passes, as it does while nobody answers.
    let done = Call::wrong().with(|call| call.object = json!({})).run();
    assert_eq!(done.verdict.decision, "tolerated");
    assert_eq!(done.verdict.findings.iter().map(|finding| finding.rule.name).collect::<Vec<_>>(), ["vpn/unreadable"]);
}

proptest! {
    /// Whatever the path says, nobody but the Shoot is answered otherwise.
    #[test]
    fn any_path_is_a_strangers(namespace in "[a-z/.%-]{0,40}", uid in "[0-9a-f-]{0,40}") {
        let call = Call { namespace, uid, ..Call::wrong() };
        prop_assert_eq!(call.run().verdict, Verdict::allow("not-concerned"));
    }
}
