//! What Pods do with requests.

use super::{StepSpec, defaults};
use crate::cpu_quota::CpuQuotaSpec;
use crate::scale_to_zero::ScaleToZeroSpec;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use svcsim_engine::SimDuration;
use svcsim_engine::random::DistSpec;

/// What a Pod does with requests. Kubernetes manifests do not say, so the experiment must.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PodBehaviour {
    /// Demand of one request: the time one server is busy with it.
    pub service_time: DistSpec<SimDuration>,
    /// Requests served at once (servers, in queueing terms).
    pub concurrency: u32,
    /// Requests that may wait in the Pod's line; one more is refused with 503. Absent: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_limit: Option<u32>,
    /// Requests that have waited longer than this when their turn comes are refused with 503 instead of served: their clients have
    /// given up, or will have. Absent: all are served. Not under processor sharing, where nobody waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shed_after: Option<SimDuration>,
    /// A limit on the requests in the Pod that follows their latency; one more is refused with 503. Absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adaptive_limit: Option<crate::limiter::LimiterSpec>,
    /// New connections that may wait for a process that hangs, in its kernel's accept queue, where one more than this fits: the
    /// application's `listen(2)` backlog, or `net.core.somaxconn` if that is less.
    #[serde(default = "defaults::backlog", skip_serializing_if = "defaults::is_somaxconn")]
    pub backlog: u32,
    /// Connections that its process accepts at once; more wait in the accept queue, where one more than the backlog fits, until one
    /// is closed: Tomcat's `maxConnections`, HAProxy's `maxconn`. Absent: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<u32>,
    /// CPU time that the container gets in each period: with the quota used up it stands still until the next. Its servers at work
    /// use one CPU each. Absent: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_quota: Option<CpuQuotaSpec>,
    /// Its process is stopped while nobody needs it, and started by the next request: scale to zero. Absent: it never sleeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_to_zero: Option<ScaleToZeroSpec>,
    /// How long the image of a workload's first Pod on a Node is pulled; later ones there find it. A Node pulls one image after
    /// the other (`serializeImagePulls`).
    #[serde(default = "defaults::image_pull", skip_serializing_if = "defaults::is_nothing")]
    pub image_pull: DistSpec<SimDuration>,
    /// From the start of a Pod's container until it listens. When the Pod is Ready depends on its probes.
    #[serde(default = "defaults::startup")]
    pub startup: DistSpec<SimDuration>,
    /// A Pod that has just begun to listen is slower: cold caches, code not compiled yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_up: Option<WarmUp>,
    /// How fast each Pod is, by its place in the workload, over and over: services take their demand divided by it. Absent: all 1.
    /// Old and new machines, or neighbours that never rest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub speeds: Vec<f64>,
    /// Time that each service takes beyond its demand, drawn anew whenever a Pod begins one: what Pods share with others takes it, so a
    /// second try of a request may be spared (Dean and Barroso 2013, *The Tail at Scale*, "Why variability exists"; Gardner et al. 2017,
    /// *A Better Model for Job Redundancy*, where slowness is the server's and size is the job's). Absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interference: Option<DistSpec<SimDuration>>,
    /// How likely a request that is served fails all the same, each try by itself: the application answers 500. Absent: never.
    #[serde(default, skip_serializing_if = "never")]
    pub error_probability: f64,
    /// What the application does at SIGTERM.
    #[serde(default, skip_serializing_if = "AtSigterm::is_default")]
    pub at_sigterm: AtSigterm,
    /// From the end of a terminating Pod's container to the end of its sandbox (`StopPodSandbox`, which takes the address away): until
    /// then the Pod's kernel refuses connections, from then on nobody answers. Sidecars that run on have the same effect.
    #[serde(default, skip_serializing_if = "defaults::is_zero")]
    pub sandbox_teardown: SimDuration,
    /// What it asks of other Services once its own work for a request is done, step by step; then it answers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<StepSpec>,
    /// Whether a request that waits for what it called leaves its server to others (an event loop, coroutines); otherwise it holds
    /// it (a thread a request). Under processor sharing it always does.
    #[serde(default, rename = "async", skip_serializing_if = "std::ops::Not::not")]
    pub asynchronous: bool,
    /// How FIFO line or sharing: the queueing discipline.
    #[serde(default)]
    pub discipline: Discipline,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks for a reference.
fn never(probability: &f64) -> bool {
    *probability == 0.0
}

impl PodBehaviour {
    /// `concurrency` servers with one line without limit, and defaults.
    #[must_use]
    pub fn new(service_time: DistSpec<SimDuration>, concurrency: u32) -> Self {
        Self {
            service_time,
            concurrency,
            queue_limit: None,
            shed_after: None,
            adaptive_limit: None,
            max_connections: None,
            cpu_quota: None,
            scale_to_zero: None,
            backlog: defaults::backlog(),
            image_pull: defaults::image_pull(),
            startup: defaults::startup(),
            warm_up: None,
            speeds: Vec::new(),
            interference: None,
            error_probability: 0.0,
            at_sigterm: AtSigterm::default(),
            sandbox_teardown: SimDuration::ZERO,
            calls: Vec::new(),
            asynchronous: false,
            discipline: Discipline::default(),
        }
    }
}

/// How slow a cold Pod is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WarmUp {
    /// Requests whose service starts at first take so many times their demand; this falls linearly to 1.
    pub factor: f64,
    /// How long that takes.
    #[serde(rename = "for")]
    pub lasts: SimDuration,
}

impl WarmUp {
    /// How many times its demand a request takes whose service starts so long after the Pod began to listen.
    #[must_use]
    pub fn factor_after(&self, age: SimDuration) -> f64 {
        if age >= self.lasts {
            return 1.0;
        }
        self.factor - (self.factor - 1.0) * age.as_nanos() as f64 / self.lasts.as_nanos() as f64
    }
}

/// What an application does at SIGTERM.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum AtSigterm {
    /// It closes its listener and its idle connections, finishes the requests that it has, and exits.
    #[default]
    StopAccepting,
    /// It closes its listener, but serves the next request of each connection that it has, and closes the connection with the
    /// answer (`Connection: close`, GOAWAY); it exits when its grace period ends.
    DrainConnections,
    /// It serves on until it is killed.
    Ignore,
}

impl AtSigterm {
    #[allow(clippy::trivially_copy_pass_by_ref)] // serde asks for a reference.
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// How a Pod's servers meet its requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Discipline {
    /// `concurrency` servers and one line, first come first served.
    #[default]
    Fifo,
    /// The same, but last come, first served, without interrupting anybody.
    Lifo,
    /// The same, by the sources' `priority`, without interrupting anybody; of one priority first come, first served.
    Priority,
    /// All requests at once; each gets an equal share of `concurrency` servers, at most one each.
    ProcessorSharing,
}
