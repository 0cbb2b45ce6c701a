//! The fixtures are what Gardener's own code writes today.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::harness::tool;

#[test]
fn fixtures_are_what_gardener_writes() {
    let fresh = tempfile::tempdir().unwrap();
    let output = Command::new(tool("parity")).arg("-out").arg(fresh.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gardener");
    let mut compared = 0;
    for case in fs::read_dir(fresh.path()).unwrap() {
        let case = case.unwrap();
        for file in fs::read_dir(case.path()).unwrap() {
            let file = file.unwrap();
            let beside = committed.join(case.file_name()).join(file.file_name());
            let (fresh, old) = (fs::read(file.path()).unwrap(), fs::read(&beside).unwrap_or_default());
            assert!(
                fresh == old,
                "{} is not what Gardener writes: .cache/tools/parity -out tests/fixtures/gardener",
                beside.display()
            );
            compared += 1;
        }
    }
    assert_eq!(compared, 22, "seven cases of Deployment and Cluster, six with workers, and two configurations");
}
