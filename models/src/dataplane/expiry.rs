//! [`ExpiryCount`]: how many things are left that each live for the same time.

use svcsim_engine::{SimDuration, SimTime};

const SLOTS: usize = 64;

/// Counts things that live for a fixed time, in constant memory: each leaves up to a 64th of that time late.
#[derive(Clone, Debug)]
pub struct ExpiryCount {
    slots: [u32; SLOTS],
    total: u32,
    slot_ns: u64,
    /// The slot that things added now go to, counted from the start of the simulation.
    newest: u64,
    /// When the next begins.
    next_ns: u64,
}

impl ExpiryCount {
    /// Nothing yet; what is added lives for `life`.
    #[must_use]
    pub fn new(life: SimDuration) -> Self {
        let slot_ns = life.as_nanos().div_ceil(SLOTS as u64 - 1).max(1);
        Self { slots: [0; SLOTS], total: 0, slot_ns, newest: 0, next_ns: slot_ns }
    }

    /// One more.
    pub fn add(&mut self, now: SimTime) {
        self.advance(now);
        self.slots[(self.newest % SLOTS as u64) as usize] += 1;
        self.total += 1;
    }

    /// How many are left.
    pub fn count(&mut self, now: SimTime) -> u32 {
        self.advance(now);
        self.total
    }

    #[inline]
    fn advance(&mut self, now: SimTime) {
        if now.as_nanos() >= self.next_ns {
            self.turn(now);
        }
    }

    fn turn(&mut self, now: SimTime) {
        let slot = now.as_nanos() / self.slot_ns;
        let steps = slot.saturating_sub(self.newest).min(SLOTS as u64);
        for i in 1..=steps {
            let left = std::mem::take(&mut self.slots[((slot - steps + i) % SLOTS as u64) as usize]);
            self.total -= left;
        }
        self.newest = self.newest.max(slot);
        self.next_ns = self.slot_ns.saturating_mul(self.newest.saturating_add(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_leave_after_their_life_and_at_most_a_little_late() {
        let mut count = ExpiryCount::new(SimDuration::from_secs(120));
        let at = |s: u64| SimTime::ZERO + SimDuration::from_secs(s);
        (0..10).for_each(|s| count.add(at(s)));
        assert_eq!(count.count(at(119)), 10, "none has lived for 120 s");
        assert_eq!(count.count(at(133)), 0, "the last was added at 9 s and left by 133 s");
        count.add(at(1_000));
        assert_eq!((count.count(at(1_000)), count.count(at(5_000))), (1, 0));
    }
}
