//! What Pods do with requests.

use super::defaults;
use serde::{Deserialize, Serialize};
use svcsim_engine::SimDuration;
use svcsim_engine::random::DistSpec;

/// What a Pod does with requests. Kubernetes manifests do not say, so the experiment must.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PodBehaviour {
    /// Demand of one request: the time one server is busy with it.
    pub service_time: DistSpec<SimDuration>,
    /// Requests served at once (servers, in queueing terms).
    pub concurrency: u32,
    /// Requests that may wait in the Pod's line; one more is refused with 503. Absent: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_limit: Option<u32>,
    /// From the Pod's creation until it is Ready: pull, start, probes.
    #[serde(default = "defaults::startup")]
    pub startup: DistSpec<SimDuration>,
    /// How FIFO line or sharing: the queueing discipline.
    #[serde(default)]
    pub discipline: Discipline,
}

/// How a Pod's servers meet its requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Discipline {
    /// `concurrency` servers and one line, first come first served.
    #[default]
    Fifo,
    /// All requests at once; each gets an equal share of `concurrency` servers, at most one each.
    ProcessorSharing,
}
