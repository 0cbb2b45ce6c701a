//! The shape of an answer: what others wrote in it, and how long it gets.

use super::*;

/// Part of a message is what somebody else wrote: no terminal obeys it, and no line of theirs looks like one of network-guard's.
#[test]
fn what_others_wrote_is_printed_as_text() {
    let key = "x\n- spec.fake: evil\u{1b}[31m";
    let config = with(config(&[peer("garden-shop/orders", "eu1\u{1b}[31mx")]), &format!("/{key}"), json!(1));
    let new = with(shoot(A, "10.5.0.0/27", &[]), "/spec/extensions/0/providerConfig", config);
    let garden = Garden::of(&[]);
    let (verdict, bytes) = garden.call(&ValidateShoot::default(), &garden.request(None, Some(&new)));
    assert_eq!(verdict.outcome, Outcome::Denied);
    let answer: Value = serde_json::from_slice(&bytes).unwrap();
    let status = &answer["response"]["status"];
    let message = status["message"].as_str().unwrap();
    assert!(!message.contains('\u{1b}') && !message.contains("\n- spec.fake"), "{message:?}");
    let causes = status["details"]["causes"].to_string();
    assert!(!causes.contains("\\u001b") && !causes.contains("\\n"), "{causes}");
}

/// A hundred peers on one network are one mistake, not five thousand findings.
#[test]
fn many_conflicts_are_a_short_answer() {
    let peers: Vec<Value> = (0..100).map(|i| peer(&format!("garden-shop/s{i}"), "eu1-a")).collect();
    let shoots: Vec<Value> =
        (0..100).map(|i| shoot(&format!("garden-shop/s{i}"), "10.9.0.0/27", &[peer(A, "eu1-a")])).collect();
    let garden = Garden::of(&shoots);
    let new = shoot(A, "10.5.0.0/27", &peers);
    let (_, bytes) = garden.call(&ValidateShoot::default(), &garden.request(None, Some(&new)));
    assert!(bytes.len() < 20_000, "{} bytes", bytes.len());
}

/// Of thirty that do not list it back the writer is told once, last, and after what is wrong; each warning is a short line.
#[test]
fn warnings_begin_with_what_is_wrong() {
    let name = |i: usize| format!("garden-shop/s{i}");
    let target = |i: usize| shoot(&name(i), &format!("10.9.{i}.0/27"), &[]);
    // One is on another Seed, after all of them.
    let mut shoots: Vec<Value> = (0..30).map(target).collect();
    shoots.push(with(target(30), "/status", json!({"seedName": "eu1-b"})));
    let mut entries: Vec<Value> = (0..30).map(|i| peer(&name(i), "eu1-a")).collect();
    entries.push(peer(&name(30), "eu1-b"));
    let garden = Garden::of(&shoots);
    let new = shoot(A, "10.5.0.0/27", &entries);
    let (_, bytes) = garden.call(&ValidateShoot::default(), &garden.request(None, Some(&new)));
    let answer: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(
        answer["response"]["warnings"],
        json!([
            "shootPeerings[30].seed: garden-shop/s30 is moving from eu1-b to eu1-a; write eu1-a",
            "shootPeerings: 31 Shoots do not list this one: garden-shop/s0, garden-shop/s1, garden-shop/s2, garden-shop/s3, \
             garden-shop/s4, garden-shop/s5, garden-shop/s6 and 24 more; add there: - {name: crm, namespace: garden-sales, \
             seed: eu1-a}",
        ])
    );
}

/// One case of each family that is judged: it is wired, and its refusals refuse.
#[test]
fn every_family_is_judged() {
    let reserved = with(shoot(A, "10.5.0.0/27", &[]), "/spec/networking/pods", json!("244.0.0.0/16"));
    let clashing = Garden::of(&[shoot(B, "10.5.0.0/24", &[peer(A, "eu1-a")])]);
    for (garden, new, rule) in [
        (&clashing, a(), "overlap"),
        (&clashing, with(reserved, "/spec/extensions", json!([])), "networks/reserved-range"),
    ] {
        garden.create(&new).denies(&[rule]);
    }
}
