//! Shoots without an overlay in one VPC: routes to the Pods of all of them are in the same tables.

use std::fmt::Write as _;

use crate::diagnostics::ratchet::added;
use crate::diagnostics::{Finding, Rank, Severity, counted, rules};
use crate::gardener::facts::Networks;
use crate::gardener::providers::Routes;
use crate::gardener::shoot::StatusNetworking;
use crate::gardener::{Provider, Shoot, ShootFacts, ShootName, Vpc, VpcKey, Vpcs};
use crate::net::Cidr;

rules! {
    /// Two Shoots without an overlay, of whatever network type, are in the same VPC, and their Pod networks overlap.
    /// Both write routes for the same addresses into the VPC's tables, so Pods of one are looked for on nodes of the
    /// other, or a route is refused. Reported for a new Shoot, when the overlay is switched off, and when the Pod
    /// network or the VPC is another one. Where the infrastructure makes routes beside an overlay too (Alibaba Cloud),
    /// it is enough that one of the two has none. Shoots that have no routes do not count, nor do those with a route
    /// table of their own (Alibaba Cloud, `useCustomRouteTable`). Where a provider names a VPC is in the configuration,
    /// `overlay.vpcs`. Ids that are unique everywhere (AWS, Alibaba Cloud, OpenStack) are compared with all Shoots;
    /// names, which mean something in one account only (GCP), with Shoots of the same Gardener project, because
    /// accounts cannot be read. Shoots of the same project count if the writer may see all that are there, those of
    /// another project in which the Shoot lists a peer likewise, and all if the writer may see all Shoots everywhere;
    /// all others are ignored, however many there are. Of the same project, and of all others, the first 64 are looked
    /// at.
    pub static SHARED_VPC = {
        name: "overlay/shared-vpc",
        severity: Severity::Warn,
        up_to: Some(Severity::Deny),
        rank: Rank::Fault,
        fix: "Choose Pod networks that do not overlap: for an existing Shoot that takes a new Shoot. Or keep the overlay in one of the two, if that one then has no routes.",
        example: || {
            let (name, facts) = (ShootName::new("garden-shop", "orders"), |pods: &str| ShootFacts {
                networks: Networks::new(pods.parse().into_iter().collect(), Vec::new(), Vec::new()),
                is_native: true,
                ..ShootFacts::default()
            });
            let shared = example().and_then(|own| own.meet([(&name, &facts("100.96.0.0/16"))], false));
            shared.into_iter().map(|shared| shared.finding).collect()
        },
    };

    /// The API server did not answer whether the writer may see other Shoots in the VPC of this one, or the writer has
    /// too many groups to ask for. So `overlay/shared-vpc` compared nothing, or not all, and the Shoot is accepted
    /// unchecked, even where that rule refuses. Whether there are other Shoots makes no difference to this.
    pub static NOT_COMPARED = {
        name: "overlay/not-compared",
        severity: Severity::Warn,
        up_to: Some(Severity::Warn),
        rank: Rank::Unverified,
        fix: "Apply the Shoot again to have it compared, and check the webhook's log if this happens again.",
        example: || example().iter().map(|own| own.not_compared("no answer in time")).collect(),
    };
}

/// The new properties of a Shoot that could conflict with others in its VPC.
#[derive(Debug)]
pub struct Newcomer {
    /// Its VPC.
    pub vpc: VpcKey,
    /// Whether it has no overlay.
    is_native: bool,
    /// Whether its provider makes routes beside an overlay too.
    has_routes_anyway: bool,
    /// Its new Pod networks; empty as long as none is known.
    pods: Vec<Cidr>,
}

/// A finding, and the Shoots that it is based on.
#[derive(Debug)]
pub struct Shared {
    /// The finding.
    pub finding: Finding,
    /// All Shoots that it conflicts with.
    pub rests_on: Vec<ShootName>,
}

/// The most Shoots that are named.
const NAMED: usize = 2;

impl Newcomer {
    /// The new properties of a Shoot; `None` if there are none, or if it shares no routes with others.
    pub fn of(new: &Shoot<'_>, old: Option<&Shoot<'_>>, vpcs: &Vpcs) -> Option<Self> {
        let key = |shoot: &Shoot<'_>, stored| vpcs.key(&new.namespace, &Vpc::of(shoot, stored));
        let vpc = key(new, old)?;
        // The status in a request is not trusted: its writer can put anything there.
        let no_status = StatusNetworking::default();
        let mut pods =
            Networks::of(&new.networking, old.map_or(&no_status, |old| &old.status_networking)).pods().to_vec();
        let is_native = new.is_native(old);
        let is_as_much_in_the_way = |old: &Shoot<'_>| old.is_native(Some(old)) || !is_native;
        if let Some(old) = old.filter(|old| key(old, Some(old)).as_ref() == Some(&vpc) && is_as_much_in_the_way(old)) {
            let before = Networks::of(&old.networking, &old.status_networking);
            pods = added(&pods, before.pods());
            if pods.is_empty() {
                return None;
            }
        }
        let provider = Provider::of(&new.provider_type);
        let has_routes_anyway =
            provider.is_some_and(|provider| matches!(provider.routes, Routes::Always | Routes::UnlessOn { .. }));
        Some(Self { vpc, is_native, has_routes_anyway, pods })
    }

    /// The finding that others were not compared, and why.
    pub(crate) fn not_compared(&self, why: &str) -> Finding {
        not_compared(self.vpc.id(), why)
    }

    /// The conflict with its neighbours. The caller passes those that the writer may see, and whether there may be more
    /// of them.
    pub(crate) fn meet<'n>(
        &self,
        neighbours: impl IntoIterator<Item = (&'n ShootName, &'n ShootFacts)>,
        may_be_more: bool,
    ) -> Option<Shared> {
        let mut found: Vec<(&ShootName, Cidr, Cidr)> = Vec::new();
        let mut count = 0;
        for (name, facts) in neighbours {
            count += 1;
            if !self.is_native && !facts.is_native {
                // Both use tunnels to their Pods.
                continue;
            }
            let theirs = facts.networks.pods();
            let pair = if self.pods.is_empty() {
                theirs.first().map(|theirs| (*theirs, *theirs))
            } else {
                self.pods.iter().find_map(|own| Some((*own, *theirs.iter().find(|theirs| own.overlaps(**theirs))?)))
            };
            found.extend(pair.map(|(own, theirs)| (name, own, theirs)));
        }
        let id = self.vpc.id();
        let finding = match (found.first(), self.pods.is_empty()) {
            (None, _) if may_be_more => say_may_be_more(count, id),
            (None, _) => return None,
            // A default may be disjoint from all of them, so that is never a refusal.
            (Some(_), true) => say_unknown(&listed(&found), id, self.has_routes_anyway).at_most(Severity::Warn),
            (Some((_, own, _)), false) => say(*own, &listed(&found), id, self.has_routes_anyway),
        };
        Some(Shared { finding, rests_on: found.into_iter().map(|(name, ..)| name.clone()).collect() })
    }
}

/// Names and networks, only the first ones.
fn listed(found: &[(&ShootName, Cidr, Cidr)]) -> String {
    let mut text = String::new();
    for (i, (name, _, theirs)) in found.iter().take(NAMED).enumerate() {
        let comma = if i > 0 { ", " } else { "" };
        let _ = write!(text, "{comma}{name} ({theirs})");
    }
    if found.len() > NAMED {
        text.push_str(", and others");
    }
    text
}

const PODS: &str = "spec.networking.pods";

fn say(own: Cidr, listed: &str, id: &str, has_routes_anyway: bool) -> Finding {
    if has_routes_anyway {
        let message = format!("{own} overlaps Pods of {listed}, and routes to both are in the same VPC {id}");
        return SHARED_VPC.finding(PODS, message, "choose another Pod network");
    }
    let message = format!("{own} overlaps Pods of {listed}, without an overlay in the same VPC {id}");
    SHARED_VPC.finding(PODS, message, "choose another Pod network, or keep the overlay")
}

fn say_unknown(listed: &str, id: &str, has_routes_anyway: bool) -> Finding {
    let message = if has_routes_anyway {
        format!("is not set, and in the same VPC {id} there are routes to Pods of {listed}")
    } else {
        format!("is not set, and in the same VPC {id} there are without an overlay: {listed}")
    };
    SHARED_VPC.finding(PODS, message, "choose one that overlaps none of them")
}

fn say_may_be_more(count: usize, id: &str) -> Finding {
    let message = format!("was compared with {} in the same VPC {id}, and there may be more", counted(count, "Shoot"));
    SHARED_VPC.finding(PODS, message, "compare it with the others").at_most(Severity::Warn)
}

fn not_compared(id: &str, why: &str) -> Finding {
    let message = format!("other Shoots in the same VPC {id} were not compared: {why}");
    NOT_COMPARED.finding(PODS, message, "apply again to have them compared")
}

/// A Shoot that is created without an overlay, for examples.
fn example() -> Option<Newcomer> {
    let text = r#"{"metadata": {"namespace": "garden-shop", "name": "web"}, "spec": {
        "networking": {"type": "calico", "providerConfig": {"overlay": {"enabled": false}}, "pods": "100.96.0.0/11"},
        "provider": {"type": "aws", "workers": [{}],
            "infrastructureConfig": {"networks": {"vpc": {"id": "vpc-0123456789abcdef0"}}}}}}"#;
    Newcomer::of(&Shoot::read(text).expect("a constant"), None, &Vpcs::default())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::{OWN, native, overlay};
    use super::*;
    use crate::landscape::garden::with;

    fn shoot(pods: &Value, vpc: &str) -> Value {
        with(native(OWN, "", vpc), "/spec/networking/pods", pods.clone())
    }

    /// The new Pod networks; `None` if nothing has to be compared.
    fn new_pods(old: Option<&Value>, new: &Value) -> Option<Vec<String>> {
        let (old, new) = (old.map(Value::to_string), new.to_string());
        let old = old.as_deref().map(|old| Shoot::read(old).unwrap());
        let newcomer = Newcomer::of(&Shoot::read(&new).unwrap(), old.as_ref(), &Vpcs::default())?;
        Some(newcomer.pods.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn only_what_is_new_is_compared() {
        let (a, b) = (json!("100.64.0.0/16"), json!("100.96.0.0/16"));
        let stored = shoot(&a, "vpc-1");
        let grown = json!({"networking": {"pods": ["100.64.0.0/16", "100.96.0.0/16"]}});
        let mut stored_with_two = stored.clone();
        stored_with_two["status"] = grown;
        for (what, old, new, want) in [
            ("new", None, stored.clone(), Some(vec!["100.64.0.0/16"])),
            ("new, without a network yet", None, shoot(&Value::Null, "vpc-1"), Some(vec![])),
            ("new, with an overlay", None, overlay(stored.clone()), None),
            (
                "new, of another network type",
                None,
                with(stored.clone(), "/spec/networking/type", json!("cilium")),
                Some(vec!["100.64.0.0/16"]),
            ),
            (
                "new, not set, as its admission will set it",
                None,
                with(stored.clone(), "/spec/networking/providerConfig", json!({})),
                Some(vec!["100.64.0.0/16"]),
            ),
            (
                "new, of a provider whose nodes need no routes",
                None,
                with(stored.clone(), "/spec/provider/type", json!("metal")),
                None,
            ),
            ("new, without workers", None, with(stored.clone(), "/spec/provider/workers", json!([])), None),
            (
                "new, in a VPC of its own",
                None,
                with(stored.clone(), "/spec/provider/infrastructureConfig", json!({})),
                None,
            ),
            ("as it was", Some(stored.clone()), stored.clone(), None),
            (
                "more nodes",
                Some(stored.clone()),
                with(stored.clone(), "/spec/provider/workers/0/maximum", json!(9)),
                None,
            ),
            ("another Pod network", Some(stored.clone()), shoot(&b, "vpc-1"), Some(vec!["100.96.0.0/16"])),
            ("one that the status has already", Some(stored_with_two.clone()), shoot(&b, "vpc-1"), None),
            ("another VPC", Some(stored.clone()), shoot(&a, "vpc-2"), Some(vec!["100.64.0.0/16"])),
            ("the overlay goes", Some(overlay(stored.clone())), stored.clone(), Some(vec!["100.64.0.0/16"])),
            ("the overlay comes", Some(stored.clone()), overlay(stored.clone()), None),
            ("a network goes", Some(stored.clone()), shoot(&Value::Null, "vpc-1"), None),
        ] {
            let want = want.map(|pods| pods.into_iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(new_pods(old.as_ref(), &new), want, "{what}");
        }
    }

    #[test]
    fn says_who_is_in_the_way() {
        let name = |i: usize| ShootName::new("garden-shop", &format!("s{i}"));
        let cidr = |text: &str| -> Cidr { text.parse().unwrap() };
        let facts = |pods: &str| ShootFacts {
            networks: Networks::new(vec![cidr(pods)], Vec::new(), Vec::new()),
            ..ShootFacts::default()
        };
        let said = |own: &[&str], neighbours: &[&str], may_be_more| {
            let text = shoot(&Value::Null, "vpc-1").to_string();
            let newcomer = Newcomer {
                pods: own.iter().map(|own| cidr(own)).collect(),
                ..Newcomer::of(&Shoot::read(&text).unwrap(), None, &Vpcs::default()).unwrap()
            };
            let neighbours: Vec<_> = neighbours.iter().enumerate().map(|(i, pods)| (name(i), facts(pods))).collect();
            let shared = newcomer.meet(neighbours.iter().map(|(name, facts)| (name, facts)), may_be_more);
            shared.map(|shared| (shared.finding.to_string(), shared.finding.at_most, shared.rests_on.len()))
        };
        let disjoint = "10.0.0.0/16";
        let six = ["100.64.0.0/16"; 6];
        for (what, own, neighbours, may_be_more, want) in [
            ("no neighbours", &["100.64.0.0/16"][..], &[][..], false, None),
            ("disjoint", &["100.64.0.0/16"], &[disjoint][..], false, None),
            (
                "overlapping",
                &["100.64.0.0/16"],
                &[disjoint, "100.64.0.0/11"],
                false,
                Some((
                    "spec.networking.pods: 100.64.0.0/16 overlaps Pods of garden-shop/s1 (100.64.0.0/11), without an overlay \
                     in the same VPC vpc-1; choose another Pod network, or keep the overlay",
                    Severity::Deny,
                    1,
                )),
            ),
            (
                "many",
                &["10.9.0.0/16", "100.64.0.0/11"],
                &six,
                true,
                Some((
                    "spec.networking.pods: 100.64.0.0/11 overlaps Pods of garden-shop/s0 (100.64.0.0/16), garden-shop/s1 \
                     (100.64.0.0/16), and others, without an overlay in the same VPC vpc-1; choose another Pod network, or \
                     keep the overlay",
                    Severity::Deny,
                    6,
                )),
            ),
            (
                "no network yet",
                &[],
                &[disjoint],
                false,
                Some((
                    "spec.networking.pods: is not set, and in the same VPC vpc-1 there are without an overlay: garden-shop/s0 \
                     (10.0.0.0/16); choose one that overlaps none of them",
                    Severity::Warn,
                    1,
                )),
            ),
            (
                "disjoint, but not all",
                &["100.64.0.0/16"],
                &[disjoint],
                true,
                Some((
                    "spec.networking.pods: was compared with 1 Shoot in the same VPC vpc-1, and there may be more; compare \
                     it with the others",
                    Severity::Warn,
                    0,
                )),
            ),
        ] {
            let want = want.map(|(text, most, count)| (text.to_owned(), most, count));
            assert_eq!(said(own, neighbours, may_be_more), want, "{what}");
        }
    }
}
