//! [`RequestRecord`]: what is kept of one request, where a sample of them is wanted.

use super::Way;
use crate::cluster::{Outcome, Request};
use crate::ids::{ReplicaId, SourceId};
use serde::{Deserialize, Serialize};
use svcsim_engine::{SimDuration, SimTime};

/// One request, when it has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestRecord {
    /// Whose it is: its place in [`RunResult::series`](super::RunResult::series).
    pub source: SourceId,
    /// Which of the source's clients sent it.
    pub client: u32,
    /// Intended start.
    pub start: SimTime,
    /// When its client knew how it ended.
    pub end: SimTime,
    /// How it ended.
    pub outcome: Outcome,
    /// The place of the Pod that its last try was sent to; none if it was sent to nobody.
    pub replica: Option<ReplicaId>,
    /// Time in that Pod beyond the demand, if the Pod answered.
    pub waited: SimDuration,
    /// The service it needed.
    pub demand: SimDuration,
    /// Time in which its Pod waited for Services that it called.
    pub called: SimDuration,
    /// Tries, the first included.
    pub tries: u32,
    /// Links that its last try crossed.
    pub hops: u8,
    /// Which way it took, if it was completed.
    pub way: Option<Way>,
}

impl RequestRecord {
    pub(super) fn of(request: &Request, outcome: Outcome, replica: Option<ReplicaId>, way: Option<Way>, now: SimTime) -> Self {
        Self {
            source: request.source,
            client: request.client,
            start: request.start,
            end: now,
            outcome,
            replica,
            waited: request.waited,
            demand: request.demand,
            called: request.called,
            tries: u32::from(request.attempt) + 1,
            hops: request.hops,
            way,
        }
    }

    /// From the intended start until its client knew how it ended.
    #[must_use]
    pub fn latency(&self) -> SimDuration {
        self.end - self.start
    }
}
