//! Scalars as goyaml reads them, which kubectl uses (`go.yaml.in/yaml/v2`, `resolve.go`).
//!
//! That is YAML 1.1 with the exceptions of goyaml: `yes`, `on` and `y` are true, `017` and `0o17` are 15, and `1:30` is a text.

use std::borrow::Cow;
use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const CORE: &str = "tag:yaml.org,2002:";

/// The value of a scalar.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scalar<'a> {
    Null,
    Bool(bool),
    Int(i64),
    /// Only above [`i64::MAX`].
    Large(u64),
    Float(f64),
    Text(Cow<'a, str>),
}

impl<'a> Scalar<'a> {
    /// Reads a scalar: its text, whether it has neither quotes nor a block's indicator, and its tag in full, if it has one.
    pub(super) fn read(text: Cow<'a, str>, is_plain: bool, tag: Option<&str>) -> Result<Self, String> {
        let Some(tag) = tag else {
            return Ok(if is_plain { Self::resolve(text, false) } else { Self::Text(text) });
        };
        let Some(name) = tag.strip_prefix(CORE) else { return Ok(Self::Text(text)) };
        let wrong = |text: &str| format!("{:?} is not a value of the tag !!{name}", excerpt(text));
        match name {
            "binary" => {
                let packed: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
                let bytes = STANDARD.decode(packed).map_err(|_| wrong(&text))?;
                Ok(Self::Text(String::from_utf8_lossy(&bytes).into_owned().into()))
            }
            "timestamp" if looks_like_a_date(&text) => Ok(Self::Text(text)),
            "int" | "float" | "bool" | "null" => match (name, Self::resolve(text.clone(), true)) {
                ("int", value @ (Self::Int(_) | Self::Large(_)))
                | ("float", value @ Self::Float(_))
                | ("bool", value @ Self::Bool(_))
                | ("null", value @ Self::Null) => Ok(value),
                #[expect(clippy::cast_precision_loss, reason = "as goyaml does it")]
                ("float", Self::Int(number)) => Ok(Self::Float(number as f64)),
                _ => Err(wrong(&text)),
            },
            "timestamp" => Err(wrong(&text)),
            // `str`, and a tag that goyaml does not know, yield a text.
            _ => Ok(Self::Text(text)),
        }
    }

    /// The value of a scalar without quotes. A date stays a text; with a tag it is not looked for.
    fn resolve(text: Cow<'a, str>, is_tagged: bool) -> Self {
        match &*text {
            "" | "~" | "null" | "Null" | "NULL" => return Self::Null,
            "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
                return Self::Bool(true);
            }
            "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
                return Self::Bool(false);
            }
            ".nan" | ".NaN" | ".NAN" => return Self::Float(f64::NAN),
            ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Self::Float(f64::INFINITY),
            "-.inf" | "-.Inf" | "-.INF" => return Self::Float(f64::NEG_INFINITY),
            _ => {}
        }
        match text.as_bytes()[0] {
            b'.' => finite(&text).map_or(Self::Text(text), Self::Float),
            b'0'..=b'9' | b'+' | b'-' if is_tagged || !looks_like_a_date(&text) => {
                let plain = text.replace('_', "");
                number(&plain).unwrap_or(Self::Text(text))
            }
            _ => Self::Text(text),
        }
    }

    /// Writes it as JSON, numbers as Go's `encoding/json` does. JSON knows no infinity.
    pub(super) fn write(&self, out: &mut Vec<u8>) -> Result<(), String> {
        let written = match self {
            Self::Null => out.write_all(b"null"),
            Self::Bool(value) => write!(out, "{value}"),
            Self::Int(value) => write!(out, "{value}"),
            Self::Large(value) => write!(out, "{value}"),
            Self::Float(value) if !value.is_finite() => {
                return Err("a number that is infinite or none (`.inf`, `.nan`) cannot be in a manifest".to_owned());
            }
            Self::Float(value) if *value != 0.0 && (value.abs() < 1e-6 || value.abs() >= 1e21) => {
                write!(out, "{value:e}")
            }
            Self::Float(value) => write!(out, "{value}"),
            Self::Text(text) => return serde_json::to_writer(out, &**text).map_err(|error| error.to_string()),
        };
        written.map_err(|error| error.to_string())
    }

    pub(super) fn into_owned(self) -> Scalar<'static> {
        match self {
            Self::Null => Scalar::Null,
            Self::Bool(value) => Scalar::Bool(value),
            Self::Int(value) => Scalar::Int(value),
            Self::Large(value) => Scalar::Large(value),
            Self::Float(value) => Scalar::Float(value),
            Self::Text(text) => Scalar::Text(text.into_owned().into()),
        }
    }

    /// The key that it becomes, as in sigs.k8s.io/yaml.
    pub(super) fn into_key(self) -> Result<Cow<'a, str>, String> {
        Ok(match self {
            Self::Text(text) => text,
            Self::Bool(value) => value.to_string().into(),
            Self::Int(value) => value.to_string().into(),
            Self::Float(value) => short_float(value).into(),
            Self::Null => return Err("a key is empty".to_owned()),
            Self::Large(value) => return Err(format!("{value} is too large for a key")),
        })
    }
}

fn finite(text: &str) -> Option<f64> {
    // Rust reads words such as `.infinity` too.
    let is_number = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
    text.parse().ok().filter(|value: &f64| is_number && value.is_finite())
}

/// As `strconv.ParseInt(_, 0, 64)`, then `ParseUint`, then a float as YAML writes it.
fn number(plain: &str) -> Option<Scalar<'static>> {
    let (is_signed, is_negative) = (plain.starts_with(['+', '-']), plain.starts_with('-'));
    let digits = plain.strip_prefix(['+', '-']).unwrap_or(plain);
    let prefixed = |short: &str, long: &str, radix| {
        let rest = digits.strip_prefix(short).or_else(|| digits.strip_prefix(long))?;
        Some((rest, radix))
    };
    let (rest, radix) = prefixed("0x", "0X", 16)
        .or_else(|| prefixed("0b", "0B", 2))
        .or_else(|| prefixed("0o", "0O", 8))
        .or_else(|| (digits.len() > 1).then(|| digits.strip_prefix('0')).flatten().map(|rest| (rest, 8)))
        .unwrap_or((digits, 10));
    if rest.bytes().all(|b| b.is_ascii_alphanumeric()) {
        // With its sign, so that the smallest number is one.
        let signed = if is_negative { format!("-{rest}") } else { rest.to_owned() };
        if let Ok(value) = i64::from_str_radix(&signed, radix) {
            return Some(Scalar::Int(value));
        }
        if let Ok(value) = u64::from_str_radix(rest, radix)
            && !is_signed
        {
            return Some(Scalar::Large(value));
        }
    }
    is_float(plain).then(|| finite(plain)).flatten().map(Scalar::Float)
}

/// `^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`
fn is_float(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let are_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_mantissa = are_digits(whole) && are_digits(fraction) && !(whole.is_empty() && fraction.is_empty());
    let is_exponent = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !digits.is_empty() && are_digits(digits)
    });
    is_mantissa && is_exponent
}

/// goyaml's quick check for a date; what passes it is a text, whether it is a date or not.
fn looks_like_a_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() > 4 && bytes[..4].iter().all(u8::is_ascii_digit) && bytes[4] == b'-'
}

/// `strconv.FormatFloat(value, 'g', -1, 32)`, with YAML's words.
fn short_float(value: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "as sigs.k8s.io/yaml does it")]
    let value = value as f32;
    if value.is_nan() {
        return ".nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..6).contains(&exponent) {
        return value.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

/// The beginning of a foreign text, for a message.
pub(super) fn excerpt(text: &str) -> String {
    const LONGEST: usize = 60;
    if text.chars().count() <= LONGEST {
        text.to_owned()
    } else {
        text.chars().take(LONGEST).collect::<String>() + "…"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str, tag: Option<&str>) -> Result<String, String> {
        let tag = tag.map(|tag| format!("{CORE}{tag}"));
        let mut out = Vec::new();
        Scalar::read(text.into(), true, tag.as_deref())?.write(&mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn scalars_are_read_as_by_goyaml() {
        for (text, want) in [
            ("yes", "true"),
            ("On", "true"),
            ("y", "true"),
            ("oN", "\"oN\""),
            ("off", "false"),
            ("~", "null"),
            ("", "null"),
            ("017", "15"),
            ("0o17", "15"),
            ("08", "8"),
            ("0x1F", "31"),
            ("0b11", "3"),
            ("-0b11", "-3"),
            ("+12", "12"),
            ("1_000", "1000"),
            ("1:30", "\"1:30\""),
            ("2001-01-01", "\"2001-01-01\""),
            ("1e3", "1000"),
            ("1.", "1"),
            (".5", "0.5"),
            (".", "\".\""),
            ("-", "\"-\""),
            ("+", "\"+\""),
            ("0", "0"),
            ("-0", "0"),
            ("-0.0", "-0"),
            ("9223372036854775807", "9223372036854775807"),
            ("9223372036854775808", "9223372036854775808"),
            ("18446744073709551616", "18446744073709552000"),
            ("-9223372036854775808", "-9223372036854775808"),
            ("1e21", "1e21"),
            ("1e-7", "1e-7"),
            ("1e400", "\"1e400\""),
            ("10.250.0.0/16", "\"10.250.0.0/16\""),
            ("1.2.3", "\"1.2.3\""),
            ("0x", "\"0x\""),
            ("1e", "\"1e\""),
            ("é", "\"é\""),
        ] {
            assert_eq!(json(text, None).unwrap(), want, "{text}");
        }
        assert!(json(".inf", None).unwrap_err().contains("infinite"));
    }

    #[test]
    fn tags_are_kept_or_refused() {
        for (text, tag, want) in [
            ("12", "str", Ok("\"12\"")),
            ("12", "float", Ok("12")),
            ("12", "int", Ok("12")),
            ("yes", "bool", Ok("true")),
            ("aGk=", "binary", Ok("\"hi\"")),
            ("x", "int", Err(())),
            ("1.5", "int", Err(())),
            ("", "int", Err(())),
            ("?", "binary", Err(())),
            ("2001-01-01", "timestamp", Ok("\"2001-01-01\"")),
            ("x", "set", Ok("\"x\"")),
        ] {
            assert_eq!(json(text, Some(tag)).map_err(|_| ()), want.map(str::to_owned), "{text} {tag}");
        }
    }

    #[test]
    fn keys_are_texts() {
        for (text, want) in
            [("on", "true"), ("1", "1"), ("1.50", "1.5"), ("1e21", "1e+21"), ("1e6", "1e+06"), ("0.1", "0.1")]
        {
            assert_eq!(Scalar::read(text.into(), true, None).unwrap().into_key().unwrap(), want, "{text}");
        }
        assert!(Scalar::read("~".into(), true, None).unwrap().into_key().unwrap_err().contains("empty"));
    }
}
