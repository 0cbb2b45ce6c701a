//! `network-guard doctor`: whether an installed network-guard works, seen from a Pod or a laptop.
//!
//! Each check has two steps: it collects facts by questions to API servers and servers, each with a time limit; and it
//! judges the facts, which is a pure function. Nothing is written: the one write is a dry run.

mod allowed;
mod ask;
mod called;
mod fresh;
mod led;
mod reachable;
mod registered;
mod report;
mod targets;
#[cfg(test)]
mod tests;
mod trusted;

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use kube::Api;
use kube::api::ListParams;

use self::ask::{Server, Trouble};
use self::registered::Found;
use self::report::{Report, State};
use super::columns::Format;
use crate::config::{Configuration, SelfManaged};
use crate::wiring::client_config;
use network_guard_controllers::registration::{Configuration as Registered, Endpoint, GARDEN, SEED, host};
use network_guard_core::gardener::is_dns_label;

#[derive(Debug, Subcommand)]
pub(super) enum Doctor {
    /// Check whether network-guard works on a Seed
    ///
    /// Nothing is written: the one write is a dry run.
    #[command(after_help = HELP)]
    Seed(SeedArgs),
    /// Check whether network-guard works in the garden
    ///
    /// Nothing is written: the one write is a dry run.
    #[command(after_help = HELP)]
    Garden(GardenArgs),
}

/// The checks, printed below the flags.
const HELP: &str = "\
The checks, each with the result ok, problem or unknown, the facts, and what to do:
  registered  the webhook configurations exist, have a CA, and are of this release;
              Pods are ready behind the Service that they call
  reachable   network-guard answers one write through the API server, a dry run
  trusted     the CA that API servers trust has signed the served certificate;
              neither expires soon
  led         one replica holds the Lease and renews it
  fresh       the server receives changes
  allowed     it has the rights that it needs

Exit codes: 0 no problem, 1 there is a problem, 2 something could not be checked.

In a Pod of network-guard, with its own configuration and rights:
  kubectl exec -n NAMESPACE deploy/gardener-extension-network-guard -- \\
    /usr/bin/network-guard doctor seed \\
    --config /etc/network-guard/config/config.yaml
From a laptop, with the rights of an operator:
  network-guard doctor seed --kubeconfig SEED
  network-guard doctor garden --kubeconfig VIRTUAL --runtime-kubeconfig RUNTIME";

#[derive(Debug, Args)]
pub(super) struct SeedArgs {
    #[command(flatten)]
    common: Common,
    /// The control-plane namespace of a Shoot, for the dry run; without it any is taken
    #[arg(long, value_name = "NAMESPACE")]
    control_plane: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct GardenArgs {
    #[command(flatten)]
    common: Common,
    /// The kubeconfig of the cluster that network-guard runs in; without it the Pod's own service account
    #[arg(long, value_name = "FILE", env = "NETWORK_GUARD_RUNTIME_KUBECONFIG")]
    runtime_kubeconfig: Option<PathBuf>,
    /// A Shoot for the dry run; without it any is taken
    #[arg(long, value_name = "NAMESPACE/NAME")]
    shoot: Option<String>,
}

#[derive(Debug, Args)]
struct Common {
    /// The kubeconfig of the Seed or the virtual garden; without it, for `garden` the file that GARDEN_KUBECONFIG
    /// names, then the Pod's own service account, then ~/.kube/config
    #[arg(long, value_name = "FILE", env = "NETWORK_GUARD_KUBECONFIG")]
    kubeconfig: Option<PathBuf>,
    /// The namespace of the release; without it the one that the configuration or the registration names
    #[arg(short, long)]
    namespace: Option<String>,
    /// The configuration file of the server; without it the ConfigMap of the chart, if it can be read
    #[arg(long, value_name = "FILE", env = "NETWORK_GUARD_CONFIG")]
    config: Option<PathBuf>,
    /// A replica whose certificate is verified; may be repeated; without it the address that API servers call
    #[arg(long = "server", value_name = "HOST:PORT")]
    servers: Vec<String>,
    /// The metrics of a replica; in a Pod its own by default
    #[arg(long, value_name = "HOST:PORT")]
    metrics: Option<String>,
    /// The user of the server at the API server, if it is not the ServiceAccount of the charts
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// How long one question may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=300))]
    timeout: u64,
    /// The output format
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Format,
}

impl Common {
    /// Whether this runs in a Pod of network-guard: the configuration is given, and no kubeconfig.
    fn is_of_the_pod(&self) -> bool {
        self.config.is_some() && self.kubeconfig.is_none()
    }
}

/// The role.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Role {
    Seed,
    Garden,
}

impl Role {
    const fn name(self) -> &'static str {
        match self {
            Self::Seed => "seed",
            Self::Garden => "garden",
        }
    }

    /// The name of Deployment, Service and ServiceAccount, by the charts.
    const fn component(self) -> &'static str {
        match self {
            Self::Seed => "gardener-extension-network-guard",
            Self::Garden => "gardener-extension-admission-network-guard",
        }
    }

    /// The suffix of the names of its webhooks.
    const fn suffix(self) -> &'static str {
        match self {
            Self::Seed => ".network-guard.extensions.gardener.cloud",
            Self::Garden => ".admission-network-guard.extensions.gardener.cloud",
        }
    }
}

/// The location of network-guard.
#[derive(Clone, Debug, Default)]
struct Place {
    namespace: Option<String>,
    /// The namespaces in which the Lease may be: a flag of the server decides, which is unknown here.
    lease_namespaces: Vec<String>,
    /// The name of the Service.
    service: String,
    /// The registration was read, so API servers call this.
    is_registered: bool,
    /// The address that API servers call, if it is no Service.
    elsewhere: Option<String>,
}

/// The default port of metrics.
const METRICS: &str = "127.0.0.1:8080";

/// Where a Pod finds the name of its namespace.
const POD: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

impl Doctor {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let (role, common, runtime_kubeconfig, on) = match self {
            Self::Seed(SeedArgs { common, control_plane }) => (Role::Seed, common, None, control_plane),
            Self::Garden(GardenArgs { common, runtime_kubeconfig, shoot }) => {
                if shoot.as_ref().is_some_and(|shoot| !shoot.contains('/')) {
                    bail!("--shoot: write it as NAMESPACE/NAME");
                }
                (Role::Garden, common, runtime_kubeconfig, shoot)
            }
        };
        // Parts of it become parts of URLs.
        for part in on.iter().flat_map(|on| on.split('/')).chain(common.namespace.as_deref()) {
            if !is_dns_label(part) {
                bail!("{part:?} is not the name of a namespace or a Shoot");
            }
        }
        let format = common.output;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let report = runtime.block_on(examine(role, &common, runtime_kubeconfig.as_deref(), on.as_deref()))?;
        // A system call that hangs, such as the resolution of a name, is not waited for.
        runtime.shutdown_background();
        let is_coloured = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        super::output::print(&match format {
            Format::Table => report.text(is_coloured),
            Format::Json => report.json(),
        })?;
        Ok(ExitCode::from(report.exit_code()))
    }
}

async fn examine(
    role: Role,
    common: &Common,
    runtime_kubeconfig: Option<&Path>,
    on: Option<&str>,
) -> anyhow::Result<Report> {
    let patience = Duration::from_secs(common.timeout);
    let pod = std::fs::read_to_string(POD).ok().map(|namespace| namespace.trim().to_owned());
    let garden = || std::env::var_os("GARDEN_KUBECONFIG").map(PathBuf::from);
    let kubeconfig = common.kubeconfig.clone().or_else(|| if role == Role::Garden { garden() } else { None });
    let server = Server::new(client_config(kubeconfig.as_deref()).await?, patience)?;
    let home = match (role, runtime_kubeconfig, &pod) {
        (Role::Seed, ..) => Some(server.clone()),
        (Role::Garden, None, None) => None,
        (Role::Garden, file, _) => {
            let config = client_config(file).await.context("--runtime-kubeconfig")?;
            Some(Server::new(config, patience)?)
        }
    };
    let user = match allowed::whoami(&server).await {
        Ok(user) => Some(user),
        // No other question would be answered either.
        Err(Trouble::Silent(why)) => bail!("{} does not answer: {why}", server.url),
        Err(_) => None,
    };

    let originals = Registered::originals(if role == Role::Seed { SEED } else { GARDEN })?;
    let mut found = registered::look(&server, originals).await;
    let mut configuration = common.config.as_deref().map(Configuration::read).transpose()?;
    let place = place(role, common, configuration.as_ref(), &mut found, home.as_ref(), pod.clone()).await;
    if configuration.is_none() {
        configuration = mounted(role, home.as_ref(), &place).await;
    }
    let place = place.configured(role, configuration.as_ref());
    let is_self_managed = is_self_managed(configuration.as_ref(), &mut found);
    if let Some(configuration) = &configuration {
        expect(&mut found, configuration);
    }
    let providers = providers(configuration.as_ref(), &mut found);

    let tries = reachable::look(role, &server, on, &providers, &id()).await;
    let now = server.clock.now();
    let certificates = trusted::look(&found, &common.servers, now, patience).await;
    let behind = registered::behind(home.as_ref(), &place).await;
    let lease = led::look(role, home.as_ref(), &place, is_self_managed).await;
    let led_at = home.as_ref().map_or(now, |home| home.clock.now());
    let metrics = match (&common.metrics, &pod) {
        (Some(address), _) => Some(fresh::look(address, patience).await),
        (None, Some(_)) => Some(fresh::look(METRICS, patience).await),
        (None, None) => None,
    };
    let needs = allowed::Needs {
        role,
        configuration: configuration.as_ref(),
        is_self_managed,
        user: common.user.as_deref(),
        is_server: pod.is_some() && common.is_of_the_pod() && runtime_kubeconfig.is_none(),
    };
    let rights = allowed::look(&needs, &server, home.as_ref(), &place).await;

    let expected = registered::Expected {
        is_configured: configuration.is_some(),
        is_self_managed,
        answers: tries.is_answered() || !certificates.served.is_empty(),
        to: configuration.as_ref().and_then(|configuration| configuration.certificates.as_ref()).and_then(registers_at),
        namespace: common.namespace.clone().or_else(|| pod.filter(|_| common.is_of_the_pod())),
    };
    let checks = vec![
        registered::judge(role, &found, &behind, &place, &expected),
        reachable::judge(role, &tries, &place),
        trusted::judge(&certificates, tries.is_answered(), is_self_managed, now),
        led::judge(role, &lease, &place, led_at),
        fresh::judge(role, &tries, metrics.as_ref()),
        allowed::judge(&rights, &place),
    ];
    let state = checks.iter().map(|check| check.state).max().unwrap_or(State::Ok);
    Ok(Report { role: role.name(), server: server.url, user, namespace: place.namespace, state, checks })
}

/// The address at which the server registers itself, if it does.
fn registers_at(certificates: &SelfManaged) -> Option<Endpoint> {
    certificates.is_registered.then(|| certificates.to.clone())
}

/// A number that the answer has to repeat, so that it belongs to this question.
fn id() -> String {
    let number = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), std::process::id());
    format!("{number:016x}")
}

/// The location: by flag, by the registration, by the Pod that this runs in, or by the label of its Service.
async fn place(
    role: Role,
    common: &Common,
    configuration: Option<&Configuration>,
    found: &mut [Found],
    home: Option<&Server>,
    pod: Option<String>,
) -> Place {
    let mut place = Place { service: role.component().to_owned(), ..Place::default() };
    let mut registered = None;
    for found in found {
        let Ok(there) = &mut found.there else { continue };
        for (_, client) in there.webhooks() {
            place.is_registered = true;
            if let Some((namespace, name)) = called::service(client) {
                registered = Some(namespace);
                place.service = name;
            } else if let Some(url) = &client.url {
                place.elsewhere = Some(host(url).unwrap_or_default());
            }
        }
    }
    let certificates = configuration.and_then(|configuration| configuration.certificates.as_ref());
    let configured = certificates.map(|certificates| certificates.namespace.clone());
    place.namespace = common.namespace.clone().or(configured).or(registered).or(pod);
    if let (None, Some(home)) = (&place.namespace, home) {
        let services = Api::<Service>::all(home.client.clone());
        let label = format!("app.kubernetes.io/name={}", role.component());
        if let Ok(list) = home.ask(services.list_metadata(&ListParams::default().labels(&label).limit(10))).await {
            let mut namespaces: Vec<String> = list.into_iter().filter_map(|one| one.metadata.namespace).collect();
            namespaces.dedup();
            if let Ok([only]) = <[String; 1]>::try_from(namespaces) {
                place.namespace = Some(only);
            }
        }
    }
    place
}

impl Place {
    /// The Lease is in the namespace of the release, or, without the charts, in that of the configuration.
    fn configured(mut self, role: Role, configuration: Option<&Configuration>) -> Self {
        let configured =
            configuration.filter(|_| role == Role::Seed).map(|known| known.overlay.lease_namespace.clone());
        self.lease_namespaces = self.namespace.iter().cloned().chain(configured).collect();
        self.lease_namespaces.dedup();
        self
    }
}

/// The configuration of the chart, if it can be read, and this release knows its version.
async fn mounted(role: Role, home: Option<&Server>, place: &Place) -> Option<Configuration> {
    let (home, namespace) = (home?, place.namespace.as_deref()?);
    let maps = Api::<ConfigMap>::namespaced(home.client.clone(), namespace);
    let map = home.ask(maps.get(&format!("{}-config", role.component()))).await.ok()?;
    Configuration::parse(map.data?.get("config.yaml")?).ok()
}

/// Whether the certificates are self-managed: by the configuration, or by the label of the registration.
fn is_self_managed(configuration: Option<&Configuration>, found: &mut [Found]) -> Option<bool> {
    if let Some(configuration) = configuration {
        return Some(configuration.certificates.is_some());
    }
    let mut there = found.iter_mut().filter_map(|found| found.there.as_mut().ok());
    there.next().map(|there| {
        let labels = there.metadata().labels.as_ref();
        labels.and_then(|labels| labels.get("app.kubernetes.io/managed-by")).is_some_and(|by| by == "network-guard")
    })
}

/// Fills in the wanted registration from the configuration.
fn expect(found: &mut Vec<Found>, configuration: &Configuration) {
    let disabled = configuration.certificates.as_ref().map(|known| known.disabled.clone()).unwrap_or_default();
    found.retain_mut(|found| {
        found.original.hold_on(&configuration.overlay.switches.hold.providers);
        found.original.without_answer(configuration.failure_policy());
        found.original.without(&disabled)
    });
}

/// The infrastructures whose Networks are sent: as registered, or as configured.
fn providers(configuration: Option<&Configuration>, found: &mut [Found]) -> Vec<String> {
    let registered = found.iter().find_map(|found| {
        let text = serde_json::to_value(found.there.as_ref().ok()?).ok()?;
        let webhooks = text["webhooks"].as_array()?;
        let network = webhooks
            .iter()
            .find(|webhook| webhook["name"].as_str().is_some_and(|name| name.starts_with("network.")))?;
        let expressions = network["namespaceSelector"]["matchExpressions"].as_array()?;
        let providers = expressions.iter().find(|one| one["key"] == "shoot.gardener.cloud/provider")?;
        serde_json::from_value(providers["values"].clone()).ok()
    });
    let default = || Configuration::default().overlay.switches.hold.providers;
    registered
        .unwrap_or_else(|| configuration.map_or_else(default, |known| known.overlay.switches.hold.providers.clone()))
}
