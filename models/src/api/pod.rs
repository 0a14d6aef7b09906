//! [`Pod`]: where it runs, what phase of its life it is in, and the servers that meet its requests.

use crate::ids::{NodeId, ReplicaId, WorkloadId};
use crate::spec::Discipline;
use std::net::IpAddr;
use svcsim_engine::queueing::{Arrival, ProcessorSharing, Reschedule, Station};
use svcsim_engine::{Key, SimDuration, SimTime};

/// A Pod from its creation to its end: what its process does, and what the API server says of it. The two are apart,
/// since each learns of the other late.
#[derive(Clone, Debug)]
pub struct Pod {
    /// The place in the workload that it fills.
    pub replica: ReplicaId,
    /// The workload that created it.
    pub workload: WorkloadId,
    /// Where it runs.
    pub node: NodeId,
    /// Its address.
    pub ip: IpAddr,
    /// What its process does. What a packet to its address meets follows from this alone.
    pub process: Process,
    /// Condition `Ready` in the Pod object.
    pub ready: bool,
    /// Whether the Pod object has a `deletionTimestamp`.
    pub terminating: bool,
    /// What meets its requests.
    pub servers: Servers,
}

/// What a Pod's process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Process {
    /// The Pod has its address, but nothing listens yet: connections are refused.
    Starting,
    /// It listens and serves.
    Running,
    /// The listener is closed (connections are refused); accepted requests are finished.
    Stopping,
    /// It died: connections are refused.
    Exited,
    /// The Pod object is deleted. Nobody has the address, packets to it vanish.
    Gone,
}

impl Pod {
    /// Whether a connection to the Pod is accepted.
    #[must_use]
    pub fn accepts(&self) -> bool {
        self.process == Process::Running
    }

    /// Whether requests that it accepted are being served.
    #[must_use]
    pub fn works(&self) -> bool {
        matches!(self.process, Process::Running | Process::Stopping)
    }

    /// Whether the Pod object exists and anything has its address.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.process != Process::Gone
    }

    /// Whether it counts as ready for controllers: condition `Ready` holds and nobody deletes it.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.exists() && self.ready && !self.terminating
    }
}

/// A Pod's servers under its queueing discipline.
#[derive(Clone, Debug)]
pub enum Servers {
    /// First come, first served.
    Fifo(Station<Key>),
    /// Everyone at once.
    Sharing(Box<Sharing>),
}

/// Processor sharing with a limit on how many may share.
#[derive(Clone, Debug)]
pub struct Sharing {
    queue: ProcessorSharing<Key>,
    limit: usize,
}

/// What became of a request that reached a Pod's servers.
#[derive(Clone, Copy, Debug)]
pub enum Admission {
    /// Its service starts now.
    Starts,
    /// It waits in line.
    Waits,
    /// It shares the servers; the next completion among all may have moved.
    Shares(Option<Reschedule>),
    /// No room: the Pod answers 503.
    Refused,
}

impl Servers {
    /// `concurrency` servers; `limit` bounds those waiting (FIFO) or those beyond `concurrency` (sharing).
    #[must_use]
    pub fn new(discipline: Discipline, concurrency: u32, limit: Option<u32>) -> Self {
        match discipline {
            Discipline::Fifo => Self::Fifo(Station::new(concurrency, limit)),
            Discipline::ProcessorSharing => Self::Sharing(Box::new(Sharing {
                queue: ProcessorSharing::new(concurrency),
                limit: limit.map_or(usize::MAX, |l| concurrency as usize + l as usize),
            })),
        }
    }

    /// A request arrives with its demand.
    #[inline]
    pub fn arrive(&mut self, now: SimTime, request: Key, demand: SimDuration) -> Admission {
        match self {
            Self::Fifo(station) => match station.arrive(now, request) {
                Arrival::Starts => Admission::Starts,
                Arrival::Waits => Admission::Waits,
                Arrival::Refused => Admission::Refused,
            },
            Self::Sharing(s) if s.queue.in_system() >= s.limit => Admission::Refused,
            Self::Sharing(s) => Admission::Shares(s.queue.arrive(now, request, demand)),
        }
    }

    /// Requests present: waiting and in service.
    #[must_use]
    pub fn present(&self) -> usize {
        match self {
            Self::Fifo(station) => station.in_system(),
            Self::Sharing(s) => s.queue.in_system(),
        }
    }

    /// Integral of busy servers since the last reset.
    #[must_use]
    pub fn busy_time(&self, now: SimTime) -> SimDuration {
        match self {
            Self::Fifo(station) => station.busy_time(now),
            Self::Sharing(s) => s.queue.busy_time(now),
        }
    }

    /// Measures from `now` on.
    pub fn reset(&mut self, now: SimTime) {
        match self {
            Self::Fifo(station) => station.reset(now),
            Self::Sharing(s) => s.queue.reset(now),
        }
    }

    /// Throws everyone out; the servers are idle after it.
    pub fn clear(&mut self, now: SimTime) {
        match self {
            Self::Fifo(station) => drop(station.drain(now)),
            Self::Sharing(s) => drop(s.queue.drain(now)),
        }
    }

    /// The shared queue, for completions.
    pub fn sharing(&mut self) -> Option<&mut ProcessorSharing<Key>> {
        match self {
            Self::Fifo(_) => None,
            Self::Sharing(s) => Some(&mut s.queue),
        }
    }
}
