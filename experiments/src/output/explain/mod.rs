//! The story of one request in the forms that `svcsim explain` writes: text, JSON and a trace for a viewer.

mod perfetto;
mod terms;
mod text;

use serde::Serialize;
use serde_json::{Map, Value};
use svcsim_models::explain::Explanation;

pub(crate) use perfetto::trace;
pub(crate) use text::text;

/// A request's story with the run that it is from. Its JSON has these fields in this order, with those of
/// [`Explanation`] (`source`, `request`, `outcome`, `startNs`, `endNs`, `times`, `steps`) in place of the last.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Story {
    /// `metadata.name` of the experiment.
    pub(crate) experiment: String,
    /// The design point, numbered as in `runs.csv`.
    pub(crate) point: usize,
    /// What a reader calls the point.
    pub(crate) label: String,
    /// The level of each factor at the point, in the design's order.
    pub(crate) levels: Map<String, Value>,
    /// Which of the point's runs.
    pub(crate) replication: u32,
    /// The seed of all chances.
    pub(crate) seed: u64,
    /// What happened.
    #[serde(flatten)]
    pub(crate) explanation: Explanation,
}

impl Story {
    /// As JSON, keys in the order of the fields.
    pub(crate) fn json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }
}

/// The word of a data plane, for people.
fn data_plane(word: &str) -> String {
    match word {
        "iptables" | "nftables" | "ipvs" => format!("kube-proxy in {word} mode"),
        "cilium" => "Cilium's eBPF programs, which replace kube-proxy".to_owned(),
        other => other.to_owned(),
    }
}
