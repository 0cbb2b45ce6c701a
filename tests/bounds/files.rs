//! What people's own files cost: a small multiple of their size, however many objects there are in them.

use network_guard_core::landscape::Snapshot;
use network_guard_sources::manifests::{Again, read};

use crate::stored;

/// What each byte of a file may cost at once: the text as JSON, and what the landscape keeps.
const PER_BYTE: u64 = 4;

/// Bytes allocated in all and at once, and the size of the text.
fn cost(text: &str, objects: usize) -> (u64, u64, u64) {
    let mut snapshot = Snapshot::default();
    let info = allocation_counter::measure(|| assert_eq!(read(text, Again::Refuse, &mut snapshot), []));
    assert_eq!(snapshot.shoots.len() + snapshot.cluster_count(), objects);
    (info.bytes_total, info.bytes_max, text.len() as u64)
}

#[test]
fn ten_thousand_stored_shoots_are_read_in_a_multiple_of_their_size() {
    let list = |count| {
        let items: String = (0..count).map(stored::shoot).collect();
        format!("apiVersion: v1\nitems:\n{items}kind: List\n")
    };
    let (few, many) = (cost(&list(1_000), 1_000), cost(&list(10_000), 10_000));
    assert!(many.1 < PER_BYTE * many.2, "{} bytes at once for a file of {}", many.1, many.2);
    assert!(many.0 < 11 * few.0, "{} bytes for 1,000 Shoots, {} for 10,000", few.0, many.0);
}

/// What is read of a Cluster is a few networks; its CloudProfile is half a megabyte.
#[test]
fn sixty_clusters_with_big_cloud_profiles_are_read_in_a_multiple_of_their_size() {
    let clusters = |count| (0..count).map(|i| stored::cluster(i, 3_000)).collect::<String>();
    let (few, many) = (cost(&clusters(6), 6), cost(&clusters(60), 60));
    assert!(many.2 > 25 << 20, "{} bytes", many.2);
    // They are documents of their own: only one of them is held at a time.
    assert!(many.1 < PER_BYTE * many.2 / 60 + (1 << 20), "{} bytes at once for a file of {}", many.1, many.2);
    assert!(many.0 < 11 * few.0, "{} bytes for 6 Clusters, {} for 60", few.0, many.0);
}

#[test]
fn twenty_thousand_documents_are_read_in_a_multiple_of_their_size() {
    let documents = |count| {
        let text = |i| {
            format!(
                "---\napiVersion: core.gardener.cloud/v1beta1\nkind: Shoot\nmetadata: {{name: s{i}, namespace: x}}\n"
            )
        };
        (0..count).map(text).collect::<String>()
    };
    let (few, many) = (cost(&documents(2_000), 2_000), cost(&documents(20_000), 20_000));
    assert!(many.0 < 12 * few.0, "{} bytes for 2,000 documents, {} for 20,000", few.0, many.0);
}
