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
        let held = &self.held;
        let room = |l: &Lane| match l.slot.and_then(|slot| held[usize::from(slot)].as_ref()) {
            Some(h) => h.stands && h.streams < max_streams,
            None => true,
        };
        let (id, lane) = self.lanes.iter_mut().find(|(_, l)| !l.line.is_empty() && room(l))?;
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
