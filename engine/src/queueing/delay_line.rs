//! [`DelayLine`]: a constant delay is first in, first out, so one event stands for the whole line.
//!
//! Wires, deadlines, probe periods, propagation: whatever is due in the order it came. Only the head of
//! the line has an event in the future event list, whose cost grows with what is in it.

use crate::time::SimTime;
use std::collections::VecDeque;

/// Items with non-decreasing due times, and exactly one pending event for all of them.
///
/// The caller's handler takes all that is due and arms the line again:
///
/// ```
/// use svcsim_engine::{DelayLine, SimTime};
/// let (t, mut line) = (SimTime::from_nanos, DelayLine::new());
/// assert!(line.push(t(5), "a")); // schedule an event for 5
/// assert!(!line.push(t(7), "b")); // that one will do
/// // The event comes, at 5:
/// while let Some(item) = line.pop_due(t(5)) {
///     assert_eq!(item, "a");
/// }
/// assert_eq!(line.rearm(), Some(t(7))); // schedule the next
/// ```
#[derive(Clone, Debug)]
pub struct DelayLine<T> {
    items: VecDeque<(SimTime, T)>,
    /// The greatest due time so far, also of items that are gone.
    last: SimTime,
    /// Whether an event is pending; always so while there are items, but for the handler's duration.
    armed: bool,
}

impl<T: Copy> DelayLine<T> {
    /// An empty line without an event.
    #[must_use]
    pub const fn new() -> Self {
        Self { items: VecDeque::new(), last: SimTime::ZERO, armed: false }
    }

    /// Appends `item`, due at `due`. True if no event is pending: the caller must schedule one for `due`.
    ///
    /// # Panics
    /// If `due` is before that of an item pushed earlier.
    #[inline]
    pub fn push(&mut self, due: SimTime, item: T) -> bool {
        assert!(due >= self.last, "a delay line got an item due at {due:?} after one due at {:?}", self.last);
        self.last = due;
        self.items.push_back((due, item));
        !std::mem::replace(&mut self.armed, true)
    }

    /// Takes the first item, if it is due at or before `now`.
    #[inline]
    pub fn pop_due(&mut self, now: SimTime) -> Option<T> {
        let &(due, item) = self.items.front()?;
        if due > now {
            return None;
        }
        self.items.pop_front();
        Some(item)
    }

    /// Drops items from the front while `keep` refuses them: deadlines of what ended long ago need not stand
    /// in line. The pending event stays; when it comes it may find nothing due.
    #[inline]
    pub fn trim(&mut self, mut keep: impl FnMut(&T) -> bool) {
        while self.items.front().is_some_and(|(_, item)| !keep(item)) {
            self.items.pop_front();
        }
    }

    /// To be called when the pending event came and was handled: when the next one must be scheduled, if any.
    #[inline]
    pub fn rearm(&mut self) -> Option<SimTime> {
        let next = self.items.front().map(|(due, _)| *due);
        self.armed = next.is_some();
        next
    }

    /// How many items there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

impl<T: Copy> Default for DelayLine<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SimDuration;
    use proptest::prelude::*;

    proptest! {
        /// Items come out when due, in order, by one event at a time; only refused ones are missing.
        #[test]
        fn everything_kept_comes_when_due(delay in 0u64..50, script in prop::collection::vec((0u64..20, any::<bool>(), any::<bool>()), 0..200)) {
            let mut line = DelayLine::new();
            let mut pending: Option<SimTime> = None;
            let (mut pushed, mut came) = (Vec::new(), Vec::new());
            let mut dead = vec![false; script.len()];
            let mut now = SimTime::ZERO;
            for (item, &(gap, kill, trim)) in script.iter().chain([&(10_000, false, false)]).enumerate() {
                let next = now + SimDuration::from_nanos(gap);
                while let Some(at) = pending.filter(|at| *at <= next) {
                    while let Some((due, item)) = line.pop_due(at) {
                        prop_assert!(dead[item] || due == at);
                        came.push(item);
                    }
                    pending = line.rearm();
                    prop_assert!(pending.is_none_or(|p| p > at));
                }
                now = next;
                if item == script.len() {
                    break;
                }
                let due = now + SimDuration::from_nanos(delay);
                if line.push(due, (due, item)) {
                    prop_assert!(pending.is_none(), "one event is enough");
                    pending = Some(due);
                }
                prop_assert!(pending.is_some_and(|p| p <= due), "an event is pending, in time");
                pushed.push(item);
                dead[item / 2] |= kill;
                if trim {
                    line.trim(|(_, item)| !dead[*item]);
                    prop_assert!(line.is_empty() || pending.is_some());
                }
            }
            prop_assert!(line.is_empty() && pending.is_none());
            prop_assert!(came.is_sorted());
            prop_assert!(pushed.iter().all(|item| dead[*item] || came.contains(item)));
        }
    }

    #[test]
    fn what_is_pushed_while_the_event_is_handled_waits_for_rearm() {
        let mut line = DelayLine::new();
        assert!(line.push(SimTime::from_nanos(1), 'a'));
        assert_eq!(line.pop_due(SimTime::from_nanos(1)), Some('a'));
        assert!(!line.push(SimTime::from_nanos(2), 'b'));
        assert_eq!(line.rearm(), Some(SimTime::from_nanos(2)));
    }

    #[test]
    #[should_panic(expected = "after one due")]
    fn no_overtaking_even_of_what_was_dropped() {
        let mut line = DelayLine::new();
        line.push(SimTime::from_nanos(2), 'a');
        line.trim(|_| false);
        line.push(SimTime::from_nanos(1), 'b');
    }
}
