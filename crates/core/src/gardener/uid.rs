//! The UID of a Shoot, which its API server sends to prove which Shoot calls.

use std::fmt;

use subtle::ConstantTimeEq as _;

/// `metadata.uid` of a Shoot. Only the Shoot, its owner and operators can know it: 122 of its bits are random. So it is
/// never printed, and it is compared in constant time.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct ShootUid([u8; 16]);

impl ShootUid {
    /// The UID that no Shoot has: a placeholder where there is none, so that a comparison takes place in any case.
    pub const NOBODY: Self = Self([0; 16]);

    /// Reads the form in which API servers write it.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.len() != 36 {
            return None;
        }
        let (mut uid, mut digits) = ([0; 16], 0);
        for (at, byte) in bytes.iter().enumerate() {
            if matches!(at, 8 | 13 | 18 | 23) {
                if *byte != b'-' {
                    return None;
                }
                continue;
            }
            let digit = match byte {
                b'0'..=b'9' => byte - b'0',
                b'a'..=b'f' => byte - b'a' + 10,
                _ => return None,
            };
            uid[digits / 2] = uid[digits / 2] << 4 | digit;
            digits += 1;
        }
        Some(Self(uid))
    }

    /// Whether both belong to the same Shoot, in constant time. [`Self::NOBODY`] equals nothing, not even itself.
    pub fn is(&self, other: &Self) -> bool {
        let same = bool::from(self.0.ct_eq(&other.0));
        same && self.0 != Self::NOBODY.0
    }

    /// As API servers write it; for the one URL that carries it.
    pub fn reveal(&self) -> String {
        let hex =
            |range: std::ops::Range<usize>| self.0[range].iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        [hex(0..4), hex(4..6), hex(6..8), hex(8..10), hex(10..16)].join("-")
    }
}

impl fmt::Debug for ShootUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShootUid(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_as_it_is_written() {
        let text = "5a0e2ee7-1f0c-4a3e-9d2b-0d8a3f1c7b55";
        let uid = ShootUid::parse(text).unwrap();
        assert_eq!(uid.reveal(), text);
        assert!(uid.is(&uid) && !uid.is(&ShootUid::NOBODY) && !ShootUid::NOBODY.is(&ShootUid::NOBODY));
        assert_eq!(format!("{uid:?}"), "ShootUid(..)", "it is a secret");
        for at in 0..text.len() {
            let mut other = text.to_owned();
            other.replace_range(at..=at, if &text[at..=at] == "1" { "2" } else { "1" });
            assert!(ShootUid::parse(&other).is_none_or(|other| !other.is(&uid)), "{other}");
        }
        let upper = text.to_uppercase();
        for wrong in ["", "5a0e2ee7", &text[1..], &upper, &text.replace('-', "0"), &format!("{text}0")] {
            assert!(ShootUid::parse(wrong).is_none(), "{wrong}");
        }
    }
}
