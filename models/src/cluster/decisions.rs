//! What policies decided, on request: what each choice was made from, how old that was, and what it cost against an oracle.

use crate::balance::Host;
use crate::ids::{PodId, SourceId};
use svcsim_engine::{SimDuration, SimTime};

/// One choice of a Pod.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// When.
    pub time: SimTime,
    /// Which source's instance: its number.
    pub source: SourceId,
    /// Which of the source's instances.
    pub instance: u32,
    /// The hosts that it could choose.
    pub candidates: Vec<Candidate>,
    /// How old the loads are by which it chose.
    pub age: SimDuration,
    /// The place of its choice among the candidates; none if it found nobody.
    pub chosen: Option<usize>,
    /// The place of the host whose servers were free soonest; the first of several.
    pub best: usize,
    /// How much longer the request waits at its choice than it would have at the best, if nothing came after it.
    pub regret: SimDuration,
}

/// A host as one choice saw it.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Which Pod.
    pub pod: PodId,
    /// Its address.
    pub address: String,
    /// Requests at it, by the instance's signal.
    pub load: u32,
    /// What the policy goes by, where it says; less is better.
    pub score: Option<f64>,
    /// What nobody knows: the time until one of its servers is free.
    pub work: SimDuration,
}

/// Decisions that are kept.
#[derive(Debug, Default)]
pub(in crate::cluster) struct Decisions {
    most: usize,
    pub(in crate::cluster) made: Vec<Decision>,
}

impl Decisions {
    /// The first `most` are.
    pub(in crate::cluster) const fn new(most: usize) -> Self {
        Self { most, made: Vec::new() }
    }

    /// Whether one more is wanted.
    pub(in crate::cluster) fn wants_more(&self) -> bool {
        self.made.len() < self.most
    }
}

/// What was seen of a host before the choice; see [`Candidate`].
pub(crate) fn candidate(host: &Host, load: u32, score: Option<f64>, work: SimDuration) -> Candidate {
    Candidate { pod: host.id, address: host.address.clone(), load, score, work }
}

/// A choice, with its regret.
pub(crate) fn decision(
    time: SimTime,
    (source, instance): (SourceId, u32),
    candidates: Vec<Candidate>,
    age: SimDuration,
    chosen: Option<PodId>,
) -> Decision {
    let best = (0..candidates.len()).min_by_key(|i| candidates[*i].work).unwrap_or(0);
    let chosen = chosen.and_then(|pod| candidates.iter().position(|c| c.pod == pod));
    let work = |at: usize| candidates.get(at).map_or(SimDuration::ZERO, |c| c.work);
    let regret = chosen.map_or(SimDuration::ZERO, |at| work(at).saturating_sub(work(best)));
    Decision { time, source, instance, candidates, age, chosen, best, regret }
}
