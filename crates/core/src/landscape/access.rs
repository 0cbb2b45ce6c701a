//! Who may see which Shoots, from role bindings in a folder of manifests.
//!
//! Only for landscapes without an API server. The rule is simple on purpose: whatever its role says, a binding lets its
//! subjects see the Shoots of its namespace, or all Shoots when it is cluster-wide.

use std::sync::Arc;

/// Whom a binding names.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Subject {
    /// A user by name; a ServiceAccount is `system:serviceaccount:NAMESPACE:NAME`.
    User(Arc<str>),
    /// A group by name.
    Group(Arc<str>),
}

/// Where a binding holds: which Shoots it lets somebody see.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Grant {
    /// In this namespace.
    Namespace(Arc<str>),
    /// Everywhere.
    Everywhere,
}

impl Grant {
    /// Whether the Shoots of this namespace are among them.
    pub fn covers(&self, namespace: &str) -> bool {
        match self {
            Self::Namespace(own) => **own == *namespace,
            Self::Everywhere => true,
        }
    }
}

/// All bindings.
#[derive(Clone, Debug, Default)]
pub struct Access {
    grants: imbl::HashSet<(Subject, Grant)>,
}

impl Access {
    /// Notes a binding.
    pub fn grant(&mut self, subject: Subject, grant: Grant) {
        self.grants.insert((subject, grant));
    }

    /// Whether this user may see all Shoots there. Without any binding everybody sees everything.
    pub fn may_see<'u>(&self, user: &str, groups: impl IntoIterator<Item = &'u str>, place: &Grant) -> bool {
        if self.grants.is_empty() {
            return true;
        }
        let holds = |subject: Subject| {
            self.grants.contains(&(subject.clone(), Grant::Everywhere))
                || self.grants.contains(&(subject, place.clone()))
        };
        holds(Subject::User(user.into())) || groups.into_iter().any(|group| holds(Subject::Group(group.into())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_bindings() {
        let mut access = Access::default();
        let shop = || Grant::Namespace("garden-shop".into());
        let billing = || Grant::Namespace("garden-billing".into());
        assert!(access.may_see("anybody", [], &shop()), "no binding, no secrets");
        assert!(access.may_see("anybody", [], &Grant::Everywhere), "no binding, no secrets");
        access.grant(Subject::User("alice".into()), shop());
        access.grant(Subject::Group("operators".into()), Grant::Everywhere);
        for (user, groups, place, want) in [
            ("alice", &[][..], shop(), true),
            ("alice", &[], billing(), false),
            ("alice", &[], Grant::Everywhere, false),
            ("bob", &["operators"], billing(), true),
            ("bob", &["operators"], Grant::Everywhere, true),
            ("bob", &["alice"], shop(), false),
            ("operators", &[], shop(), false),
        ] {
            assert_eq!(access.may_see(user, groups.iter().copied(), &place), want, "{user} {groups:?} {place:?}");
        }
    }
}
