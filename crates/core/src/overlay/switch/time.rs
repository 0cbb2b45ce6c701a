//! Times as they are written.

use jiff::Timestamp;

/// A time for people and machines, to the second.
pub fn seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
