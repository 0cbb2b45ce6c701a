//! `nat apply`, `verify` and `remove` in network namespaces, with both kinds of iptables.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::basics::until;
use crate::lab::{Backend, enter};
use crate::pipes;
use crate::space::{Output, Space, run};

const BACKENDS: [Backend; 2] = [Backend::Nft, Backend::Legacy];

const NETWORKS: &str = "--seed-pods 10.250.128.0/17 --shoot-pods 100.96.0.0/11,fd00:10::/48 \
                        --shoot-services 100.64.0.0/13 --shoot-nodes 10.250.0.0/16";
const GROWN: &str = "--seed-pods 10.250.128.0/17 --shoot-pods 100.96.0.0/11,fd00:10::/48 \
                     --shoot-services 100.64.0.0/13 --shoot-nodes 10.250.0.0/16,10.249.0.0/24";

/// Rules of others, of which some look like ours.
const FOREIGN: &str = r#"*nat
:KUBE-SERVICES - [0:0]
-A OUTPUT -m comment --comment "not ours: -j NETWORK-GUARD-OUTPUT" -j KUBE-SERVICES
-A OUTPUT -m comment --comment "a b\\\\" -m comment --comment "see -j NETWORK-GUARD-OUTPUT below" -j RETURN
-A OUTPUT -d 10.250.0.0/16 -m owner --gid-owner 4711 -j ACCEPT
-A POSTROUTING -s 10.1.0.0/16 -o bond0+ -j NETMAP --to 241.0.0.0/8
-A KUBE-SERVICES -d 1.2.3.4/32 -j RETURN
COMMIT
*filter
-A INPUT -i bond0+ -j DROP
COMMIT
*mangle
-A POSTROUTING -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
COMMIT
"#;

const FOREIGN_V6: &str = "*filter\n-A INPUT -i eth9 -j ACCEPT\nCOMMIT\n";

/// Whether a rule is in a chain of network-guard, or leads to one. What a comment says does not count.
fn is_ours(line: &str) -> bool {
    line.contains(" -A NETWORK-GUARD-") || line.contains(" :NETWORK-GUARD-") || {
        let words: Vec<&str> = line.split(' ').collect();
        matches!(words.as_slice(), [.., "-j", chain] if chain.starts_with("NETWORK-GUARD-") && !chain.ends_with('"'))
    }
}

/// A namespace with rules of others.
struct Scene {
    space: Space,
    backend: Backend,
    folder: TempDir,
}

impl Scene {
    fn new(backend: Backend) -> Option<Self> {
        enter()?;
        let scene = Self { space: Space::new("firewall"), backend, folder: tempfile::tempdir().unwrap() };
        for (program, rules) in [("iptables", FOREIGN), ("ip6tables", FOREIGN_V6)] {
            scene.space.feed(&format!("{program}-{}-restore --noflush", backend.name()), rules);
        }
        Some(scene)
    }

    /// `network-guard nat …`, words separated by spaces.
    fn nat(&self, line: &str) -> Output {
        run(&mut self.nat_command(line), "")
    }

    fn nat_command(&self, line: &str) -> Command {
        let mut command = self.space.command(env!("CARGO_BIN_EXE_network-guard"));
        command.arg("nat").args(line.split_whitespace());
        command
    }

    #[track_caller]
    fn apply(&self, networks: &str) -> String {
        let output = self.nat(&format!("apply --side seed --iptables {} {networks}", self.backend.name()));
        assert!(output.ok, "{output:?}");
        output.stdout
    }

    fn verify(&self, networks: &str) -> Output {
        self.nat(&format!("verify --side seed --iptables {} {networks}", self.backend.name()))
    }

    fn iptables(&self, line: &str) {
        self.space.run(&format!("iptables-{} -w {line}", self.backend.name()));
    }

    /// All rules of both families and backends: what differs without a meaning is left out.
    fn saved(&self) -> String {
        let mut text = String::new();
        for program in ["iptables", "ip6tables"] {
            for backend in BACKENDS {
                let saved = self.space.run(&format!("{program}-{}-save", backend.name()));
                let is_rule = |line: &&str| line.starts_with("-A") || line.starts_with(':') && line.contains(" - ");
                let mut table = "";
                for line in saved.lines() {
                    if line.starts_with('*') {
                        table = line;
                    } else if is_rule(&line) {
                        let line = line.split(" [").next().unwrap();
                        writeln!(text, "{program}-{} {table} {line}", backend.name()).unwrap();
                    }
                }
            }
        }
        text
    }

    /// A folder with programs that come before those of the system: this one does as it says.
    fn instead_of(&self, program: &str, script: &str) -> String {
        let path = self.folder.path().join(program);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", self.folder.path().display())
    }
}

#[test]
fn applied_verified_and_removed_without_a_trace() {
    for backend in BACKENDS {
        let Some(scene) = Scene::new(backend) else { return };
        let before = scene.saved();
        let output = scene.verify(NETWORKS);
        assert_eq!(output.code, 1, "nothing is there yet: {output:?}");

        assert!(scene.apply(NETWORKS).contains("things were corrected"));
        let applied = scene.saved();
        let foreign: String = applied.lines().filter(|line| !is_ours(line)).map(|line| format!("{line}\n")).collect();
        assert_eq!(foreign, before, "rules of others are as they were, in their order");
        let output = scene.verify(NETWORKS);
        assert!(output.code == 0 && output.stdout.contains("all is as it should be"), "{output:?}");

        // A second time, and by itself finds what is used here.
        assert!(scene.apply(NETWORKS).contains("all was in place"));
        let output = scene.nat(&format!("apply --side seed {NETWORKS}"));
        assert!(output.stdout.starts_with(&format!("iptables-{}: ", backend.name())), "{output:?}");
        assert_eq!(scene.saved(), applied);

        // A Shoot that grew, and the other end of the tunnel, where nothing of this one may stay.
        scene.apply(GROWN);
        assert_eq!(scene.verify(GROWN).code, 0);
        assert_eq!(scene.verify(NETWORKS).code, 1);
        let side = |what: &str| scene.nat(&format!("{what} --side shoot {NETWORKS}"));
        assert!(side("apply").ok && side("verify").code == 0);
        assert!(!scene.saved().contains("gid-owner 31415"), "{}", scene.saved());

        let output = scene.nat("remove");
        assert!(output.ok && output.stdout.contains(&format!("removed from iptables-{}", backend.name())));
        assert_eq!(scene.saved(), before);
        assert!(scene.nat("remove").stdout.contains("there was no rule of network-guard"));
    }
}

#[test]
fn drift_is_told_and_mended() {
    for backend in BACKENDS {
        let Some(scene) = Scene::new(backend) else { return };
        scene.apply(NETWORKS);
        let applied = scene.saved();
        for (name, changes, want) in [
            (
                "a rule is missing",
                &[
                    "-t nat -D NETWORK-GUARD-OUTPUT -d 100.96.0.0/11 -m owner --gid-owner 31415 -j NETMAP --to 244.0.0.0/11",
                ][..],
                "IPv4 nat NETWORK-GUARD-OUTPUT: missing rule: -d 100.96.0.0/11",
            ),
            (
                "a rule too many",
                &["-t nat -A NETWORK-GUARD-OUTPUT -d 10.9.0.0/16 -j ACCEPT"],
                "IPv4 nat NETWORK-GUARD-OUTPUT: extra rule: -d 10.9.0.0/16 -j ACCEPT",
            ),
            (
                "another order",
                &[
                    "-D NETWORK-GUARD-INPUT 1",
                    "-A NETWORK-GUARD-INPUT -i bond0+ -m state --state RELATED,ESTABLISHED -j ACCEPT",
                ],
                "IPv4 filter NETWORK-GUARD-INPUT: the rules are in another order",
            ),
            (
                "nothing leads there",
                &["-D INPUT -j NETWORK-GUARD-INPUT"],
                "IPv4 filter NETWORK-GUARD-INPUT: nothing leads to this chain",
            ),
            (
                "led there twice",
                &["-A INPUT -p tcp -j NETWORK-GUARD-INPUT"],
                "IPv4 filter NETWORK-GUARD-INPUT: extra rule outside leads to it: -A INPUT -p tcp -j NETWORK-GUARD-INPUT",
            ),
            (
                "somebody is asked before",
                &["-I INPUT -i bond0+ -m comment --comment drift -j ACCEPT"],
                "IPv4 filter NETWORK-GUARD-INPUT: 1 other rules are asked before this chain",
            ),
            (
                "a chain of an older version",
                &[
                    "-t mangle -N NETWORK-GUARD-OLD",
                    "-t mangle -A NETWORK-GUARD-OLD -j RETURN",
                    "-t mangle -A OUTPUT -j NETWORK-GUARD-OLD",
                ],
                "IPv4 mangle NETWORK-GUARD-OLD: extra chain",
            ),
        ] {
            for change in changes {
                scene.iptables(change);
            }
            let output = scene.verify(NETWORKS);
            assert_eq!(output.code, 1, "{name}: {output:?}");
            assert!(output.stdout.contains(want), "{name}: {}", output.stdout);
            scene.apply(NETWORKS);
            if name == "somebody is asked before" {
                // It is not ours, so it stays, but behind us.
                scene.iptables("-D INPUT -i bond0+ -m comment --comment drift -j ACCEPT");
            }
            assert_eq!(scene.saved(), applied, "{name}");
        }
    }
}

/// IPv6 comes last; when it fails, IPv4 is as it was, with the rules for the networks of before.
#[test]
fn a_failure_half_way_leaves_the_old_state() {
    for backend in BACKENDS {
        let Some(scene) = Scene::new(backend) else { return };
        scene.apply(NETWORKS);
        let before = scene.saved();
        let name = format!("ip6tables-{}-restore", backend.name());
        // It says yes to the trial and no to the deed, once: then the way back is open.
        let script = format!(
            "case \"$*\" in *--test*) exec /usr/sbin/{name} \"$@\";; esac\n\
             if [ -e \"$0.done\" ]; then exec /usr/sbin/{name} \"$@\"; fi\ntouch \"$0.done\"; echo 'no luck today' >&2; exit 4"
        );
        let path = scene.instead_of(&name, &script);
        // Other devices, so that the rules of both families change.
        let line = format!("apply --side seed --iptables {} --device tun0 {GROWN}", backend.name());
        let output = run(scene.nat_command(&line).env("PATH", path), "");
        assert_eq!(output.code, 2, "{output:?}");
        assert!(output.stderr.contains("nothing was changed") && output.stderr.contains("no luck today"), "{output:?}");
        assert_eq!(scene.saved(), before);
    }
}

#[test]
fn says_what_it_lacks() {
    for backend in BACKENDS {
        let Some(scene) = Scene::new(backend) else { return };
        let before = scene.saved();
        let apply = format!("apply --side seed --iptables {} {NETWORKS}", backend.name());
        let within = |capabilities: &str| {
            let mut command = scene.space.command("setpriv");
            command.args(["--bounding-set", capabilities, env!("CARGO_BIN_EXE_network-guard"), "nat"]);
            command.args(apply.split_whitespace());
            run(&mut command, "")
        };
        let output = within("-net_admin");
        assert_eq!(output.code, 2, "{output:?}");
        assert!(output.stderr.contains("needs the capability NET_ADMIN"), "{output:?}");

        let mut command = scene.space.command("env");
        command.args(["PATH=/nonexistent", env!("CARGO_BIN_EXE_network-guard"), "nat"]);
        let output = run(command.args(apply.split_whitespace()), "");
        assert!(output.code == 2 && output.stderr.contains("is not installed here"), "{output:?}");

        // A call that cannot look reports that, instead of "nothing was there".
        scene.apply(NETWORKS);
        let applied = scene.saved();
        for what in ["verify --side seed", "remove"] {
            let networks = if what == "remove" { "" } else { NETWORKS };
            let line = format!("{what} --iptables {} {networks}", backend.name());
            let mut command = scene.space.command("setpriv");
            command.args(["--bounding-set", "-all", env!("CARGO_BIN_EXE_network-guard"), "nat"]);
            let output = run(command.args(line.split_whitespace()), "");
            assert_eq!(output.code, 2, "{what}: {output:?}");
        }
        assert_eq!(scene.saved(), applied);
        assert!(scene.nat("remove").ok);

        // An iptables without the extensions.
        let output = run(scene.nat_command(&apply).env("XTABLES_LIBDIR", "/nonexistent"), "");
        assert!(output.code == 2 && output.stderr.contains("lacks an extension"), "{output:?}");
        assert_eq!(scene.saved(), before, "nothing was changed");

        // NET_ADMIN and nothing more.
        let output = within("-all,+net_admin");
        match backend {
            Backend::Nft => assert!(output.ok, "{output:?}"),
            Backend::Legacy => assert!(output.stderr.contains("for the legacy backend NET_RAW"), "{output:?}"),
        }
    }
}

/// The first one stays: then only one of the two translates.
#[test]
fn one_backend_at_a_time() {
    let Some(scene) = Scene::new(Backend::Legacy) else { return };
    let before = scene.saved();
    scene.apply(NETWORKS);
    let output = scene.nat(&format!("apply --side seed --iptables nft {NETWORKS}"));
    assert!(output.ok, "{output:?}");
    let saved = scene.saved();
    assert!(!saved.lines().any(|line| line.contains("-legacy ") && line.contains("A NETWORK-GUARD")), "{saved}");
    assert_eq!(scene.nat(&format!("verify --side seed {NETWORKS}")).code, 0);
    scene.iptables("-t nat -N NETWORK-GUARD-OUTPUT");
    let output = scene.nat(&format!("verify --side seed --iptables nft {NETWORKS}"));
    assert!(
        output.code == 1 && output.stdout.contains("iptables-legacy: IPv4 nat NETWORK-GUARD-OUTPUT: extra chain"),
        "{output:?}"
    );
    assert!(scene.nat("remove").stdout.contains("removed from iptables-nft and iptables-legacy"));
    assert_eq!(scene.saved(), before);
}

/// An init container, an agent and an operator may all be at work.
#[test]
fn calls_wait_for_each_other() {
    for backend in BACKENDS {
        let Some(scene) = Scene::new(backend) else { return };
        let before = scene.saved();
        let line = format!("apply --side seed --iptables {} {NETWORKS}", backend.name());
        for round in 0..3 {
            let calls: Vec<_> = (0..4).map(|_| scene.nat_command(&line).spawn().unwrap()).collect();
            for mut call in calls {
                assert!(call.wait().unwrap().success(), "round {round}");
            }
            assert_eq!(scene.verify(NETWORKS).code, 0, "round {round}");
            assert!(scene.nat("remove").ok);
            assert_eq!(scene.saved(), before, "round {round}");
        }
    }
}

/// A process that is killed half way leaves something that the next call cleans up.
#[test]
fn killed_half_way() {
    let Some(scene) = Scene::new(Backend::Nft) else { return };
    let before = scene.saved();
    for milliseconds in [5, 15, 25, 40, 60] {
        let mut call = scene.nat_command(&format!("apply --side seed --iptables nft {NETWORKS}")).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(milliseconds));
        call.kill().unwrap();
        call.wait().unwrap();
        // With a container all of its processes are killed. Here the iptables that it had started goes on to its end.
        until("nobody is at work", || scene.space.is_empty());
        scene.apply(NETWORKS);
        assert_eq!(scene.verify(NETWORKS).code, 0, "killed after {milliseconds} ms");
        assert!(scene.nat("remove").ok);
        assert_eq!(scene.saved(), before, "killed after {milliseconds} ms");
    }
}

#[test]
fn keeps_verifying() {
    let Some(scene) = Scene::new(Backend::Nft) else { return };
    let line = format!("nat apply --side seed --iptables nft --every 1 {NETWORKS}");
    let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    let program = Path::new(env!("CARGO_BIN_EXE_network-guard"));
    let mut agent = scene.space.start(scene.folder.path(), "agent", program, &arguments);
    until("all is in place", || scene.verify(NETWORKS).code == 0);
    let applied = scene.saved();

    scene.iptables("-t nat -F NETWORK-GUARD-OUTPUT");
    until("it is mended", || scene.saved() == applied);
    until("it says so", || agent.output().contains("repaired: IPv4 nat NETWORK-GUARD-OUTPUT: missing rule"));

    // The end of the program is not the end of the rules: the Pod's other containers may go on.
    agent.signal("TERM");
    assert_eq!(agent.wait(), Some(0));
    assert_eq!(scene.saved(), applied);
}

#[test]
fn routes_follow_a_vpn_that_knows_no_overlap() {
    let Some(scene) = Scene::new(Backend::Nft) else { return };
    let space = &scene.space;
    for link in ["bond0-ip6tnl0", "bond0-ip6tnl1"] {
        space.run(&format!("ip link add {link} type veth peer name p-{}", &link[9..]));
        space.run(&format!("ip link set {link} up"));
        space.run(&format!("ip link set p-{} up", &link[9..]));
    }
    let routes = || {
        let listed = space.run("ip -4 route show");
        let mut routes: Vec<String> = listed
            .lines()
            .map(|line| {
                line.split_whitespace().filter(|word| !matches!(*word, "scope" | "link")).collect::<Vec<_>>().join(" ")
            })
            .collect();
        routes.sort();
        routes
    };
    let apply = || {
        let output = scene.nat(&format!("apply --side seed --iptables nft --routes follow {NETWORKS}"));
        assert!(output.ok, "{output:?}");
        output.stdout
    };
    apply();
    let holes =
        ["242.0.0.0/8", "243.0.0.0/8", "244.0.0.0/8"].map(|to| format!("blackhole {to} proto 131 metric 4294967295"));
    assert_eq!(routes(), holes, "while there is no tunnel, nothing that is translated leaves");

    let by = |link: &str| {
        let mut routes =
            ["242.0.0.0/8", "243.0.0.0/8", "244.0.0.0/8"].map(|to| format!("{to} dev {link} proto 131")).to_vec();
        routes.extend(holes.clone());
        routes
    };
    for link in ["bond0-ip6tnl0", "bond0-ip6tnl1"] {
        for network in ["10.250.0.0/16", "100.96.0.0/11", "100.64.0.0/13"] {
            space.run(&format!("ip route replace {network} dev {link}"));
        }
        apply();
        assert_eq!(routes(), by(link), "the Shoot's networks are the Seed's here, and the mapped ones go by {link}");
        assert!(apply().contains("all was in place"));
    }

    // A link that is down takes no route: then nothing at all changes.
    space.run("ip link set bond0-ip6tnl0 down");
    let before = scene.saved();
    let output = scene.nat(&format!("apply --side seed --iptables nft --routes bond0-ip6tnl0 {GROWN}"));
    assert!(output.code == 2 && output.stderr.contains("nothing was changed"), "{output:?}");
    assert_eq!((scene.saved(), routes()), (before, by("bond0-ip6tnl1")));

    // What vpn2 had set is back: it sets it only once for each link.
    let theirs = ["10.250.0.0/16", "100.64.0.0/13", "100.96.0.0/11"].map(|to| format!("{to} dev bond0-ip6tnl1"));
    assert!(scene.nat("remove").ok);
    assert_eq!(routes(), theirs);
    assert_eq!(space.run("ip -4 route show table all proto 131"), "");

    // A route of somebody else is neither replaced nor removed.
    space.run("ip route add 243.0.0.0/8 via 169.254.9.9 dev bond0-ip6tnl1 onlink");
    let output = scene.nat(&format!("apply --side seed --iptables nft --routes bond0-ip6tnl1 {NETWORKS}"));
    assert!(output.code == 2 && output.stderr.contains("there is a route to 243.0.0.0/8 already that is not ours"));
    assert!(scene.nat("remove").ok && routes().iter().any(|route| route.starts_with("243.0.0.0/8 via")));
}

/// Between a route of the old vpn2 and the next look, Seed traffic would go into the tunnel.
#[test]
fn routes_are_followed_at_once() {
    let Some(scene) = Scene::new(Backend::Nft) else { return };
    scene.space.run("ip link add bond0-ip6tnl0 type veth peer name p0");
    scene.space.run("ip link set bond0-ip6tnl0 up");
    scene.space.run("ip link set p0 up");
    let line = format!("nat apply --side seed --iptables nft --routes follow --every 3600 {NETWORKS}");
    let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    let program = Path::new(env!("CARGO_BIN_EXE_network-guard"));
    let mut agent = scene.space.start(scene.folder.path(), "agent", program, &arguments);
    until("the rules are there", || agent.output().contains("addresses are translated"));
    for network in ["10.250.0.0/16", "100.96.0.0/11", "100.64.0.0/13"] {
        scene.space.run(&format!("ip route replace {network} dev bond0-ip6tnl0"));
    }
    until("the routes are followed, though the next look is an hour away", || {
        let routes = scene.space.run("ip -4 route show");
        routes.contains("242.0.0.0/8 dev bond0-ip6tnl0")
            && !routes.contains("10.250.0.0/16")
            && !routes.contains("100.")
    });
    agent.signal("TERM");
    assert_eq!(agent.wait(), Some(0));
}

/// A file with a Cluster that an agent reads again.
struct ClusterFile(PathBuf);

impl ClusterFile {
    fn of(scene: &Scene) -> Self {
        Self(scene.folder.path().join("cluster.json"))
    }

    /// At once: the agent may look at any time, and half a file is one that cannot be read.
    fn replace(&self, text: &str) {
        let new = self.0.with_extension("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, &self.0).unwrap();
    }

    /// A Cluster with these nodes.
    fn write(&self, nodes: &[&str]) {
        let mut cluster = crate::basics::fixture("ha-overlap", "cluster");
        cluster["spec"]["shoot"]["status"]["networking"]["nodes"] = nodes.into();
        self.replace(&cluster.to_string());
    }
}

/// A Cluster that grows is read again; one that cannot be read any more changes nothing.
#[test]
fn a_cluster_is_read_again() {
    let Some(scene) = Scene::new(Backend::Nft) else { return };
    let file = ClusterFile::of(&scene);
    file.write(&["10.250.0.0/16"]);
    let line = format!("nat apply --side seed --iptables nft --every 1 --cluster {}", file.0.display());
    let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    let program = Path::new(env!("CARGO_BIN_EXE_network-guard"));
    let agent = scene.space.start(scene.folder.path(), "agent", program, &arguments);
    until("the rules are there", || scene.saved().contains("--to 242.0.0.0/16"));
    file.write(&["10.250.0.0/16", "10.249.0.0/24"]);
    until("the new network is there", || scene.saved().contains("--to 242.1.0.0/24"));
    assert!(!agent.output().contains("continuing"), "{}", agent.output());
    file.replace("{");
    until("it says so", || agent.output().contains("continuing with the previous networks"));
    assert!(scene.saved().contains("--to 242.1.0.0/24"));
}

/// Whether its reader has gone or only does not read, the agent goes on, and corrects what is wrong.
#[test]
fn an_agent_goes_on_unread() {
    for name in ["gone", "not read"] {
        let Some(scene) = Scene::new(Backend::Nft) else { return };
        let file = ClusterFile::of(&scene);
        file.write(&["10.250.0.0/16"]);
        let unread = || match name {
            "gone" => (None, pipes::broken()),
            _ => {
                let (reader, unread) = pipes::full();
                (Some(reader), unread)
            }
        };
        let ((_stdout_reader, stdout), (_stderr_reader, stderr)) = (unread(), unread());
        let line = format!("nat apply --side seed --iptables nft --every 1 --cluster {}", file.0.display());
        let mut agent = scene.space.command(env!("CARGO_BIN_EXE_network-guard"));
        let mut agent = agent.args(line.split_whitespace()).stdout(stdout).stderr(stderr).spawn().unwrap();
        until("the rules are there", || scene.saved().contains("--to 242.0.0.0/16"));
        file.replace("{");
        // Twice: the first time it may have read the file before.
        for _ in 0..2 {
            scene.space.run("iptables-nft -w -t nat -F NETWORK-GUARD-OUTPUT");
            until(name, || scene.saved().contains("--to 242.0.0.0/16"));
        }
        file.write(&["10.250.0.0/16", "10.249.0.0/24"]);
        until(name, || scene.saved().contains("--to 242.1.0.0/24"));
        assert!(agent.try_wait().unwrap().is_none(), "{name}");
        agent.kill().unwrap();
        agent.wait().unwrap();
    }
}

/// What a call that ends has done is its result, which is whole, or its exit code says that it is not. It is done all the same.
#[test]
fn a_result_that_finds_no_room_is_a_failure() {
    let Some(scene) = Scene::new(Backend::Nft) else { return };
    let apply = format!("nat apply --side seed --iptables nft {NETWORKS}");
    let run = |line: &str, stdout: Stdio| {
        let mut command = scene.space.command(env!("CARGO_BIN_EXE_network-guard"));
        let output = command.args(line.split_whitespace()).stdout(stdout).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for (line, is_there) in [(&*apply, true), ("nat remove --iptables nft", false)] {
        let (code, said) = run(line, fs::File::options().write(true).open("/dev/full").unwrap().into());
        assert_eq!(code, Some(2), "{line}: {said}");
        let expected = "error: cannot write to standard output: No space left on device (os error 28)";
        assert_eq!(said.lines().last(), Some(expected), "{line}");
        assert_eq!(scene.saved().contains("--to 242.0.0.0/16"), is_there, "{line}");
        assert_eq!(run(line, pipes::broken()).0, Some(0), "{line}");
    }
}

#[test]
fn kernel_settings() {
    let Some(scene) = Scene::new(Backend::Nft) else { return };
    let setting = |name: &str| scene.space.run(&format!("sysctl -n {name}")).trim().to_owned();
    scene.space.run("sysctl -qw net.ipv4.conf.all.rp_filter=1 net.ipv4.ip_forward=0");
    let line = format!("--side shoot --iptables nft {NETWORKS}");

    let output = scene.nat(&format!("apply --settings leave {line}"));
    let want = "kernel setting net.ipv4.conf.all.rp_filter is 1 and should be 0: answers that arrive";
    assert!(output.ok && output.stderr.contains(want), "{output:?}");
    let output = scene.nat(&format!("verify {line}"));
    assert!(output.code == 1 && output.stdout.contains(want), "{output:?}");
    assert_eq!(setting("net.ipv4.ip_forward"), "0");
    let output = scene.nat(&format!("verify --settings leave {line}"));
    assert_eq!(output.code, 0, "what apply leaves is not drift: {output:?}");

    // A device that is older than the default.
    scene.space.run("ip link add bond0 type veth peer name p0");
    scene.space.run("sysctl -qw net.ipv4.conf.bond0.rp_filter=1");
    assert!(scene.nat(&format!("verify {line}")).stdout.contains("net.ipv4.conf.bond0.rp_filter is 1"));
    assert!(scene.nat(&format!("apply {line}")).ok);
    assert_eq!(setting("net.ipv4.conf.bond0.rp_filter"), "0");
    assert_eq!((setting("net.ipv4.conf.all.rp_filter"), setting("net.ipv4.ip_forward")), ("0".into(), "1".into()));
    assert_eq!(scene.nat(&format!("verify {line}")).code, 0);

    // Where settings are read-only, as in a container without privileges, nothing is changed.
    scene.space.run("sysctl -qw net.ipv4.ip_forward=0");
    assert!(scene.nat("remove").ok);
    let before = scene.saved();
    let mut command = scene.space.command("unshare");
    command.args([
        "--mount",
        "sh",
        "-c",
        "mount -o remount,ro,bind /proc/sys 2>/dev/null || mount -o ro,bind /proc/sys /proc/sys; exec \"$@\"",
        "sh",
    ]);
    command.args([env!("CARGO_BIN_EXE_network-guard"), "nat", "apply"]).args(line.split_whitespace());
    let output = run(&mut command, "");
    assert!(output.code == 2 && output.stderr.contains("use --settings leave"), "{output:?}");
    assert_eq!((scene.saved(), setting("net.ipv4.ip_forward")), (before, "0".to_owned()));
}

/// As many networks as nobody has.
#[test]
fn a_thousand_networks() {
    for backend in BACKENDS {
        let Some(scene) = Scene::new(backend) else { return };
        let nodes: Vec<String> = (0..1_000).map(|i| format!("10.{}.{}.0/24", i / 250, i % 250)).collect();
        let networks = format!("--seed-pods 10.0.0.0/16 --shoot-nodes {}", nodes.join(","));
        let start = std::time::Instant::now();
        scene.apply(&networks);
        let applied = start.elapsed();
        assert_eq!(scene.verify(&networks).code, 0);
        say!("1,000 networks applied by iptables-{} in {} ms", backend.name(), applied.as_millis());
        assert!(scene.nat("remove").ok);
    }
}
