//! Where a value is in an object.

use std::borrow::Cow;
use std::fmt;

use serde::{Serialize, Serializer};

/// One step into an object.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Segment {
    /// To another object than that of the review; only ever the first.
    Object(String),
    /// To a field, or to a member of a map.
    Field(Cow<'static, str>),
    /// To an element of a list.
    Index(usize),
}

/// The path of a value in an object, as Kubernetes writes it: `spec.extensions[0].providerConfig`. The empty one is the object
/// itself.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FieldPath {
    segments: Vec<Segment>,
}

impl FieldPath {
    /// A path in another object than that of the review.
    pub fn of(object: String, path: Self) -> Self {
        Self { segments: vec![Segment::Object(object)] }.join(path)
    }

    /// Descends to a field.
    #[must_use]
    pub fn field(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.segments.push(Segment::Field(name.into()));
        self
    }

    /// Descends to an element of a list.
    #[must_use]
    pub fn index(mut self, index: usize) -> Self {
        self.segments.push(Segment::Index(index));
        self
    }

    /// Descends along a path.
    #[must_use]
    pub fn join(mut self, inner: Self) -> Self {
        self.segments.extend(inner.segments);
        self
    }

    /// Whether it is the reviewed object itself.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Whether it leads through this field, or to it.
    pub fn has_field(&self, name: &str) -> bool {
        self.fields().any(|field| field == name)
    }

    /// Whether it leads through this path, or is the same.
    pub fn is_within(&self, outer: &Self) -> bool {
        self.segments.starts_with(&outer.segments)
    }

    /// The fields on the way, without places in lists: what moves in a list is at the same fields.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Field(name) => Some(&**name),
            Segment::Object(_) | Segment::Index(_) => None,
        })
    }

    /// The last field; `None` for an object itself.
    pub fn last_field(&self) -> Option<&str> {
        self.fields().last()
    }

    /// The path from a field on, without it; `None` where it does not lead through that field.
    pub fn below(&self, name: &str) -> Option<impl fmt::Display> {
        let is_field = |segment: &Segment| matches!(segment, Segment::Field(field) if field == name);
        let below = &self.segments[self.segments.iter().position(is_field)? + 1..];
        (!below.is_empty()).then(|| fmt::from_fn(|f| write(below, f)))
    }
}

fn write(segments: &[Segment], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut before = "";
    for segment in segments {
        match segment {
            Segment::Object(name) => {
                write!(f, "{name}: ")?;
                continue;
            }
            Segment::Field(name) => write!(f, "{before}{name}")?,
            Segment::Index(index) => write!(f, "[{index}]")?,
        }
        before = ".";
    }
    Ok(())
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(&self.segments, f)
    }
}

/// As its text.
impl Serialize for FieldPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A path of fields that is known beforehand, with dots between them.
impl From<&'static str> for FieldPath {
    fn from(fields: &'static str) -> Self {
        let names = fields.split('.').filter(|name| !name.is_empty());
        Self { segments: names.map(|name| Segment::Field(name.into())).collect() }
    }
}

impl From<&serde_path_to_error::Path> for FieldPath {
    fn from(path: &serde_path_to_error::Path) -> Self {
        use serde_path_to_error::Segment::{Enum, Map, Seq, Unknown};
        let segment = |segment: &_| match segment {
            Seq { index } => Segment::Index(*index),
            Map { key } | Enum { variant: key } => Segment::Field(key.clone().into()),
            Unknown => Segment::Field("?".into()),
        };
        Self { segments: path.iter().map(segment).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> FieldPath {
        FieldPath::from("spec.extensions").index(1).field("providerConfig").field("shootPeerings").index(0)
    }

    #[test]
    fn paths_are_written_as_kubernetes_does() {
        for (path, want) in [
            (FieldPath::default(), ""),
            (FieldPath::from("spec.networking.nodes"), "spec.networking.nodes"),
            (entry().field("seed"), "spec.extensions[1].providerConfig.shootPeerings[0].seed"),
            (entry().join(FieldPath::default().index(2)), "spec.extensions[1].providerConfig.shootPeerings[0][2]"),
            (FieldPath::of("cluster a".to_owned(), "spec.shoot".into()), "cluster a: spec.shoot"),
        ] {
            assert_eq!(path.to_string(), want);
            assert_eq!(serde_json::to_string(&path).unwrap(), format!("{want:?}"));
            assert_eq!(path.is_empty(), want.is_empty());
        }
    }

    #[test]
    fn segments_are_compared_whole() {
        let (path, networking) = (entry().field("a.b"), FieldPath::from("spec.networking"));
        assert_eq!([path.last_field(), entry().last_field()], [Some("a.b"), Some("shootPeerings")]);
        assert_eq!(path.below("providerConfig").unwrap().to_string(), "shootPeerings[0].a.b");
        assert!(path.below("a.b").is_none() && path.below("a").is_none());
        assert!(path.has_field("shootPeerings") && !path.has_field("shoot"));
        let is_within = |path: &'static str| FieldPath::from(path).is_within(&networking);
        assert!(is_within("spec.networking") && is_within("spec.networking.nodes") && !is_within("spec.networkingOf"));
    }

    #[test]
    fn paths_of_serde_are_the_same() {
        #[derive(Debug, serde::Deserialize)]
        struct Of {
            #[serde(rename = "in")]
            _in: Vec<std::collections::BTreeMap<String, u8>>,
        }
        let mut text = serde_json::Deserializer::from_str(r#"{"in": [{}, {"a/b": "x"}]}"#);
        let error = serde_path_to_error::deserialize::<_, Of>(&mut text).unwrap_err();
        assert_eq!(FieldPath::from(error.path()).to_string(), error.path().to_string());
    }
}
