//! The two text formats of metrics, and the choice between them.

use std::fmt::Write as _;

use http::{HeaderMap, header};

/// A format. Prometheus asks for OpenMetrics first; a client that asks for nothing, such as curl, gets the older one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Format {
    /// <https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md>
    OpenMetrics,
    /// <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>
    Text,
}

/// `type/subtype`, the versions that we write, and the format.
const KNOWN: [(&str, &[&str], Format); 2] = [
    ("application/openmetrics-text", &["1.0.0"], Format::OpenMetrics),
    // The later version only specifies how names with other characters are written, of which we have none.
    ("text/plain", &["0.0.4", "1.0.0"], Format::Text),
];

impl Format {
    /// The format that a caller prefers (`Accept`, RFC 9110 section 12.5.1). Where nothing matches, it is the older
    /// one: a client that asks for metrics had better get some.
    pub(crate) fn wanted(headers: &HeaderMap) -> Self {
        let accepted: Vec<&str> =
            headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
        let accepted = accepted.join(",");
        let weight = |format| {
            let (media_type, versions, _) =
                KNOWN.into_iter().find(|(.., known)| *known == format).expect("it is known");
            weight(&accepted, media_type, versions)
        };
        // At the same weight the more expressive one, if it was named: `*/*` names nothing.
        let (open, text) = (weight(Self::OpenMetrics), weight(Self::Text));
        let is_wanted = open.weight > text.weight || (open.weight == text.weight && open.precision > Precision::Any);
        if open.weight > 0 && is_wanted { Self::OpenMetrics } else { Self::Text }
    }

    /// The header of an answer.
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// Converts OpenMetrics to this format.
    pub(super) fn of(self, open_metrics: String) -> String {
        match self {
            Self::OpenMetrics => open_metrics,
            Self::Text => text(&open_metrics),
        }
    }
}

/// How specific a range is for a media type. The most specific one counts.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
enum Precision {
    #[default]
    Not,
    Any,
    Type,
    Subtype,
    Version,
}

#[derive(Clone, Copy, Debug, Default)]
struct Weight {
    precision: Precision,
    /// In thousandths.
    weight: u16,
}

/// The weight that a list of ranges gives a media type.
fn weight(accepted: &str, media_type: &str, versions: &[&str]) -> Weight {
    let mut best = Weight::default();
    for range in accepted.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let (mut version, mut q) = (None, 1_000);
        for (key, value) in parts.filter_map(|parameter| parameter.split_once('=')) {
            match key.trim().to_ascii_lowercase().as_str() {
                "version" => version = Some(value.trim().trim_matches('"')),
                "q" => q = thousandths(value.trim()),
                _ => {}
            }
        }
        let wildcard = media_type.split_once('/').map(|(group, _)| format!("{group}/*")).unwrap_or_default();
        let precision = match version {
            Some(version) if name.eq_ignore_ascii_case(media_type) && versions.contains(&version) => Precision::Version,
            None if name.eq_ignore_ascii_case(media_type) => Precision::Subtype,
            None if name.eq_ignore_ascii_case(&wildcard) => Precision::Type,
            None if name == "*/*" => Precision::Any,
            _ => continue,
        };
        // Two equally specific ranges: versions of one format, either of which will do.
        if precision > best.precision || (precision == best.precision && q > best.weight) {
            best = Weight { precision, weight: q };
        }
    }
    best
}

/// A weight from 0 to 1 with at most three decimals; anything else counts as nothing.
fn thousandths(text: &str) -> u16 {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{decimals:0<3}");
    let is_number = digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit());
    match (whole, digits.parse()) {
        ("0", Ok(thousandths)) if is_number => thousandths,
        ("1", Ok(0)) if is_number => 1_000,
        _ => 0,
    }
}

/// The older format has the same content without units and the end; its `# TYPE` names the sample, so counters and
/// infos carry the names of their samples.
fn text(open_metrics: &str) -> String {
    let mut out = String::with_capacity(open_metrics.len());
    // What a metric is comes after what it is for.
    let mut help = None;
    for line in open_metrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            let (ending, kind) = match kind {
                "counter" => ("_total", kind),
                "info" => ("_info", "gauge"),
                "stateset" => ("", "gauge"),
                "unknown" => ("", "untyped"),
                _ => ("", kind),
            };
            if let Some((_, help)) = help.take().filter(|(of, _)| *of == name) {
                let _ = writeln!(out, "# HELP {name}{ending} {help}");
            }
            let _ = writeln!(out, "# TYPE {name}{ending} {kind}");
        } else if !line.starts_with('#') {
            let _ = writeln!(out, "{line}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn wanted(accept: &[&str]) -> Format {
        let mut headers = HeaderMap::new();
        for value in accept {
            headers.append(header::ACCEPT, HeaderValue::from_str(value).unwrap());
        }
        Format::wanted(&headers)
    }

    #[test]
    fn the_caller_decides() {
        // The requests of Prometheus 3 and 2.
        let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                          application/openmetrics-text;version=0.0.1;q=0.5,\
                          text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        let older = "application/openmetrics-text; version=1.0.0,application/openmetrics-text; version=0.0.1;q=0.75,\
                     text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        for (accept, want) in [
            (&[prometheus][..], Format::OpenMetrics),
            (&[older], Format::OpenMetrics),
            (&[], Format::Text),
            (&["*/*"], Format::Text),
            (&["text/html,application/xhtml+xml,*/*;q=0.8"], Format::Text),
            (&["text/plain"], Format::Text),
            (&["text/plain;version=0.0.4;q=1,*/*;q=0.1"], Format::Text),
            (&["text/plain;version=0.0.4;q=0.7", "application/openmetrics-text;q=0.9"], Format::OpenMetrics),
            (&["text/plain, application/openmetrics-text"], Format::OpenMetrics),
            (&["application/openmetrics-text;q=0.1,text/plain;q=0.2"], Format::Text),
            (&["Application/OpenMetrics-Text; Version=\"1.0.0\"; Q=0.5"], Format::OpenMetrics),
            // A version that we do not write.
            (&["application/openmetrics-text;version=0.0.1"], Format::Text),
            (&["application/openmetrics-text;version=2.0.0,text/plain;q=0.1"], Format::Text),
            (&["application/*"], Format::OpenMetrics),
            (&["application/*;q=0.3,text/*;q=0.5"], Format::Text),
            // Refused by name, whatever else is accepted.
            (&["application/openmetrics-text;q=0,*/*"], Format::Text),
            (&["application/openmetrics-text;q=0"], Format::Text),
            (&["application/openmetrics-text;q=2"], Format::Text),
            (&["image/png"], Format::Text),
            (&[",;,=;q"], Format::Text),
        ] {
            assert_eq!(wanted(accept), want, "{accept:?}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_bytes(b"\xff").unwrap());
        assert_eq!(Format::wanted(&headers), Format::Text);
    }

    #[test]
    fn the_older_format_names_samples() {
        let open = "# HELP a_calls Calls.\n# TYPE a_calls counter\na_calls_total{x=\"# TYPE\"} 1\n\
                    # HELP a_time_seconds Time.\n# TYPE a_time_seconds histogram\n# UNIT a_time_seconds seconds\n\
                    a_time_seconds_sum 0.5\na_time_seconds_bucket{le=\"1.0\"} 1\n\
                    # HELP a_build Build.\n# TYPE a_build info\na_build_info{version=\"1\"} 1\n# EOF\n";
        let want = "# HELP a_calls_total Calls.\n# TYPE a_calls_total counter\na_calls_total{x=\"# TYPE\"} 1\n\
                    # HELP a_time_seconds Time.\n# TYPE a_time_seconds histogram\n\
                    a_time_seconds_sum 0.5\na_time_seconds_bucket{le=\"1.0\"} 1\n\
                    # HELP a_build_info Build.\n# TYPE a_build_info gauge\na_build_info{version=\"1\"} 1\n";
        assert_eq!(Format::Text.of(open.to_owned()), want);
        assert_eq!(Format::OpenMetrics.of(open.to_owned()), open);
    }
}
