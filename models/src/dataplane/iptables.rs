//! kube-proxy in iptables mode: each new flow draws an endpoint from a chain of rules, independently.
//!
//! Rule `i` (from 0) of `n` matches with probability `1/(n-i)`, the last always (`computeProbability` in
//! `pkg/proxy/iptables/proxier.go`). The probability is printed with ten decimals, read back by `iptables` and stored as
//! `round(2^31 p)` (`libxt_statistic.c`); the kernel draws 32 bits, masks them to 31, and matches below the stored value
//! (`xt_statistic.c`). The result is uniform but for a bias of order 1e-10. There is no rotation, no state and no knowledge
//! of load, and every Node draws for itself. Established flows bypass the rules through conntrack.
//!
//! The first packet of a flow is compared with the rules of `KUBE-SERVICES` one by one, node ports after all of them, in
//! an order that is arbitrary and changes from sync to sync, then with the rules of the Service's chain.
//!
//! Omitted: `KUBE-FW` chains' own cost; extra rules that policy Local adds.

use super::{Address, Choice, DataPlane, RuleSet, SyncSpec};
use crate::api::{EndpointSet, Service};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;
use svcsim_engine::SimDuration;
use svcsim_engine::random::Stream;

/// Addresses that a list of `xt_recent` has room for: its parameter `ip_list_tot`, which kube-proxy leaves as it is.
const RECENT_LIST: usize = 100;

/// `iptables: {perRule: 24ns, sync: {…}}`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(rename = "IptablesDataPlane")]
pub struct Spec {
    /// Time to compare a packet with one rule. KEP-3866 charts first packets at 0.156, 0.262 and 0.716 ms (p99) for 5,000,
    /// 10,000 and 30,000 Services over a base of 0.01 ms: 24 to 29 ns a Service.
    pub per_rule: SimDuration,
    /// How long changes take. KEP-3453's 5,000-node test needed about 5 s at the median with partial syncs and a minimum
    /// period of 1 s; with the 10,000 Services of the scalability limits that is about 300 us a port (an assumption: the
    /// test's own count is not stated).
    pub sync: SyncSpec,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            per_rule: SimDuration::from_nanos(24),
            sync: SyncSpec {
                min_sync_period: SimDuration::from_secs(1),
                base: SimDuration::from_millis(20),
                per_service_port: SimDuration::from_micros(300),
                per_endpoint: SimDuration::ZERO,
                per_changed_endpoint: SimDuration::from_micros(100),
                full_sync_period: SimDuration::from_secs(3_600),
                full_per_endpoint: SimDuration::from_micros(100),
            },
        }
    }
}

/// One Node's iptables: nothing but the settings.
#[derive(Clone, Debug)]
pub struct Iptables {
    spec: Spec,
}

impl Iptables {
    pub(super) fn new(spec: &Spec) -> Self {
        Self { spec: spec.clone() }
    }
}

impl DataPlane for Iptables {
    fn affinity_list(&self) -> Option<usize> {
        Some(RECENT_LIST)
    }

    fn serves_loopback(&self) -> bool {
        true
    }

    fn choose(&mut self, choice: &Choice<'_>, stream: &mut Stream) -> Option<usize> {
        Some(pick(choice.candidates.len() as u32, || stream.next_u32()) as usize)
    }

    fn explain(&self, choice: &Choice<'_>, mut stream: Stream) -> String {
        let n = choice.candidates.len() as u32;
        let mut draws = Vec::new();
        let picked = pick(n, || {
            let draw = stream.next_u32();
            draws.push(draw);
            draw
        });
        let tried = draws.iter().zip(0..).map(|(draw, i)| {
            let (u31, below) = (draw & MASK, threshold(n - i));
            let verdict = if u31 < below { "below: matches" } else { "not below: next rule" };
            format!("rule {} of {n} (probability {}): drew {u31}, threshold {below}, {verdict}", i + 1, probability_text(n - i))
        });
        let last = (picked + 1 == n).then(|| format!("rule {n} of {n} always matches"));
        tried.chain(last).collect::<Vec<_>>().join("; ")
    }

    fn lookup(&self, rules: &RuleSet, address: Address, position: u32, place: usize) -> SimDuration {
        let scaled = |n: u32| (u64::from(position) * u64::from(n)) >> 32;
        let scanned = match address {
            Address::NodePort => u64::from(rules.service_addresses) + scaled(rules.node_ports),
            _ => scaled(rules.service_addresses),
        };
        SimDuration::from_nanos(self.spec.per_rule.as_nanos() * (scanned + place as u64 + 2))
    }

    fn sync(&self) -> &SyncSpec {
        &self.spec.sync
    }
}

const MASK: u32 = (1 << 31) - 1;

/// The probability that kube-proxy writes into a rule with `n` endpoints left: `1/n` with ten decimals.
#[must_use]
pub fn probability_text(n: u32) -> String {
    format!("{:.10}", 1.0 / f64::from(n.max(1)))
}

/// What the kernel compares a draw of 31 bits with, for a rule with `n` endpoints left: `lround(2^31 p)` of the printed
/// probability.
#[must_use]
pub fn threshold(n: u32) -> u32 {
    THRESHOLDS.get(n as usize).copied().unwrap_or_else(|| read_back(n))
}

/// Those of chains as long as any cluster has.
static THRESHOLDS: LazyLock<Vec<u32>> = LazyLock::new(|| (0..1_024).map(read_back).collect());

fn read_back(n: u32) -> u32 {
    let p: f64 = probability_text(n).parse().unwrap_or_default();
    libm::round(p * f64::from(1u32 << 31)) as u32
}

/// The endpoint that a chain of `n > 0` picks, from 0, given 31 of the 32 bits of each draw; the last rule needs none.
#[inline]
pub fn pick(n: u32, mut draw: impl FnMut() -> u32) -> u32 {
    let last = n.saturating_sub(1);
    // Rules from the first to the one before the last have `n` down to 2 endpoints left.
    if let Some(left) = THRESHOLDS.get(2..=n as usize) {
        return left.iter().rev().zip(0..).find(|(below, _)| draw() & MASK < **below).map_or(last, |(_, i)| i);
    }
    (0..last).find(|i| draw() & MASK < threshold(n - i)).unwrap_or(last)
}

/// The chance of each of `n` endpoints, by the rounded thresholds.
#[must_use]
pub fn chances(n: u32) -> Vec<f64> {
    let mut left = 1.0;
    let rule = |i: u32| if i + 1 == n { 1.0 } else { f64::from(threshold(n - i)) / f64::from(1u32 << 31) };
    (0..n)
        .map(|i| {
            let chance = left * rule(i);
            left -= chance;
            chance
        })
        .collect()
}

/// Rules in the `filter` and `nat` tables (`number_generated_rules_test.go`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleCount {
    /// In `filter`: three fixed, a rejection for each address of a port without endpoints, and a firewall for each
    /// load balancer's address with source ranges.
    pub filter: u64,
    /// In `nat`: five fixed; for a port with endpoints its addresses, its chains, and three for each endpoint.
    pub nat: u64,
}

/// The rules that kube-proxy writes for `services` with the endpoints of `sets`.
#[must_use]
pub fn rule_count<'a>(services: impl Iterator<Item = (&'a Service, &'a EndpointSet)>) -> RuleCount {
    let mut count = RuleCount { filter: 3, nat: 5 };
    for (service, set) in services {
        let (balanced, external) = (service.load_balancer_ips.len() as u64, service.external_ips.len() as u64);
        let ranges = service.load_balancer_source_ranges.len() as u64;
        for (port, endpoints) in service.ports.iter().zip(&set.ports) {
            let node_port = u64::from(port.node_port.is_some());
            let outside = external + balanced + node_port;
            let n = endpoints.ready().len() as u64;
            if n == 0 {
                count.filter += 1 + outside;
                continue;
            }
            let guarded = if ranges > 0 { balanced } else { 0 };
            count.filter += guarded;
            // KUBE-SERVICES and the masquerade mark of KUBE-SVC; the outer addresses, KUBE-EXT's two and KUBE-FW's ranges;
            // a jump, a mark and a DNAT for each endpoint.
            count.nat += 2 + outside + if outside > 0 { 2 } else { 0 } + if guarded > 0 { ranges } else { 0 } + 3 * n;
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use svcsim_engine::random::Streams;

    /// Pearson's statistic of a million flows must lie within four standard deviations of its mean: the chain picks every
    /// endpoint as often as its rounded probabilities say.
    #[test]
    fn a_million_flows_fit_the_rounded_chain() {
        let mut stream = Streams::new(1, 0).stream(7, 0);
        for n in [2u32, 3, 7, 10] {
            let mut hits = vec![0u64; n as usize];
            (0..1_000_000).for_each(|_| hits[pick(n, || stream.next_u32()) as usize] += 1);
            let fit: f64 = hits.iter().zip(chances(n)).map(|(h, p)| libm::pow(*h as f64 - 1e6 * p, 2.0) / (1e6 * p)).sum();
            let freedom = f64::from(n - 1);
            assert!((fit - freedom).abs() < 4.0 * (2.0 * freedom).sqrt(), "{n} endpoints: chi-square {fit}, {hits:?}");
        }
    }

    #[test]
    fn the_lookup_scans_half_of_the_services_on_average_and_all_for_a_node_port() {
        let plane = Iptables::new(&Spec::default());
        let rules = RuleSet { service_addresses: 10_000, node_ports: 0, service_ports: 10_000, endpoints: 0 };
        let at = |address, position| plane.lookup(&rules, address, position, 0).as_nanos();
        assert_eq!(at(Address::ClusterIP, 0), 48);
        assert_eq!(at(Address::ClusterIP, 1 << 31), 120_048);
        assert_eq!(at(Address::NodePort, 0), 240_048);
    }
}
