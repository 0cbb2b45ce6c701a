//! Objects as they are stored, in the size that they have.

/// A Shoot as `kubectl get -o yaml` prints it: some 430 nodes.
pub(crate) fn shoot(i: usize) -> String {
    let conditions: String = (0..9)
        .map(|c| {
            format!(
                "    - lastTransitionTime: \"2026-01-01T00:00:00Z\"\n      lastUpdateTime: \"2026-01-01T00:00:00Z\"\n      \
                 message: m\n      reason: r\n      status: \"True\"\n      type: c{c}\n"
            )
        })
        .collect();
    let workers: String = (0..3)
        .map(|w| {
            format!(
                "      - cri:\n          name: containerd\n        machine:\n          architecture: amd64\n          image:\n            \
                 name: gardenlinux\n            version: 1.0.0\n          type: m\n        maximum: 3\n        minimum: 1\n        \
                 name: w{w}\n        volume:\n          size: 50Gi\n          type: gp3\n        zones:\n        - a\n        - b\n"
            )
        })
        .collect();
    let labels: String = (0..40).map(|l| format!("      l{l}: v\n")).collect();
    format!(
        "- apiVersion: core.gardener.cloud/v1beta1\n  kind: Shoot\n  metadata:\n    labels:\n{labels}    name: s{i}\n    \
         namespace: garden-shop\n  spec:\n    networking:\n      nodes: 10.250.0.0/16\n      pods: 100.96.0.0/11\n      \
         providerConfig:\n        overlay:\n          enabled: true\n      services: 100.64.0.0/13\n      type: calico\n    \
         provider:\n      type: aws\n      workers:\n{workers}  status:\n    conditions:\n{conditions}"
    )
}

/// A Cluster whose CloudProfile lists so many versions of machine images, some 160 bytes for each.
pub(crate) fn cluster(i: usize, versions: usize) -> String {
    let versions: String = (0..versions)
        .map(|version| {
            format!(
                "        - architectures:\n          - amd64\n          classification: supported\n          cri:\n          \
                 - containerRuntimes:\n            - type: gvisor\n            name: containerd\n          version: 1.{version}.0\n"
            )
        })
        .collect();
    format!(
        "---\napiVersion: extensions.gardener.cloud/v1alpha1\nkind: Cluster\nmetadata:\n  name: shoot--a--s{i}\nspec:\n  \
         cloudProfile:\n    apiVersion: core.gardener.cloud/v1beta1\n    kind: CloudProfile\n    spec:\n      machineImages:\n      \
         - name: gardenlinux\n        versions:\n{versions}  seed:\n    spec:\n      networks:\n        pods: 10.0.0.0/8\n  \
         shoot:\n    spec:\n      networking:\n        nodes: 10.1.0.0/16\n"
    )
}
