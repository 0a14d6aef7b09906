//! [`Pool`]: a client's connections, where more is known of them than that they are idle: how old they are, how many requests they
//! have carried and carry now, how far TCP has opened their window, and who waits for them.
//!
//! Requests may have *lanes*: places for one connection each, which carries some requests at once (HTTP/2 streams) or one
//! (HTTP/1.1). A request keeps its lane and waits there while the connection is not up yet or has no room. A connection that is
//! to end takes no new requests (GOAWAY: RFC 9113, section 6.8); its lane opens another while those that it has finish.

use crate::cluster::Connection;
use crate::ids::PodId;
use crate::spec::{SlowStartSpec, Spread};
use std::collections::{BTreeMap, VecDeque};
use svcsim_engine::{Key, SimDuration, SimTime};

/// Nothing is kept of a connection.
pub const NO_SLOT: u16 = u16::MAX;
/// Bytes of a segment: an Ethernet frame's 1500 without the headers of IPv4 and TCP.
const SEGMENT: u64 = 1_460;
/// Linux `TCP_RTO_MIN`, which is the time-out of a connection with a short round trip.
const RTO: SimDuration = SimDuration::from_millis(200);

/// What holds for all pools of a source.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Lanes, if requests have such.
    pub lanes: Option<Lanes>,
    /// How long a connection may be idle.
    pub idle_timeout: Option<SimDuration>,
    /// Whether connections grow old.
    pub ages: bool,
    /// Requests of a connection in all.
    pub max_requests: u32,
    /// How windows open; none: they are open.
    pub slow_start: Option<SlowStartSpec>,
}

/// The lanes of each pool.
#[derive(Clone, Copy, Debug)]
pub struct Lanes {
    /// How many; where the client chooses Pods, to each.
    pub count: u32,
    /// Requests at once over the connection of one.
    pub max_streams: u32,
    /// Which of them a request takes.
    pub spread: Spread,
    /// Whether their connections stand before the first request.
    pub opened: bool,
}

/// One lane of a pool: to the Pod that the client chose, or to whatever Pod others choose for it.
pub type LaneId = (PodId, u32);

/// Where a request finds itself that asks for a connection.
#[derive(Clone, Copy, Debug)]
pub enum Seat {
    /// On this connection.
    On(Connection),
    /// In the lane's line.
    InLine,
    /// Before a lane without connection: it is to open one.
    First,
}

/// A client's connections.
#[derive(Clone, Debug, Default)]
pub struct Pool {
    held: Vec<Option<Held>>,
    free: Vec<u16>,
    lanes: BTreeMap<LaneId, Lane>,
    /// Requests in all lines, some of which may not wait any more.
    waiting: usize,
    /// Requests given a lane in turn, by Pod.
    turns: BTreeMap<PodId, u32>,
    /// When somebody looks next at what is due.
    wakes: Option<SimTime>,
}

#[derive(Clone, Debug, Default)]
struct Lane {
    slot: Option<u16>,
    line: VecDeque<Key>,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    connection: Connection,
    lane: Option<LaneId>,
    /// Whether requests may follow the first.
    stands: bool,
    /// Whether it takes no more requests.
    retired: bool,
    streams: u32,
    requests: u32,
    /// When it was last answered over.
    since: SimTime,
    retires: SimTime,
    /// Segments that may be under way (`cwnd`).
    window: u32,
}

impl Held {
    /// When it ends by itself, or retires, as things are.
    fn due(&self, limits: &Limits) -> SimTime {
        let idle = limits.idle_timeout.filter(|_| self.streams == 0 && self.stands).map(|timeout| self.since + timeout);
        if self.retired { SimTime::MAX } else { idle.into_iter().chain([self.retires]).min().unwrap_or(SimTime::MAX) }
    }
}

impl Pool {
    /// The lane that is next in turn.
    pub fn turn(&mut self, pod: PodId, lanes: u32) -> LaneId {
        let turn = self.turns.entry(pod).or_default();
        let place = *turn % lanes.max(1);
        *turn = place + 1;
        (pod, place)
    }

    /// A new connection, with its first request on it, which is to retire at `retires`. None is kept of more than 65535.
    pub fn open(&mut self, lane: Option<LaneId>, retires: SimTime, limits: &Limits) -> u16 {
        let window = limits.slow_start.map_or(u32::MAX, |s| s.initial_window);
        let (streams, requests, since) = (1, 1, SimTime::ZERO);
        let held = Held { connection: Connection::NONE, lane, stands: false, retired: false, streams, requests, since, retires, window };
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None if self.held.len() >= usize::from(NO_SLOT) => return NO_SLOT,
            None => {
                self.held.push(None);
                (self.held.len() - 1) as u16
            }
        };
        self.held[usize::from(slot)] = Some(held);
        if let Some(lane) = lane {
            self.lanes.entry(lane).or_default().slot = Some(slot);
        }
        if limits.max_requests <= 1 {
            self.retire(slot);
        }
        slot
    }

    fn get(&self, slot: u16) -> Option<&Held> {
        self.held.get(usize::from(slot))?.as_ref()
    }

    fn get_mut(&mut self, slot: u16) -> Option<&mut Held> {
        self.held.get_mut(usize::from(slot))?.as_mut()
    }

    /// The connection of a lane that stands, and when it was last answered over.
    #[must_use]
    pub fn standing(&self, lane: LaneId) -> Option<(SimTime, Connection)> {
        let held = self.get(self.lanes.get(&lane)?.slot?)?;
        held.stands.then_some((held.since, held.connection))
    }

    /// A request asks for a seat in a lane; one that waits is in line now.
    pub fn seat(&mut self, lane: LaneId, key: Key, limits: &Limits, now: SimTime) -> Seat {
        let max_streams = limits.lanes.map_or(1, |l| l.max_streams);
        let l = self.lanes.entry(lane).or_default();
        let Some(slot) = l.slot else { return Seat::First };
        let Some(held) = self.held.get(usize::from(slot)).copied().flatten() else { return Seat::First };
        if !held.stands || held.streams >= max_streams {
            l.line.push_back(key);
            self.waiting += 1;
            return Seat::InLine;
        }
        self.joins(slot, limits, now);
        Seat::On(held.connection)
    }

    /// A request goes over a connection that was there before.
    pub fn joins(&mut self, slot: u16, limits: &Limits, now: SimTime) {
        let Some(held) = self.get_mut(slot) else { return };
        if held.streams == 0 {
            held.restart(limits, now);
        }
        held.streams += 1;
        held.requests = held.requests.saturating_add(1);
        if held.requests >= limits.max_requests {
            self.retire(slot);
        }
    }

    /// Whether a connection may carry another request.
    #[must_use]
    pub fn keeps(&self, slot: u16, now: SimTime) -> bool {
        self.get(slot).is_none_or(|h| !h.retired && h.retires > now)
    }

    /// Requests may follow the first over a connection.
    pub fn stands(&mut self, slot: u16, connection: Connection, now: SimTime) {
        if let Some(held) = self.get_mut(slot) {
            (held.connection, held.stands, held.since) = (connection, true, now);
        }
    }

    /// Whether requests may follow the first over a connection.
    #[must_use]
    pub fn is_standing(&self, slot: u16) -> bool {
        self.get(slot).is_some_and(|h| h.stands)
    }

    /// A connection stands before its first request.
    pub fn opened(&mut self, slot: u16, connection: Connection, now: SimTime) {
        self.stands(slot, connection, now);
        if let Some(held) = self.get_mut(slot) {
            (held.streams, held.requests) = (0, 0);
        }
    }

    /// A request over a connection is over; `stays`: the connection is not. Returns it if it ends now, and is to be hung up.
    pub fn leaves(&mut self, slot: u16, connection: Connection, stays: bool) -> Option<Connection> {
        let held = self.get_mut(slot)?;
        held.connection = connection;
        held.streams = held.streams.saturating_sub(1);
        if stays && !held.retired { None } else { self.retire(slot) }
    }

    /// A connection takes no more requests. Returns it if it carries none, and is to be hung up.
    pub fn retire(&mut self, slot: u16) -> Option<Connection> {
        let held = self.get_mut(slot)?;
        held.retired = true;
        let (lane, over) = (held.lane, (held.streams == 0).then_some(held.connection));
        if let Some(l) = lane.and_then(|lane| self.lanes.get_mut(&lane)).filter(|l| l.slot == Some(slot)) {
            l.slot = None;
        }
        over
    }

    /// Lanes whose connection `is_hit` retire; returns those that are to be hung up.
    pub fn retire_those(&mut self, is_hit: impl Fn(&Connection) -> bool) -> Vec<Connection> {
        let hit = |h: &Held| h.lane.is_some() && h.stands && !h.retired && is_hit(&h.connection);
        let slots: Vec<u16> = (0..self.held.len() as u16).filter(|s| self.get(*s).is_some_and(hit)).collect();
        slots.into_iter().filter_map(|slot| self.retire(slot)).collect()
    }

    /// A connection was hung up.
    pub fn close(&mut self, slot: u16) {
        self.retire(slot);
        if self.held.get_mut(usize::from(slot)).and_then(Option::take).is_some() {
            self.free.push(slot);
        }
    }

    /// The next request in a line that finds room.
    pub fn next(&mut self, max_streams: u32) -> Option<(LaneId, Key)> {
        if self.waiting == 0 {
            return None;
        }
        let held = &self.held;
        let room = |l: &Lane| match l.slot.and_then(|slot| held[usize::from(slot)].as_ref()) {
            Some(h) => h.stands && h.streams < max_streams,
            None => true,
        };
        let (id, lane) = self.lanes.iter_mut().find(|(_, l)| !l.line.is_empty() && room(l))?;
        self.waiting -= 1;
        lane.line.pop_front().map(|key| (*id, key))
    }

    /// What is too old or was idle for too long retires; returns what is to be hung up.
    pub fn sweep(&mut self, limits: &Limits, now: SimTime) -> Vec<Connection> {
        if self.wakes.is_some_and(|at| at <= now) {
            self.wakes = None;
        }
        let due: Vec<u16> =
            (0..self.held.len() as u16).filter(|slot| self.get(*slot).is_some_and(|h| h.stands && h.due(limits) <= now)).collect();
        due.into_iter().filter_map(|slot| self.retire(slot)).collect()
    }

    /// When somebody has to look for what is due, unless somebody does so anyway.
    pub fn wake(&mut self, limits: &Limits) -> Option<SimTime> {
        if limits.idle_timeout.is_none() && !limits.ages {
            return None;
        }
        let due = self.held.iter().flatten().filter(|h| h.stands).map(|h| h.due(limits)).min().filter(|at| *at < SimTime::MAX)?;
        if self.wakes.is_some_and(|at| at <= due) {
            return None;
        }
        self.wakes = Some(due);
        Some(due)
    }

    /// The window of a connection, in segments.
    #[must_use]
    pub fn window(&self, slot: u16) -> Option<u32> {
        self.get(slot).map(|h| h.window)
    }

    /// An answer took so many flights: each but the last has doubled the window.
    pub fn grows(&mut self, slot: u16, flights: u8) {
        if let Some(held) = self.get_mut(slot) {
            held.window = grown(held.window, flights);
        }
    }
}

impl Held {
    /// Whatever the window was, it is halved for each time-out that passed, down to the initial one (`tcp_cwnd_restart`).
    fn restart(&mut self, limits: &Limits, now: SimTime) {
        let Some(slow) = limits.slow_start.filter(|s| s.after_idle) else { return };
        let timeouts = now.since(self.since).as_nanos() / RTO.as_nanos();
        let shift = u32::try_from(timeouts).unwrap_or(u32::MAX);
        self.window = self.window.checked_shr(shift).unwrap_or(0).max(slow.initial_window.min(self.window));
    }
}

/// The window after so many full flights: each segment that is acknowledged adds one (RFC 5681, section 3.1).
fn grown(window: u32, flights: u8) -> u32 {
    let doubled = u64::from(window) << flights.min(31);
    u32::try_from(doubled).unwrap_or(u32::MAX)
}

/// What of an answer goes in its flight number `n` (from 0), by a window that was `window` segments when it set out, and whether that
/// is the last of it.
#[must_use]
pub fn flight(window: u32, n: u8, bytes: u32) -> (u64, bool) {
    // Flights 0 to n - 1 were window, 2 window, 4 window, ... segments.
    let before = (u64::from(grown(window, n)) - u64::from(window)) * SEGMENT;
    let left = u64::from(bytes).saturating_sub(before);
    let room = u64::from(grown(window, n)) * SEGMENT;
    (left.min(room), left <= room)
}

#[cfg(test)]
mod tests {
    use super::*;
    use svcsim_engine::Slab;

    const LANE: LaneId = (PodId(u32::MAX), 0);

    fn at(ms: u64) -> SimTime {
        SimTime::ZERO + SimDuration::from_millis(ms)
    }

    fn limits(max_streams: u32) -> Limits {
        let lanes = Some(Lanes { count: 1, max_streams, spread: Spread::RoundRobin, opened: false });
        Limits { lanes, idle_timeout: None, ages: true, max_requests: u32::MAX, slow_start: None }
    }

    fn keys(n: usize) -> Vec<Key> {
        let mut slab = Slab::new();
        (0..n).map(|i| slab.insert(i)).collect()
    }

    /// A pool with one lane, whose connection stands with its first request on it.
    fn standing(limits: &Limits) -> (Pool, u16) {
        let mut pool = Pool::default();
        let slot = pool.open(Some(LANE), SimTime::MAX, limits);
        pool.stands(slot, Connection { slot, ..Connection::NONE }, at(0));
        (pool, slot)
    }

    #[test]
    fn requests_wait_until_a_connection_stands_and_has_room() {
        let (limits, k) = (limits(2), keys(4));
        let mut pool = Pool::default();
        assert!(matches!(pool.seat(LANE, k[0], &limits, at(0)), Seat::First));
        let slot = pool.open(Some(LANE), SimTime::MAX, &limits);
        assert!(matches!(pool.seat(LANE, k[1], &limits, at(0)), Seat::InLine));
        assert_eq!(pool.next(2), None, "it does not stand yet");
        pool.stands(slot, Connection { slot, ..Connection::NONE }, at(1));
        assert_eq!(pool.next(2), Some((LANE, k[1])));
        assert!(matches!(pool.seat(LANE, k[1], &limits, at(1)), Seat::On(c) if c.slot == slot));
        assert!(matches!(pool.seat(LANE, k[2], &limits, at(1)), Seat::InLine), "two are on it");
        assert!(pool.leaves(slot, Connection::NONE, true).is_none());
        assert_eq!(pool.next(2), Some((LANE, k[2])));
    }

    #[test]
    fn what_is_to_end_finishes_what_it_has_beside_its_successor() {
        let (limits, k) = (Limits { max_requests: 2, ..limits(10) }, keys(2));
        let (mut pool, old) = standing(&limits);
        assert!(matches!(pool.seat(LANE, k[0], &limits, at(1)), Seat::On(_)), "the second and last");
        assert!(matches!(pool.seat(LANE, k[1], &limits, at(1)), Seat::First));
        let new = pool.open(Some(LANE), SimTime::MAX, &limits);
        assert_ne!(old, new);
        assert!(pool.leaves(old, Connection { slot: old, ..Connection::NONE }, true).is_none(), "one is left");
        let over = pool.leaves(old, Connection { slot: old, ..Connection::NONE }, true);
        assert_eq!(over.map(|c| c.slot), Some(old));
        pool.close(old);
        assert_eq!(pool.open(None, SimTime::MAX, &limits), old, "its slot is free again");
    }

    #[test]
    fn quiet_and_age_end_connections_on_time() {
        let limits = Limits { idle_timeout: Some(SimDuration::from_millis(50)), ..limits(10) };
        let (mut pool, slot) = standing(&limits);
        assert_eq!(pool.wake(&limits), None, "it is in use and does not age");
        assert!(pool.leaves(slot, Connection { slot, ..Connection::NONE }, true).is_none());
        assert_eq!((pool.wake(&limits), pool.wake(&limits)), (Some(at(50)), None), "one look is enough");
        assert_eq!(pool.sweep(&limits, at(49)).len() + pool.sweep(&limits, at(50)).len(), 1);
        let aged = pool.open(Some(LANE), at(70), &limits);
        pool.stands(aged, Connection { slot: aged, ..Connection::NONE }, at(60));
        assert_eq!((pool.keeps(aged, at(69)), pool.keeps(aged, at(70))), (true, false));
        assert!(pool.sweep(&limits, at(70)).is_empty(), "it is in use");
        assert!(pool.leaves(aged, Connection { slot: aged, ..Connection::NONE }, true).is_some());
    }

    #[test]
    fn flights_double_and_add_up() {
        for (window, bytes, flights) in
            [(10, 0, 1), (10, 14_600, 1), (10, 14_601, 2), (10, 43_800, 2), (10, 100_000, 3), (1, 1_000_000, 10)]
        {
            let (mut n, mut sum) = (0, 0);
            loop {
                let (sent, last) = flight(window, n, bytes);
                (n, sum) = (n + 1, sum + sent);
                if last {
                    break;
                }
                assert_eq!(sent, (u64::from(window) * SEGMENT) << (n - 1));
            }
            assert_eq!((n, sum), (flights, u64::from(bytes)), "{bytes} bytes by a window of {window}");
        }
    }

    #[test]
    fn idleness_halves_a_window_down_to_the_first() {
        let slow_start = Some(SlowStartSpec { initial_window: 10, after_idle: true });
        let limits = Limits { slow_start, ..limits(10) };
        for (idle_ms, expected) in [(199, 80), (200, 40), (400, 20), (10_000_000, 10)] {
            let (mut pool, slot) = standing(&limits);
            pool.grows(slot, 3);
            pool.leaves(slot, Connection { slot, ..Connection::NONE }, true);
            pool.joins(slot, &limits, at(idle_ms));
            assert_eq!(pool.window(slot), Some(expected), "after {idle_ms} ms");
        }
    }
}
