//! Where writes pass while no replica answers, they pass too when one does: what would refuse them warns.

use super::*;

impl Call {
    fn tolerant(self) -> Self {
        Self { is_tolerant: true, ..self }
    }

    fn with_nat(self, nat: Mode) -> Self {
        Self { nat, ..self }
    }
}

/// What is said of a write that would be refused, by why.
fn refused() -> Vec<(&'static str, Call, &'static str)> {
    let overlapping = Call::overlapping;
    let nodes = |spec: &mut Value| spec["shoot"]["status"]["networking"]["nodes"] = json!(["10.250.0.0/16", "x"]);
    let foreign = |pod: &mut Value| {
        pod["containers"].as_array_mut().unwrap().push(json!({"name": "envoy-proxy", "image": "x"}));
    };
    let no_vpn = |pod: &mut Value| {
        pod["containers"].as_array_mut().unwrap().retain(|container| container["name"] != "vpn-client-1");
    };
    let many = |pod: &mut Value| {
        pod["containers"].as_array_mut().unwrap().extend(vec![json!({"name": "vpn-client-1"}); 20]);
    };
    let missing = || overlapping().without_cluster(Some(Answer::Absent));
    let nowhere = || overlapping().object(|object| object["metadata"]["namespace"] = json!("a/b"));
    vec![
        ("no Cluster", missing(), "vpn/cluster-missing"),
        ("no Cluster, another image", missing().over(plain()).pod(image), "vpn/cluster-missing"),
        ("no Cluster, a wake-up", missing().over(asleep()), "vpn/cluster-missing"),
        (
            "no answer",
            overlapping().without_cluster(Some(Answer::Unanswered("x".to_owned()))),
            "vpn/cluster-unanswered",
        ),
        ("networks that do not parse", overlapping().cluster(nodes), "vpn/cluster-unreadable"),
        ("a VPN container is missing", overlapping().pod(no_vpn), "vpn/vpn-incomplete"),
        ("a foreign container", overlapping().pod(foreign), "vpn/name-taken"),
        ("a foreign container, always", overlapping().pod(foreign).always(), "vpn/name-taken"),
        ("no Cluster, always", missing().always(), "vpn/cluster-missing"),
        ("another shape", overlapping().pod(|pod| pod["containers"][0]["name"] = json!(7)), "vpn/unreadable"),
        ("too many containers of the VPN", overlapping().pod(many), "vpn/unreadable"),
        ("no name of a namespace", nowhere().without_cluster(None), "vpn/unreadable"),
    ]
}

fn image(pod: &mut Value) {
    pod["containers"][0]["image"] = json!("other");
}

fn asleep() -> Value {
    Call::overlapping().object(|object| object["spec"]["replicas"] = json!(0)).object
}

fn is_refused(result: &Result<Verdict, NoVerdict>) -> bool {
    match result {
        Ok(verdict) => verdict.outcome == Outcome::Denied,
        Err(NoVerdict::Unreadable(_)) => true,
        Err(NoVerdict::Asks(_)) => false,
    }
}

#[test]
fn what_would_refuse_warns() {
    for (name, call, rule) in refused() {
        assert!(is_refused(&call.result()), "{name}: without tolerance {:?}", call.result());
        let done = call.clone().tolerant().run();
        assert_eq!((done.verdict.decision, &done.object), ("tolerated", &call.object), "{name}: as it came");
        assert_eq!(done.response["allowed"], true, "{name}");
        assert_eq!(done.rules(), [format!("warn {rule}")], "{name}");
        assert_eq!(done.response["warnings"].as_array().map(Vec::len), Some(1), "{name}: {}", done.response);
        assert_eq!(done.response["auditAnnotations"], json!({"decision": "tolerated"}), "{name}");
    }
}

/// Nothing replaces own containers.
#[test]
fn own_containers_are_waited_for() {
    for (name, call, _) in refused() {
        let call = Call { settings: Settings::default(), ..call }.with_nat(nat::own()).tolerant();
        assert!(is_refused(&call.result()), "{name}: {:?}", call.result());
    }
}

/// Where nothing is started, what cannot be read passes without a word, as ever.
#[test]
fn an_edit_of_something_else_is_not_warned_of() {
    let call = Call::overlapping().pod(|pod| pod["containers"][0]["name"] = json!(7));
    let stored = call.object.clone();
    let labelled = call.object(|object| object["metadata"]["labels"]["x"] = json!("y")).over(stored).tolerant();
    assert_eq!(labelled.run().verdict, Verdict::allow("tolerated"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Nothing is refused, and what was not refused is decided as without tolerance.
    #[test]
    fn only_refusals_differ(
        object in laws::disturbed(),
        old in prop::option::of(laws::disturbed()),
        known in 0usize..5,
        is_always in any::<bool>(),
    ) {
        let (_, cluster, live) = changes::knowledge().into_iter().nth(known).unwrap();
        let mut call = Call { object, cluster, live, ..Call::overlapping() };
        if let Some(old) = old {
            call = call.over(old);
        }
        if is_always {
            call = call.always();
        }
        let (strict, tolerant) = (call.result(), call.tolerant().result());
        if is_refused(&strict) {
            prop_assert!(matches!(&tolerant, Ok(verdict) if verdict.decision == "tolerated"), "{:?}", tolerant);
            prop_assert!(!is_refused(&tolerant));
        } else {
            prop_assert_eq!(format!("{tolerant:?}"), format!("{strict:?}"));
        }
    }
}
