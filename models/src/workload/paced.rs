//! Senders that wait for the end of their last request: users of a closed loop, and those of sessions.

use super::batch::Number;
use svcsim_engine::SimDuration;
use svcsim_engine::random::{Dist, Stream};

/// What makes them send.
#[derive(Clone, Debug)]
pub struct Paced {
    /// How many there are from the start.
    pub(super) users: u32,
    /// From the end of a request, however it ended, until the next.
    pub(super) think: Dist,
    /// How many requests each makes before it goes; none: it never goes.
    pub(super) calls: Option<Number>,
}

/// How many requests a user has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calls {
    /// It never goes.
    Endless,
    /// So many.
    Left(u32),
}

impl Paced {
    /// Users that are there from the start, and think before their first request.
    #[must_use]
    pub const fn users(&self) -> u32 {
        self.users
    }

    /// How long a user thinks.
    pub fn think(&self, stream: &mut Stream) -> SimDuration {
        self.think.sample_duration(stream)
    }

    /// How many requests a new user makes.
    pub fn calls(&self, stream: &mut Stream) -> Calls {
        self.calls.map_or(Calls::Endless, |calls| Calls::Left(calls.draw(stream)))
    }
}
