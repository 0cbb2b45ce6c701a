//! Client configurations of API servers.

use std::path::Path;

use anyhow::Context as _;

/// The client configuration of a kubeconfig, or the default one where this runs.
pub async fn client_config(kubeconfig: Option<&Path>) -> anyhow::Result<kube::Config> {
    let Some(path) = kubeconfig else {
        return kube::Config::infer().await.context("no way to an API server; give one with --kubeconfig");
    };
    let kubeconfig = kube::config::Kubeconfig::read_from(path)
        .with_context(|| format!("cannot use the kubeconfig {}", path.display()))?;
    kube::Config::from_custom_kubeconfig(kubeconfig, &kube::config::KubeConfigOptions::default())
        .await
        .with_context(|| format!("cannot use the kubeconfig {}", path.display()))
}

/// The same for an API server that is watched.
pub(super) async fn watched_config(kubeconfig: Option<&Path>) -> anyhow::Result<kube::Config> {
    let mut config = client_config(kubeconfig).await?;
    // Watches last longer than any timeout of single reads; those have the deadline of their request.
    config.read_timeout = None;
    Ok(config)
}
