//! The admission protocol (`admission.k8s.io/v1`) without any transport.
//!
//! ```text
//! bytes ── review::decode ──> Request ── AskLoop: Handler::review(request, view) ──> Verdict ── answer::encode ──> bytes
//!                                           │ Questions      ^
//!                                           └────────────────┘ Answers, fetched by the server
//! ```
//!
//! A handler decides from the request and a view; it never waits. What only an API server knows it asks for as data, and is called
//! again with the answers, until it needs nothing more: that is the ask loop. A question that found no answer is an answer too.

mod answer;
mod ask;
mod doctor;
mod fragment;
mod handler;
mod patch;
mod request;
mod review;
mod verdict;

pub use answer::{encode, encode_failure, encode_with, fits};
pub use ask::{ASKED_AT_ONCE, AskLoop, MOST_QUESTIONS, NoVerdict};
pub use doctor::{DOCTOR_ANNOTATION, Sign, doctor_asks};
pub use fragment::{Fragment, ListEdits};
pub use handler::{Handler, Resource, Stop};
pub use patch::{Patch, PatchBuilder, Pointer};
pub use request::{Operation, Request, UserInfo};
pub use review::{BadReview, decode};
pub use verdict::{AuditKey, Outcome, Verdict};
