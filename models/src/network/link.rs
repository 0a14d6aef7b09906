//! [`Link`]: one direction of a link, and the line of messages before one that has a bandwidth.
//!
//! ```text
//!   message -> [ m3 | m2 | m1 ) --- propagation ---> vertex `to`
//!              line, `queue`   sent at `bandwidth`
//! ```
//!
//! A link is a FIFO server in front of a delay: store-and-forward, whole messages. Not modelled: packets and
//! their headers, priorities, and TCP's congestion control, which would slow its sender down instead of losing a whole message.

use crate::ids::VertexId;
use crate::units::{Bandwidth, Bytes};
use std::collections::VecDeque;
use svcsim_engine::{SimDuration, SimTime};

/// One direction of a link, with what it carried since the counters were last reset.
#[derive(Clone, Debug)]
pub struct Link {
    /// Where messages enter it.
    pub from: VertexId,
    /// Where they leave it.
    pub to: VertexId,
    /// Mean one-way propagation delay; exactly the delay if that is constant.
    pub delay_mean: SimDuration,
    /// Messages it carried; one it refused or lost is not among them.
    pub messages: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Messages that its full line refused or that it lost.
    pub dropped: u64,
    /// Place of its delay's distribution in [`super::Network`]'s list, or [`CONSTANT`].
    pub(super) dist: u32,
    /// Place of its transmitter in [`super::Network`]'s list, or [`PURE_DELAY`].
    pub(super) transmitter: u32,
}

/// [`Link::dist`] of a link whose delay is always `delay_mean`.
pub(super) const CONSTANT: u32 = u32::MAX;
/// [`Link::transmitter`] of a link without bandwidth.
pub(super) const PURE_DELAY: u32 = u32::MAX;

/// What stands before a link that has a bandwidth.
#[derive(Clone, Debug)]
pub(super) struct Transmitter {
    pub(super) bandwidth: Bandwidth,
    /// The link's own bandwidth; none if it has one only while it is degraded.
    own: Option<Bandwidth>,
    pub(super) limit: Option<Bytes>,
    /// When the last message taken will be out.
    free_at: SimTime,
    /// What `free_at` rounds away, in 1/bandwidth nanoseconds; `0..bandwidth`. Carried through a busy period, it keeps
    /// the rate exact however short a message's own time is.
    remainder: u64,
    /// When the last message sent arrives at the other end.
    last_due: SimTime,
    /// Messages not yet out: when each will be, and its bytes. Kept only where there is a limit.
    line: VecDeque<(SimTime, u64)>,
    /// Sum of the line's bytes.
    waiting: u64,
    /// Time spent sending since the last reset, had all that was taken been sent.
    sending: SimDuration,
}

impl Transmitter {
    pub(super) fn new(bandwidth: Bandwidth, limit: Option<Bytes>) -> Self {
        Self {
            bandwidth,
            own: Some(bandwidth),
            limit,
            free_at: SimTime::ZERO,
            remainder: 0,
            last_due: SimTime::ZERO,
            line: VecDeque::new(),
            waiting: 0,
            sending: SimDuration::ZERO,
        }
    }

    /// That of a link which has a bandwidth only while it is degraded.
    pub(super) fn borrowed(bandwidth: Bandwidth) -> Self {
        Self { own: None, ..Self::new(bandwidth, None) }
    }

    /// From now on sends no faster than `most`, and than the link itself does. Returns whether there is any limit. What it has
    /// taken leaves as it was to.
    pub(super) fn limit_to(&mut self, most: Option<Bandwidth>) -> bool {
        let bandwidth = self.own.into_iter().chain(most).min();
        self.bandwidth = bandwidth.unwrap_or(self.bandwidth);
        // It counts in 1/bandwidth nanoseconds.
        self.remainder = 0;
        bandwidth.is_some()
    }

    /// When a message of `bytes` that comes now will have been sent; `None` if it is dropped.
    pub(super) fn take(&mut self, now: SimTime, bytes: u64) -> Option<SimTime> {
        if let Some(limit) = self.limit {
            while let Some(&(out, sent)) = self.line.front()
                && out <= now
            {
                self.line.pop_front();
                self.waiting -= sent;
            }
            if self.waiting.saturating_add(bytes) > limit.0 {
                return None;
            }
            self.waiting += bytes;
        }
        if self.free_at <= now {
            self.free_at = now;
            self.remainder = 0;
        }
        let (sending, remainder) = transmission(bytes, self.bandwidth.0, self.remainder);
        self.remainder = remainder;
        self.sending += sending;
        self.free_at += sending;
        if self.limit.is_some() {
            self.line.push_back((self.free_at, bytes));
        }
        Some(self.free_at)
    }

    /// `due`, or later if the message before arrives later: those on a wire do not overtake.
    pub(super) fn in_order(&mut self, due: SimTime) -> SimTime {
        self.last_due = self.last_due.max(due);
        self.last_due
    }

    /// Time spent sending from the last reset to `now`.
    pub(super) fn busy(&self, now: SimTime) -> SimDuration {
        // It sends without a pause until `free_at`, so what is left to send is the time until then.
        self.sending.saturating_sub(self.free_at.since(now))
    }

    pub(super) fn reset(&mut self, now: SimTime) {
        self.sending = self.free_at.since(now);
    }
}

/// Nanoseconds to send `bytes` at `bps`, with the `remainder` before and after it.
#[inline]
fn transmission(bytes: u64, bps: u64, remainder: u64) -> (SimDuration, u64) {
    const BIT_NS_PER_BYTE: u64 = 8_000_000_000;
    match bytes.checked_mul(BIT_NS_PER_BYTE).and_then(|n| n.checked_add(remainder)) {
        Some(n) => (SimDuration::from_nanos(n / bps), n % bps),
        None => {
            let n = u128::from(bytes) * u128::from(BIT_NS_PER_BYTE) + u128::from(remainder);
            let ns = u64::try_from(n / u128::from(bps)).unwrap_or(u64::MAX);
            (SimDuration::from_nanos(ns), (n % u128::from(bps)) as u64)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ns: u64) -> SimTime {
        SimTime::from_nanos(ns)
    }

    #[test]
    fn a_saturated_transmitter_is_d_d_1() {
        // 1000 bytes at 1 Gbit/s take 8 µs; one comes every 5 µs, so the n-th waits 3 µs more than the one before.
        let mut t = Transmitter::new(Bandwidth(1_000_000_000), None);
        for n in 0..100 {
            assert_eq!(t.take(at(n * 5_000), 1_000), Some(at((n + 1) * 8_000)));
        }
        assert_eq!(t.busy(at(400_000)), SimDuration::from_nanos(400_000));
        assert_eq!(t.busy(at(2_000_000)), SimDuration::from_nanos(800_000));
    }

    #[test]
    fn the_line_holds_what_its_limit_says() {
        let mut t = Transmitter::new(Bandwidth(1_000_000_000), Some(Bytes(3_000)));
        assert_eq!(
            [t.take(at(0), 1_000), t.take(at(0), 1_000), t.take(at(0), 1_000)],
            [Some(at(8_000)), Some(at(16_000)), Some(at(24_000))]
        );
        assert_eq!(t.take(at(7_999), 1), None);
        assert_eq!(t.take(at(8_000), 1_000), Some(at(32_000)));
        assert_eq!(t.take(at(8_000), 1), None);
        assert_eq!(t.take(at(40_000), 3_001), None);
        assert_eq!(t.take(at(40_000), 3_000), Some(at(64_000)));
    }

    #[test]
    fn short_messages_do_not_change_the_rate() {
        // 64 bytes at 100 Gbit/s take 5.12 ns.
        let mut t = Transmitter::new(Bandwidth(100_000_000_000), None);
        let ends: Vec<_> = (0..100).map(|_| t.take(at(0), 64)).collect();
        assert_eq!((ends[0], ends[99]), (Some(at(5)), Some(at(512))));
        assert_eq!(transmission(u64::MAX, 1, 0).0, SimDuration::MAX);
        assert_eq!(transmission(1 << 40, 8_000_000_000, 7_999_999_999), (SimDuration::from_nanos(1 << 40), 7_999_999_999));
    }

    #[test]
    fn busy_time_is_cut_at_a_reset() {
        let mut t = Transmitter::new(Bandwidth(8_000_000_000), None);
        t.take(at(0), 1_000);
        t.reset(at(400));
        assert_eq!(t.busy(at(400)), SimDuration::ZERO);
        assert_eq!(t.busy(at(700)), SimDuration::from_nanos(300));
        assert_eq!(t.busy(at(5_000)), SimDuration::from_nanos(600));
    }
}
