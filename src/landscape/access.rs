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

/// Where a binding holds.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Grant {
    /// In this namespace.
    Namespace(Arc<str>),
    /// Everywhere.
    Everywhere,
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

    /// Whether this user may see the Shoots of this namespace. Without any binding everybody sees everything.
    pub fn may_see<'u>(&self, user: &str, groups: impl IntoIterator<Item = &'u str>, namespace: &str) -> bool {
        if self.grants.is_empty() {
            return true;
        }
        let namespace = Grant::Namespace(namespace.into());
        let holds = |subject: Subject| {
            self.grants.contains(&(subject.clone(), Grant::Everywhere))
                || self.grants.contains(&(subject, namespace.clone()))
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
        assert!(access.may_see("anybody", [], "garden-shop"), "no binding, no secrets");
        access.grant(Subject::User("alice".into()), Grant::Namespace("garden-shop".into()));
        access.grant(Subject::Group("operators".into()), Grant::Everywhere);
        for (user, groups, namespace, want) in [
            ("alice", &[][..], "garden-shop", true),
            ("alice", &[], "garden-billing", false),
            ("bob", &["operators"], "garden-billing", true),
            ("bob", &["alice"], "garden-shop", false),
            ("operators", &[], "garden-shop", false),
        ] {
            assert_eq!(access.may_see(user, groups.iter().copied(), namespace), want, "{user} {groups:?} {namespace}");
        }
    }
}
