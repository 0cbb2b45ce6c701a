//! The program as people meet it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use assert_cmd::Command;

fn network_guard() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_network-guard"));
    command.env_clear().env("COLUMNS", "100");
    command
}

/// What a call prints, its exit code first.
fn output(arguments: &[&str]) -> String {
    let output = network_guard().args(arguments).output().unwrap();
    format!(
        "exit code {}\n--- stdout\n{}--- stderr\n{}",
        output.status.code().unwrap(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn help_teaches() {
    insta::assert_snapshot!("help", output(&["--help"]));
    insta::assert_snapshot!("help_serve_seed", output(&["serve", "seed", "--help"]));
    insta::assert_snapshot!("help_serve_garden", output(&["serve", "garden", "--help"]));
    insta::assert_snapshot!("help_doctor_garden", output(&["doctor", "garden", "--help"]));
    insta::assert_snapshot!("help_check", output(&["check", "--help"]));
    insta::assert_snapshot!("help_nat_apply", output(&["nat", "apply", "--help"]));
    insta::assert_snapshot!("help_overlaps", output(&["overlaps", "--help"]));
    insta::assert_snapshot!("help_certs_generate", output(&["certs", "generate", "--help"]));
}

#[test]
fn overlaps_of_a_landscape_are_reported() {
    insta::assert_snapshot!("overlaps", output(&["overlaps", "--landscape", "examples/landscape"]));
    let json = output(&["overlaps", "--landscape", "examples/landscape", "-o", "json"]);
    assert!(json.contains("\"mapped\": \"242.1.0.0/16\"") && json.contains("\"total\": 9"), "{json}");
}

#[test]
fn a_cluster_is_planned_for() {
    insta::assert_snapshot!("nat_plan", output(&["nat", "plan", "--cluster", "examples/landscape/grown.yaml"]));
    let restore =
        output(&["nat", "plan", "--side", "seed", "-o", "restore", "--cluster", "examples/landscape/grown.yaml"]);
    assert!(
        restore.contains(
            "\n-A NETWORK-GUARD-OUTPUT -d 10.65.0.0/16 -m owner --gid-owner 31415 -j NETMAP --to 242.1.0.0/16\n"
        ),
        "{restore}"
    );
    let cluster = fs::read("examples/landscape/grown.yaml").unwrap();
    let from_input =
        network_guard().args(["nat", "plan", "-o", "json", "--cluster", "-"]).write_stdin(cluster).output().unwrap();
    assert!(String::from_utf8_lossy(&from_input.stdout).contains("\"242.1.0.0/16\""));
}

/// vpn2 gives a repetition a block of its own, so what comes behind it moves.
#[test]
fn a_network_that_is_listed_twice_moves_the_next() {
    let cluster = fs::read_to_string("examples/landscape/grown.yaml").unwrap();
    let listed = "        - 10.65.0.0/16\n";
    let twice = cluster.replace(listed, &format!("{listed}{listed}        - 10.66.0.0/16\n"));
    let plan = network_guard().args(["nat", "plan", "--cluster", "-"]).write_stdin(twice.clone()).output().unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("twice.yaml"), twice).unwrap();
    let report = output(&["overlaps", "--landscape", folder.path().to_str().unwrap()]);
    for text in [String::from_utf8(plan.stdout).unwrap(), report] {
        let shown = |network: &str, mapped: &str| {
            text.lines().any(|line| line.contains(network) && line.contains(&format!(" {mapped} ")))
        };
        assert!(shown("10.250.0.0/16", "242.0.0.0/16"), "{text}");
        assert!(shown("10.65.0.0/16", "242.2.0.0/16") && shown("10.66.0.0/16", "242.3.0.0/16"), "{text}");
        assert!(!text.contains("242.1."), "{text}");
        // On either side, or in the only table, each overlap once.
        let sides = text.matches(" side, in the ").count().max(1);
        assert_eq!(
            text.matches("10.65.0.0/16 overlaps").count(),
            if text.contains(" side, in the ") { sides } else { 0 }
        );
    }
}

/// What becomes of an example, and what the report says of it, with exit code 1.
#[test]
fn a_report_names_what_cannot_be_translated_and_who_is_told_other_networks() {
    let cluster = fs::read_to_string("examples/landscape/grown.yaml").unwrap();
    let deployment = fs::read_to_string("examples/landscape/deployments/grown.json").unwrap();
    let nines = "        - 10.0.0.0/9\n        - 11.0.0.0/9\n        - 12.0.0.0/9\n";
    let too_wide = "its networks cannot be translated: the IPv4 nodes networks do not fit into 242.0.0.0/8";
    let (listed, seed_pods) = ("        - 10.65.0.0/16\n", "pods: 10.64.0.0/11");
    let other = "its kube-apiserver is told other networks: nodes `10.250.0.0/16,10.65.0.0/16`, the Cluster says \
                 `10.250.0.0/16,10.65.0.0/16,10.66.0.0/16`";
    for (name, cluster, want, counted) in [
        ("too many", cluster.replace(listed, nines), too_wide, "cannot be translated"),
        (
            "too many, without an overlap",
            cluster.replace(listed, nines).replace(seed_pods, "pods: 192.168.0.0/16"),
            too_wide,
            "cannot be translated",
        ),
        (
            "a Seed that is too wide",
            cluster.replace(seed_pods, "pods: 10.0.0.0/7"),
            "its networks cannot be translated: the Seed's Pod network 10.0.0.0/7 does not fit into 241.0.0.0/8",
            "cannot be translated",
        ),
        (
            "a network more",
            cluster.replace(listed, &format!("{listed}        - 10.66.0.0/16\n")),
            other,
            "told other networks than their Clusters have",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("cluster.yaml"), cluster).unwrap();
        fs::write(folder.path().join("deployment.json"), &deployment).unwrap();
        let folder = folder.path().to_str().unwrap();
        let report = output(&["overlaps", "--landscape", folder]);
        assert!(report.starts_with("exit code 1\n"), "{name}: {report}");
        assert!(report.contains(&format!("\nshoot--garden--grown: {want}")), "{name}: {report}");
        assert!(report.contains(&format!("; 1 {counted}")), "{name}: {report}");
        let json = output(&["overlaps", "--landscape", folder, "-o", "json"]);
        assert!(json.contains(&format!("\"problem\": \"{want}")), "{name}: {json}");
    }
}

#[test]
fn failures_say_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let bad_config = file(
        "config.yaml",
        "apiVersion: config.network-guard.extensions.gardener.cloud/v1alpha1\nkind: NetworkGuardConfiguration\nvpn: {envoy: {concurrencyy: 2}}\n",
    );
    let not_a_kubeconfig = file("kubeconfig", "{}");
    let landscape = tempfile::tempdir().unwrap();
    let empty = tempfile::tempdir().unwrap();
    fs::write(landscape.path().join("bad.yaml"), "apiVersion: v1\nkind: [\n").unwrap();
    let linked = tempfile::tempdir().unwrap();
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/landscape");
    std::os::unix::fs::symlink(examples, linked.path().join("link")).unwrap();
    let certificates = empty.path().display().to_string();
    let rows: Vec<(&str, Vec<&str>, &str)> = vec![
        ("no certificate folder", vec!["serve", "seed"], "--cert-dir is missing"),
        ("unknown field", vec!["serve", "seed", "--config", &bad_config], "concurrencyy"),
        (
            "no such configuration",
            vec!["serve", "seed", "--config", "/nonexistent"],
            "cannot read the configuration /nonexistent",
        ),
        (
            "no certificate",
            vec!["serve", "all", "--landscape", &certificates, "--cert-dir", &certificates],
            "cannot read",
        ),
        (
            "no cluster in the kubeconfig",
            vec!["serve", "seed", "--cert-dir", &certificates, "--kubeconfig", &not_a_kubeconfig],
            "cannot use the kubeconfig",
        ),
        ("bad landscape", vec!["serve", "all", "--landscape", landscape.path().to_str().unwrap()], "bad.yaml: "),
        ("no such landscape", vec!["serve", "all", "--landscape", "/nonexistent"], "/nonexistent: "),
        ("bad address", vec!["serve", "all", "--landscape", "x", "--bind-address", "here"], "invalid socket address"),
        (
            "bad level",
            vec!["serve", "all", "--landscape", "x", "--log-level", "banana"],
            "'banana' for '--log-level <LEVEL>': \"banana\": is not a level (error, warn, info, debug, trace); is \"warn\" meant?",
        ),
        (
            "bad target",
            vec!["serve", "seed", "--log-level", "info,network_gaurd=debug"],
            "part 2, \"network_gaurd=debug\": nothing logs as \"network_gaurd\"",
        ),
        (
            "bad name",
            vec!["certs", "generate", "--out", &certificates, "--san", "a b"],
            "`a b` is neither a DNS name nor an IP address",
        ),
        ("no networks", vec!["nat", "plan"], "which networks? give a Cluster with --cluster FILE, or --seed-pods"),
        (
            "not a network",
            vec!["nat", "plan", "--seed-pods", "10.0.0.0/8", "--shoot-nodes", "10.0.0.0/16,10.1.0.0"],
            "--shoot-nodes: entry 2, \"10.1.0.0\": has no prefix length",
        ),
        (
            "too many networks",
            vec!["nat", "plan", "--seed-pods", "10.0.0.0/8", "--shoot-nodes", "10.0.0.0/9,11.0.0.0/9,12.0.0.0/9"],
            "these networks cannot be translated: the IPv4 nodes networks do not fit into 242.0.0.0/8",
        ),
        (
            "a Cluster that cannot be used",
            vec!["nat", "plan", "--cluster", "examples/landscape/unreadable.yaml"],
            "spec.shoot.spec.networking.nodes: \"10.250.0.0/33\": is not a CIDR",
        ),
        ("no Cluster", vec!["nat", "plan", "--cluster", "Cargo.toml"], "Cargo.toml: "),
        (
            "rules for both ends",
            vec!["nat", "plan", "-o", "restore", "--cluster", "examples/landscape/grown.yaml"],
            "rules are for one end of the tunnel; say which with --side",
        ),
        ("no such device", vec!["nat", "plan", "--device", "a b"], "is not the name of a network device"),
        ("no such command", vec!["serv"], "unrecognized subcommand"),
        ("nothing to check", vec!["check"], "<FILE>..."),
        (
            "no such file",
            vec!["check", "/nonexistent.yaml"],
            "/nonexistent.yaml: line 1: not read: the file: No such file",
        ),
        (
            "no Shoot",
            vec!["check", concat!(env!("CARGO_MANIFEST_DIR"), "/examples/config.yaml")],
            "there is no Shoot in",
        ),
        (
            "no Shoot in a folder",
            vec!["check", linked.path().to_str().unwrap()],
            "; hidden files, and links to folders, are not read",
        ),
        (
            "a landscape that cannot be read in full",
            vec!["check", "--landscape", landscape.path().to_str().unwrap(), "examples/landscape/garden/shop.yaml"],
            "bad.yaml: line 2: not read: a document: cannot be read: ",
        ),
        ("a group without a user", vec!["check", "--as-group", "x", "y"], "--as <USER>"),
    ];
    for (name, arguments, says) in rows {
        let said = output(&arguments);
        assert!(said.starts_with("exit code 2\n"), "{name}: {said}");
        assert!(said.contains(says), "{name}: {said}");
    }
}

/// The example garden, as its operators see it and as alice does; and what comes of a change.
#[test]
fn shoots_in_files_are_judged() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/landscape");
    let shop = format!("{root}/garden/shop.yaml");
    let tidy = |text: String| text.replace(concat!(env!("CARGO_MANIFEST_DIR"), "/"), "");
    insta::assert_snapshot!("check_as_operator", tidy(output(&["check", "--landscape", root, &shop])));
    insta::assert_snapshot!("check_as_alice", tidy(output(&["check", "--landscape", root, "--as", "alice", &shop])));

    let folder = tempfile::tempdir().unwrap();
    let orders = fs::read_to_string(&shop).unwrap().split("\n---\n").next().unwrap().to_owned();
    fs::write(folder.path().join("orders.yaml"), orders.replace("10.5.0.0/27", "10.5.0.0/26")).unwrap();
    let said = output(&["check", "--landscape", root, folder.path().to_str().unwrap()]);
    assert!(said.starts_with("exit code 1\n"), "{said}");
    assert!(said.contains("(peering/overlap)") && said.ends_with("--- stderr\n"), "{said}");
}

/// Two new Shoots of AWS will have no overlay, although neither says so.
#[test]
fn shoots_in_files_meet_as_admission_will_have_them() {
    let folder = tempfile::tempdir().unwrap();
    let shoot = |name: &str, provider: &str| {
        format!(
            "apiVersion: core.gardener.cloud/v1beta1\nkind: Shoot\nmetadata: {{name: {name}, namespace: garden-shop}}\n\
             spec:\n  networking: {{type: calico, pods: 100.64.0.0/16}}\n  provider: {{type: {provider}, workers: [{{name: w}}], \
             infrastructureConfig: {{networks: {{vpc: {{id: vpc-1}}, router: {{id: vpc-1}}}}}}}}\n"
        )
    };
    for (provider, is_told) in [("aws", true), ("openstack", false)] {
        fs::write(folder.path().join("a.yaml"), shoot("web", provider)).unwrap();
        fs::write(folder.path().join("b.yaml"), shoot("orders", provider)).unwrap();
        let said = output(&["check", folder.path().to_str().unwrap()]);
        assert_eq!(said.contains("overlaps Pods of garden-shop/orders"), is_told, "{said}");
    }
}

/// What is said of manifests depends on what the provider's admission will make of them.
#[test]
fn shoots_in_files_are_judged_by_their_provider() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/overlay");
    let files = ["azure", "azure-backend", "metal", "gcp-dual", "aws-raw", "alicloud-raw", "alicloud-250"];
    for file in files {
        // All have the same name, so each is judged alone.
        let said = output(&["check", &format!("{root}/{file}.yaml")]);
        let rules: Vec<&str> =
            said.split('(').skip(1).filter_map(|rest| rest.split(')').next()).filter(|it| it.contains('/')).collect();
        let want: &[&str] = match file {
            "aws-raw" => &["overlay/default-mode", "overlay/route-limit"],
            "alicloud-raw" => &["overlay/default-mode"],
            "alicloud-250" => &["overlay/route-limit"],
            _ => &[],
        };
        assert_eq!(rules, want, "{file}: {said}");
        assert!(said.starts_with("exit code 0\n") && !said.contains("with an overlay"), "{file}: {said}");
    }
}

/// However many Shoots of others there are in the VPC: who may not see them is told the same, and who may is told of them.
#[test]
fn shoots_in_files_are_judged_as_their_writer_sees_others() {
    let native = |namespace: &str, name: &str, pods: &str| {
        format!(
            "apiVersion: core.gardener.cloud/v1beta1\nkind: Shoot\n\
             metadata: {{name: {name}, namespace: {namespace}}}\n\
             spec:\n  networking: {{type: calico, pods: {pods}, providerConfig: {{overlay: {{enabled: false}}}}}}\n  \
             provider: {{type: aws, workers: [{{name: w}}], infrastructureConfig: {{networks: {{vpc: {{id: vpc-1}}}}}}}}\n---\n"
        )
    };
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/landscape/garden");
    let check = |strangers: usize, who: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        let landscape = folder.path().join("landscape");
        fs::create_dir(&landscape).unwrap();
        fs::copy(format!("{root}/members.yaml"), landscape.join("members.yaml")).unwrap();
        let strangers = (0..strangers).map(|i| native("garden-aa", &format!("s{i}"), "100.64.0.0/16"));
        let shoots: String = strangers.chain([native("garden-shop", "orders", "100.64.1.0/24")]).collect();
        fs::write(landscape.join("shoots.yaml"), shoots).unwrap();
        let own = folder.path().join("web.yaml");
        fs::write(&own, native("garden-shop", "web", "100.64.0.0/16")).unwrap();
        let landscape = landscape.display().to_string();
        let said = output(&[&["check", "--landscape", &landscape], who, &[&own.display().to_string()]].concat());
        said.replace(&folder.path().display().to_string(), "")
    };
    let (alice, operator) = (["--as", "alice"], ["--as", "carol", "--as-group", "operators"]);
    let of_orders = "overlaps Pods of garden-shop/orders (100.64.1.0/24)";
    let alone = check(0, &alice);
    assert!(alone.contains(of_orders), "{alone}");
    for strangers in [1, 63, 64, 65] {
        assert_eq!(check(strangers, &alice), alone, "{strangers}");
        for all in [&operator[..], &[]] {
            let said = check(strangers, all);
            assert!(said.contains(of_orders) && said.contains("garden-aa/s0 ("), "{strangers}: {said}");
        }
    }
}

#[test]
fn certificates_are_made_for_the_names_that_were_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("deep/er");
    let said = output(&[
        "certs",
        "generate",
        "--out",
        out.to_str().unwrap(),
        "--san",
        "guard.svc",
        "--san",
        "10.0.0.1",
        "--days",
        "2",
    ]);
    assert!(said.contains("valid for 2 days for guard.svc, 10.0.0.1"), "{said}");
    for name in ["ca.crt", "tls.crt", "tls.key"] {
        assert!(fs::read_to_string(out.join(name)).unwrap().starts_with("-----BEGIN"), "{name}");
    }
    assert_eq!(fs::metadata(out.join("tls.key")).unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs::read(out.join("tls.crt")).unwrap();
    let (_, pem) = x509_parser::pem::parse_x509_pem(&text).unwrap();
    let certificate = pem.parse_x509().unwrap();
    let lifetime = certificate.validity().not_after.timestamp() - certificate.validity().not_before.timestamp();
    assert_eq!(lifetime, 2 * 24 * 60 * 60 + 5 * 60, "two days, backdated by five minutes");
    let names = format!("{:?}", certificate.subject_alternative_name().unwrap().unwrap().value.general_names);
    assert!(names.contains("guard.svc") && names.contains("[10, 0, 0, 1]"), "{names}");
}

#[test]
fn the_webhook_configuration_is_printed_as_it_is() {
    for role in ["seed", "garden"] {
        let original = format!("{}/webhook-config/{role}.yaml", env!("CARGO_MANIFEST_DIR"));
        let printed = network_guard().args(["webhooks", role]).output().unwrap().stdout;
        assert_eq!(String::from_utf8(printed).unwrap(), fs::read_to_string(original).unwrap());
    }
}

/// `serve all` needs nothing but a folder: it greets with a call that can be pasted, and the call works.
#[test]
fn the_greeting_can_be_pasted() {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};

    let landscape = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/landscape");
    let mut server = Command::new(env!("CARGO_BIN_EXE_network-guard"))
        .args(["serve", "all", "--landscape", landscape])
        .args([
            "--bind-address",
            "127.0.0.1:0",
            "--health-bind-address",
            "127.0.0.1:0",
            "--metrics-bind-address",
            "127.0.0.1:0",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut paste = || {
        let mut call: Vec<String> = lines.by_ref().skip_while(|line| !line.starts_with("curl ")).take(1).collect();
        while call.last().is_some_and(|line| line.ends_with('\\')) {
            call.push(lines.next().unwrap());
        }
        // The folder is read right after the greeting; the call may be faster.
        loop {
            let output = Command::new("bash").args(["-c", &call.join("\n")]).output().unwrap();
            if output.status.success() {
                break String::from_utf8(output.stdout).unwrap();
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    };
    let answer: serde_json::Value = serde_json::from_str(&paste()).unwrap();
    let patch = answer["patch"].as_array().unwrap();
    assert!(patch.iter().any(|operation| operation["value"]["name"] == "envoy-proxy"), "{answer}");
    insta::assert_snapshot!(paste());
    assert!(Command::new("kill").arg(server.id().to_string()).status().unwrap().success());
    assert_eq!(server.wait().unwrap().code(), Some(0), "SIGTERM is a graceful end");
}
