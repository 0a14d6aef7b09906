//! [`ProcessorSharing`]: all jobs at once, each served at the same rate, in virtual time.
//!
//! With n jobs on c servers each is served at rate min(1, c/n): egalitarian sharing, no job faster than
//! one server. Virtual time runs at that very rate, so that a job that arrives at virtual time v with
//! demand d is done at v + d, whoever else comes and goes: the order of completion never changes and one
//! heap holds it (Parekh and Gallager 1993, *A Generalized Processor Sharing Approach to Flow Control*,
//! with equal weights).
//!
//! Virtual time, and the real time it belongs to, are counted in whole 2^-32 nanoseconds: results are the
//! same integers on every platform. A completion is told at the next whole nanosecond, but those left
//! are served faster from the exact moment on, so that what is rounded does not add up.

use crate::time::{SimDuration, SimTime};
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Where the next completion now stands. Events scheduled for earlier epochs are stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reschedule {
    /// When to call [`ProcessorSharing::complete`].
    pub at: SimTime,
    /// What to call it with.
    pub epoch: u64,
}

/// Jobs sharing `servers` servers. The caller keeps one live event: it schedules each [`Reschedule`] it is
/// handed and brings the epoch back when the event comes.
#[derive(Clone, Debug)]
pub struct ProcessorSharing<J> {
    /// Next to complete on top.
    jobs: BinaryHeap<Job<J>>,
    /// At least 1.
    servers: u32,
    /// Virtual time at `counted`, in 2^-32 ns; 0 while nobody is here.
    virtual_now: u128,
    /// When someone last came or was done, in 2^-32 ns: up to a nanosecond before that was told.
    counted: u128,
    /// Whether nobody is served for now.
    paused: bool,
    /// Of the one event that is not stale.
    epoch: u64,
    arrivals: u64,
    /// Integral of busy servers over time since `reset` up to `busy_counted`, in server-nanoseconds.
    busy_ns: u64,
    busy_counted: SimTime,
}

#[derive(Clone, Copy, Debug)]
struct Job<J> {
    /// Virtual time of completion, in 2^-32 ns.
    done: u128,
    /// Its place among all arrivals: of equals, the first to come is the first to go.
    arrival: u64,
    job: J,
}

const FRACTION_BITS: u32 = 32;

/// In 2^-32 ns.
const fn fixed(t: SimTime) -> u128 {
    (t.as_nanos() as u128) << FRACTION_BITS
}

impl<J: Copy> ProcessorSharing<J> {
    /// An empty station at time zero.
    ///
    /// # Panics
    /// If `servers` is zero: nothing would ever complete.
    #[must_use]
    pub fn new(servers: u32) -> Self {
        assert!(servers > 0, "processor sharing needs a processor");
        Self {
            jobs: BinaryHeap::new(),
            servers,
            virtual_now: 0,
            counted: 0,
            paused: false,
            epoch: 0,
            arrivals: 0,
            busy_ns: 0,
            busy_counted: SimTime::ZERO,
        }
    }

    /// `job` arrives with `demand`, the time it would take alone. `None` if the pending event still stands.
    #[inline]
    pub fn arrive(&mut self, now: SimTime, job: J, demand: SimDuration) -> Option<Reschedule> {
        self.advance(now);
        let done = self.virtual_now + (u128::from(demand.as_nanos()) << FRACTION_BITS);
        self.jobs.push(Job { done, arrival: self.arrivals, job });
        self.arrivals += 1;
        // Where a server is left for everyone nobody slows down, and only a new head changes anything.
        let slower = self.jobs.len() > self.servers as usize;
        let new_head = self.jobs.peek().is_some_and(|head| head.arrival + 1 == self.arrivals);
        if slower || new_head { self.reschedule() } else { None }
    }

    /// The event of `epoch` came: the job that is done, and the next event, if any job is left. `None` if the event is stale.
    #[inline]
    pub fn complete(&mut self, now: SimTime, epoch: u64) -> Option<(J, Option<Reschedule>)> {
        if epoch != self.epoch {
            return None;
        }
        self.count_busy(now);
        let moment = self.counted.saturating_add(self.until_done()?).min(fixed(now));
        let done = self.jobs.pop()?;
        self.counted = moment;
        self.virtual_now = self.virtual_now.max(done.done);
        if self.jobs.is_empty() {
            self.virtual_now = 0;
        }
        Some((done.job, self.reschedule()))
    }

    /// When the next job completes if no other arrives.
    #[must_use]
    pub fn next_completion(&self) -> Option<SimTime> {
        let moment = self.counted.saturating_add(self.until_done()?);
        Some(SimTime::from_nanos(u64::try_from(moment.div_ceil(1 << FRACTION_BITS)).unwrap_or(u64::MAX)))
    }

    /// Throws everyone out, as a crash does, in order of completion; the pending event becomes stale, a pause is over.
    pub fn drain(&mut self, now: SimTime) -> Vec<J> {
        self.advance(now);
        self.paused = false;
        self.virtual_now = 0;
        self.epoch += 1;
        std::iter::from_fn(|| self.jobs.pop().map(|j| j.job)).collect()
    }

    /// Nobody is served until [`Self::resume`]; whoever is here keeps what is done. The pending event becomes stale.
    pub fn pause(&mut self, now: SimTime) {
        self.advance(now);
        self.paused = true;
        self.epoch += 1;
    }

    /// Everyone is served again: the next completion.
    pub fn resume(&mut self, now: SimTime) -> Option<Reschedule> {
        self.advance(now);
        self.paused = false;
        self.reschedule()
    }

    /// Jobs here.
    #[inline]
    #[must_use]
    pub fn in_system(&self) -> usize {
        self.jobs.len()
    }

    /// Servers at work.
    #[must_use]
    pub fn in_service(&self) -> u32 {
        self.jobs.len().min(self.servers as usize) as u32
    }

    /// How many servers there are.
    #[must_use]
    pub fn servers(&self) -> u32 {
        self.servers
    }

    /// The integral of busy servers over time since the last [`Self::reset`], in server-time, as [`super::Station::busy_time`].
    #[must_use]
    pub fn busy_time(&self, now: SimTime) -> SimDuration {
        SimDuration::from_nanos(self.busy_ns) + now.since(self.busy_counted) * u64::from(self.in_service())
    }

    /// Starts [`Self::busy_time`] anew; jobs stay and so does the pending event.
    pub fn reset(&mut self, now: SimTime) {
        self.busy_ns = 0;
        self.busy_counted = now;
    }

    /// Brings both clocks to `now`, at the rate of the jobs now here.
    #[inline]
    fn advance(&mut self, now: SimTime) {
        self.count_busy(now);
        let passed = fixed(now).saturating_sub(self.counted);
        let (jobs, servers) = (self.jobs.len() as u128, u128::from(self.servers));
        self.virtual_now += match jobs {
            _ if self.paused => 0,
            0 => 0,
            _ if jobs <= servers => passed,
            // 96 + 32 bits: this cannot overflow.
            _ => passed * servers / jobs,
        };
        self.counted = fixed(now);
    }

    /// From `counted` until the next job is done, in 2^-32 ns, if no other arrives; the greatest number if that is for ever.
    #[inline]
    fn until_done(&self) -> Option<u128> {
        let left = self.jobs.peek()?.done.saturating_sub(self.virtual_now);
        let (jobs, servers) = (self.jobs.len() as u128, u128::from(self.servers));
        Some(if jobs <= servers { left } else { left.checked_mul(jobs).map_or(u128::MAX, |work| work.div_ceil(servers)) })
    }

    #[inline]
    fn count_busy(&mut self, now: SimTime) {
        self.busy_ns = self.busy_time(now).as_nanos();
        self.busy_counted = now;
    }

    #[inline]
    fn reschedule(&mut self) -> Option<Reschedule> {
        if self.paused {
            return None;
        }
        let at = self.next_completion()?;
        self.epoch += 1;
        Some(Reschedule { at, epoch: self.epoch })
    }
}

/// By completion, reversed: the standard heap brings the greatest up.
impl<J> Ord for Job<J> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.done, other.arrival).cmp(&(self.done, self.arrival))
    }
}
impl<J> PartialOrd for Job<J> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<J> PartialEq for Job<J> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl<J> Eq for Job<J> {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn t(ns: u64) -> SimTime {
        SimTime::from_nanos(ns)
    }

    const fn d(ns: u64) -> SimDuration {
        SimDuration::from_nanos(ns)
    }

    /// The obvious way: everyone's remaining work is diminished between any two events.
    fn slow(servers: u32, arrivals: &[(u64, u64)]) -> Vec<f64> {
        let mut done = vec![f64::NAN; arrivals.len()];
        let mut here: Vec<(usize, f64)> = Vec::new();
        let (mut now, mut next) = (0.0, 0);
        while next < arrivals.len() || !here.is_empty() {
            let rate = (f64::from(servers) / here.len() as f64).min(1.0);
            let arrival = arrivals.get(next).map_or(f64::INFINITY, |a| a.0 as f64);
            let least = here.iter().map(|j| j.1).fold(f64::INFINITY, f64::min);
            let until = arrival.min(now + least / rate);
            here.iter_mut().for_each(|j| j.1 -= (until - now) * rate);
            now = until;
            if until == arrival {
                here.push((next, arrivals[next].1 as f64));
                next += 1;
            }
            here.retain(|&(job, left)| {
                if left <= 1e-6 {
                    done[job] = now;
                }
                left > 1e-6
            });
        }
        done
    }

    fn fast(servers: u32, arrivals: &[(u64, u64)]) -> Vec<u64> {
        let mut done = vec![0; arrivals.len()];
        let mut station = ProcessorSharing::new(servers);
        let (mut pending, mut next): (Option<Reschedule>, _) = (None, 0);
        let mut now = t(0);
        loop {
            let arrival = arrivals.get(next).map_or(SimTime::MAX, |a| t(a.0));
            assert_eq!(station.next_completion(), pending.map(|p| p.at), "the pending event stands where it should");
            match pending {
                Some(Reschedule { at, epoch }) if at <= arrival => {
                    assert!(at >= now);
                    now = at;
                    let (job, following): (usize, _) = station.complete(at, epoch).expect("not stale");
                    assert!(station.complete(at, epoch).is_none(), "now it is stale");
                    done[job] = at.as_nanos();
                    pending = following;
                }
                _ if next < arrivals.len() => {
                    now = arrival;
                    pending = station.arrive(arrival, next, d(arrivals[next].1)).or(pending);
                    next += 1;
                }
                _ => break,
            }
        }
        assert_eq!(station.in_system(), 0);
        done
    }

    proptest! {
        #[test]
        fn agrees_with_the_obvious_way(servers in 1u32..6, script in prop::collection::vec((0u64..3_000, 0u64..6_000), 1..120)) {
            let arrivals: Vec<(u64, u64)> = script.iter().scan(0, |at, (gap, demand)| { *at += gap; Some((*at, *demand)) }).collect();
            for (fast, slow) in fast(servers, &arrivals).iter().zip(slow(servers, &arrivals)) {
                prop_assert!((*fast as f64 - slow).abs() < 2.0, "{} against {}", fast, slow);
            }
        }
    }

    #[test]
    fn two_jobs_share_one_server() {
        let mut station = ProcessorSharing::new(1);
        assert_eq!(station.arrive(t(0), 'a', d(100)), Some(Reschedule { at: t(100), epoch: 1 }));
        assert_eq!(station.arrive(t(50), 'b', d(100)), Some(Reschedule { at: t(150), epoch: 2 }));
        assert_eq!(station.complete(t(100), 1), None);
        assert_eq!(station.complete(t(150), 2), Some(('a', Some(Reschedule { at: t(200), epoch: 3 }))));
        assert_eq!(station.complete(t(200), 3), Some(('b', None)));
        assert_eq!(station.busy_time(t(300)), d(200));
    }

    #[test]
    fn with_a_server_each_nobody_is_rescheduled() {
        let mut station = ProcessorSharing::new(2);
        let first = station.arrive(t(0), 'a', d(100)).unwrap();
        assert_eq!(station.arrive(t(10), 'b', d(500)), None);
        station.reset(t(20));
        assert_eq!(station.complete(t(100), first.epoch).map(|(job, next)| (job, next.unwrap().at)), Some(('a', t(510))));
        assert_eq!(station.busy_time(t(110)), d(80 + 80 + 10));
    }

    #[test]
    fn a_crash_leaves_only_stale_events() {
        let mut station = ProcessorSharing::new(1);
        station.arrive(t(0), 'a', d(100));
        let pending = station.arrive(t(0), 'b', d(50)).unwrap();
        assert_eq!(station.drain(t(10)), ['b', 'a']);
        assert_eq!(station.complete(pending.at, pending.epoch), None);
        assert_eq!(station.arrive(t(20), 'c', d(5)).unwrap().at, t(25));
    }

    #[test]
    fn endless_demands_end_never() {
        let mut station = ProcessorSharing::new(1);
        for job in 0..3 {
            station.arrive(t(job), job, SimDuration::MAX);
        }
        assert_eq!(station.next_completion(), Some(SimTime::MAX));
    }
}
