//! Quantities as Kubernetes writes them.

/// A CPU quantity in the form in which API servers write it back. Another form of the same amount would look like a
/// change each time it is compared with what is stored.
pub(super) fn canonical_cpu(text: &str) -> Option<String> {
    let thousandths: u64 = match text.strip_suffix('m') {
        Some(number) => number.parse().ok()?,
        None => text.parse::<u64>().ok()?.checked_mul(1_000)?,
    };
    Some(match thousandths % 1_000 {
        0 => (thousandths / 1_000).to_string(),
        _ => format!("{thousandths}m"),
    })
}

/// A memory quantity in the form in which API servers write it back.
pub(super) fn canonical_memory(text: &str) -> Option<String> {
    let bytes = memory_bytes(text)?;
    let (suffix, unit) = MEMORY_UNITS.into_iter().find(|(_, unit)| bytes != 0 && bytes.is_multiple_of(*unit))?;
    Some(format!("{}{suffix}", bytes / unit))
}

/// Plain bytes and decimal units are left out: API servers write the one as the other.
const MEMORY_UNITS: [(&str, u64); 3] = [("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)];

/// Its bytes.
pub(super) fn memory_bytes(text: &str) -> Option<u64> {
    let (suffix, unit) = MEMORY_UNITS.into_iter().find(|(suffix, _)| text.ends_with(suffix))?;
    text.strip_suffix(suffix)?.parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_written_as_the_api_server_writes_them() {
        for (text, want) in [
            ("20m", Some("20m")),
            ("1000m", Some("1")),
            ("1500m", Some("1500m")),
            ("2", Some("2")),
            ("0.5", None),
            ("-1", None),
            ("m", None),
        ] {
            assert_eq!(canonical_cpu(text).as_deref(), want, "{text}");
        }
        for (text, want) in [
            ("100Mi", Some("100Mi")),
            ("1024Mi", Some("1Gi")),
            ("1536Mi", Some("1536Mi")),
            ("2048Ki", Some("2Mi")),
            ("1024", None),
            ("0Mi", None),
            ("100M", None),
            ("Mi", None),
            ("1.5Gi", None),
        ] {
            assert_eq!(canonical_memory(text).as_deref(), want, "{text}");
        }
    }
}
