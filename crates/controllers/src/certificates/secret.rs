//! The CAs in the data and annotations of a Secret.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::ByteString;

use super::pem::{self, Unusable};
use network_guard_core::certificates::{CaPair, Material, Next};

/// The keys of the Secret's data: of the CA that signs, of the next one, and of the retired ones.
const CA: &str = "ca.crt";
const CA_KEY: &str = "ca.key";
const NEXT: &str = "next.crt";
const NEXT_KEY: &str = "next.key";
const RETIRED: &str = "retired.crt";

/// When the next CA was seen in every webhook configuration.
const PUBLISHED_AT: &str = "network-guard.extensions.gardener.cloud/published-at";

/// Until when leaves of retired CAs may be in use.
const RETIRED_UNTIL: &str = "network-guard.extensions.gardener.cloud/retired-until";

/// Why a Secret cannot be used. Its content is never printed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadSecret {
    /// There is no CA in it.
    #[error("it has neither `ca.crt` nor `next.crt`")]
    Empty,
    /// One half of a pair is missing.
    #[error("`{0}` is there without the other half of its pair")]
    Half(&'static str),
    /// A part is not of its kind.
    #[error("`{0}`: {1}")]
    Part(&'static str, Unusable),
}

/// With any value, somebody requests a new CA.
const ROTATE: &str = "network-guard.extensions.gardener.cloud/rotate";

/// The fingerprint of the CA that API servers trusted when the leader checked last.
const VOUCHED: &str = "network-guard.extensions.gardener.cloud/vouched";

type Data = BTreeMap<String, ByteString>;
type Annotations = BTreeMap<String, String>;

/// Reads a Secret. A time that cannot be read counts as none: then the leader waits once more.
pub(super) fn read(data: &Data, annotations: &Annotations) -> Result<Material, BadSecret> {
    let text = |key| data.get(key).map(|value| String::from_utf8_lossy(&value.0)).filter(|text| !text.is_empty());
    let pair = |certificate, key| match (text(certificate), text(key)) {
        (None, None) => Ok(None),
        (Some(_), None) => Err(BadSecret::Half(certificate)),
        (None, Some(_)) => Err(BadSecret::Half(key)),
        (Some(pem), Some(key)) => pem::ca_pair(&pem, &key).map(Some).map_err(|why| BadSecret::Part(certificate, why)),
    };
    let at = |key| annotations.get(key).and_then(|text| text.parse::<Timestamp>().ok());
    let signing = pair(CA, CA_KEY)?;
    let next = pair(NEXT, NEXT_KEY)?.map(|pair| Next { pair, published_at: at(PUBLISHED_AT) });
    if signing.is_none() && next.is_none() {
        return Err(BadSecret::Empty);
    }
    let retired = match text(RETIRED) {
        Some(pem) => pem::bundle(pem.as_bytes()).map_err(|why| BadSecret::Part(RETIRED, why))?,
        None => Vec::new(),
    };
    let rotation_requested = annotations.contains_key(ROTATE);
    let confirmed = annotations.get(VOUCHED).cloned();
    Ok(Material { signing, next, retired, retired_until: at(RETIRED_UNTIL), rotation_requested, confirmed })
}

/// Writes into a Secret, and leaves the keys of others alone.
pub(super) fn write(material: &Material, data: &mut Data, annotations: &mut Annotations) {
    let Material { signing, next, retired, retired_until, rotation_requested, confirmed } = material;
    match confirmed {
        Some(confirmed) => drop(annotations.insert(VOUCHED.to_owned(), confirmed.clone())),
        None => drop(annotations.remove(VOUCHED)),
    }
    if !rotation_requested {
        annotations.remove(ROTATE);
    }
    let next_pair = next.as_ref().map(|next| &next.pair);
    let retired = Some(retired.iter().map(|ca| &*ca.pem).collect::<String>()).filter(|pem| !pem.is_empty());
    for (key, value) in [
        (CA, signing.as_ref().map(|pair| &*pair.ca.pem)),
        (CA_KEY, signing.as_ref().map(CaPair::key)),
        (NEXT, next_pair.map(|pair| &*pair.ca.pem)),
        (NEXT_KEY, next_pair.map(CaPair::key)),
        (RETIRED, retired.as_deref()),
    ] {
        match value {
            Some(text) => drop(data.insert(key.to_owned(), ByteString(text.as_bytes().to_vec()))),
            None => drop(data.remove(key)),
        }
    }
    let published_at = next.as_ref().and_then(|next| next.published_at);
    for (key, at) in [(PUBLISHED_AT, published_at), (RETIRED_UNTIL, *retired_until)] {
        match at {
            Some(at) => drop(annotations.insert(key.to_owned(), at.to_string())),
            None => drop(annotations.remove(key)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use network_guard_core::certificates::{Lifetimes, Reason, Step, carried_out};

    use super::super::issue_ca;
    use super::*;

    const LIFETIME: Duration = Duration::from_secs(30 * 60 * 60);

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + hour * 60 * 60).unwrap()
    }

    /// Each step of the life of a CA, carried out with real keys, survives the Secret.
    #[test]
    fn every_step_is_stored_and_read_back() {
        let theirs = issue_ca(at(0), LIFETIME).unwrap().ca;
        let adopt = |demote| Step::Adopt { adopted: vec![theirs.clone()], demote };
        let begin = |at_once| Step::Begin { adopted: vec![theirs.clone()], at_once };
        let lifetimes = Lifetimes { ca: LIFETIME, ..Lifetimes::default() };
        for story in [
            vec![begin(true), Step::ConfirmTrust, Step::Issue(Reason::Due), Step::Announce, Step::Switch, Step::Retire],
            vec![begin(true), Step::Issue(Reason::Asked), Step::Announce, Step::Recall, Step::Announce, Step::Switch],
            vec![begin(false), Step::Announce, Step::Switch, adopt(false), Step::Retire],
            vec![begin(true), adopt(true), Step::Issue(Reason::NotValid), Step::Announce, Step::Switch],
            vec![begin(true), Step::Issue(Reason::Due), adopt(true), Step::Issue(Reason::NextIsOld)],
        ] {
            let (mut data, mut annotations) = (Data::new(), Annotations::new());
            let mut material = None;
            for (hour, step) in (0..).zip(story) {
                let name = format!("{step:?}");
                let next = carried_out(step, material.as_ref(), at(hour), &lifetimes, issue_ca).unwrap();
                let next = next.unwrap_or_else(|| panic!("{name} does nothing"));
                write(&next, &mut data, &mut annotations);
                assert_eq!(read(&data, &annotations).as_ref(), Ok(&next), "{name}");
                material = Some(next);
            }
        }
    }

    #[test]
    fn what_is_stored_is_read_back() {
        let (one, two) = (issue_ca(at(0), LIFETIME).unwrap(), issue_ca(at(20), LIFETIME).unwrap());
        let first = Material::first(one.clone());
        let rotating =
            |published_at| Material { next: Some(Next { pair: two.clone(), published_at }), ..first.clone() };
        let retired = vec![one.ca.clone(), two.ca.clone()];
        let retiring =
            Material { retired: retired.clone(), retired_until: Some(at(28)), ..Material::first(two.clone()) };
        for (name, material) in [
            ("the first", first.clone()),
            ("asked for", Material { rotation_requested: true, ..first.clone() }),
            ("of unknown origin", Material { confirmed: None, ..first.clone() }),
            ("with a next one", rotating(None)),
            ("published", rotating(Some(at(20)))),
            ("lost", Material { signing: None, confirmed: None, retired, ..rotating(None) }),
            ("with retired ones", retiring.clone()),
            ("since nobody knows when", Material { retired_until: None, ..retiring }),
        ] {
            // Independent of what was there before; a request is only ever removed.
            for before in [first.clone(), rotating(Some(at(1)))] {
                let (mut data, mut annotations) = (Data::new(), Annotations::new());
                write(&before, &mut data, &mut annotations);
                if material.rotation_requested {
                    annotations.insert(ROTATE.to_owned(), String::new());
                }
                write(&material, &mut data, &mut annotations);
                assert_eq!(read(&data, &annotations).as_ref(), Ok(&material), "{name}");
            }
        }
    }

    #[test]
    fn says_what_is_wrong_with_a_secret() {
        let pair = issue_ca(at(0), LIFETIME).unwrap();
        let (mut good, mut annotations) = (BTreeMap::new(), BTreeMap::new());
        write(&Material::first(pair), &mut good, &mut annotations);
        let other = issue_ca(at(0), LIFETIME).unwrap();
        let with = |changes: &[(&str, Option<&str>)]| {
            let mut data = good.clone();
            for (key, value) in changes {
                match value {
                    Some(text) => drop(data.insert((*key).to_owned(), ByteString(text.as_bytes().to_vec()))),
                    None => drop(data.remove(*key)),
                }
            }
            read(&data, &annotations).map(|_| ()).map_err(|error| error.to_string())
        };
        for (name, changes, want) in [
            ("emptied", &[("ca.crt", None), ("ca.key", None)][..], "neither `ca.crt` nor `next.crt`"),
            ("empty texts", &[("ca.crt", Some("")), ("ca.key", Some(""))], "neither `ca.crt` nor `next.crt`"),
            ("no key", &[("ca.key", None)], "`ca.crt` is there without"),
            ("no certificate", &[("ca.crt", None)], "`ca.key` is there without"),
            ("another's key", &[("ca.key", Some(other.key()))], "`ca.crt`: its key does not belong to it"),
            ("rubbish", &[("ca.crt", Some("rubbish"))], "`ca.crt`: it is no certificate"),
            ("half a next one", &[("next.crt", Some(&*other.ca.pem))], "`next.crt` is there without"),
            (
                "a broken old one",
                &[("retired.crt", Some("-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n"))],
                "`retired.crt`",
            ),
        ] {
            let error = with(changes).expect_err(name);
            assert!(error.contains(want), "{name}: {error}");
        }
        assert_eq!(with(&[("somebody-elses", Some("x"))]), Ok(()));
    }
}
