//! What the experiment makes happen: faults and operations, at a time or at random.

use crate::units::Bandwidth;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use svcsim_engine::SimDuration;
use svcsim_engine::random::DistSpec;

/// Something that happens to the cluster, once or again and again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EventSpec {
    /// When it happens; this, `every` or `uptime`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<SimDuration>,
    /// Time from one occurrence to the next, the first counted from `from`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<DistSpec<SimDuration>>,
    /// Time from `from`, and then from each repair, to the next occurrence; only with `for`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uptime: Option<DistSpec<SimDuration>>,
    /// Nothing happens before; only with `every` or `uptime`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<SimDuration>,
    /// Nothing happens at or after; only with `every` or `uptime`. Nothing ever does at or after the end of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<SimDuration>,
    /// The most occurrences; only with `every` or `uptime`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// How long it lasts until it is repaired; absent: for good.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub lasts: Option<DistSpec<SimDuration>>,
    /// What happens.
    #[serde(rename = "do")]
    pub action: Action,
}

impl EventSpec {
    /// `action` at one time, for good.
    #[must_use]
    pub fn at(at: SimDuration, action: Action) -> Self {
        Self { at: Some(at), every: None, uptime: None, from: None, until: None, times: None, lasts: None, action }
    }

    /// `action` again and again.
    #[must_use]
    pub fn every(every: DistSpec<SimDuration>, action: Action) -> Self {
        Self { at: None, every: Some(every), uptime: None, from: None, until: None, times: None, lasts: None, action }
    }

    /// The same, repaired after a while.
    #[must_use]
    pub fn lasting(self, lasts: DistSpec<SimDuration>) -> Self {
        Self { lasts: Some(lasts), ..self }
    }
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// A Pod's process dies without warning; its kubelet starts it again, with a growing back-off.
    PodCrash(PodTarget),
    /// The same, as the kernel does it to a container that has used up its memory.
    PodOom(PodTarget),
    /// A Pod's process hangs: it serves nothing, but connections to it are still accepted. Repaired, it goes on.
    PodPause(PodTarget),
    /// Requests whose service starts in a Pod take longer.
    PodSlow(SlowTarget),
    /// A Pod is deleted through the API, with its grace period.
    PodDelete(PodTarget),
    /// A Pod is evicted: deleted, if its PodDisruptionBudget allows.
    PodEvict(PodTarget),
    /// A new version of a workload is rolled out.
    Rollout(RolloutTarget),
    /// A workload is to have another number of Pods.
    Scale(ScaleTarget),
    /// A Service selects other Pods.
    SwitchSelector(SelectorTarget),
    /// A Node is cordoned and its Pods are evicted, as PodDisruptionBudgets allow. Repaired, it is uncordoned.
    Drain(NodeTarget),
    /// A Node loses power: its Pods stop and packets to it vanish. Repaired, it boots and its Pods start again.
    NodeCrash(NodeTarget),
    /// A Node is cut off the network, and runs on.
    NodeCut(NodeTarget),
    /// All Nodes of a zone crash.
    ZoneOutage(ZoneTarget),
    /// A zone is cut off from all that is outside it.
    ZonePartition(ZoneTarget),
    /// A Service's load balancer fails: what is sent to it, and what comes back through it, vanishes.
    LoadBalancerFailure(BalancerTarget),
    /// Links get worse: they delay messages, lose some, send more slowly.
    LinkDegrade(LinkTarget),
    /// Cluster DNS answers nobody; answers that clients have hold until they expire.
    DnsFailure(Everything),
    /// Nothing that changes reaches any Node or controller.
    ControlPlaneOutage(Everything),
}

/// A Pod of a workload: one at random among those that are ready, or a certain one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PodTarget {
    /// The workload's name.
    pub workload: String,
    /// Its place in the workload, from 0; absent: one that is ready is drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<u32>,
}

/// A Pod that becomes slow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SlowTarget {
    /// The workload's name.
    pub workload: String,
    /// Its place in the workload, from 0; absent: one that is ready is drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<u32>,
    /// How many times their demand requests take.
    pub factor: f64,
}

/// A workload of which a new version is rolled out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RolloutTarget {
    /// Its name.
    pub workload: String,
    /// A bad release: its containers run, but never listen.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fails: bool,
}

/// A workload that gets another size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScaleTarget {
    /// Its name.
    pub workload: String,
    /// Pods that it is to have; this or `by`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
    /// How many Pods more it is to have than before, or fewer. Repaired, those that came for it go again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<i32>,
}

impl ScaleTarget {
    /// `workload` is to have so many Pods.
    #[must_use]
    pub fn to(workload: &str, replicas: u32) -> Self {
        Self { workload: workload.to_owned(), replicas: Some(replicas), by: None }
    }
}

/// A Service that gets another selector, as a blue/green switch gives it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SelectorTarget {
    /// Its name.
    pub service: String,
    /// The labels that its Pods carry from then on.
    pub selector: BTreeMap<String, String>,
}

/// A Node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodeTarget {
    /// Its name; absent: one is drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
}

/// A zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ZoneTarget {
    /// Its name; absent: one is drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

/// A load balancer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BalancerTarget {
    /// Its Service's name.
    pub service: String,
}

/// Links that get worse, both directions of each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LinkTarget {
    /// The name of a Node, a site, a zone or a switch: all links that end there; or two of them, as `a/b`: those between them.
    pub link: String,
    /// How many times their propagation delay messages take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_factor: Option<f64>,
    /// What is added to it, drawn for each message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added_delay: Option<DistSpec<SimDuration>>,
    /// The part of messages that is lost, from 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<f64>,
    /// The bandwidth that is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<Bandwidth>,
}

/// There is only one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Everything {}

/// A Pod of `workload` at random.
#[must_use]
pub fn any_pod_of(workload: &str) -> PodTarget {
    PodTarget { workload: workload.to_owned(), place: None }
}
