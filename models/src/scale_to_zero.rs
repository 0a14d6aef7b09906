//! [`Sleep`]: a Pod whose process is stopped while nobody needs it, and started by the next request.
//!
//! Sources: Knative Serving, *Configuring scale to zero* and *The activator*: the Service keeps its address, and whoever comes to a
//! revision without Pods is held until one is ready; the KEDA HTTP add-on does the same with its interceptor. As a queue: M/G/1 with
//! setup times (Welch 1964, *On a generalized M/G/1 queuing process in which the first customer of each busy period receives
//! exceptional service*). Left out: the Pod keeps its Node and its endpoint while it sleeps, so it is not scheduled anew.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use svcsim_engine::random::{Dist, DistSpec, Stream};
use svcsim_engine::{SimDuration, SimTime};

/// When a Pod goes to sleep, and how long it takes to wake up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScaleToZeroSpec {
    /// How long nobody has needed it then (Knative: `scale-to-zero-grace-period` after the stable window). 0s: it sleeps as soon as it
    /// is empty.
    pub after: SimDuration,
    /// From the first request that finds it asleep until it serves; this one and all that come meanwhile wait.
    pub cold_start: DistSpec<SimDuration>,
}

/// Whether a Pod sleeps: known when it matters, which is when a request comes.
#[derive(Clone, Debug)]
pub struct Sleep {
    after: SimDuration,
    cold_start: Dist,
    stream: Stream,
    /// Since when nobody has needed it, if nobody does.
    idle_since: SimTime,
    /// When it will be awake, if it wakes up now.
    wakes_at: Option<SimTime>,
}

impl Sleep {
    /// A Pod that nobody has needed since the start.
    #[must_use]
    pub const fn new(after: SimDuration, cold_start: Dist, stream: Stream) -> Self {
        Self { after, cold_start, stream, idle_since: SimTime::ZERO, wakes_at: None }
    }

    /// The Pod is empty, or has just begun to listen.
    pub fn rests(&mut self, now: SimTime) {
        (self.idle_since, self.wakes_at) = (now, None);
    }

    /// A request comes to an empty Pod: when it will be awake, if it sleeps and nobody has woken it yet.
    pub fn woken(&mut self, now: SimTime) -> Option<SimTime> {
        if self.wakes_at.is_some() || now.since(self.idle_since) < self.after {
            return None;
        }
        self.wakes_at = Some(now + self.cold_start.sample_duration(&mut self.stream));
        self.wakes_at
    }

    /// Whether this is when it wakes up; false if its process has died meanwhile.
    pub fn is_awake(&mut self, now: SimTime) -> bool {
        let is = self.wakes_at == Some(now);
        if is {
            self.wakes_at = None;
            // It is not empty: those who woke it are there.
            self.idle_since = SimTime::MAX;
        }
        is
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use svcsim_engine::random::Streams;

    #[test]
    fn a_process_that_dies_while_it_wakes_up_is_not_awake_when_it_would_have_been() {
        let ms = SimDuration::from_millis;
        let at = |t| SimTime::ZERO + ms(t);
        let cold_start = DistSpec::Constant(ms(200)).build().expect("sound");
        let mut sleep = Sleep::new(ms(10), cold_start, Streams::new(1, 0).stream(1, 1));
        assert_eq!((sleep.woken(at(5)), sleep.woken(at(20)), sleep.woken(at(30))), (None, Some(at(220)), None));
        sleep.rests(at(100));
        assert!(!sleep.is_awake(at(220)), "it is another process");
        assert_eq!(sleep.woken(at(220)), Some(at(420)));
        assert!(sleep.is_awake(at(420)));
    }
}
