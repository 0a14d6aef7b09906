//! Two runs side by side, event by event, until one does something else than the other.

use super::run::CONNECT_FAILS;
use super::{Cluster, Ctx, Event};
use crate::spec::{ClusterSpec, SpecError};
use svcsim_engine::random::Streams;
use svcsim_engine::{Model, SimTime, Simulation};

/// Events that are told before the one that differs.
const CONTEXT: u64 = 12;
/// Where two runs part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// Events that both have before it.
    pub same: u64,
    /// The last of these, when and what.
    pub before: Vec<(SimTime, String)>,
    /// What each does then; none: it has ended.
    pub then: [Option<(SimTime, String)>; 2],
}

/// Runs both until they part; none if they never do.
///
/// # Errors
/// What is wrong with one of the specs.
pub fn first_divergence(specs: [&ClusterSpec; 2], streams: [&Streams; 2]) -> Result<Option<Divergence>, SpecError> {
    let longest = specs.map(|s| s.run.duration).into_iter().max().unwrap_or_default();
    let end = SimTime::ZERO + longest * 2 + CONNECT_FAILS;
    let [mut a, mut b] = [Watched::run(specs[0], streams[0])?, Watched::run(specs[1], streams[1])?];
    for same in 0.. {
        let steps = [a.step(end), b.step(end)];
        if steps[0] != steps[1] {
            let tell = |sim: &Simulation<Watched>, step: Option<(SimTime, Event)>| {
                let (at, event) = step?;
                Some((at, sim.model.cluster.tells(event)))
            };
            let then = [tell(&a, steps[0]), tell(&b, steps[1])];
            return Ok(Some(Divergence { same, before: before(specs[0], streams[0], same, end)?, then }));
        }
        if steps[0].is_none() {
            break;
        }
    }
    Ok(None)
}

/// The last of the first `same` events, told as they happen: what they are about may be over soon.
fn before(spec: &ClusterSpec, streams: &Streams, same: u64, end: SimTime) -> Result<Vec<(SimTime, String)>, SpecError> {
    let mut sim = Watched::run(spec, streams)?;
    let untold = same.saturating_sub(CONTEXT);
    for _ in 0..untold {
        sim.step(end);
    }
    let told = (untold..same).map_while(|_| sim.step(end).map(|(at, event)| (at, sim.model.cluster.tells(event))));
    Ok(told.collect())
}

/// A cluster whose last event is remembered.
struct Watched {
    cluster: Cluster,
    last: Option<(SimTime, Event)>,
}

impl Model for Watched {
    type Event = Event;

    fn handle(&mut self, event: Event, ctx: &mut Ctx<'_>) {
        self.last = Some((ctx.now(), event));
        self.cluster.handle(event, ctx);
    }
}

impl Watched {
    fn run(spec: &ClusterSpec, streams: &Streams) -> Result<Simulation<Self>, SpecError> {
        let mut sim = Simulation::new(Self { cluster: Cluster::build(spec, streams)?, last: None });
        sim.act(|watched, ctx| watched.cluster.open(ctx));
        Ok(sim)
    }
}

/// One event further.
trait Step {
    fn step(&mut self, end: SimTime) -> Option<(SimTime, Event)>;
}

impl Step for Simulation<Watched> {
    fn step(&mut self, end: SimTime) -> Option<(SimTime, Event)> {
        self.model.last = None;
        self.advance(end, 1, |_| true);
        self.model.last
    }
}

impl Cluster {
    /// An event in words, with the names of what it is about.
    fn tells(&self, event: Event) -> String {
        let source = |id: crate::ids::SourceId| self.sources[id].name.clone();
        let pod = |id: crate::ids::PodId| self.replicas[self.pods[id].replica].name.clone();
        let request = |key| {
            let of = self.requests.get(key).map(|r| (source(r.source), r.start.since(SimTime::ZERO)));
            of.map_or_else(|| "a request that is over".to_owned(), |(name, sent)| format!("a request of {name} sent at {sent}"))
        };
        let name = |debug: String| debug.split([' ', '{']).next().unwrap_or_default().to_owned();
        let what = name(format!("{event:?}"));
        match event {
            Event::RequestArrives { source: id } => format!("{what}: {}", source(id)),
            Event::MessageReaches { request: key, vertex } => {
                format!("{what}: {} at {}", request(key), self.network.vertices()[vertex].name)
            }
            Event::ServiceCompletes { pod: id, request: key } => format!("{what}: {} in {}", request(key), pod(id)),
            Event::SharingCompletes { pod: id, .. }
            | Event::ContainerStarts { pod: id, .. }
            | Event::PodListens { pod: id, .. }
            | Event::ProbeSucceeds { pod: id, .. }
            | Event::ProbeFails { pod: id, .. }
            | Event::PodStops { pod: id }
            | Event::PodKilled { pod: id } => format!("{what}: {}", pod(id)),
            Event::SentAgain { request: key } | Event::TriesAgain { request: key } | Event::TryExpires { request: key } => {
                format!("{what}: {}", request(key))
            }
            Event::EndpointsPublished { service } => format!("{what}: {}", self.table.services[service].name),
            Event::SyncStarts { node } | Event::SyncEnds { node } => format!("{what}: {}", self.nodes[node].spec.name),
            _ => format!("{event:?}"),
        }
    }
}
