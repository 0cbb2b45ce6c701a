//! What is known of infrastructure providers: who makes routes to the Pods of other nodes, and when.
//!
//! One table, [`PROVIDERS`]. Of a provider that is not in it nothing is known, and nothing is claimed. Each row says where
//! its facts were read. They hold for the extensions as of August 2026.

mod documentation;

pub use documentation::markdown;

use super::Encapsulation;

/// `overlay` of a network's `providerConfig`, as infrastructure extensions read it, whatever the network's type is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Key {
    /// It is not there.
    #[default]
    Absent,
    /// `enabled` is false, or not there: Calico reads that as `false`.
    Off,
    /// `enabled: true`.
    On,
}

/// Who makes routes to the Pod networks of nodes, and when.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Routes {
    /// A route controller of the infrastructure, while the key says `false`.
    WhenOff,
    /// A route controller of the infrastructure, unless the key says `true`.
    UnlessOn {
        /// Whether none are made for a Shoot without any `providerConfig`.
        needs_config: bool,
    },
    /// A route controller of the infrastructure, with an overlay too.
    Always,
    /// Nodes announce their Pod networks themselves, by BGP.
    Bgp,
}

/// In which Shoots the infrastructure gives nodes addresses for their Pods, so that no route is made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Addresses {
    /// In none.
    Never,
    /// In those with IPv6, and in those whose nodes still have both families.
    WithIpv6,
    /// In those with IPv6 only.
    OnlyIpv6,
}

/// What the provider's admission sets in a new Shoot without the key. It keeps a stored key: a later write without the
/// key does not remove it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NewKey {
    /// `enabled: false`.
    Off,
    /// Either, by a flag of the admission, whose default is `enabled: true`.
    Flag,
    /// Nothing.
    Untouched,
}

/// Whether a route controller reports by the reason `RouteCreated` of a node's condition `NetworkUnavailable` that a route
/// is there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reports {
    /// It does not, as far as is known.
    No,
    /// It does, whatever the condition says: it compares the reason, and overwrites that of others.
    Always,
    /// It does, unless the condition is `False` already: it compares only the status.
    UnlessFalse,
}

/// Among which Shoots a name means the same VPC.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum VpcScope {
    /// Among all: ids that the infrastructure generates, and never twice.
    Landscape,
    /// Among those of one Gardener project: names that users choose are unique only within an account. Accounts cannot
    /// be read, and the Shoots of one project mostly share one.
    Project,
}

/// The field in which a Shoot names an existing VPC.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct VpcField {
    /// The field of `infrastructureConfig`.
    pub path: &'static str,
    /// Among which Shoots a name means the same VPC.
    pub scope: VpcScope,
    /// The field of `infrastructureConfig` that is `true` where the Shoot has a route table of its own.
    pub own_table: Option<&'static str>,
}

/// What is known of a provider.
#[derive(Debug)]
pub struct Provider {
    /// `spec.provider.type`.
    pub name: &'static str,
    /// Who makes routes, and when.
    pub routes: Routes,
    /// In which Shoots none are made, because Pods are reached without routes.
    pub addresses: Addresses,
    /// The key that a new Shoot without one gets.
    pub new_key: NewKey,
    /// Whether Calico can have an overlay at all.
    pub has_calico_overlay: bool,
    /// The most routes by default; `None` where that is unknown, or an operator's choice.
    pub most_routes: Option<u64>,
    /// Whether a route controller reports routes, so that a held switch ends.
    pub reports: Reports,
    /// Whether the extension ships a `MutatingAdmissionPolicy` that keeps calico-node from that condition.
    pub has_policy: bool,
    /// Where a Shoot names a VPC.
    pub vpc: Option<VpcField>,
    /// Where this was read: repositories and files, or documentation.
    pub sources: &'static [&'static str],
}

/// How Pods of other nodes are reached in a Shoot without tunnels.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Way {
    /// By a route for each node that the infrastructure makes.
    Routes,
    /// By addresses that the infrastructure gives to nodes.
    Addresses,
    /// By routes that nodes announce.
    Announced,
    /// Not at all.
    Nowhere,
}

/// The facts of a Shoot on which that depends.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Facts {
    /// The key that counts.
    pub key: Key,
    /// Whether there is a `providerConfig`.
    pub has_config: bool,
    /// Whether it has IPv4.
    pub has_v4: bool,
    /// Whether it has IPv6.
    pub has_v6: bool,
    /// Whether its status has a node network of each family.
    pub has_two_node_networks: bool,
}

/// The values of providers of which little is known.
const PLAIN: Provider = Provider {
    name: "",
    routes: Routes::Bgp,
    addresses: Addresses::Never,
    new_key: NewKey::Untouched,
    has_calico_overlay: true,
    most_routes: None,
    reports: Reports::No,
    has_policy: false,
    vpc: None,
    sources: &[],
};

/// All known providers, in the order of the documentation.
pub static PROVIDERS: [Provider; 8] = [
    Provider {
        name: "aws",
        // The mutator sets `useCustomRouteController` to whether the key is false, and the aws-custom-route-controller has
        // no replica without it, or with IPv6 only.
        routes: Routes::WhenOff,
        addresses: Addresses::OnlyIpv6,
        new_key: NewKey::Off,
        has_calico_overlay: true,
        // Of each route table, since June 2025; 50 before, 1,000 at most. The table of each zone has routes to all nodes.
        most_routes: Some(500),
        reports: Reports::Always,
        has_policy: true,
        // `vpc-` and 17 hexadecimal digits, unique in all of AWS.
        vpc: Some(VpcField { path: "networks.vpc.id", scope: VpcScope::Landscape, own_table: None }),
        sources: &[
            "gardener/gardener-extension-provider-aws: pkg/admission/mutator/shoot.go, pkg/controller/controlplane/valuesprovider.go, docs/usage/usage.md (Route table entries limit), docs/usage/bring-your-own-vpc.md",
            "gardener/aws-custom-route-controller: pkg/util/nodeutil.go, pkg/controller/reconciler.go",
            "Amazon VPC quotas",
        ],
    },
    Provider {
        name: "gcp",
        // `configureCloudRoutes`: not with an overlay, not with anything but IPv4 only, not while nodes have both families.
        routes: Routes::WhenOff,
        addresses: Addresses::WithIpv6,
        new_key: NewKey::Off,
        has_calico_overlay: true,
        // Static routes of one VPC network: quota STATIC_ROUTES_PER_NETWORK.
        most_routes: Some(300),
        // `updateNetworkingCondition` of the cloud-controller-manager up to 0.35. From 0.36 on it compares the reason too.
        reports: Reports::UnlessFalse,
        has_policy: true,
        // A name, unique in its Google Cloud project only.
        vpc: Some(VpcField { path: "networks.vpc.name", scope: VpcScope::Project, own_table: None }),
        sources: &[
            "gardener/gardener-extension-provider-gcp: pkg/admission/mutator/shoot.go, pkg/controller/controlplane/valuesprovider.go, docs/usage/usage.md, docs/usage/ipv6.md, issue 558",
            "kubernetes/cloud-provider: controllers/route/route_controller.go, v0.35",
            "Google Cloud: VPC quotas and limits",
        ],
    },
    Provider {
        name: "openstack",
        // The cloud-controller-manager makes routes when it knows the router, which is configured only without an
        // overlay.
        routes: Routes::WhenOff,
        addresses: Addresses::Never,
        new_key: NewKey::Flag,
        has_calico_overlay: true,
        // `max_routes` of neutron.conf, which every operator chooses.
        most_routes: None,
        // `updateNetworkingCondition` of the cloud-controller-manager up to 0.35. From 0.36 on it compares the reason too.
        reports: Reports::UnlessFalse,
        has_policy: true,
        // A UUID. Routes belong to the router, so an existing network does not matter.
        vpc: Some(VpcField { path: "networks.router.id", scope: VpcScope::Landscape, own_table: None }),
        sources: &[
            "gardener/gardener-extension-provider-openstack: pkg/admission/mutator/shoot.go, cmd/gardener-extension-admission-openstack/app/app.go, pkg/controller/controlplane/valuesprovider.go",
            "kubernetes/cloud-provider: controllers/route/route_controller.go, v0.35",
            "sapcc/helm-charts, pull request 12242",
        ],
    },
    Provider {
        name: "alicloud",
        // The chart has `--configure-cloud-routes=true`, whatever the Shoot says.
        routes: Routes::Always,
        addresses: Addresses::Never,
        new_key: NewKey::Off,
        has_calico_overlay: true,
        // Custom entries of one route table: quota vpc_quota_route_entrys_num.
        most_routes: Some(200),
        // `updateNetworkingCondition` of its own route controller.
        reports: Reports::UnlessFalse,
        has_policy: false,
        // `vpc-` and more, unique in all of Alibaba Cloud.
        vpc: Some(VpcField {
            path: "networks.vpc.id",
            scope: VpcScope::Landscape,
            own_table: Some("networks.vpc.useCustomRouteTable"),
        }),
        sources: &[
            "gardener/gardener-extension-provider-alicloud: pkg/admission/mutator/shoot.go, charts/internal/seed-controlplane/charts/alicloud-cloud-controller-manager/templates/deployment.yaml, docs/usage/usage.md",
            "kubernetes/cloud-provider-alibaba-cloud: pkg/controller/route/route_controller.go",
            "Alibaba Cloud: VPC quotas, CreateRouteEntry",
        ],
    },
    Provider {
        name: "azure",
        // The chart has `--configure-cloud-routes=true`. Calico's overlay is forbidden, and its Network gets `backend: none`.
        routes: Routes::Always,
        has_calico_overlay: false,
        sources: &[
            "gardener/gardener-extension-provider-azure: pkg/apis/azure/validation/shoot.go, pkg/webhook/network/mutate.go, charts/internal/seed-controlplane/charts/cloud-controller-manager/templates/cloud-controller-manager.yaml",
        ],
        ..PLAIN
    },
    Provider {
        name: "metal",
        // Its admission sets `backend: none` and `ipv4.mode: Never` where there is no providerConfig. FRR on each node
        // announces what is in the node's routing table.
        routes: Routes::Bgp,
        sources: &[
            "metal-stack/gardener-extension-provider-metal: pkg/admission/mutator/defaulter.go, pkg/admission/mutator/config.go",
            "metal-stack/node-init: README.md",
        ],
        ..PLAIN
    },
    Provider {
        name: "ironcore",
        // `configureCloudRoutes` is whether the key is not true; without any providerConfig it counts as true.
        routes: Routes::UnlessOn { needs_config: true },
        sources: &[
            "ironcore-dev/gardener-extension-provider-ironcore: pkg/controller/controlplane/valuesprovider.go, pkg/ironcore/predicate.go",
        ],
        ..PLAIN
    },
    Provider {
        name: "ironcore-metal",
        // As above, but without any providerConfig it does not count as true.
        routes: Routes::UnlessOn { needs_config: false },
        sources: &[
            "ironcore-dev/gardener-extension-provider-ironcore-metal, opensovereigncloud/gardener-extension-provider-metal: pkg/controller/controlplane/valuesprovider.go, pkg/metal/predicate.go",
        ],
        ..PLAIN
    },
];

impl Provider {
    /// The provider of this type (`spec.provider.type`).
    pub fn of(name: &str) -> Option<&'static Self> {
        PROVIDERS.iter().find(|provider| provider.name == name)
    }

    /// The key after the provider's admission: of a new Shoot, or of one whose stored key is this. `None` where only
    /// the admission knows.
    pub fn key(&self, written: Key, stored: Option<Key>) -> Option<Key> {
        match (written, self.new_key, stored) {
            (Key::Off | Key::On, ..) | (Key::Absent, NewKey::Untouched, _) => Some(written),
            (Key::Absent, NewKey::Off | NewKey::Flag, Some(stored)) => Some(stored),
            (Key::Absent, NewKey::Off, None) => Some(Key::Off),
            (Key::Absent, NewKey::Flag, None) => None,
        }
    }

    /// How Pods are reached.
    pub fn way(&self, facts: Facts) -> Way {
        let has_addresses = match self.addresses {
            Addresses::Never => false,
            Addresses::WithIpv6 => facts.has_v6 || facts.has_two_node_networks,
            Addresses::OnlyIpv6 => facts.has_v6 && !facts.has_v4,
        };
        let makes_routes = match self.routes {
            Routes::Bgp => return Way::Announced,
            Routes::Always => true,
            Routes::WhenOff => facts.key == Key::Off,
            Routes::UnlessOn { needs_config } => facts.key != Key::On && (facts.has_config || !needs_config),
        };
        match (has_addresses, makes_routes) {
            (true, _) => Way::Addresses,
            (false, true) => Way::Routes,
            (false, false) => Way::Nowhere,
        }
    }
}

/// How Pods of different nodes reach each other.
#[derive(Clone, Copy, Debug)]
pub struct Pods {
    /// The provider.
    pub provider: &'static Provider,
    /// The key that counts.
    pub key: Key,
    /// Whether they are in a tunnel; `None` where that is unknown by the network's type and configuration.
    pub encapsulation: Option<Encapsulation>,
    /// How they are reached where there is no tunnel.
    pub way: Way,
}

impl Pods {
    /// Whether they are in no tunnel.
    pub(crate) fn are_native(self) -> bool {
        self.encapsulation == Some(Encapsulation::Native)
    }

    /// Whether they are reached by routes of the infrastructure, and only by those.
    pub(crate) fn need_routes(self) -> bool {
        self.are_native() && self.way == Way::Routes
    }
}

/// The names of the providers whose route controllers report.
pub fn reporting() -> Vec<String> {
    names(|provider| provider.reports != Reports::No)
}

/// The names of the providers whose route controllers do not overwrite another writer's `False` condition.
pub fn silenced() -> Vec<String> {
    names(|provider| provider.reports == Reports::UnlessFalse)
}

fn names(which: impl Fn(&Provider) -> bool) -> Vec<String> {
    PROVIDERS.iter().filter(|provider| which(provider)).map(|provider| provider.name.to_owned()).collect()
}
