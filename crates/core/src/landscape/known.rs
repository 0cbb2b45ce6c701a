//! What is known of an object while a request is decided.

use super::snapshot::ClusterRecord;
use crate::gardener::SeedFacts;

/// What is known of an object.
#[derive(Debug)]
pub enum Known<'a, T> {
    /// It is there.
    Found(&'a T),
    /// It is not there.
    Absent,
    /// Nobody answered.
    Unanswered(&'a str),
    /// It has to be asked for first.
    Asked,
}

/// What is known of a Seed.
pub type Seed<'a> = Known<'a, SeedFacts>;

/// What is known of a Cluster.
#[derive(Debug)]
pub enum Cluster<'a> {
    /// What it says, and why that may be older than what the sender of a write used.
    Record(&'a ClusterRecord, Option<WhyOld<'a>>),
    /// There is none.
    Absent,
    /// It is not in the cache, and there was no answer.
    Unanswered(&'a str),
    /// It is not in the cache, and was not asked for.
    Unknown,
}

/// Why a Cluster is the cached one.
#[derive(Debug)]
pub enum WhyOld<'a> {
    /// It was not asked for.
    NotAsked,
    /// There was no answer; the text says why.
    Unanswered(&'a str),
    /// There is none any more.
    Gone,
    /// By now it has networks that cannot be read.
    Unreadable,
}
