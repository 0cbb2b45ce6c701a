//! How a decision is written for the API server, and within which limits.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::Simd;
use base64::engine::general_purpose::PAD;
use serde::Serialize;
use serde_json::json;

use super::doctor::Sign;
use super::request::Request;
use super::verdict::{Outcome, Verdict};
use crate::diagnostics::{Finding, Severity, cut, in_order, line};

/// All warnings of one answer together, in characters: the API server cuts every warning to 256 characters once they
/// exceed 4,096 (`k8s.io/apiserver/pkg/admission/plugin/webhook/request`).
const WARNINGS_BUDGET: usize = 4_096;

/// One warning, in characters: kubectl prints it as one line. The longest has a whole extension to be copied.
const WARNING_LIMIT: usize = 500;

/// Warnings of one answer; what is more is counted. Nobody reads a screen full of them.
const WARNINGS_LIMIT: usize = 10;

/// Findings in the message of one denial; what is more is counted, and in its causes.
const DENIALS_LIMIT: usize = 20;

/// Causes of one denial.
const CAUSES_LIMIT: usize = 100;

/// One text of a cause, in characters: programs read it, and there are many.
const CAUSE_LIMIT: usize = 300;

/// One audit annotation, in bytes: API servers write it into each line of their audit log, and cut events of more than 100 KiB
/// (`--audit-log-truncate-max-event-size`).
const AUDIT_LIMIT: usize = 4 << 10;

/// What a patch may have in bytes, besides twice the object that it changes. Envoy's configuration is 12 KiB; the rest is room for
/// what sixteen containers of a VPN can be told.
const PATCH_ROOM: usize = 1 << 20;

/// Whether the answer is no larger than what it answers permits. Readers see to that; this is the last look before it is written.
pub fn fits(request: &Request<'_>, verdict: &Verdict) -> bool {
    let Outcome::Patched(patch) = &verdict.outcome else { return true };
    patch.json().len() <= PATCH_ROOM + 2 * request.object.map_or(0, str::len)
}

/// Writes the answer to a request.
pub fn encode(request: &Request<'_>, verdict: &Verdict) -> Vec<u8> {
    encode_with(request, verdict, None)
}

/// The same, with a sign for the doctor that asked.
pub fn encode_with(request: &Request<'_>, verdict: &Verdict, sign: Option<&Sign>) -> Vec<u8> {
    let mut out = head(&request.uid, !matches!(verdict.outcome, Outcome::Denied));
    match &verdict.outcome {
        Outcome::Allowed => {}
        Outcome::Patched(patch) => {
            out.extend_from_slice(br#","patchType":"JSONPatch","patch":""#);
            push_base64(&mut out, patch.json().as_bytes());
            out.push(b'"');
        }
        Outcome::Denied => push(&mut out, format_args!(r#","status":{}"#, denial(request, verdict))),
    }
    let mut warnings = warnings(&verdict.findings);
    // First, and short: however many there are, it comes through whole.
    warnings.splice(0..0, sign.map(Sign::warning));
    if !warnings.is_empty() {
        out.extend_from_slice(br#","warnings":"#);
        push_json(&mut out, &warnings);
    }
    for (i, (key, value)) in verdict.audit.iter().enumerate() {
        let before = if i == 0 { r#","auditAnnotations":{"# } else { "," };
        push(&mut out, format_args!(r#"{before}"{}":"#, key.name()));
        push_json(&mut out, &audited(value));
    }
    if !verdict.audit.is_empty() {
        out.push(b'}');
    }
    out.extend_from_slice(b"}}");
    out
}

/// Writes a refusal that is not a decision: the request itself cannot be reviewed. `code` is an HTTP status of 400 or
/// more, `reason` one of the API's status reasons.
pub fn encode_failure(uid: &str, code: u16, reason: &str, message: &str) -> Vec<u8> {
    let status = json!({"code": code, "reason": reason, "message": message});
    let mut out = head(uid, false);
    push(&mut out, format_args!(r#","status":{status}}}}}"#));
    out
}

/// Room for an answer with a patch of the usual size, so that it is written without growing.
const USUAL_ANSWER: usize = 16 << 10;

fn head(uid: &str, allowed: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(USUAL_ANSWER);
    out.extend_from_slice(br#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"#);
    push_json(&mut out, uid);
    push(&mut out, format_args!(r#","allowed":{allowed}"#));
    out
}

fn push(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a vector takes everything");
}

fn push_json(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    serde_json::to_writer(out, value).expect("a vector takes everything");
}

/// By the best instructions that the processor turns out to have.
static BASE64: LazyLock<Simd> = LazyLock::new(|| Simd::standard(PAD));

/// Appends base64, piece by piece: only the last one has padding.
fn push_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    const PIECE: usize = 768;
    let mut encoded = [0; PIECE / 3 * 4];
    for piece in bytes.chunks(PIECE) {
        let length = BASE64.encode_slice(piece, &mut encoded).expect("three bytes become four");
        out.extend_from_slice(&encoded[..length]);
    }
}

/// The status of a denial: all findings in one message for people, and one by one for programs.
fn denial(request: &Request<'_>, verdict: &Verdict) -> serde_json::Value {
    let denied = || in_order(&verdict.findings, Severity::Deny);
    let subject = match (request.namespace.is_empty(), request.name.is_empty()) {
        (true, _) => request.name.to_string(),
        (false, true) => format!("in namespace {}", &*request.namespace),
        (false, false) => format!("{}/{}", &*request.namespace, &*request.name),
    };
    let mut message = line(&format!("{} {subject} is refused:", kind(&request.resource)));
    for finding in denied().take(DENIALS_LIMIT) {
        let _ = write!(message, "\n- {} ({})", line(&finding.to_string()), finding.rule.name);
    }
    if let more @ 1.. = denied().count().saturating_sub(DENIALS_LIMIT) {
        let _ = write!(message, "\n- and {more} more");
    }
    let cause = |finding: &Finding| {
        json!({
            "reason": "FieldValueInvalid",
            "field": cut(&finding.path.to_string(), CAUSE_LIMIT),
            "message": cut(&finding.message, CAUSE_LIMIT),
        })
    };
    let causes: Vec<_> = denied().take(CAUSES_LIMIT).map(cause).collect();
    json!({
        "code": 403,
        "reason": "Forbidden",
        "message": message,
        "details": {"name": &*request.name, "group": &*request.group, "kind": &*request.resource, "causes": causes},
    })
}

/// The word for one object of a resource, for people: its kind, of those that we decide on.
fn kind(resource: &str) -> &str {
    match resource {
        "shoots" => "Shoot",
        "deployments" => "Deployment",
        "statefulsets" => "StatefulSet",
        "networks" => "Network",
        other => other,
    }
}

/// The warnings of an answer: one line each, none twice, in order of rank, together within the budget; what is left out is counted.
fn warnings(findings: &[Finding]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut more = 0;
    for finding in in_order(findings, Severity::Warn) {
        // Of thousands nobody asks whether two are the same.
        if lines.len() == COMPARED_LIMIT {
            more += 1;
            continue;
        }
        let line = cut(&short(finding), WARNING_LIMIT);
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    let mut left = WARNINGS_BUDGET - MORE_ROOM;
    let fitting = lines.iter().take(WARNINGS_LIMIT).take_while(|line| {
        let length = line.chars().count();
        let fits = length <= left;
        left = left.saturating_sub(length);
        fits
    });
    let shown = fitting.count();
    if let more @ 1.. = more + lines.len() - shown {
        lines.truncate(shown);
        lines.push(format!("and {more} more"));
    }
    lines
}

/// The most warnings that are compared with each other.
const COMPARED_LIMIT: usize = 10 * WARNINGS_LIMIT;

/// Room for the count of what is left out, in characters.
const MORE_ROOM: usize = 40;

/// A finding for one line: there is one extension that we speak about, so its place in the list is left out.
fn short(finding: &Finding) -> String {
    match finding.path.below("providerConfig") {
        Some(path) => format!("{path}: {}", finding.text()),
        None => finding.to_string(),
    }
}

/// What of an audit annotation is written.
fn audited(value: &str) -> Cow<'_, str> {
    if value.len() <= AUDIT_LIMIT {
        return value.into();
    }
    format!("{}...", &value[..value.floor_char_boundary(AUDIT_LIMIT)]).into()
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;
    use serde_json::Value;

    use super::super::{AuditKey, PatchBuilder, Pointer, decode};
    use super::*;
    use crate::diagnostics::{Rank, Rule};
    use crate::json::FieldPath;

    const BODY: &str = r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{
        "uid":"u-1","resource":{"group":"apps","version":"v1","resource":"deployments"},
        "name":"kube-apiserver","namespace":"shoot--a--b","operation":"CREATE","object":{}}}"#;

    /// A rule of each rank.
    static RULES: [Rule; 5] = {
        const fn of(rank: Rank) -> Rule {
            Rule::for_test("vpn/x", Severity::Deny, None, rank)
        }
        let [a, b, c, d, e] = Rank::ALL;
        [of(a), of(b), of(c), of(d), of(e)]
    };

    fn finding(severity: Severity, message: &str) -> Finding {
        Finding { severity, ..RULES[0].finding("spec", message.to_owned(), "do y") }
    }

    fn answer(verdict: &Verdict) -> Value {
        let request = decode(BODY.as_bytes()).unwrap();
        serde_json::from_slice(&encode(&request, verdict)).unwrap()
    }

    #[test]
    fn an_untouched_request() {
        assert_eq!(
            answer(&Verdict::allow("none")),
            json!({
                "apiVersion": "admission.k8s.io/v1",
                "kind": "AdmissionReview",
                "response": {"uid": "u-1", "allowed": true},
            })
        );
    }

    #[test]
    fn a_patch_with_warning_and_audit() {
        let mut patch = PatchBuilder::default();
        patch.add(&Pointer::to("/a"), "1");
        let verdict = Verdict {
            outcome: Outcome::Patched(patch.finish().unwrap()),
            decision: "injected",
            findings: vec![finding(Severity::Warn, "one"), finding(Severity::Note, "silent")],
            audit: vec![(AuditKey::new("a"), "1".to_owned()), (AuditKey::new("b"), "\"2\"".to_owned())],
        };
        let response = answer(&verdict)["response"].clone();
        let patch = STANDARD.decode(response["patch"].as_str().unwrap()).unwrap();
        assert_eq!(String::from_utf8(patch).unwrap(), r#"[{"op":"add","path":"/a","value":1}]"#);
        assert_eq!(response["patchType"], "JSONPatch");
        assert_eq!(response["warnings"], json!(["spec: one; do y"]));
        assert_eq!(response["auditAnnotations"], json!({"a": "1", "b": "\"2\""}));
    }

    #[test]
    fn a_denial_lists_every_finding_and_carries_no_patch() {
        let verdict = Verdict {
            outcome: Outcome::Denied,
            decision: "refused",
            findings: vec![
                finding(Severity::Deny, "one"),
                finding(Severity::Warn, "two"),
                finding(Severity::Deny, "three"),
            ],
            audit: vec![],
        };
        let response = answer(&verdict)["response"].clone();
        assert_eq!(response["allowed"], false);
        assert!(response.get("patch").is_none() && response.get("patchType").is_none());
        assert_eq!(
            response["status"]["message"],
            "Deployment shoot--a--b/kube-apiserver is refused:\n- spec: one; do y (vpn/x)\n- spec: three; do y (vpn/x)"
        );
        assert_eq!(response["status"]["code"], 403);
        assert_eq!(response["status"]["details"]["causes"][1]["message"], "three");
        assert_eq!(response["warnings"], json!(["spec: two; do y"]));
    }

    /// A name is checked only after webhooks that change an object: until then it is any text.
    #[test]
    fn whatever_a_name_is_it_is_one_line() {
        let body = BODY.replace("kube-apiserver", "a\\n\\u001b[31m").replace("shoot--a--b", "b\\r");
        let request = decode(body.as_bytes()).unwrap();
        let findings = vec![finding(Severity::Deny, "one")];
        let verdict = Verdict { outcome: Outcome::Denied, decision: "refused", findings, audit: vec![] };
        let answer: Value = serde_json::from_slice(&encode(&request, &verdict)).unwrap();
        let status = &answer["response"]["status"];
        assert_eq!(status["message"], "Deployment b /a  [31m is refused:\n- spec: one; do y (vpn/x)");
        assert_eq!(status["details"]["name"], "a\n\u{1b}[31m", "for programs it is what it is");
    }

    /// However long texts are and however many there are.
    #[test]
    fn texts_are_cut() {
        let long = "\u{1f525}\n".repeat(1 << 20);
        let of = |text: &str, count| {
            vec![Finding { path: FieldPath::default().field(text.to_owned()), ..finding(Severity::Deny, text) }; count]
        };
        // Five MiB each, and many; not both, which no machine has memory for.
        let findings = [of(&long, 4), of(&long[..5_000], 2_000)].concat();
        let audit = vec![(AuditKey::new("a"), long.clone())];
        let verdict = Verdict { outcome: Outcome::Denied, decision: "refused", findings, audit };
        let request = decode(BODY.as_bytes()).unwrap();
        assert!(encode(&request, &verdict).len() < 400 << 10, "{}", encode(&request, &verdict).len());
    }

    #[test]
    fn a_patch_that_is_far_larger_than_its_object_does_not_fit() {
        let request = decode(BODY.as_bytes()).unwrap();
        for (length, want) in [(10, true), (PATCH_ROOM - 100, true), (PATCH_ROOM + 100, false)] {
            let mut patch = PatchBuilder::default();
            patch.add(&Pointer::to("/a"), &json!("x".repeat(length)).to_string());
            let outcome = Outcome::Patched(patch.finish().unwrap());
            assert_eq!(fits(&request, &Verdict { outcome, ..Verdict::allow("x") }), want, "{length}");
        }
    }

    proptest! {
        /// The limits of the API server, for any text and number of findings: it cuts each warning to 256 characters once all
        /// are longer than 4,096.
        #[test]
        fn warnings_stay_within_the_limits(messages in prop::collection::vec(".{0,700}", 0..40)) {
            let findings: Vec<Finding> = messages.iter().map(|m| finding(Severity::Warn, m)).collect();
            let lines = warnings(&findings);
            prop_assert!(lines.iter().map(|l| l.chars().count()).sum::<usize>() <= 4_096);
            for (i, line) in lines.iter().enumerate() {
                prop_assert!(!line.is_empty() && line.chars().count() <= WARNING_LIMIT + 3);
                prop_assert!(!line.chars().any(char::is_control));
                prop_assert!(!lines[..i].contains(line));
            }
        }

        /// Whatever was found first and however long it is: nothing that is left out ranks above what is shown, and what ranks
        /// the same is shown in the order in which it was found.
        #[test]
        fn nothing_of_a_higher_rank_is_hidden(
            found in prop::collection::vec((0..Rank::ALL.len(), any::<bool>(), prop_oneof![3 => 0usize..60, 1 => 300usize..700]), 0..200),
        ) {
            let findings: Vec<Finding> = found
                .iter()
                .enumerate()
                .map(|(i, (rank, warns, length))| Finding {
                    rule: &RULES[*rank],
                    ..finding(if *warns { Severity::Warn } else { Severity::Deny }, &format!("#{i}# {}", "x".repeat(*length)))
                })
                .collect();
            let place = |line: &str| -> usize { line.split('#').nth(1).unwrap().parse().unwrap() };
            let verdict = Verdict { outcome: Outcome::Denied, decision: "refused", findings: findings.clone(), audit: vec![] };
            let message = answer(&verdict)["response"]["status"]["message"].as_str().unwrap().to_owned();
            let refusals: Vec<String> = message.lines().skip(1).map(str::to_owned).collect();
            for (severity, mut lines) in [(Severity::Warn, warnings(&findings)), (Severity::Deny, refusals)] {
                let more = lines.last().and_then(|line| line.split_once("and ")?.1.strip_suffix(" more")?.parse::<usize>().ok());
                lines.truncate(lines.len() - usize::from(more.is_some()));
                let shown: Vec<usize> = lines.iter().map(|line| place(line)).collect();
                let mut all: Vec<usize> = (0..findings.len()).filter(|i| findings[*i].severity == severity).collect();
                prop_assert_eq!(shown.len() + more.unwrap_or_default(), all.len());
                all.sort_by_key(|i| findings[*i].rule.rank);
                prop_assert_eq!(&shown[..], &all[..shown.len()]);
            }
        }
    }
}
