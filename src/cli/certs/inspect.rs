//! `network-guard certs inspect`: the Secret, the bundles and the served leaf, and what comes next.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use serde::Serialize;

use super::super::columns::{Format, columns};
use super::super::served::{Served, served};
use crate::config::Configuration;
use crate::wiring::client_config;
use network_guard_controllers::certificates::leaf_issuer::material;
use network_guard_controllers::certificates::{pem, read_published};
use network_guard_controllers::registration::{Configuration as Registered, GARDEN, SEED};
use network_guard_core::certificates::{Ca, Lifetimes, Material, Published, Step, Waiting, next_step};

#[derive(Debug, Args)]
pub(in crate::cli) struct Inspect {
    /// Whose webhook configurations are read
    #[arg(long, value_name = "ROLE", default_value = "seed")]
    role: Role,
    /// The kubeconfig of the Seed or the virtual garden; without it the Pod's own service account, then ~/.kube/config
    #[arg(long, value_name = "FILE", env = "NETWORK_GUARD_KUBECONFIG")]
    kubeconfig: Option<PathBuf>,
    /// The kubeconfig of the cluster of the Secret, in the garden; without it the Pod's own service account
    #[arg(long, value_name = "FILE", env = "NETWORK_GUARD_RUNTIME_KUBECONFIG")]
    runtime_kubeconfig: Option<PathBuf>,
    /// The configuration file of the server, which names the Secret and the lifetime of certificates
    #[arg(long, value_name = "FILE", env = "NETWORK_GUARD_CONFIG")]
    config: Option<PathBuf>,
    /// The Secret, as NAMESPACE/NAME: one of self-managed certificates, or one with tls.crt
    #[arg(long, value_name = "NAMESPACE/NAME")]
    secret: Option<String>,
    /// A server to connect to; may be repeated, as each replica has its own leaf
    #[arg(long = "server", value_name = "HOST:PORT")]
    servers: Vec<String>,
    /// The output format
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Format,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Role {
    /// Those of a Seed
    Seed,
    /// Those of the virtual garden
    Garden,
}

/// The whole report.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    secret: String,
    certificates: Vec<Certificate>,
    webhooks: Vec<Webhook>,
    served: Vec<Served>,
    next: Vec<Event>,
    problems: Vec<String>,
}

/// A certificate of the Secret.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Certificate {
    role: &'static str,
    fingerprint: String,
    from: Timestamp,
    until: Timestamp,
}

/// The configuration of one webhook for an API server.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Webhook {
    name: String,
    server_name: String,
    trusts: Vec<String>,
}

/// A future event.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    at: Option<Timestamp>,
    what: String,
}

/// How long a server may take to show its certificate.
const PATIENCE: Duration = Duration::from_secs(10);

impl Inspect {
    pub(in crate::cli) fn run(self) -> anyhow::Result<ExitCode> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (format, report) = (self.output, runtime.block_on(self.report())?);
        super::super::output::print(&match format {
            Format::Table => table(&report),
            Format::Json => serde_json::to_string_pretty(&report)? + "\n",
        })?;
        Ok(if report.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }

    async fn report(self) -> anyhow::Result<Report> {
        let configuration = self.config.as_deref().map(Configuration::read).transpose()?;
        let settings = configuration.and_then(|configuration| configuration.certificates);
        let lifetimes = settings.as_ref().map_or_else(Lifetimes::default, |settings| settings.lifetimes.clone());
        let (namespace, name) = match (&self.secret, &settings) {
            (Some(secret), _) => match secret.split_once('/') {
                Some((namespace, name)) => (namespace.to_owned(), name.to_owned()),
                None => bail!("--secret {secret}: write it as NAMESPACE/NAME"),
            },
            (None, Some(settings)) => (settings.namespace.clone(), settings.secret.clone()),
            (None, None) => bail!("say which Secret: --secret NAMESPACE/NAME, or --config with `certificates`"),
        };

        let registered_in = match (self.role, &self.kubeconfig) {
            (Role::Garden, None) => std::env::var_os("GARDEN_KUBECONFIG").map(PathBuf::from),
            (_, kubeconfig) => kubeconfig.clone(),
        };
        let (file, home) = match self.role {
            Role::Seed => (SEED, registered_in.clone()),
            Role::Garden => (GARDEN, self.runtime_kubeconfig.clone()),
        };
        let home = kube::Client::try_from(client_config(home.as_deref()).await?)?;
        let registered_in = kube::Client::try_from(client_config(registered_in.as_deref()).await?)?;

        let originals = Registered::originals(file)?;
        let (published, server_name): (Vec<Published>, Vec<Option<String>>) =
            read_published(&registered_in, &originals).await?.into_iter().unzip();
        let secret = Api::<Secret>::namespaced(home, &namespace).get_opt(&name).await;
        let secret = secret.with_context(|| format!("cannot read the Secret {namespace}/{name}"))?;

        let now = Timestamp::now();
        let mut report = Report {
            secret: format!("{namespace}/{name}"),
            certificates: Vec::new(),
            webhooks: Vec::new(),
            served: Vec::new(),
            next: Vec::new(),
            problems: Vec::new(),
        };
        report.look_at_secret(secret.as_ref(), &published, now, &lifetimes);
        for (published, server_name) in published.iter().zip(&server_name) {
            if published.bundle.is_empty() {
                report.problems.push(format!("{} has no CA that can be read", published.name));
            }
            report.webhooks.push(Webhook {
                name: published.name.clone(),
                server_name: server_name.clone().unwrap_or_default(),
                trusts: published.bundle.iter().map(|ca| ca.fingerprint.to_string()).collect(),
            });
        }
        // The addresses that API servers are to call, by the configuration.
        if let Some(names) = settings.as_ref().map(|settings| settings.to.names()) {
            let elsewhere = server_name.iter().flatten().find(|server_name| !names.contains(server_name));
            if let Some(elsewhere) = elsewhere {
                report.problems.push(format!(
                    "API servers call {elsewhere}, and not {}: another installation is registered",
                    names.first().map(String::as_str).unwrap_or_default()
                ));
            }
        }
        for original in &originals {
            let (kind, name) = original.identity();
            if !published.iter().any(|published| published.name.starts_with(kind)) {
                report.problems.push(format!("the {kind} webhook configuration {name} is not registered"));
            }
        }
        for server in &self.servers {
            let (served, problems) = served(server, &published, &server_name, now, PATIENCE).await;
            report.served.extend(served);
            report.problems.extend(problems);
        }
        Ok(report)
    }
}

impl Report {
    fn look_at_secret(
        &mut self,
        secret: Option<&Secret>,
        published: &[Published],
        now: Timestamp,
        lifetimes: &Lifetimes,
    ) {
        let Some(secret) = secret else {
            return self.problems.push(format!("there is no Secret {}", self.secret));
        };
        // A Secret of cert-manager, or one that was made by hand.
        if let Some(chain) = secret.data.as_ref().and_then(|data| data.get("tls.crt")) {
            match pem::bundle(&chain.0) {
                Ok(chain) if !chain.is_empty() => {
                    self.add("leaf", &chain[0], now);
                    self.next.push(Event { at: None, what: "its maker renews it".to_owned() });
                }
                _ => self.problems.push(format!("tls.crt of {} is no certificate in PEM format", self.secret)),
            }
            return;
        }
        match material(secret) {
            Err(error) => self.problems.push(format!("the Secret {} cannot be used: {error}", self.secret)),
            Ok(material) => {
                self.add_all(&material, now);
                let next = next_step(Some(&material), published, now, lifetimes);
                self.next.extend(events(&next, &material));
            }
        }
    }

    fn add_all(&mut self, material: &Material, now: Timestamp) {
        if let Some(signing) = &material.signing {
            self.add("signs", &signing.ca, now);
        }
        if let Some(next) = &material.next {
            self.add("signs next", &next.pair.ca, now);
        }
        for ca in &material.retired {
            self.add("retired", ca, now);
        }
    }

    fn add(&mut self, role: &'static str, ca: &Ca, now: Timestamp) {
        let Ca { fingerprint, not_before, not_after, .. } = ca;
        if !ca.is_valid_at(now) && role != "retired" {
            self.problems.push(format!("{fingerprint}, which {role}, is not valid now"));
        }
        let fingerprint = fingerprint.to_string();
        self.certificates.push(Certificate { role, fingerprint, from: *not_before, until: *not_after });
    }
}

/// The next events, for people.
fn events(step: &Step, material: &Material) -> Vec<Event> {
    let event = |at, what: &str| Event { at, what: what.to_owned() };
    let soon = |what: &str| vec![event(None, &format!("the leader will soon {what}"))];
    let mut events = match step {
        Step::Begin { .. } => soon("make a CA"),
        Step::Adopt { .. } => soon("keep what API servers trust besides, until its last leaf has run out"),
        Step::ConfirmTrust => soon("tell replicas that API servers trust the CA that signs"),
        Step::Issue(_) => soon("make the next CA"),
        Step::Announce => soon("note that every configuration has the next CA"),
        Step::Recall => soon("note that a configuration lacks the next CA again"),
        Step::Switch => soon("let the next CA sign"),
        Step::Retire => soon("forget the retired CA"),
        Step::Wait { until, waiting } => vec![match waiting {
            Waiting::Renewal => event(*until, "the next CA is made"),
            Waiting::Publication(missing) => event(None, &format!("the next CA is missing in {}", missing.join(", "))),
            Waiting::Margin => event(*until, "the next CA signs; until then API servers learn about it"),
            Waiting::LastLeaf => event(*until, "the last leaf of the retired CA has run out, and it is forgotten"),
            Waiting::Withdrawal(left) => event(None, &format!("the retired CA is still in {}", left.join(", "))),
        }],
    };
    if !matches!(step, Step::Wait { waiting: Waiting::Renewal, .. })
        && let Some(signing) = material.signing.as_ref().filter(|_| material.next.is_none())
    {
        events.push(event(Some(signing.ca.renewal_at()), "the next CA is made"));
    }
    events
}

fn table(report: &Report) -> String {
    let mut text = format!("SECRET {}\n", report.secret);
    let header = |cells: [&str; 4]| cells.map(str::to_owned);
    let mut rows = vec![header(["ROLE", "CERTIFICATE", "FROM", "UNTIL"])];
    rows.extend(report.certificates.iter().map(|certificate| {
        let Certificate { role, fingerprint, from, until } = certificate;
        [(*role).to_owned(), fingerprint.clone(), from.to_string(), until.to_string()]
    }));
    text += &columns(&rows);

    text += "\nREGISTERED\n";
    let mut rows = vec![["WEBHOOK", "CALLED", "TRUSTS"].map(str::to_owned)];
    rows.extend(report.webhooks.iter().map(|webhook| {
        let Webhook { name, server_name, trusts } = webhook;
        [name.clone(), server_name.clone(), trusts.join(" ")]
    }));
    text += &columns(&rows);

    if !report.served.is_empty() {
        text += "\nSERVED\n";
        let mut rows = vec![header(["SERVER", "TRUSTED BY", "FROM", "UNTIL"])];
        rows.extend(report.served.iter().map(|served| {
            let Served { server, trusted_by, of, from, until } = served;
            [server.clone(), format!("{trusted_by} of {of} webhooks"), from.to_string(), until.to_string()]
        }));
        text += &columns(&rows);
    }

    text += "\nNEXT\n";
    let at = |event: &Event| event.at.map_or_else(|| "-".to_owned(), |at| at.to_string());
    let rows: Vec<_> = report.next.iter().map(|event| [at(event), event.what.clone()]).collect();
    text += &columns(&rows);

    for problem in &report.problems {
        text += &format!("\nproblem: {problem}\n");
    }
    text
}
