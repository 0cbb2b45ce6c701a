//! The laboratory: a Seed and a Shoot in network namespaces.
//!
//! ```text
//!  other                    seed                                  vpn                        shoot
//!  the Seed: etcd, other    the Pod of the kube-apiserver         the Pod vpn-shoot          nodes, pods, services
//!  pods, who runs kubectl
//!  eth0 ─────────────────── eth0      bond0-ip6tnl0 ════ tunnel ════ bond0       eth0 ────── eth0
//! ```
//!
//! The tunnel is a pair of devices that share one hardware address and resolve nothing: whatever is sent on one end
//! arrives at the other, as through a tunnel of layer 3.

use std::cell::{Cell, RefCell};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::Duration;

use jiff::Timestamp;
use network_guard_controllers::certificates::Authority;
use tempfile::TempDir;

use crate::cluster::Networks;
use crate::peer;
use crate::process::Process;
use crate::space::{self, Output, Space, run};

pub const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The address of the kube-apiserver's Pod.
pub const POD: &str = "10.1.2.3";
/// The same in the tunnel: the Seed's Pod network stands at the start of 241.0.0.0/8, and a Pod keeps its place in it.
pub const POD_IN_TUNNEL: &str = "241.1.2.3";
/// The other address of that Pod.
pub const POD_V6: &str = "fd00:5eed::3";
/// The Seed's end of the tunnel.
pub const SEED_TUNNEL: &str = "bond0-ip6tnl0";
/// The Shoot's end.
pub const SHOOT_TUNNEL: &str = "bond0";
/// Smaller than that of all other devices, as the tunnel of a VPN is.
const TUNNEL_MTU: u16 = 1350;
/// Addresses that are elsewhere: the way out of a Pod.
const GATEWAY: &str = "169.254.1.1";

/// Which iptables does the work.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Backend {
    Nft,
    Legacy,
}

impl Backend {
    /// As a command line names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nft => "nft",
            Self::Legacy => "legacy",
        }
    }
}

/// Whether namespaces can be made; nothing where they cannot, which is reported.
pub fn enter() -> Option<()> {
    static LEFTOVERS: Once = Once::new();
    if let Err(why) = possible() {
        let required = ["CI", "NETWORK_GUARD_REQUIRE_DATAPATH"].map(|name| std::env::var_os(name).is_some());
        assert!(!required.contains(&true), "the data-path tests cannot run here, and have to: {why}");
        // Not by a macro of printing, whose output the test runner hides by default.
        let said = writeln!(std::io::stderr(), "\n#### SKIPPED: the data-path tests cannot run here: {why} ####\n");
        said.unwrap();
        return None;
    }
    LEFTOVERS.call_once(space::remove_leftovers);
    Some(())
}

/// The laboratory. Everything in it ends with it.
pub struct Lab {
    // Fields are dropped in this order: processes end before the namespaces go.
    processes: RefCell<Vec<Process>>,
    pub seed: Space,
    pub other: Space,
    pub vpn: Space,
    pub shoot: Space,
    pub networks: Networks,
    pub backend: Backend,
    pub ca: Authority,
    servers: Cell<u16>,
    folder: TempDir,
}

impl Lab {
    /// Builds it; nothing where namespaces cannot be made, which is reported.
    pub fn build(networks: Networks, backend: Backend) -> Option<Self> {
        enter()?;
        let folder = tempfile::Builder::new().prefix("datapath-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        // Containers do not run as root, and read certificates in it.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let lab = Self {
            processes: RefCell::default(),
            seed: Space::new("seed"),
            other: Space::new("other"),
            vpn: Space::new("vpn"),
            shoot: Space::new("shoot"),
            networks,
            backend,
            ca: Authority::new("lab CA", Timestamp::now(), DAY).unwrap(),
            servers: Cell::new(0),
            folder,
        };
        lab.wire_pod(&lab.seed, POD, &lab.other);
        lab.wire_pod(&lab.vpn, networks.vpn_pod, &lab.shoot);
        lab.wire_tunnel();
        Some(lab)
    }

    /// A Pod as Calico wires it: an address alone, and the way to everybody else.
    fn wire_pod(&self, pod: &Space, address: &str, world: &Space) {
        pod.join("eth0", world, "eth0");
        pod.run(&format!("ip address add {address}/32 dev eth0"));
        pod.run(&format!("ip route add default via {GATEWAY} dev eth0 onlink"));
        world.run(&format!("ip address add {GATEWAY}/32 dev lo"));
        world.run(&format!("ip route add {address}/32 dev eth0"));
        if self.networks.is_dual_stack() && address == POD {
            pod.run(&format!("ip address add {POD_V6}/128 dev eth0 nodad"));
        }
        // As container runtimes set it: the API server's port is 443.
        pod.run("sysctl -qw net.ipv4.ip_unprivileged_port_start=0");
    }

    fn wire_tunnel(&self) {
        self.seed.join(SEED_TUNNEL, &self.vpn, SHOOT_TUNNEL);
        for (space, end) in [(&self.seed, SEED_TUNNEL), (&self.vpn, SHOOT_TUNNEL)] {
            space.run(&format!("ip link set {end} address 02:00:00:00:00:01 mtu {TUNNEL_MTU} arp off"));
        }
        if !self.networks.overlap() {
            // What vpn2's tunnel controller does once a kube-apiserver has told its address: the way back.
            self.vpn.run(&format!("ip route add {POD}/32 dev {SHOOT_TUNNEL}"));
        }
        if self.networks.is_dual_stack() {
            self.vpn.run(&format!("ip route add {POD_V6}/128 dev {SHOOT_TUNNEL}"));
        }
    }

    /// A file in the folder of this laboratory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Keeps a process until the laboratory ends.
    pub fn keep(&self, process: Process) {
        self.processes.borrow_mut().push(process);
    }

    /// Starts a server of [`peer`] that tells who it is and whom it saw, on ports such as `http:8080` and `https:443`.
    pub fn serve(&self, space: &Space, name: &str, ports: &[&str]) {
        let number = self.servers.replace(self.servers.get() + 1);
        let names = ["webhook.default.svc", "api.default.svc", "10.1.8.8"].map(str::to_owned);
        let leaf = self.ca.server(&names, Timestamp::now(), DAY).unwrap();
        let (certificate, key) = (self.path(&format!("peer{number}.crt")), self.path(&format!("peer{number}.key")));
        fs::write(&certificate, leaf.certificate).unwrap();
        fs::write(&key, leaf.key).unwrap();
        let process = peer::start(
            space,
            self.folder(),
            name,
            &peer::Task::Serve {
                name: name.to_owned(),
                ports: ports.iter().map(|port| (*port).to_owned()).collect(),
                certificate,
                key,
            },
        );
        self.keep(process);
        let ports: Vec<String> = ports.iter().map(|port| format!(":{} ", port.split(':').nth(1).unwrap())).collect();
        crate::basics::until("the server listens on all of its ports", || {
            let listeners = space.run("ss -Hltn");
            ports.iter().all(|port| listeners.contains(port))
        });
    }

    /// The folder of this laboratory.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// Whether namespaces, iptables of both kinds and what they need are there.
fn possible() -> Result<(), String> {
    let ends_well = |what: &str, line: &str| -> Result<(), String> {
        let Output { ok, stderr, .. } = run(std::process::Command::new("sh").args(["-c", line]), "");
        if ok { Ok(()) } else { Err(format!("{what}: {}", stderr.trim())) }
    };
    ends_well("needs root", "test $(id -u) = 0 || { echo 'this is another user' >&2; false; }")?;
    ends_well("needs iproute2", "ip -V")?;
    ends_well("needs network namespaces", "unshare --net --mount true")?;
    for iptables in ["iptables-nft", "iptables-legacy"] {
        ends_well(
            "needs iptables with NETMAP",
            &format!(
                "unshare --net {iptables} -w -t nat -A OUTPUT -m owner --gid-owner 1 -d 10.0.0.0/8 -j NETMAP --to 244.0.0.0/8"
            ),
        )?;
    }
    Ok(())
}
