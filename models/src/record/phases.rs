//! [`Phases`]: what requests met before, during and after each event of the experiment.
//!
//! The marks of events cut a run into stretches. A request belongs to the stretch in which it was sent, however late it ends.

use super::EventMark;
use crate::cluster::Outcome;
use serde::{Deserialize, Serialize};
use svcsim_engine::stats::Histogram;
use svcsim_engine::{SimDuration, SimTime};

/// How long an event without a repair counts as under way: the default grace period of a Pod that is deleted
/// (`terminationGracePeriodSeconds`, k8s.io/api core/v1 `DefaultTerminationGracePeriodSeconds`), by when the cluster has settled
/// after most of them.
pub const SETTLING: SimDuration = SimDuration::from_secs(30);

/// Stretches of one run at most, each with a histogram for each source: memory is bounded however many events there are. What
/// comes later belongs to the last.
const MOST: usize = 32;

/// What the requests sent in one stretch of a run met.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Stretch {
    /// Its start; its end is the next one's.
    pub from: SimTime,
    /// Latency of those that completed.
    pub latency: Histogram,
    /// How they ended, by outcome.
    pub outcomes: Vec<u64>,
    /// When the last of those that were lost was sent.
    pub last_lost: Option<SimTime>,
}

impl Stretch {
    /// Nothing yet, from `from` on.
    #[must_use]
    pub fn new(from: SimTime, digits: u8) -> Self {
        Self { from, latency: Histogram::new(digits), outcomes: vec![0; Outcome::ALL.len()], last_lost: None }
    }

    /// A request sent at `start` ends.
    #[inline]
    pub fn record(&mut self, start: SimTime, outcome: Outcome, latency: SimDuration) {
        self.outcomes[outcome as usize] += 1;
        if outcome == Outcome::Completed {
            self.latency.record(latency);
        } else {
            self.last_lost = self.last_lost.max(Some(start));
        }
    }

    /// Adds what `other` met.
    pub fn merge(&mut self, other: &Self) {
        self.latency.merge(&other.latency);
        self.outcomes.iter_mut().zip(&other.outcomes).for_each(|(to, from)| *to += from);
        self.last_lost = self.last_lost.max(other.last_lost);
    }

    /// Requests that ended.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.outcomes.iter().sum()
    }

    /// Those that were lost.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.ended() - self.outcomes[Outcome::Completed as usize]
    }
}

/// Where the stretches of a run begin.
#[derive(Clone, Debug)]
pub(super) struct Cuts(Vec<SimTime>);

impl Cuts {
    /// One stretch from `start` on.
    pub(super) fn new(start: SimTime) -> Self {
        Self(vec![start])
    }

    /// Begins a stretch at `time`, not before now; the place of it, if there is room and none begins there already.
    pub(super) fn cut(&mut self, time: SimTime) -> Option<usize> {
        let place = self.0.partition_point(|t| *t < time);
        let free = self.0.len() < MOST && place > 0 && self.0.get(place) != Some(&time);
        free.then(|| self.0.insert(place, time)).map(|()| place)
    }

    /// The stretch that `time` is in; the first if it is before all.
    #[inline]
    pub(super) fn of(&self, time: SimTime) -> usize {
        if self.0.len() == 1 { 0 } else { self.0.partition_point(|t| *t <= time).saturating_sub(1) }
    }
}

/// An event of a run and when it was under way.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Its name in the experiment.
    pub name: String,
    /// What happened and to what.
    pub what: String,
    /// When it began.
    pub began: SimTime,
    /// When it was repaired or over; without a repair, [`SETTLING`] after it began, or at the end of the run.
    pub ended: SimTime,
    /// Whether it has a repair.
    pub repaired: bool,
}

/// The events of a run that lasts until `end`: each beginning with the first end of the same name after it, before it begins again.
#[must_use]
pub fn spans(marks: &[EventMark], end: SimTime) -> Vec<Span> {
    let span = |(i, mark): (usize, &EventMark)| {
        let later = marks[i + 1..].iter().find(|m| m.name == mark.name).filter(|m| !m.began);
        let ended = later.map_or(mark.time + SETTLING, |m| m.time).min(end);
        Span { name: mark.name.clone(), what: mark.what.clone(), began: mark.time, ended, repaired: later.is_some() }
    };
    marks.iter().enumerate().filter(|(_, m)| m.began && m.time < end).map(span).collect()
}

/// The stretches before, during and after an event: the one that ends where it begins, all until it ends, and the one after that.
#[must_use]
pub fn around<'a>(span: &Span, stretches: &'a [Stretch]) -> [&'a [Stretch]; 3] {
    let begin = stretches.partition_point(|s| s.from < span.began);
    let end = stretches.partition_point(|s| s.from < span.ended).max(begin);
    let before = &stretches[begin.saturating_sub(1)..begin];
    let after = &stretches[end..(end + 1).min(stretches.len())];
    [before, &stretches[begin..end], after]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SimTime {
        SimTime::ZERO + SimDuration::from_secs(seconds)
    }

    fn mark(seconds: u64, name: &str, began: bool) -> EventMark {
        EventMark { time: at(seconds), name: name.into(), began, what: String::new() }
    }

    #[test]
    fn an_event_lasts_until_its_repair_or_settles() {
        let marks = [mark(10, "cut", true), mark(12, "roll", true), mark(20, "cut", false), mark(50, "cut", true), mark(90, "late", true)];
        let found: Vec<_> = spans(&marks, at(60)).into_iter().map(|s| (s.name, s.began, s.ended, s.repaired)).collect();
        let expected = [("cut", 10, 20, true), ("roll", 12, 42, false), ("cut", 50, 60, false)];
        assert_eq!(found, expected.map(|(name, a, b, repaired)| (name.to_owned(), at(a), at(b), repaired)));
    }

    #[test]
    fn requests_belong_to_the_stretch_they_were_sent_in() {
        let mut cuts = Cuts::new(at(5));
        assert_eq!((cuts.cut(at(10)), cuts.cut(at(40)), cuts.cut(at(20)), cuts.cut(at(20))), (Some(1), Some(2), Some(2), None));
        let of: Vec<usize> = [0, 5, 9, 10, 19, 20, 39, 40, 99].map(|s| cuts.of(at(s))).to_vec();
        assert_eq!(of, [0, 0, 0, 1, 1, 2, 2, 3, 3]);
        assert_eq!(cuts.cut(at(3)), None, "before the start of all");
        assert!((50..200).filter(|s| cuts.cut(at(*s)).is_some()).count() < MOST);
        assert_eq!(cuts.0.len(), MOST);
    }

    #[test]
    fn phases_are_the_stretches_around_an_event() {
        let stretches = [5, 10, 20, 40].map(|s| Stretch::new(at(s), 2));
        let phases = |began, ended| {
            let span = Span { name: String::new(), what: String::new(), began: at(began), ended: at(ended), repaired: true };
            around(&span, &stretches).map(|phase| phase.iter().map(|s| s.from).collect::<Vec<_>>())
        };
        assert_eq!(phases(10, 40), [vec![at(5)], vec![at(10), at(20)], vec![at(40)]]);
        assert_eq!(phases(40, 60), [vec![at(20)], vec![at(40)], vec![]]);
        assert_eq!(phases(5, 20), [vec![], vec![at(5), at(10)], vec![at(20)]]);
    }
}
