//! What the SBOM says of parts that are no crates: package URLs as scanners match them. tests/e2e/image has the rest.

use std::process::Command;

use serde_json::Value;

/// grype and trivy look for advisories of a distribution where the package URL is of its kind (`deb`), has the distribution as
/// `distro=NAME-VERSION` and the name of the sources as `upstream`; and for those of Rust's library by its CPE.
#[test]
fn parts_that_are_no_crates_have_names_that_scanners_match() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/image/contents.py");
    let output = Command::new("python3").args([script, "--libraries"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let libraries: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let purls: Vec<&str> = libraries.iter().map(|library| library["purl"].as_str().unwrap()).collect();
    let [libc, unwinder, rust] = <[&str; 3]>::try_from(purls).unwrap();
    for (purl, name, source) in [(libc, "libc6-dev", "glibc"), (unwinder, "libgcc-", "gcc-")] {
        let after = purl.strip_prefix("pkg:deb/debian/").expect(purl);
        let (package, qualifiers) = after.split_once('?').expect(purl);
        let (package, version) = package.split_once('@').expect(purl);
        assert!(package.starts_with(name) && version.starts_with(|c: char| c.is_ascii_digit()), "{purl}");
        assert!(!version.contains(['+', '~', ':']), "{purl}: written as URLs are");
        let qualifiers: Vec<(&str, &str)> = qualifiers.split('&').map(|pair| pair.split_once('=').unwrap()).collect();
        assert_eq!(qualifiers.iter().map(|(key, _)| *key).collect::<Vec<_>>(), ["arch", "distro", "upstream"]);
        assert!(
            qualifiers[1].1.strip_prefix("debian-").is_some_and(|version| version.parse::<u32>().is_ok()),
            "{purl}"
        );
        assert!(qualifiers[2].1.starts_with(source), "{purl}");
    }
    let version = rust.strip_prefix("pkg:generic/rust@").expect(rust);
    assert_eq!(libraries[2]["cpe"], format!("cpe:2.3:a:rust-lang:rust:{version}:*:*:*:*:*:*:*"));
}
