//! Reading a body within limits, of which memory is the first.

use axum::body::Body;
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use super::Limits;

/// A body, and the room that it takes among all bodies in flight.
pub(super) struct Held<'s> {
    /// The bytes.
    pub(super) bytes: Vec<u8>,
    _taken: Taken<'s>,
}

/// The room of all bodies in flight.
pub(super) struct Room {
    /// What all share.
    shared: Semaphore,
    /// One body more: who has this needs no room. Without it bodies that have arrived in part could hold all the room, and
    /// each wait for what the others hold, until all of them have waited too long.
    spare: Semaphore,
}

/// What a body has of that.
#[derive(Default)]
struct Taken<'s> {
    shared: Option<SemaphorePermit<'s>>,
    spare: Option<SemaphorePermit<'s>>,
}

/// Why a body is not read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Refusal {
    /// Not JSON by its header.
    ContentType,
    /// Compressed.
    Encoding,
    /// Larger than the limit.
    TooLarge,
    /// It did not arrive in time.
    TooSlow,
    /// There is no room for it.
    Busy,
    /// It ended early.
    Broken,
}

impl Refusal {
    /// Status, label for metrics, and words for the caller.
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
            Self::Busy => (StatusCode::TOO_MANY_REQUESTS, "busy", "too many bodies in flight, come again\n"),
            Self::Broken => (StatusCode::BAD_REQUEST, "broken", "the body ended early\n"),
        }
    }
}

/// The unit in which room is counted: a semaphore counts to 2^32 at most.
const ROOM_UNIT: usize = 1 << 10;

/// What is set aside before the first byte has come: enough for most reviews, little enough to lose on a liar.
const FIRST_CAPACITY: usize = 128 << 10;

impl Room {
    /// By these limits.
    pub(super) fn new(limits: &Limits) -> Self {
        Self { shared: Semaphore::new(limits.bodies_in_flight_bytes / ROOM_UNIT), spare: Semaphore::new(1) }
    }
}

impl<'s> Taken<'s> {
    /// Takes room for so many bytes in all, and waits until there is some.
    async fn grow(&mut self, room: &'s Room, bytes: usize) {
        let has = self.shared.as_ref().map_or(0, SemaphorePermit::num_permits);
        let missing = bytes.div_ceil(ROOM_UNIT).saturating_sub(has);
        if missing == 0 || self.spare.is_some() {
            return;
        }
        let missing = u32::try_from(missing).expect("a frame is far below 2^42 bytes");
        tokio::select! {
            biased;
            more = room.shared.acquire_many(missing) => {
                let more = more.expect("it is never closed");
                match &mut self.shared {
                    None => self.shared = Some(more),
                    Some(shared) => shared.merge(more),
                }
            }
            spare = room.spare.acquire() => self.spare = Some(spare.expect("it is never closed")),
        }
    }
}

/// Reads a body. Room is taken for what has arrived, not for what is announced: a caller that sends a byte a second
/// holds a kilobyte, not seven megabytes.
pub(super) async fn read<'s>(
    headers: &HeaderMap,
    body: Body,
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
    let mut bytes = Vec::with_capacity(announced.unwrap_or(0).min(FIRST_CAPACITY));
    let mut taken = Taken::default();
    let mut body = body;
    while let Some(frame) = timeout_at(deadline, body.frame()).await.map_err(|_| Refusal::TooSlow)? {
        let Ok(data) = frame.map_err(|_| Refusal::Broken)?.into_data() else { continue };
        if bytes.len() + data.len() > limits.body_bytes {
            return Err(Refusal::TooLarge);
        }
        let wait = deadline.min(Instant::now() + limits.body_wait);
        timeout_at(wait, taken.grow(room, bytes.len() + data.len())).await.map_err(|_| Refusal::Busy)?;
        bytes.extend_from_slice(&data);
    }
    Ok(Held { bytes, _taken: taken })
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}
