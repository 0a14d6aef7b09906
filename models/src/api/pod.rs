//! [`Pod`]: where it runs, what phase of its life it is in, and the servers that meet its requests.

use crate::cpu_quota::CpuQuota;
use crate::ids::{NodeId, ReplicaId, WorkloadId};
use crate::limiter::Limiter;
use crate::scale_to_zero::Sleep;
use crate::spec::Discipline;
use std::collections::VecDeque;
use std::net::IpAddr;
use svcsim_engine::queueing::{Arrival, ProcessorSharing, Reschedule, Station};
use svcsim_engine::random::{Dist, Stream};
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
    /// When that last became true.
    pub ready_since: SimTime,
    /// Whether the Pod object has a `deletionTimestamp`.
    pub terminating: bool,
    /// How long its container waits before it is started again.
    pub backoff: Backoff,
    /// When its kubelet took it on.
    pub created: SimTime,
    /// When its container last started, which its probes count from.
    pub started: SimTime,
    /// When its process last began to listen: connections from before ended with the process that they were to.
    pub listens_since: SimTime,
    /// Since when it has been warming up; not at all if it has run since before the start.
    pub cold_since: Option<SimTime>,
    /// Whether its containers are ready; the Pod is, if its readiness gates agree.
    pub containers_ready: bool,
    /// Counts what makes pending probes and starts void: starts, deaths, pauses.
    pub life: u32,
    /// Which version of its workload it is, from 1.
    pub revision: u32,
    /// How fast its Node lets it work; 1 is ordinary.
    pub speed: f64,
    /// What its surroundings take of it.
    pub interference: Option<Box<Interference>>,
    /// What it fails.
    pub errors: Option<Box<Errors>>,
    /// How fast it works for now.
    pub pace: Pace,
    /// What meets its requests.
    pub servers: Servers,
    /// Which client of its workload's calls it is.
    pub caller: u32,
    /// Requests that wait for Services they call, and have left the servers to others meanwhile.
    pub calling: u32,
    /// Requests that wait for Services they call, and hold a server meanwhile.
    pub blocked: u32,
    /// Connections that its process has accepted and that stand, where there is a limit on them.
    pub connections: u32,
    /// Requests over connections that it has not accepted yet since it has too many.
    pub unaccepted: VecDeque<Key>,
    /// Counts its processes: a connection is one of the process that accepted it. Never 0.
    pub process_number: u8,
    /// Whether it sleeps while nobody needs it.
    pub sleep: Option<Box<Sleep>>,
    /// Its CPU time, where that is limited.
    pub cpu_quota: Option<Box<CpuQuota>>,
    /// Services that requests needed which it took in, and those that it threw out, against [`Servers::busy_time`].
    taken_in: SimDuration,
    /// How many requests it takes in at most, by its latency.
    pub limiter: Option<Box<Limiter>>,
    /// How long its last requests took, where somebody asks for it.
    recent: Option<Box<Recent>>,
}

/// Time that services take beyond their demand.
#[derive(Clone, Debug)]
pub struct Interference {
    time: Dist,
    stream: Stream,
}

impl Interference {
    /// As much of each service.
    #[must_use]
    pub const fn new(time: Dist, stream: Stream) -> Self {
        Self { time, stream }
    }

    /// That of the next service.
    pub fn draw(&mut self) -> SimDuration {
        self.time.sample_duration(&mut self.stream)
    }
}

/// Requests that a Pod serves and fails, each by itself.
#[derive(Clone, Debug)]
pub struct Errors {
    probability: f64,
    stream: Stream,
}

impl Errors {
    /// Each with this probability.
    #[must_use]
    pub const fn new(probability: f64, stream: Stream) -> Self {
        Self { probability, stream }
    }

    /// Whether the next fails.
    pub fn draw(&mut self) -> bool {
        self.stream.chance(self.probability)
    }
}

/// How long a Pod's last requests took, and how many were there when each was done.
///
/// Source: Prequal (Wydrowski et al., NSDI 2024, section 4.1): a server answers a probe with the median latency of recent requests
/// that met about as many others as there are now. That "about" is the nearest half of what is kept is an assumption.
#[derive(Clone, Debug, Default)]
struct Recent {
    kept: VecDeque<(u32, SimDuration)>,
}

impl Recent {
    /// Requests kept: an assumption.
    const KEPT: usize = 32;

    fn record(&mut self, present: u32, latency: SimDuration) {
        if self.kept.len() == Self::KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back((present, latency));
    }

    fn median_near(&self, present: u32) -> SimDuration {
        let mut near: Vec<_> = self.kept.iter().map(|(p, latency)| (p.abs_diff(present), *latency)).collect();
        near.sort_unstable();
        near.truncate(near.len().div_ceil(2));
        near.sort_unstable_by_key(|(_, latency)| *latency);
        near.get(near.len() / 2).map_or(SimDuration::ZERO, |(_, latency)| *latency)
    }
}

/// How fast a Pod's servers work.
#[derive(Clone, Debug)]
pub struct Pace {
    /// Services that start take so many times their demand.
    pub slow: f64,
    /// Since when nothing goes on.
    pub frozen: Option<SimTime>,
    /// Why: by [`Stop`].
    stopped_by: u8,
    /// How long nothing went on, before that.
    frozen_for: SimDuration,
    /// Requests whose service would have been over during the pause.
    pub held: Vec<Key>,
    /// Requests that came during the pause: in the kernel's accept queue, or in the buffers of connections that the process has.
    pub arrived: Vec<Key>,
    /// New connections among them.
    pub connects: u32,
}

/// Why nothing goes on in a Pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Its process hangs.
    Pause = 1,
    /// It has used up its CPU quota.
    Quota = 2,
    /// It slept, and wakes up.
    Sleep = 4,
}

impl Default for Pace {
    fn default() -> Self {
        Self { slow: 1.0, frozen: None, stopped_by: 0, frozen_for: SimDuration::ZERO, held: Vec::new(), arrived: Vec::new(), connects: 0 }
    }
}

impl Pace {
    /// The Pod's own time: it stands still during pauses.
    #[inline]
    #[must_use]
    pub fn own(&self, now: SimTime) -> SimDuration {
        self.frozen.unwrap_or(now).since(SimTime::ZERO).saturating_sub(self.frozen_for)
    }

    /// The process is another one: it does not hang, and is as slow as before.
    pub fn restart(&mut self) {
        *self = Self { slow: self.slow, ..Self::default() };
    }

    /// Nothing goes on any more.
    pub fn freeze(&mut self, why: Stop, now: SimTime) {
        self.stopped_by |= why as u8;
        self.frozen.get_or_insert(now);
    }

    /// That is over; true if things go on, since there is no other reason why they do not.
    pub fn thaw(&mut self, why: Stop, now: SimTime) -> bool {
        let was = self.stopped_by;
        self.stopped_by &= !(why as u8);
        if self.stopped_by != 0 || was == 0 {
            return false;
        }
        if let Some(since) = self.frozen.take() {
            self.frozen_for += now.since(since);
        }
        true
    }

    /// Whether the process hangs by itself.
    #[must_use]
    pub const fn is_paused(&self) -> bool {
        self.stopped_by & Stop::Pause as u8 != 0
    }
}

/// `CrashLoopBackOff`: the first restart is at once, the next ones after 10 s, 20 s, ... 300 s; it begins anew for a container
/// that has run for ten minutes (`pkg/kubelet/kubelet.go`: `initialContainerBackOff`, `MaxContainerBackOff`; Kubernetes docs,
/// Pod lifecycle, restart policy).
#[derive(Clone, Copy, Debug, Default)]
pub struct Backoff {
    next: SimDuration,
    started: SimTime,
}

impl Backoff {
    const FIRST: SimDuration = SimDuration::from_secs(10);
    const MOST: SimDuration = SimDuration::from_secs(300);
    const RESET: SimDuration = SimDuration::from_secs(600);

    /// The container died at `now`: how long until it is started again.
    pub fn died(&mut self, now: SimTime) -> SimDuration {
        if now.since(self.started) >= Self::RESET {
            self.next = SimDuration::ZERO;
        }
        let wait = self.next;
        self.next = (wait * 2).clamp(Self::FIRST, Self::MOST);
        self.started = now + wait;
        wait
    }
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
    /// A Pod of which nothing runs yet.
    #[must_use]
    pub fn new((replica, workload): (ReplicaId, WorkloadId), node: NodeId, ip: IpAddr, servers: Servers) -> Self {
        Self {
            replica,
            workload,
            node,
            ip,
            process: Process::Starting,
            ready: false,
            ready_since: SimTime::ZERO,
            terminating: false,
            backoff: Backoff::default(),
            created: SimTime::ZERO,
            started: SimTime::ZERO,
            listens_since: SimTime::ZERO,
            cold_since: None,
            containers_ready: false,
            life: 0,
            revision: 1,
            speed: 1.0,
            interference: None,
            errors: None,
            pace: Pace::default(),
            servers,
            caller: 0,
            calling: 0,
            blocked: 0,
            connections: 0,
            unaccepted: VecDeque::new(),
            process_number: 1,
            sleep: None,
            cpu_quota: None,
            taken_in: SimDuration::ZERO,
            limiter: None,
            recent: None,
        }
    }

    /// Requests in it: waiting, in service, or waiting for Services they call.
    #[inline]
    #[must_use]
    pub fn present(&self) -> u32 {
        self.servers.present() as u32 + self.calling
    }

    /// It takes in a request that needs so much service.
    #[inline]
    pub fn takes_in(&mut self, service: SimDuration) {
        self.taken_in += service;
    }

    /// It will not serve a request that it took in.
    pub fn takes_back(&mut self, service: SimDuration) {
        self.taken_in = self.taken_in.saturating_sub(service);
    }

    /// How long a request that came now would wait, if its servers shared their work evenly: zero while one of them is idle.
    #[must_use]
    pub fn delay(&self, now: SimTime) -> SimDuration {
        let servers = self.servers.servers();
        if (self.servers.present() as u64) < u64::from(servers) {
            return SimDuration::ZERO;
        }
        let left = self.taken_in.saturating_sub(self.servers.busy_time(now));
        SimDuration::from_nanos(left.as_nanos() / u64::from(servers.max(1)))
    }

    /// What is integrated over time counts from `now`.
    pub fn reset_meters(&mut self, now: SimTime) {
        self.taken_in = self.taken_in.saturating_sub(self.servers.busy_time(now));
        self.servers.reset(now);
    }

    /// Everyone is thrown out.
    pub fn clear(&mut self, now: SimTime) {
        self.servers.clear(now);
        self.taken_in = self.servers.busy_time(now);
        (self.calling, self.blocked, self.connections) = (0, 0, 0);
        self.unaccepted.clear();
        if let Some(quota) = &mut self.cpu_quota {
            quota.uses(0, now);
        }
        self.process_number = self.process_number.checked_add(1).unwrap_or(1);
    }

    /// CPUs in use: by requests in service, but for those that wait for others, and by none while nothing goes on.
    #[must_use]
    pub fn busy(&self) -> u32 {
        if self.works() && self.pace.frozen.is_none() { self.servers.in_service().saturating_sub(self.blocked) } else { 0 }
    }

    /// From now on somebody asks how long its requests take.
    pub fn keep_latencies(&mut self) {
        self.recent.get_or_insert_default();
    }

    /// A request is done that took so long.
    #[inline]
    pub fn done(&mut self, latency: SimDuration) {
        let present = self.present();
        if let Some(recent) = &mut self.recent {
            recent.record(present, latency);
        }
        if let Some(limiter) = &mut self.limiter {
            limiter.done(latency, present + 1);
        }
    }

    /// How long a request takes in it now, as far as it can tell.
    #[must_use]
    pub fn latency_estimate(&self) -> SimDuration {
        self.recent.as_ref().map_or(SimDuration::ZERO, |r| r.median_near(self.present()))
    }

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

    /// Whether its process hangs: its kernel answers for it, as far as it can.
    #[must_use]
    pub fn hangs(&self) -> bool {
        self.works() && self.pace.frozen.is_some()
    }

    /// Whether the kernel still queues connections for a process that hangs or has as many as it may: its accept queue is full with one
    /// more than the backlog (`sk_acceptq_is_full`).
    #[must_use]
    pub fn queues_connects(&self, backlog: u32) -> bool {
        self.pace.connects as usize + self.unaccepted.len() <= backlog as usize
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
    /// A line: first come, first served, or another order.
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
            Discipline::Fifo | Discipline::Priority => Self::Fifo(Station::new(concurrency, limit)),
            Discipline::Lifo => Self::Fifo(Station::new(concurrency, limit).last_first()),
            Discipline::ProcessorSharing => Self::Sharing(Box::new(Sharing {
                queue: ProcessorSharing::new(concurrency),
                limit: limit.map_or(usize::MAX, |l| concurrency as usize + l as usize),
            })),
        }
    }

    /// A request arrives with its demand; of those in line, higher ranks are behind it.
    #[inline]
    pub fn arrive(&mut self, now: SimTime, request: Key, demand: SimDuration, rank: u8) -> Admission {
        match self {
            Self::Fifo(station) => match station.arrive_ranked(now, request, rank) {
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

    /// Servers at work.
    #[must_use]
    pub fn in_service(&self) -> u32 {
        match self {
            Self::Fifo(station) => station.in_service(),
            Self::Sharing(s) => (s.queue.in_system() as u32).min(s.queue.servers()),
        }
    }

    /// How many there are.
    #[must_use]
    pub fn servers(&self) -> u32 {
        match self {
            Self::Fifo(station) => station.servers(),
            Self::Sharing(s) => s.queue.servers(),
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

    /// Nobody is served until the pause is over; a FIFO line's services are held by their completions.
    pub fn pause(&mut self, now: SimTime) {
        if let Self::Sharing(s) = self {
            s.queue.pause(now);
        }
    }

    /// The pause is over.
    pub fn resume(&mut self, now: SimTime) -> Option<Reschedule> {
        match self {
            Self::Fifo(_) => None,
            Self::Sharing(s) => s.queue.resume(now),
        }
    }

    /// Whether all requests share the servers.
    #[must_use]
    pub const fn shares(&self) -> bool {
        matches!(self, Self::Sharing(_))
    }

    /// The shared queue, for completions.
    pub fn sharing(&mut self) -> Option<&mut ProcessorSharing<Key>> {
        match self {
            Self::Fifo(_) => None,
            Self::Sharing(s) => Some(&mut s.queue),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restarts_of_a_container_that_dies_again_and_again_are_farther_and_farther_apart() {
        let (mut backoff, mut now) = (Backoff::default(), SimTime::ZERO);
        let mut waits = Vec::new();
        for _ in 0..8 {
            now += SimDuration::from_secs(1);
            let wait = backoff.died(now);
            now += wait;
            waits.push(wait.as_secs_f64());
        }
        assert_eq!(waits, [0.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0]);
        assert_eq!(backoff.died(now + SimDuration::from_secs(599)), SimDuration::from_secs(300));
        assert_eq!(backoff.died(now + SimDuration::from_secs(1_499)), SimDuration::ZERO, "it ran for 600 s since its last start");
    }
}
