use super::*;

fn parse(body: &str) -> Result<Configuration, String> {
    Configuration::parse(&format!("apiVersion: {API_VERSION}\nkind: {KIND}\n{body}")).map_err(|e| e.to_string())
}

#[test]
fn an_empty_file_means_the_defaults() {
    assert_eq!(parse("").unwrap(), Configuration::default());
}

/// Examples are edited by commenting out lines, which may leave only the name of a section.
#[test]
fn a_section_of_comments_is_an_empty_one() {
    for section in ["vpn", "overlay", "peering", "rules", "server", "certificates"] {
        assert_eq!(parse(&format!("{section}:\n  # maxPeers: 7\n")), Ok(Configuration::default()), "{section}");
    }
    for list in [
        "peering:\n  defaultNodeNetworks:\n",
        "vpn:\n  envoy:\n  nat:\n",
        "peering:\n  nodePrefixLengths:\n  maxPeers:\n",
        "overlay:\n  providers:\n  # - aws\n  routeLimits:\n  vpcs:\n",
    ] {
        assert_eq!(parse(list), Ok(Configuration::default()), "{list}");
    }
    // A path shows the place of an error; the line of the document would not.
    let problem = parse("server:\n  maxConnection: 1\n").unwrap_err();
    assert!(problem.starts_with("the configuration is wrong: server.maxConnection: unknown field"), "{problem}");
}

#[test]
fn every_field_is_read() {
    let configuration = parse(
        "vpn:\n  sidecar: whereMissing\n  envoy: {image: 'x:1', concurrency: 4, cpuRequest: 1000m, memoryRequest: 1024Mi, \
         memoryLimit: 2Gi, statusPort: 9000, maxHosts: 1, maxConnections: 2, connectTimeoutSeconds: 3, \
         idleTimeoutSeconds: 4, slowMilliseconds: 5}\n  failurePolicy: Ignore\n  \
         nat: {mode: own, image: 'y:1', keepSeconds: 10, cpuRequest: 5m, memoryRequest: 2048Ki, \
         shootWebhook: {url: 'https://guard.example.org:8443/base'}}\n\
         overlay: {providers: [aws], pollSeconds: 1, windowSeconds: 2, notReadyMinutes: 3, warnAfterMinutes: 4, \
         guardRollout: false, removeCalicoCondition: [gcp, cloud], fallback: gardener-internal, shootServer: 'https://{namespace}.x', leaseNamespace: 'y', \
         routeLimits: {aws: 1000, cloud: 7}, vpcs: {gcp: {paths: [], scope: project}, cloud: {paths: [vpc.uuid, vpc], \
         scope: landscape}, other: {paths: [network]}}}\n\
         peering: {maxPeers: 7, defaultNodeNetworks: [10.250.0.0/16], \
         nodePrefixLengths: {shortest: 23, longest: 28}, privateStack: true, conflicts: warn}\n\
         certificates: {namespace: x, secret: z, names: [a.example], caLifetimeSeconds: 600, \
         leafLifetimeSeconds: 60, marginSeconds: 6, registration: {enabled: false, service: {namespace: x, name: 'y', \
         port: 8443}, disabled: [network], owner: 'a:b'}}\n\
         rules: {peering/overlap: note, peering/unknown-field: off, networks/double-nat: deny}\n\
         server: {maxBodyBytes: 1, maxBodiesInFlightBytes: 2, bodyTimeoutSeconds: 3, maxConnections: 4, \
         maxHandshakes: 10, maxHandshakesPerAddress: 9, handshakeTimeoutSeconds: 5, stopPropagationSeconds: 6, \
         stopDrainSeconds: 7, stopIdleSeconds: 8}\n",
    )
    .unwrap();
    insta::assert_debug_snapshot!(configuration);
}

#[test]
fn names_errors() {
    for (body, want) in [
        ("vpn: {envoy: {imagee: x}}", "imagee"),
        ("vpn: {failurePolicy: ignore}", "ignore"),
        ("vpn: {failurepolicy: Ignore}", "failurepolicy"),
        ("vpn: {sidecar: never}", "never"),
        (
            "vpn: {sidecar: always, nat: {mode: own, image: x, shootWebhook: {url: 'https://x'}}}",
            "vpn.sidecar: always: is not for `vpn.nat.mode: own`",
        ),
        ("vpn: {envoy: {image: ''}}", "vpn.envoy.image: \"\": is not the name of an image"),
        ("vpn: {envoy: {concurrency: 0}}", "vpn.envoy.concurrency: 0: Envoy needs at least one thread"),
        ("vpn: {envoy: {cpuRequest: 0.5}}", "vpn.envoy.cpuRequest: 0.5: is not a whole number of CPUs"),
        ("vpn: {envoy: {memoryLimit: 100M}}", "vpn.envoy.memoryLimit: 100M: is not a whole number of Ki, Mi or Gi"),
        ("vpn: {envoy: {statusPort: 80}}", "vpn.envoy.statusPort: 80: is reserved for root"),
        ("vpn: {envoy: {maxHosts: 0}}", "vpn.envoy.maxHosts: 0: must be at least 1"),
        ("server: {maxBodiesInFlightBytes: 1}", "server.maxBodiesInFlightBytes: 1: must be at least maxBodyBytes"),
        ("server: {maxConnections: 0}", "server.maxConnections: 0: is out of bounds"),
        ("server: {maxConnections: 18446744073709551615}", "is out of bounds"),
        ("server: {maxHandshakes: 0}", "server.maxHandshakes: 0: is out of bounds"),
        ("server: {maxHandshakesPerAddress: 0}", "server.maxHandshakesPerAddress: 0: is out of bounds"),
        (
            "server: {maxHandshakes: 5, maxHandshakesPerAddress: 6}",
            "server.maxHandshakesPerAddress: 6: must be at most maxHandshakes",
        ),
        ("server: {bodyTimeoutSeconds: 0}", "server.bodyTimeoutSeconds: 0: is out of bounds"),
        ("server: {maxBodyBytes: 0}", "server.maxBodyBytes: 0: is out of bounds"),
        ("server: {stopIdleSeconds: 4000}", "server.stopIdleSeconds: 4000: is more than an hour"),
        ("server: {stopDrainSeconds: 4000}", "server.stopDrainSeconds: 4000: is more than an hour"),
        ("vpn: {envoy: {memoryLimit: 50Mi}}", "vpn.envoy.memoryLimit: 50Mi: is less than memoryRequest"),
        ("server: [", "the configuration is wrong"),
        (
            "overlay: {leaseNamespace: y}",
            "overlay.leaseNamespace: invalid type: boolean `true`, expected a string; put words such as `yes`, `on` and `y` in quotes",
        ),
        ("peering: {maxPeers: 1, maxPeers: 2}", "line 3: the key \"maxPeers\" is a duplicate"),
        ("vpn: {nat: {mode: none}}\n---\na: 1", "line 5: there is a second document"),
        ("vpn: {nat: {mode: none}}", "none"),
        ("vpn: {nat: {mode: own}}", "vpn.nat.shootWebhook: none: is needed"),
        ("vpn: {nat: {mode: own, shootWebhook: {url: 'https://x'}}}", "vpn.nat.image: none: is needed"),
        (
            "vpn: {nat: {mode: own, shootWebhook: {url: 'https://x'}, image: 'a b'}}",
            "vpn.nat.image: \"a b\": is not the name of an image",
        ),
        ("vpn: {nat: {image: x}}", "vpn.nat.image: \"x\": is for `mode: own`"),
        ("vpn: {nat: {keepSeconds: 5}}", "vpn.nat.keepSeconds: 5: is for `mode: own`"),
        (
            "vpn: {nat: {mode: own, shootWebhook: {url: 'https://x'}, image: x, keepSeconds: 3601}}",
            "vpn.nat.keepSeconds: 3601: must be from 0 to 3600",
        ),
        (
            "vpn: {nat: {mode: own, shootWebhook: {url: 'https://x'}, image: x, cpuRequest: 1.5}}",
            "vpn.nat.cpuRequest: 1.5: is not a whole number of CPUs",
        ),
        (
            "vpn: {nat: {mode: own, shootWebhook: {url: 'https://x'}, image: x, memoryRequest: 5M}}",
            "vpn.nat.memoryRequest: 5M: is not a whole number of Ki",
        ),
        ("certificates: {}", "namespace"),
        ("certificates: {namespace: x}", "registration"),
        (
            "certificates: {namespace: 'a b', registration: {url: 'https://x'}}",
            "certificates.namespace: \"a b\": is not",
        ),
        (
            "certificates: {namespace: x, secret: 'a/b', registration: {url: 'https://x'}}",
            "certificates.secret: \"a/b\": is not the name of a Secret",
        ),
        (
            "certificates: {namespace: x, names: ['a b'], registration: {url: 'https://x'}}",
            "certificates.names[0]: \"a b\": is neither a DNS name nor an IP address",
        ),
        (
            "certificates: {namespace: x, registration: {url: 'https://my_guard.x'}}",
            "certificates.registration.url: \"https://my_guard.x\": is not an address",
        ),
        (
            "certificates: {namespace: x, registration: {url: 'https://x', disabled: [netwrok]}}",
            "certificates.registration.disabled[0]: \"netwrok\": is none of kube-apiserver, network,",
        ),
        (
            "certificates: {namespace: x, registration: {}}",
            "certificates.registration: neither: say where API servers reach the webhooks",
        ),
        (
            "certificates: {namespace: x, registration: {url: 'https://x', service: {namespace: x, name: 'y'}}}",
            "certificates.registration: both: say where",
        ),
        (
            "certificates: {namespace: x, registration: {url: 'http://x'}}",
            "certificates.registration.url: \"http://x\": is not an address",
        ),
        (
            "certificates: {namespace: x, caLifetimeSeconds: 5, registration: {url: 'https://x'}}",
            "certificates.caLifetimeSeconds: 5: must be from 6 s",
        ),
        (
            "certificates: {namespace: x, caLifetimeSeconds: 3600, registration: {url: 'https://x'}}",
            "certificates.leafLifetimeSeconds: 604800: must be at least 5, and at most that of the CA",
        ),
        (
            "certificates: {namespace: x, marginSeconds: 500000, registration: {url: 'https://x'}}",
            "certificates.marginSeconds: 500000: must be at most a sixth",
        ),
        (
            "certificates: {namespace: x, registration: {url: 'https://x'}}\nvpn: {nat: {shootWebhook: {url: 'https://x', caFile: /y}}}",
            "vpn.nat.shootWebhook.caFile: \"/y\": is not for self-managed certificates",
        ),
        ("vpn: {nat: {shootWebhook: {}}}", "url"),
        ("vpn: {nat: {shootWebhook: {url: 'http://x'}}}", "vpn.nat.shootWebhook.url: \"http://x\": is not an address"),
        ("vpn: {nat: {shootWebhook: {url: 'https://x?y'}}}", "is not an address"),
        ("vpn: {nat: {shootWebhook: {url: 'https://x/#y'}}}", "is not an address"),
        ("vpn: {nat: {shootWebhook: {url: 'https://a@x'}}}", "is not an address"),
        ("vpn: {nat: {shootWebhook: {url: 'https://'}}}", "is not an address"),
        ("vpn: {nat: {shootWebhook: {url: 'https://x', ca: y}}}", "ca"),
        ("overlay: {providers: [aws, 'a b']}", "overlay.providers[1]: \"a b\": is not the type of an infrastructure"),
        ("overlay: {pollSeconds: 0}", "overlay.pollSeconds: 0: must be from 1 to 600"),
        ("overlay: {windowSeconds: 0}", "overlay.windowSeconds: 0: must be from 1 to 86400"),
        ("overlay: {notReadyMinutes: 0}", "overlay.notReadyMinutes: 0: must be from 1"),
        ("overlay: {warnAfterMinutes: 0}", "overlay.warnAfterMinutes: 0: must be from 1"),
        ("overlay: {fallback: admin}", "admin"),
        ("overlay: {shootServer: 'http://x'}", "overlay.shootServer: \"http://x\": is not an address"),
        ("overlay: {leaseNamespace: A}", "overlay.leaseNamespace: \"A\": is not the name of a namespace"),
        ("peering: {maxPeers: 0}", "peering.maxPeers: 0: must be from 1 to 1000"),
        (
            "peering: {defaultNodeNetworks: [10.0.0.0/8, x]}",
            "peering.defaultNodeNetworks[1]: \"x\": is not a CIDR such as",
        ),
        (
            "peering: {nodePrefixLengths: {shortest: 28, longest: 23}}",
            "peering.nodePrefixLengths: 28 to 23: must be prefix lengths of IPv4 networks",
        ),
        ("peering: {nodePrefixLengths: {longest: 33}}", "peering.nodePrefixLengths: 0 to 33: must be prefix lengths"),
        ("peering: {nodePrefixLengths: {min: 23}}", "min"),
        ("overlay: {routeLimits: {aws: 0}}", "overlay.routeLimits.aws: 0: must be at least 1"),
        ("overlay: {routeLimits: {aws: many}}", "many"),
        ("overlay: {vpcs: {aws: {paths: [a..b]}}}", "overlay.vpcs.aws.paths[0]: \"a..b\": is no path inside"),
        ("overlay: {vpcs: {aws: {paths: [], scope: world}}}", "world"),
        ("overlay: {vpcPaths: {}}", "vpcPaths"),
        ("peering: {conflicts: loud}", "loud"),
        (
            "rules: {peering/overlaps: warn}",
            "rules.peering/overlaps: warn: there is no such rule; is `peering/overlap` meant?",
        ),
        ("rules: {peering/deleted: deny}", "rules.peering/deleted: deny: this rule can be `warn` at most"),
        ("rules: {vpn/cluster-missing: off}", "rules.vpn/cluster-missing: off: this rule cannot be configured"),
    ] {
        let error = parse(body).unwrap_err();
        assert!(error.contains(want), "{body}: {error}");
    }
    let error = Configuration::parse("apiVersion: v1\nkind: ConfigMap\n").unwrap_err().to_string();
    assert!(error.contains("got `v1` and `ConfigMap`"), "{error}");
}
