//! [`Station`]: servers behind one line, first in, first out, or last in, or by rank; who is in service stays there. In Kendall's notation G/G/c/c+K, K the
//! capacity of the line; demands and their clock are the caller's.

use crate::time::{SimDuration, SimTime};
use std::collections::VecDeque;

/// What became of a job that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// A server took it: the caller schedules its completion.
    Starts,
    /// It stands in line; a later [`Station::complete`] returns it.
    Waits,
    /// The line is full; the station forgot it.
    Refused,
}

/// `servers` servers and one line. While idle it owns no memory beyond itself.
///
/// ```text
/// arrive --> [ line, at most line_capacity ] --> ( servers ) --> complete
///        `-> Refused
/// ```
#[derive(Clone, Debug)]
pub struct Station<J> {
    /// By rank, and in each rank in the order of coming.
    line: VecDeque<(u8, J)>,
    /// Whether of one rank the last is served first.
    last_first: bool,
    /// Most that may wait; `u32::MAX` is no bound.
    line_capacity: u32,
    servers: u32,
    /// 0 ..= servers; below `servers` only while nobody waits.
    busy: u32,
    /// Integral of `busy` over time up to `counted`, in server-nanoseconds.
    busy_ns: u64,
    counted: SimTime,
}

const _: () = assert!(size_of::<Station<u64>>() <= 72);

impl<J: Copy> Station<J> {
    /// An idle station at time zero. `line_capacity` is how many may wait besides those in service; `None` is no bound.
    #[must_use]
    pub const fn new(servers: u32, line_capacity: Option<u32>) -> Self {
        let line_capacity = match line_capacity {
            Some(capacity) => capacity,
            None => u32::MAX,
        };
        Self { line: VecDeque::new(), last_first: false, line_capacity, servers, busy: 0, busy_ns: 0, counted: SimTime::ZERO }
    }

    /// The same, but last in, first out.
    #[must_use]
    pub fn last_first(self) -> Self {
        Self { last_first: true, ..self }
    }

    /// `job` arrives.
    #[inline]
    pub fn arrive(&mut self, now: SimTime, job: J) -> Arrival {
        self.arrive_ranked(now, job, 0)
    }

    /// `job` arrives, and stands before those of higher `rank` in line.
    #[inline]
    pub fn arrive_ranked(&mut self, now: SimTime, job: J, rank: u8) -> Arrival {
        if self.busy < self.servers {
            self.count(now);
            self.busy += 1;
            Arrival::Starts
        } else if self.line_capacity == u32::MAX || self.line.len() < self.line_capacity as usize {
            self.stand_in_line(job, rank);
            Arrival::Waits
        } else {
            Arrival::Refused
        }
    }

    #[inline]
    fn stand_in_line(&mut self, job: J, rank: u8) {
        let (last_first, behind) = (self.last_first, self.line.back().is_none_or(|(last, _)| *last <= rank));
        if behind && !last_first {
            return self.line.push_back((rank, job));
        }
        let place = self.line.partition_point(|(r, _)| *r < rank || (*r == rank && !last_first));
        self.line.insert(place, (rank, job));
    }

    /// A job in service is done. The next in line starts now and is returned: the caller schedules its completion.
    ///
    /// # Panics
    /// If none is in service.
    #[inline]
    pub fn complete(&mut self, now: SimTime) -> Option<J> {
        assert!(self.busy > 0, "a job completed at a station that served none");
        let next = self.line.pop_front().map(|(_, job)| job);
        if next.is_none() {
            self.count(now);
            self.busy -= 1;
        }
        next
    }

    /// Throws everyone out, as a crash does: servers become idle and those waiting are returned, first come
    /// first. Completions pending for those in service are stale; telling so is the caller's affair.
    pub fn drain(&mut self, now: SimTime) -> VecDeque<J> {
        self.count(now);
        self.busy = 0;
        std::mem::take(&mut self.line).into_iter().map(|(_, job)| job).collect()
    }

    /// Servers at work.
    #[inline]
    #[must_use]
    pub fn in_service(&self) -> u32 {
        self.busy
    }

    /// Jobs waiting.
    #[inline]
    #[must_use]
    pub fn in_line(&self) -> usize {
        self.line.len()
    }

    /// Jobs waiting or in service.
    #[inline]
    #[must_use]
    pub fn in_system(&self) -> usize {
        self.line.len() + self.busy as usize
    }

    /// How many servers there are.
    #[must_use]
    pub fn servers(&self) -> u32 {
        self.servers
    }

    /// The integral of busy servers over time since the last [`Self::reset`], in server-time: divide by the
    /// time passed for the mean number busy. Exact up to 584 server-years, where it stays.
    #[must_use]
    pub fn busy_time(&self, now: SimTime) -> SimDuration {
        SimDuration::from_nanos(self.busy_ns) + now.since(self.counted) * u64::from(self.busy)
    }

    /// Starts [`Self::busy_time`] anew; jobs stay.
    pub fn reset(&mut self, now: SimTime) {
        self.busy_ns = 0;
        self.counted = now;
    }

    #[inline]
    fn count(&mut self, now: SimTime) {
        self.busy_ns = self.busy_time(now).as_nanos();
        self.counted = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The obviously right station: everyone in one list, those in front are served.
    struct Oracle {
        here: Vec<u32>,
        servers: usize,
        most: usize,
        busy_ns: u64,
    }

    impl Oracle {
        fn serving(&self) -> usize {
            self.here.len().min(self.servers)
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_oracle(
            servers in 0u32..5,
            capacity in prop::option::of(0u32..6),
            script in prop::collection::vec((0u8..32, 0u64..1_000), 0..400),
        ) {
            let mut station = Station::new(servers, capacity);
            let most = capacity.map_or(usize::MAX, |k| (servers + k) as usize);
            let mut oracle = Oracle { here: Vec::new(), servers: servers as usize, most, busy_ns: 0 };
            let mut now = SimTime::ZERO;
            for (job, (op, gap)) in script.into_iter().enumerate() {
                now += SimDuration::from_nanos(gap);
                oracle.busy_ns += oracle.serving() as u64 * gap;
                prop_assert_eq!(station.busy_time(now).as_nanos(), oracle.busy_ns);
                match op {
                    0 => {
                        let waiting = oracle.here.split_off(oracle.serving());
                        oracle.here.clear();
                        prop_assert_eq!(station.drain(now), waiting);
                    }
                    1 => {
                        station.reset(now);
                        oracle.busy_ns = 0;
                    }
                    2..16 if oracle.serving() > 0 => {
                        // Whichever completes, the first in line moves up.
                        oracle.here.remove(op as usize % oracle.serving());
                        let next = (oracle.here.len() >= oracle.servers).then(|| oracle.here[oracle.servers - 1]);
                        prop_assert_eq!(station.complete(now), next);
                    }
                    _ => {
                        let expected = match oracle.here.len() {
                            n if n < oracle.servers => Arrival::Starts,
                            n if n < oracle.most => Arrival::Waits,
                            _ => Arrival::Refused,
                        };
                        if expected != Arrival::Refused {
                            oracle.here.push(job as u32);
                        }
                        prop_assert_eq!(station.arrive(now, job as u32), expected);
                    }
                }
                prop_assert_eq!(station.in_system(), oracle.here.len());
                prop_assert_eq!(station.in_service() as usize, oracle.serving());
                prop_assert_eq!(station.in_line(), oracle.here.len() - oracle.serving());
            }
        }
    }

    #[test]
    fn lines_are_by_rank_and_within_by_order_of_coming_or_the_other_way_round() {
        let order = |mut station: Station<u32>| {
            let now = SimTime::ZERO;
            for (job, rank) in [(0, 0), (1, 1), (2, 0), (3, 1), (4, 0)] {
                station.arrive_ranked(now, job, rank);
            }
            std::iter::from_fn(|| station.complete(now)).collect::<Vec<_>>()
        };
        assert_eq!(order(Station::new(1, None)), [2, 4, 1, 3]);
        assert_eq!(order(Station::new(1, None).last_first()), [4, 2, 3, 1]);
    }

    #[test]
    #[should_panic(expected = "served none")]
    fn nobody_completes_at_an_idle_station() {
        Station::<u32>::new(1, None).complete(SimTime::ZERO);
    }
}
