//! What crosses which wire, by counters of the kernel and by packets.

use std::path::Path;

use crate::basics::eventually;
use crate::lab::Lab;
use crate::process::Process;
use crate::space::Space;

/// Addresses that only the tunnel may see.
const RESERVED: &str = "240.0.0.0/4";

/// Counts packets with reserved addresses in every namespace, in and outside the tunnel. Each packet is counted where it
/// arrives, before anything there translates it: as it was on the wire. Both ends of each wire are in the laboratory.
pub fn count_reserved(lab: &Lab) {
    for space in [&lab.seed, &lab.other, &lab.vpn, &lab.shoot] {
        let mut raw = "*raw\n".to_owned();
        for side in ["-s", "-d"] {
            raw += &format!("-A PREROUTING -i bond0+ {side} {RESERVED} -m comment --comment inside\n");
            raw += &format!("-A PREROUTING ! -i bond0+ {side} {RESERVED} -m comment --comment outside\n");
        }
        restore(lab, space, &format!("{raw}COMMIT\n"));
    }
}

/// Adds rules in the form of `iptables-restore`.
pub fn restore(lab: &Lab, space: &Space, rules: &str) {
    space.feed(&format!("iptables-{}-restore -w --noflush", lab.backend.name()), rules);
}

/// The packets that all rules with this text in them have counted.
pub fn packets(lab: &Lab, space: &Space, text: &str) -> u64 {
    let saved = space.run(&format!("iptables-{}-save -c", lab.backend.name()));
    let count = |line: &str| line.strip_prefix('[')?.split(':').next()?.parse::<u64>().ok();
    saved.lines().filter(|line| line.contains(text)).filter_map(count).sum()
}

/// Asserts that reserved addresses were in the tunnel, and nowhere else.
#[track_caller]
pub fn assert_reserved_stay_in_the_tunnel(lab: &Lab) {
    for (name, space) in [("seed", &lab.seed), ("vpn", &lab.vpn)] {
        let inside = packets(lab, space, "--comment inside");
        assert!(inside > 0, "{name}: the counters know addresses of 240.0.0.0/4 when they see them");
    }
    for (name, space) in [("seed", &lab.seed), ("other", &lab.other), ("vpn", &lab.vpn), ("shoot", &lab.shoot)] {
        let outside = packets(lab, space, "--comment outside");
        assert_eq!(outside, 0, "{name}: no address of 240.0.0.0/4 appears outside the tunnel");
    }
}

/// Prints each connection that begins on a device, with its addresses there.
const SNIFFER: &str = r#"
import socket, struct, sys
packets = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0003))
packets.bind((sys.argv[1], 0x0003))
print("ready", flush=True)
while True:
    data, (_, protocol, kind, _, _) = packets.recvfrom(256)
    if protocol == 0x0800 and data[9] == 6:
        size, addresses, family = (data[0] & 15) * 4, (data[12:16], data[16:20]), socket.AF_INET
    elif protocol == 0x86DD and data[6] == 6:
        size, addresses, family = 40, (data[8:24], data[24:40]), socket.AF_INET6
    else:
        continue
    source, target = (socket.inet_ntop(family, address) for address in addresses)
    ports = struct.unpack("!HH", data[size:size + 4])
    if data[size + 13] & 0x12 == 0x02:
        print(f"{source}:{ports[0]} -> {target}:{ports[1]}", flush=True)
"#;

/// Watches a device.
pub struct Sniffer(Process);

impl Sniffer {
    /// Starts to watch.
    pub fn start(lab: &Lab, space: &Space, role: &str, device: &str) -> Self {
        let arguments = ["-c", SNIFFER, device].map(str::to_owned);
        let process = space.start(lab.folder(), &format!("sniffer-{role}-{device}"), Path::new("python3"), &arguments);
        eventually("the sniffer is ready", || {
            process.output().contains("ready").then_some(()).ok_or_else(|| process.last_words())
        });
        Self(process)
    }

    /// The connection to a port that was seen; source and destination, without the source's port.
    pub fn connection(&self, port: u16) -> String {
        let end = format!(":{port}");
        eventually("a connection is seen", || {
            let output = self.0.output();
            let line = output.lines().find(|line| line.ends_with(&end)).ok_or_else(|| self.0.last_words())?;
            let (source, target) = line.split_once(" -> ").unwrap();
            Ok(format!("{} -> {target}", source.rsplit_once(':').unwrap().0))
        })
    }
}
