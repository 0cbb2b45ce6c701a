//! What an API server asks: about which write of which object, and by whom.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer};

use crate::gardener::FieldError;
use crate::json::{LongValues, Members, Text, excerpt};

/// The request inside a review, borrowed from the body.
#[derive(Debug)]
pub struct Request<'a> {
    /// Identifies this call; echoed in the answer.
    pub uid: Text<'a>,
    /// The group of the resource that the webhook's rule matched.
    pub group: Text<'a>,
    /// The plural name of that resource.
    pub resource: Text<'a>,
    /// The subresource, such as `status`; empty for the object itself.
    pub sub_resource: Text<'a>,
    /// The object's name; empty on CREATE with `generateName` and on a deletion of a collection.
    pub name: Text<'a>,
    /// The object's namespace; empty for cluster-scoped objects.
    pub namespace: Text<'a>,
    /// What is about to happen.
    pub operation: Operation,
    /// Who asked for it.
    pub user: Text<'a>,
    /// The same with groups and all: see [`Request::user_info`].
    pub(super) writer: Writer<'a>,
    /// Whether the result will be thrown away.
    pub dry_run: bool,
    /// The text of the object as it will be stored; absent on DELETE. It ends where it should, but only who reads it
    /// knows whether it is JSON.
    pub object: Option<&'a str>,
    /// The text of the object as it is stored; only on UPDATE and DELETE.
    pub old_object: Option<&'a str>,
    /// What was found in the object when its end was searched.
    pub(super) long: LongValues,
    /// The same of the old object.
    pub(super) old_long: LongValues,
    /// The rest of the URL's path after the handler's path, if the handler takes one. The caller controls it. Set by
    /// the server.
    pub path_suffix: &'a str,
}

/// Who asked for it, with groups and all.
#[derive(Debug)]
pub(super) enum Writer<'a> {
    /// The text of `userInfo`, if there is one, which is read only when somebody needs it.
    Text(Option<&'a str>),
    /// Already read.
    Known(&'a UserInfo),
}

/// What is about to happen to the object.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq)]
#[serde(rename_all = "UPPERCASE")]
pub enum Operation {
    /// A new object.
    Create,
    /// A changed object: an update, a patch, most applies.
    Update,
    /// A removed object.
    Delete,
    /// A connection to a subresource.
    Connect,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Create, Self::Update, Self::Delete, Self::Connect];

    /// The name as the API server writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
        }
    }
}

/// Who asked, as the API server knows them after authentication and impersonation.
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, PartialEq)]
pub struct UserInfo {
    /// The name.
    #[serde(default)]
    pub username: String,
    /// Identifies the user over time; may be empty.
    #[serde(default)]
    pub uid: String,
    /// The groups.
    #[serde(default, deserialize_with = "or_default")]
    pub groups: Vec<String>,
    /// Whatever else the authenticator said; authorizers may look at it.
    #[serde(default, deserialize_with = "or_default")]
    pub extra: BTreeMap<String, Vec<String>>,
}

fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

impl<'a> Request<'a> {
    /// The object, where it is created or changed itself: not its status, its scale, nor its end.
    pub fn written(&self) -> Option<&'a str> {
        let is_write = matches!(self.operation, Operation::Create | Operation::Update);
        self.object.filter(|_| is_write && self.sub_resource.is_empty())
    }

    /// Walks the object, knowing where its long values end.
    pub fn walk_object(&self) -> Option<Members<'a>> {
        self.object.map(|object| Members::knowing(object, self.long))
    }

    /// The same with the old object.
    pub fn walk_old_object(&self) -> Option<Members<'a>> {
        self.old_object.map(|object| Members::knowing(object, self.old_long))
    }

    /// Who asked, with groups and all.
    pub fn user_info(&self) -> Result<UserInfo, FieldError> {
        let text = match self.writer {
            Writer::Known(user) => return Ok(user.clone()),
            Writer::Text(text) => text,
        };
        text.map_or_else(|| Ok(UserInfo::default()), serde_json::from_str)
            .map_err(|error| FieldError::new("request.userInfo", excerpt(&error.to_string())))
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
