//! Reads a body within limits, the first of which is memory.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::body::Body;
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::Limits;
use super::connections::{Caller, TOLD};
use super::pool::Peer;
use super::room::{Follows, Ledger};

/// A body, and the memory that it takes from what all bodies in flight share.
pub(super) struct Held<'s> {
    /// The bytes.
    pub(super) bytes: Vec<u8>,
    _taken: Taken<'s>,
}

/// The memory of all bodies in flight: carries out what [`room`](super::room) decides.
pub(super) struct Room(Mutex<Inner>);

struct Inner {
    ledger: Ledger,
    /// Ends a body when it is dropped.
    ends: BTreeMap<u64, oneshot::Sender<()>>,
    /// Wakes a body that waits.
    grants: BTreeMap<u64, oneshot::Sender<()>>,
    told: Option<std::time::Instant>,
}

/// The share of one body, until it is dropped.
struct Taken<'s> {
    room: &'s Room,
    id: u64,
}

/// Why a body is not read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Refusal {
    /// Its header does not say JSON.
    ContentType,
    /// Compressed.
    Encoding,
    /// Larger than the limit.
    TooLarge,
    /// It did not arrive in time.
    TooSlow,
    /// There is no memory left for it.
    Busy,
    /// It had memory, and has to release it for a peer that holds less.
    GivesWay,
    /// It ended early.
    Broken,
}

impl Refusal {
    /// All variants.
    pub(super) const ALL: [Self; 7] =
        [Self::ContentType, Self::Encoding, Self::TooLarge, Self::TooSlow, Self::Busy, Self::GivesWay, Self::Broken];

    /// The status, the label for metrics, and the text for the caller.
    pub(super) const fn answer(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::ContentType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "content-type",
                "send the AdmissionReview as `Content-Type: application/json`\n",
            ),
            Self::Encoding => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "encoding", "send the AdmissionReview without Content-Encoding\n")
            }
            Self::TooLarge => {
                (StatusCode::PAYLOAD_TOO_LARGE, "too-large", "the body is over the limit of this server\n")
            }
            Self::TooSlow => (StatusCode::REQUEST_TIMEOUT, "too-slow", "the body did not arrive in time\n"),
            Self::Busy | Self::GivesWay => {
                (StatusCode::TOO_MANY_REQUESTS, "busy", "too many bodies in flight, retry later\n")
            }
            Self::Broken => (StatusCode::BAD_REQUEST, "broken", "the body ended early\n"),
        }
    }
}

/// The unit in which memory is counted: a finer one would only cost more look-ups.
const ROOM_UNIT: usize = 1 << 10;

/// What is reserved before the first byte arrives: enough for most bodies, and little to lose if the announced length
/// is wrong.
const FIRST_CAPACITY: usize = 128 << 10;

impl Room {
    /// Creates it with these limits.
    pub(super) fn new(limits: &Limits) -> Self {
        let ledger = Ledger::new(limits.bodies_in_flight_bytes / ROOM_UNIT);
        Self(Mutex::new(Inner { ledger, ends: BTreeMap::new(), grants: BTreeMap::new(), told: None }))
    }

    /// Registers a body that begins to arrive. The second value ends when the body has to release its memory.
    fn enter(&self, peer: Peer) -> (Taken<'_>, oneshot::Receiver<()>) {
        let (end, ended) = oneshot::channel();
        let mut inner = self.lock();
        let id = inner.ledger.enter(peer);
        inner.ends.insert(id, end);
        (Taken { room: self, id }, ended)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Carries out the consequences of a change.
    fn follow(&mut self, follows: Follows) {
        for id in follows.granted {
            if let Some(grant) = self.grants.remove(&id) {
                let _ = grant.send(());
            }
        }
        for (id, peer) in follows.ended {
            self.grants.remove(&id);
            self.ends.remove(&id);
            if self.told.is_none_or(|told| told.elapsed() >= TOLD) {
                self.told = Some(std::time::Instant::now());
                tracing::warn!(%peer, "bodies that are still arriving end to make room for others");
            }
        }
    }
}

impl Taken<'_> {
    /// Reserves so many bytes in all. Where there is no room it returns what to wait for, which fails for a body that
    /// has to end.
    fn grow(&self, bytes: usize) -> Option<oneshot::Receiver<()>> {
        let mut inner = self.room.lock();
        let mut follows = inner.ledger.grow(self.id, bytes.div_ceil(ROOM_UNIT));
        let at_once = follows.granted.iter().position(|id| *id == self.id);
        let wait = match at_once {
            Some(at) => {
                follows.granted.swap_remove(at);
                None
            }
            None => {
                let (grant, granted) = oneshot::channel();
                // A body that has just been told to end is granted nothing.
                if inner.ends.contains_key(&self.id) {
                    inner.grants.insert(self.id, grant);
                }
                Some(granted)
            }
        };
        inner.follow(follows);
        wait
    }

    /// The whole body has arrived: it need not release its memory any more.
    fn arrived(&self) {
        self.room.lock().ledger.arrived(self.id);
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let mut inner = self.room.lock();
        inner.ends.remove(&self.id);
        inner.grants.remove(&self.id);
        let follows = inner.ledger.leave(self.id);
        inner.follow(follows);
    }
}

/// Reads a body. Memory is taken for what has arrived, not for what is announced: a caller that sends a byte a second
/// holds a kilobyte, not seven megabytes.
pub(super) async fn read<'s>(
    headers: &HeaderMap,
    mut body: Body,
    caller: &Caller,
    limits: &Limits,
    room: &'s Room,
) -> Result<Held<'s>, Refusal> {
    if !is_json(headers) {
        return Err(Refusal::ContentType);
    }
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err(Refusal::Encoding);
    }
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limits.body_bytes) {
        return Err(Refusal::TooLarge);
    }

    let deadline = Instant::now() + limits.body_timeout;
    let (taken, mut ended) = room.enter(caller.peer());
    let mut bytes = Vec::with_capacity(announced.unwrap_or(0).min(FIRST_CAPACITY));
    loop {
        let frame = tokio::select! {
            biased;
            _ = &mut ended => return Err(Refusal::GivesWay),
            frame = timeout_at(deadline, body.frame()) => frame.map_err(|_| Refusal::TooSlow)?,
        };
        let Some(frame) = frame else { break };
        let Ok(data) = frame.map_err(|_| Refusal::Broken)?.into_data() else { continue };
        if bytes.len() + data.len() > limits.body_bytes {
            return Err(Refusal::TooLarge);
        }
        if let Some(granted) = taken.grow(bytes.len() + data.len()) {
            let wait = deadline.min(Instant::now() + limits.body_wait);
            let granted = timeout_at(wait, granted).await.map_err(|_| Refusal::Busy)?;
            granted.map_err(|_| Refusal::GivesWay)?;
        }
        bytes.extend_from_slice(&data);
    }
    taken.arrived();
    caller.received();
    Ok(Held { bytes, _taken: taken })
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}
