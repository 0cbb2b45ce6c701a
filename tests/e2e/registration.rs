//! `webhook-config/` as the API server sees it.

use crate::harness::ControlPlane;

#[test]
fn the_api_server_takes_every_webhook_configuration() {
    let control_plane = ControlPlane::start();
    let admin = control_plane.admin();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/webhook-config");
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path().display().to_string();
        let output = admin.run(&["apply", "--server-side", "--validate=strict", "-f", &path], None);
        assert!(output.ok, "{path}: {output:?}");
    }
    let stored = admin.get(&["mutatingwebhookconfiguration", "gardener-extension-network-guard"]);
    let webhook = &stored["webhooks"][0];
    assert_eq!(webhook["matchConditions"].as_array().unwrap().len(), 4);
    assert_eq!((&webhook["failurePolicy"], &webhook["sideEffects"]), (&"Fail".into(), &"None".into()));
}
