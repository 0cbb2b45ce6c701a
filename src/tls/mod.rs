//! Certificates as data.

mod issue;

pub use issue::{Authority, IssueError, Issued};
