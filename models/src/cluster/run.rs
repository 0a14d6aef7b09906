//! One run, from an empty network to a [`RunResult`].

use super::decisions::Decisions;
use super::probe::Probe;
use super::{Cluster, Ctx, Decision, Purpose, Replica};
use crate::explain::Explanation;
use crate::ids::{ReplicaId, SourceId};
use crate::record::{LinkResult, PodResult, Recorded, RunResult};
use crate::spec::{ClusterSpec, RunSpec, SpecError};
use svcsim_engine::random::{Stream, Streams, entity};
use svcsim_engine::{Advance, Id, Model, SimDuration, SimTime, Simulation};

/// Whether `spec` builds.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn check(spec: &ClusterSpec) -> Result<(), SpecError> {
    Cluster::build(spec, &Streams::new(0, 0)).map(drop)
}

/// Pods on each Node, at the start, of workloads behind Services that get traffic; all zero if the spec does
/// not build.
#[must_use]
pub fn pods_by_node(spec: &ClusterSpec) -> Vec<u32> {
    let mut pods = vec![0; spec.nodes.len()];
    if let Ok(cluster) = Cluster::build(spec, &Streams::new(0, 0)) {
        for replica in cluster.called_replicas() {
            pods[cluster.pods[replica.1.pod].node.0 as usize] += 1;
        }
    }
    pods
}

/// Simulates `spec` with the chances of `streams`. `keep_going` is asked now and then, at least once a window; `Ok(None)`
/// means that it said no.
///
/// Requests are sent until `duration` and then followed until each has ended, so that slow ones are not cut
/// off. One that has not ended after as long again is reported as in flight.
///
/// # Errors
/// What is wrong with the spec, before anything is simulated; or that the run cannot make progress.
pub fn run(spec: &ClusterSpec, streams: &Streams, keep_going: &dyn Fn() -> bool) -> Result<Option<RunResult>, SpecError> {
    let cluster = Cluster::build(spec, streams)?;
    Ok(simulate(cluster, spec, keep_going)?.map(|(result, _)| result))
}

/// [`run`] with a request that is followed: the result is the same, to the last event.
///
/// # Errors
/// What is wrong with the spec.
pub fn run_followed(
    spec: &ClusterSpec,
    streams: &Streams,
    (source, request): (&str, u64),
    keep_going: &dyn Fn() -> bool,
) -> Result<Option<(RunResult, Followed)>, SpecError> {
    let cluster = followed(spec, streams, source, request)?;
    Ok(simulate(cluster, spec, keep_going)?.map(|(result, probe)| (result, Followed::of(probe))))
}

/// The first `most` choices of a run's policies.
///
/// # Errors
/// What is wrong with the spec.
pub fn decisions(spec: &ClusterSpec, streams: &Streams, most: usize, keep_going: &dyn Fn() -> bool) -> Result<Vec<Decision>, SpecError> {
    let mut cluster = Cluster::build(spec, streams)?;
    cluster.decisions = Some(Decisions::new(most));
    let mut sim = Simulation::new(cluster);
    sim.act(Cluster::open);
    let wants_more = |cluster: &Cluster| cluster.decisions.as_ref().is_some_and(Decisions::wants_more);
    drive(&mut sim, SimTime::ZERO + spec.run.duration, wants_more, keep_going)?;
    Ok(sim.model.decisions.take().map_or_else(Vec::new, |d| d.made))
}

/// What a run found, and what following a request found.
type Simulated = (RunResult, Option<Box<Probe>>);

fn simulate(cluster: Cluster, spec: &ClusterSpec, keep_going: &dyn Fn() -> bool) -> Result<Option<Simulated>, SpecError> {
    let RunSpec { duration, warm_up, window } = spec.run;
    let mut sim = Simulation::new(cluster);
    sim.act(Cluster::open);
    let end = SimTime::ZERO + duration;
    let measure_from = SimTime::ZERO + warm_up;
    let mut start = SimTime::ZERO;
    while start < end {
        let stop = (start + window).min(end);
        if (start..stop).contains(&measure_from) {
            if !drive(&mut sim, measure_from, |_| true, keep_going)? {
                return Ok(None);
            }
            sim.model.start_measuring(measure_from);
        }
        // What happens when one window ends and the next begins belongs to the next.
        let last = start + (stop - start).saturating_sub(SimDuration::from_nanos(1));
        if !drive(&mut sim, last, |_| true, keep_going)? || !keep_going() {
            return Ok(None);
        }
        sim.model.close_window(start, stop - start);
        start = stop;
    }
    let measured = duration.saturating_sub(warm_up);
    let (pods, links) = (sim.model.pod_results(end), sim.model.link_results(end, measured));
    if !drive(&mut sim, end + duration + longest_timeout(spec), |cluster| !cluster.requests.is_empty(), keep_going)? {
        return Ok(None);
    }
    let mut until = end + duration + longest_timeout(spec);
    while until < end + CONNECT_FAILS && sim.model.requests.iter().any(|(_, r)| r.lost && r.fresh && !r.ended) {
        until += SimDuration::from_secs(1);
        if !drive(&mut sim, until, |cluster| !cluster.requests.is_empty(), keep_going)? {
            return Ok(None);
        }
    }
    let events = sim.events();
    let probe = sim.model.probe.take();
    let Recorded { series, incidents, marks, programming, convergence, slice_writes, requests } = sim.model.finish();
    Ok(Some((
        RunResult { series, pods, links, incidents, marks, programming, convergence, slice_writes, requests, measured, events },
        probe,
    )))
}

/// Events between two looks at whether to go on.
const EVENTS_A_LOOK: u64 = 1 << 20;
/// So many looks in a row at the same instant mean that time stands still.
const LOOKS_AT_AN_INSTANT: u32 = 32;

/// Handles what is due at or before `end` while `more` says so; false if `keep_going` said no.
///
/// # Errors
/// Time stands still: events follow each other at one instant without end.
fn drive<M: Model>(
    sim: &mut Simulation<M>,
    end: SimTime,
    more: impl Fn(&M) -> bool,
    keep_going: &dyn Fn() -> bool,
) -> Result<bool, SpecError> {
    let (mut last, mut looks) = (sim.now(), 0);
    while sim.advance(end, EVENTS_A_LOOK, &more) == Advance::Paused {
        looks = if sim.now() == last { looks + 1 } else { 0 };
        last = sim.now();
        if looks == LOOKS_AT_AN_INSTANT {
            let at = last.since(SimTime::ZERO);
            let problem = format!("{} events happened at {at} and time does not go on", u64::from(looks) * EVENTS_A_LOOK);
            return Err(SpecError::new("run", problem, "look for periods, delays or time-outs of zero that feed each other"));
        }
        if !keep_going() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What came of following a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Followed {
    /// It ended: its story.
    Ended(Box<Explanation>),
    /// It was sent, and had not ended as long after the run as the run lasted.
    InFlight,
    /// The source sent only so many.
    NeverSent(u64),
}

impl Followed {
    fn of(probe: Option<Box<Probe>>) -> Self {
        match probe {
            Some(p) if p.done => Self::Ended(Box::new(p.explanation)),
            Some(p) if p.key.is_some() => Self::InFlight,
            Some(p) => Self::NeverSent(p.passed()),
            None => Self::NeverSent(0),
        }
    }
}

/// Follows the `request`-th request of `source`, counted from 0, through a run with the chances of `streams`, until it ends.
///
/// # Errors
/// What is wrong with the spec.
pub fn explain(spec: &ClusterSpec, streams: &Streams, source: &str, request: u64) -> Result<Followed, SpecError> {
    let mut sim = Simulation::new(followed(spec, streams, source, request)?);
    sim.act(Cluster::open);
    let end = SimTime::ZERO + spec.run.duration;
    let open = |cluster: &Cluster| cluster.probe.as_ref().is_some_and(|p| !p.done);
    drive(&mut sim, end, open, &|| true)?;
    if sim.model.probe.as_ref().is_some_and(|p| p.key.is_some()) {
        drive(&mut sim, end + (spec.run.duration + longest_timeout(spec)).max(CONNECT_FAILS), open, &|| true)?;
    }
    Ok(Followed::of(sim.model.probe.take()))
}

fn followed(spec: &ClusterSpec, streams: &Streams, source: &str, request: u64) -> Result<Cluster, SpecError> {
    let mut cluster = Cluster::build(spec, streams)?;
    let Some(id) = spec.traffic.keys().position(|name| name == source) else {
        let names = spec.traffic.keys().cloned().collect::<Vec<_>>().join(", ");
        return Err(SpecError::new("traffic", format!("there is no source `{source}`"), format!("name one of {names}")));
    };
    cluster.probe = Some(Box::new(Probe::new(SourceId::from_index(id), source, request)));
    Ok(cluster)
}

/// Linux `tcp_syn_linear_timeouts` 4 and `tcp_syn_retries` 6: 4 + 1 + 2 + ... + 64 s, after which a connect fails; and a second for
/// the rest.
pub(super) const CONNECT_FAILS: SimDuration = SimDuration::from_secs(132);

fn longest_timeout(spec: &ClusterSpec) -> SimDuration {
    spec.traffic.values().filter_map(|t| t.timeout).max().unwrap_or(SimDuration::ZERO)
}

/// The stream of `purpose` for the thing called `name`.
pub(super) fn stream(streams: &Streams, purpose: Purpose, name: &str) -> Stream {
    streams.stream(purpose as u64, entity(name))
}

impl Cluster {
    /// Whatever happens by itself begins.
    pub(super) fn open(&mut self, ctx: &mut Ctx<'_>) {
        self.open_sources(ctx);
        self.open_events(ctx);
        self.open_autoscalers(ctx);
        self.open_health_checks(ctx);
    }

    /// What is integrated over time counts from here.
    fn start_measuring(&mut self, now: SimTime) {
        self.meters_restart(now);
        self.pods.iter_mut().for_each(|pod| pod.reset_meters(now));
        self.network.reset_counters(now);
    }

    fn close_window(&mut self, start: SimTime, width: SimDuration) {
        let services: Vec<_> = self.sources.iter().map(|s| s.service).collect();
        // Two sources may call one Service, whose extremes are read, and forgotten, once a window.
        let states: Vec<_> = self.table.services.ids().map(|s| self.window_state(s)).collect();
        let of = |source: SourceId| states[services[source.0 as usize].0 as usize];
        self.recorder.close_window(start, width, of);
    }

    /// The replicas behind Services that get traffic.
    fn called_replicas(&self) -> impl Iterator<Item = (ReplicaId, &Replica)> {
        let called = |w| self.sources.iter().any(|s| self.table.services[s.service].backends.contains(&w));
        self.replicas.enumerate().filter(move |(_, r)| called(r.workload))
    }

    fn pod_results(&self, now: SimTime) -> Vec<PodResult> {
        self.called_replicas()
            .map(|(id, r)| {
                let node = &self.nodes[self.pods[r.pod].node].spec;
                let busy = self.pods.iter().filter(|p| p.replica == id).map(|p| p.servers.busy_time(now));
                PodResult {
                    name: r.name.clone(),
                    replica: id.0 as usize,
                    node: node.name.clone(),
                    zone: node.zone.clone(),
                    concurrency: self.workloads[r.workload].concurrency,
                    busy: busy.fold(SimDuration::ZERO, |sum, b| sum + b),
                    pods: r.pods,
                }
            })
            .collect()
    }

    fn link_results(&self, now: SimTime, measured: SimDuration) -> Vec<LinkResult> {
        let share = |busy: SimDuration| busy.as_secs_f64() / measured.as_secs_f64();
        let links = self.network.links().enumerate();
        links
            .map(|(link, l)| LinkResult {
                link,
                messages: l.messages,
                bytes: l.bytes,
                dropped: l.dropped,
                utilisation: share(self.network.busy(link, now)).min(1.0),
            })
            .collect()
    }

    fn finish(self) -> Recorded {
        let mut in_flight = vec![0u64; self.sources.len()];
        for (_, request) in self.requests.iter().filter(|(_, r)| !r.ended) {
            in_flight[request.source.0 as usize] += 1;
        }
        for copy in self.second_copies() {
            in_flight[copy.source.0 as usize] -= 1;
        }
        let backends = |source: SourceId| {
            let workloads = &self.table.services[self.sources[source].service].backends;
            workloads.iter().flat_map(|w| &self.workloads[*w].replicas).map(|r| r.0 as usize).collect()
        };
        self.recorder.finish(|source| in_flight[source.0 as usize], backends)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use svcsim_engine::Context;

    /// Does something again and again, so long after the last time.
    struct Again(SimDuration);

    impl Model for Again {
        type Event = ();

        fn handle(&mut self, (): (), ctx: &mut Context<'_, ()>) {
            ctx.schedule_in(self.0, ());
        }
    }

    fn driven(every: SimDuration, keep_going: bool) -> Result<bool, SpecError> {
        let mut sim = Simulation::new(Again(every));
        sim.act(|_, ctx| ctx.schedule_in(SimDuration::from_secs(1), ()));
        drive(&mut sim, SimTime::ZERO + SimDuration::from_secs(2), |_| true, &|| keep_going)
    }

    #[test]
    fn a_run_whose_time_stands_still_ends_with_an_explanation() {
        let error = driven(SimDuration::ZERO, true).expect_err("time stands still");
        assert!(error.problem.contains("events happened at 1s and time does not go on"), "{error}");
        assert_eq!(driven(SimDuration::from_micros(1), true), Ok(true));
    }

    #[test]
    fn a_run_can_be_stopped_within_an_instant() {
        assert_eq!(driven(SimDuration::ZERO, false), Ok(false));
    }
}
