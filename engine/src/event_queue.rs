//! The future event list: a ladder queue in total order (time, then insertion).
//!
//! Tang, Goh and Thng, "Ladder queue: an O(1) priority queue structure for large-scale discrete event
//! simulation", ACM TOMACS 15(3), 2005. The far future lies unsorted in `top`; rungs of unsorted buckets
//! divide the nearer future ever finer; the bucket being served is sorted into `bottom`. Every move appends
//! in order and the sort is stable, so insertion order holds without storing a sequence number.
//!
//! Three deviations from the paper:
//! - a rung has at most 1,024 buckets, so that the lines being written to stay in the second-level cache;
//! - bucket widths are powers of two, so that a bucket is found by a shift;
//! - events pushed for the current instant wait in a first-in-first-out chain. With the splitting of
//!   crowded buckets down to one nanosecond, thousands of events at one instant cost O(1) each.

use crate::time::SimTime;
use std::collections::VecDeque;

/// Most buckets a rung may have.
const FAN: u64 = 1024;
/// A bucket of more events than this is split into a rung instead of being sorted.
const SPLIT: usize = 16;
/// When `bottom` holds this many events, it is spread over a rung again rather than inserted into.
const CROWDED: usize = 64;

/// Pending events, popped in order of time and, at equal times, of insertion.
#[derive(Clone, Debug)]
pub struct EventQueue<E> {
    /// Events at or after `top_start`, in order of insertion.
    top: Vec<Entry<E>>,
    top_start: u64,
    /// Coarsest first; only `rungs[..live]` hold events.
    rungs: Vec<Rung<E>>,
    live: usize,
    /// Events before the finest rung, latest first; at equal times the last inserted first.
    bottom: VecDeque<Entry<E>>,
    /// Events pushed for the instant of the last pop, which follow those that were pending for it.
    chain: VecDeque<E>,
    now: u64,
    len: usize,
}

#[derive(Clone, Copy, Debug)]
struct Entry<E> {
    time: u64,
    event: E,
}

#[derive(Clone, Debug)]
struct Rung<E> {
    buckets: Vec<Vec<Entry<E>>>,
    start: u64,
    /// A bucket spans `1 << shift` nanoseconds.
    shift: u32,
    used: usize,
    next: usize,
    /// Events before this time belong to finer rungs or `bottom`.
    reached: u64,
}

impl<E> Rung<E> {
    const fn new() -> Self {
        Self { buckets: Vec::new(), start: 0, shift: 0, used: 0, next: 0, reached: 0 }
    }
}

impl<E: Copy> EventQueue<E> {
    /// An empty queue at time zero.
    #[must_use]
    pub const fn new() -> Self {
        Self { top: Vec::new(), top_start: 0, rungs: Vec::new(), live: 0, bottom: VecDeque::new(), chain: VecDeque::new(), now: 0, len: 0 }
    }

    /// How many events are pending.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is pending.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds `event` at `time`, behind all that are already there at that time.
    ///
    /// `time` must not lie before the last popped event; [`crate::Context`] enforces it.
    #[inline]
    pub fn push(&mut self, time: SimTime, event: E) {
        let time = time.as_nanos();
        debug_assert!(time >= self.now, "an event was pushed into the past");
        self.len += 1;
        let entry = Entry { time, event };
        if time >= self.top_start {
            self.top.push(entry);
            return;
        }
        if self.push_rung(entry) {
            return;
        }
        if time == self.now {
            self.chain.push_back(event);
            return;
        }
        if self.bottom.len() >= CROWDED {
            self.spread_bottom();
            if self.push_rung(entry) {
                return;
            }
        }
        self.push_bottom(entry);
    }

    /// Appends `entry` to its bucket, if it belongs on a rung.
    #[inline]
    fn push_rung(&mut self, entry: Entry<E>) -> bool {
        for rung in &mut self.rungs[..self.live] {
            if entry.time >= rung.reached {
                rung.buckets[((entry.time - rung.start) >> rung.shift) as usize].push(entry);
                return true;
            }
        }
        false
    }

    #[inline]
    fn push_bottom(&mut self, entry: Entry<E>) {
        if self.bottom.front().is_some_and(|latest| latest.time <= entry.time) {
            self.bottom.push_front(entry);
            return;
        }
        let mut at = self.bottom.len();
        while at > 0 && self.bottom[at - 1].time <= entry.time {
            at -= 1;
        }
        self.bottom.insert(at, entry);
    }

    /// Takes the next event, if it is due at or before `end`.
    #[inline]
    pub fn pop_until(&mut self, end: SimTime) -> Option<(SimTime, E)> {
        // Those pending for this instant come before the chain, whose events were pushed during it.
        if !self.chain.is_empty() && self.bottom.back().is_none_or(|e| e.time > self.now) {
            if self.now > end.as_nanos() {
                return None;
            }
            self.len -= 1;
            return self.chain.pop_front().map(|e| (SimTime::from_nanos(self.now), e));
        }
        if self.bottom.is_empty() && !self.refill() {
            return None;
        }
        let entry = *self.bottom.back()?;
        if entry.time > end.as_nanos() {
            return None;
        }
        self.bottom.pop_back();
        self.len -= 1;
        self.now = entry.time;
        Some((SimTime::from_nanos(entry.time), entry.event))
    }

    /// Takes the next event.
    #[inline]
    pub fn pop(&mut self) -> Option<(SimTime, E)> {
        self.pop_until(SimTime::MAX)
    }

    /// Brings the next bucket into `bottom`; false if nothing is pending outside the chain.
    #[cold]
    #[inline(never)]
    fn refill(&mut self) -> bool {
        loop {
            if self.live == 0 {
                if self.top.is_empty() {
                    return false;
                }
                let (min, max) = self.top.iter().fold((u64::MAX, 0), |(lo, hi), e| (lo.min(e.time), hi.max(e.time)));
                let mut top = std::mem::take(&mut self.top);
                self.top_start = self.begin(min, max - min, top.len());
                self.spread(top.drain(..));
                self.top = top;
            }
            let at_rung = self.live - 1;
            let rung = &mut self.rungs[at_rung];
            while rung.next < rung.used && rung.buckets[rung.next].is_empty() {
                rung.next += 1;
            }
            if rung.next == rung.used {
                self.live -= 1;
                continue;
            }
            let at = rung.next;
            let (start, shift) = (rung.start + ((at as u64) << rung.shift), rung.shift);
            rung.next += 1;
            rung.reached = start.saturating_add(1 << shift);
            let mut bucket = std::mem::take(&mut rung.buckets[at]);
            if bucket.len() > SPLIT && shift > 0 {
                self.begin(start, (1 << shift) - 1, bucket.len());
                self.spread(bucket.drain(..));
                self.rungs[at_rung].buckets[at] = bucket;
                continue;
            }
            self.bottom.extend(bucket.drain(..).rev());
            self.rungs[at_rung].buckets[at] = bucket;
            // Reversed, equal times stand last-inserted first: a stable sort keeps them so.
            if shift > 0 {
                sort_latest_first(self.bottom.make_contiguous());
            }
            return true;
        }
    }

    /// Spreads a crowded `bottom` over a new finest rung, unless it is all at one instant.
    fn spread_bottom(&mut self) {
        let (Some(first), Some(last)) = (self.bottom.back(), self.bottom.front()) else { return };
        let (min, max) = (first.time, last.time);
        let reached = self.rungs[..self.live].last().map_or(self.top_start, |r| r.reached);
        // The rung must reach up to where the next coarser structure starts, so that no time lies between.
        let span = reached.saturating_sub(1).max(max) - min;
        if span == 0 {
            return;
        }
        let mut bottom = std::mem::take(&mut self.bottom);
        self.begin(min, span, bottom.len());
        self.spread(bottom.drain(..).rev());
        self.bottom = bottom;
        // The served bucket stays in `bottom`'s charge: it must never be empty while `now` lies before `reached`.
        self.refill();
    }

    /// Opens a rung for about `events` events in `start ..= start + span`; returns its end.
    fn begin(&mut self, start: u64, span: u64, events: usize) -> u64 {
        if self.rungs.len() == self.live {
            self.rungs.push(Rung::new());
        }
        let want = (events as u64 / 2).clamp(2, FAN);
        let rung = &mut self.rungs[self.live];
        // The narrowest power of two that makes do with about `want` buckets.
        rung.shift = u64::BITS - (span / want).leading_zeros();
        rung.start = start;
        rung.used = (span >> rung.shift) as usize + 1;
        rung.next = 0;
        rung.reached = start;
        if rung.buckets.len() < rung.used {
            rung.buckets.resize_with(rung.used, Vec::new);
        }
        self.live += 1;
        // A rung of years may end beyond the last nanosecond there is.
        let end = u128::from(start) + ((rung.used as u128) << rung.shift);
        u64::try_from(end).unwrap_or(u64::MAX)
    }

    /// Appends `entries`, in order of insertion, to the buckets of the finest rung.
    fn spread(&mut self, entries: impl Iterator<Item = Entry<E>>) {
        let rung = &mut self.rungs[self.live - 1];
        for e in entries {
            rung.buckets[((e.time - rung.start) >> rung.shift) as usize].push(e);
        }
    }
}

impl<E: Copy> Default for EventQueue<E> {
    fn default() -> Self {
        Self::new()
    }
}

/// Stable: by insertion for the handful of entries a bucket usually holds.
fn sort_latest_first<E: Copy>(entries: &mut [Entry<E>]) {
    if entries.len() > 32 {
        entries.sort_by_key(|e| std::cmp::Reverse(e.time));
        return;
    }
    for i in 1..entries.len() {
        let entry = entries[i];
        let mut at = i;
        while at > 0 && entries[at - 1].time < entry.time {
            entries[at] = entries[at - 1];
            at -= 1;
        }
        entries[at] = entry;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// The obviously right event list: a sorted map keyed by (time, sequence).
    #[derive(Default)]
    struct Oracle {
        entries: BTreeMap<(u64, u64), u32>,
        sequence: u64,
    }

    impl Oracle {
        fn push(&mut self, time: u64, event: u32) {
            self.entries.insert((time, self.sequence), event);
            self.sequence += 1;
        }
        fn pop_until(&mut self, end: u64) -> Option<(u64, u32)> {
            let entry = self.entries.first_entry().filter(|e| e.key().0 <= end)?;
            let ((time, _), event) = entry.remove_entry();
            Some((time, event))
        }
    }

    /// Pushes and pops by script, on both at once; delays are scaled so that all depths of the ladder occur.
    fn agree(script: &[(u8, u64)]) {
        let (mut queue, mut oracle) = (EventQueue::new(), Oracle::default());
        let (mut now, mut next) = (0u64, 0u32);
        for &(op, x) in script {
            match op % 8 {
                0..=3 => {
                    let delay = match op / 8 % 7 {
                        0 => 0,
                        1 => x % 4,
                        2 => x % 1_000,
                        3 => x % 1_000_000,
                        4 => x % 100_000_000_000,
                        // Years, up to the end of time.
                        5 => x,
                        _ => 7,
                    };
                    let repeats = if op / 64 == 3 { 40 } else { 1 };
                    for _ in 0..repeats {
                        let time = now.saturating_add(delay);
                        queue.push(SimTime::from_nanos(time), next);
                        oracle.push(time, next);
                        next += 1;
                    }
                }
                4 => {
                    let end = now.saturating_add(x % 10_000);
                    let expected = oracle.pop_until(end);
                    assert_eq!(queue.pop_until(SimTime::from_nanos(end)).map(|(t, e)| (t.as_nanos(), e)), expected);
                    now = expected.map_or(now, |(t, _)| t);
                }
                _ => {
                    let expected = oracle.pop_until(u64::MAX);
                    assert_eq!(queue.pop().map(|(t, e)| (t.as_nanos(), e)), expected);
                    now = expected.map_or(now, |(t, _)| t);
                }
            }
            assert_eq!(queue.len(), oracle.entries.len());
        }
        while let Some(expected) = oracle.pop_until(u64::MAX) {
            assert_eq!(queue.pop().map(|(t, e)| (t.as_nanos(), e)), Some(expected));
        }
        assert!(queue.is_empty() && queue.pop().is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        #[test]
        fn pops_in_the_oracles_order(script in prop::collection::vec(any::<(u8, u64)>(), 0..1500)) {
            agree(&script);
        }
    }

    #[test]
    fn events_of_one_instant_stay_in_order_of_insertion() {
        let mut queue = EventQueue::new();
        for i in 0..10_000u32 {
            queue.push(SimTime::from_nanos(5), i);
        }
        for i in 0..10_000u32 {
            assert_eq!(queue.pop(), Some((SimTime::from_nanos(5), i)));
            queue.push(SimTime::from_nanos(if i % 2 == 0 { 5 } else { 6 }), 10_000 + i);
        }
        let rest: Vec<u32> = std::iter::from_fn(|| queue.pop()).map(|(_, e)| e).collect();
        let expected: Vec<u32> = (0..10_000).step_by(2).chain((1..10_000).step_by(2)).map(|i| 10_000 + i).collect();
        assert_eq!(rest, expected);
    }

    #[test]
    fn the_end_of_time_is_a_time() {
        let mut queue = EventQueue::new();
        queue.push(SimTime::MAX, 'z');
        queue.push(SimTime::ZERO, 'a');
        assert_eq!(queue.pop(), Some((SimTime::ZERO, 'a')));
        assert_eq!(queue.pop(), Some((SimTime::MAX, 'z')));
    }

    /// The rung of these ends beyond what 64 bits hold.
    #[test]
    fn years_do_not_overtake_hours() {
        let hour = 3_600_000_000_000;
        let mut queue = EventQueue::new();
        queue.push(SimTime::from_nanos(hour), 'a');
        queue.push(SimTime::from_nanos(10_000_000_000_000_000_000), 'z');
        assert_eq!(queue.pop().map(|(_, e)| e), Some('a'));
        queue.push(SimTime::from_nanos(3 * hour), 'c');
        queue.push(SimTime::from_nanos(2 * hour), 'b');
        let rest: String = std::iter::from_fn(|| queue.pop()).map(|(_, e)| e).collect();
        assert_eq!(rest, "bcz");
    }
}
