//! kube-proxy in nftables mode: one map lookup finds the Service, one random number the endpoint.
//!
//! The verdict map `service-ips` is keyed by address, protocol and port, `service-nodeports` by protocol and port, so the
//! first packet's cost does not depend on the number of Services; the chain's `numgen random mod n` picks
//! `floor(u n / 2^32)` for 32 random bits `u` (`net/netfilter/nft_numgen.c`, reciprocal scaling), so it does not depend on
//! the number of endpoints either (KEP-3866; `pkg/proxy/nftables/proxier.go`). Each flow draws independently, as in
//! iptables mode.
//!
//! What differs besides: node ports are served at the primary address only; a port that a live cluster IP does not have is
//! rejected; an unallocated address of the Service CIDR is dropped (`nftables/proxier_test.go` TestClusterIPGeneral,
//! TestNodePorts).
//!
//! Omitted: node ports at loopback, which a gate of 1.37 can turn on; the delay of a second before unused chains go.

use super::{Address, Choice, DataPlane, Refusal, RuleSet, SyncSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use svcsim_engine::SimDuration;
use svcsim_engine::random::Stream;

/// `nftables: {lookup: 4us, sync: {…}}`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "NftablesDataPlane")]
pub struct Spec {
    /// Time that a first packet takes more than a later one. KEP-3866 charts first packets at 0.014 ms (p50) over a base of
    /// 0.010 ms, the same for 5,000 and 30,000 Services.
    pub lookup: SimDuration,
    /// How long changes take: proportional to what changed (KEP-3866). The figures are an assumption; none are published.
    pub sync: SyncSpec,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            lookup: SimDuration::from_micros(4),
            sync: SyncSpec {
                min_sync_period: SimDuration::from_secs(1),
                base: SimDuration::from_millis(20),
                per_service_port: SimDuration::ZERO,
                per_endpoint: SimDuration::ZERO,
                per_changed_endpoint: SimDuration::from_micros(100),
                full_sync_period: SimDuration::from_secs(3_600),
                full_per_endpoint: SimDuration::from_micros(50),
            },
        }
    }
}

/// One Node's nftables: nothing but the settings.
#[derive(Clone, Debug)]
pub struct Nftables {
    spec: Spec,
}

impl Nftables {
    pub(super) fn new(spec: &Spec) -> Self {
        Self { spec: spec.clone() }
    }
}

impl DataPlane for Nftables {
    fn node_ports_at_primary_only(&self) -> bool {
        true
    }

    fn wrong_port(&self) -> Option<Refusal> {
        Some(Refusal::Reject)
    }

    fn unallocated(&self) -> Option<Refusal> {
        Some(Refusal::Drop)
    }

    fn choose(&mut self, choice: &Choice<'_>, stream: &mut Stream) -> Option<usize> {
        Some(numgen(choice.candidates.len() as u32, stream.next_u32()) as usize)
    }

    fn explain(&self, choice: &Choice<'_>, mut stream: Stream) -> String {
        let (n, draw) = (choice.candidates.len() as u32, stream.next_u32());
        format!("numgen random mod {n}: drew {draw} of 2^32, which is element {}", numgen(n, draw))
    }

    fn lookup(&self, _: &RuleSet, _: Address, _: u32, _: usize) -> SimDuration {
        self.spec.lookup
    }

    fn sync(&self) -> &SyncSpec {
        &self.spec.sync
    }
}

/// `numgen random mod n` for 32 random bits.
#[must_use]
pub fn numgen(n: u32, draw: u32) -> u32 {
    ((u64::from(draw) * u64::from(n)) >> 32) as u32
}
