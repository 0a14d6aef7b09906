//! Made-up results that look like those of a real experiment: five ways into a Service.

use std::collections::BTreeMap;

use super::tables::{
    About, BalanceRow, ErrorRow, EventRow, IncidentRow, LatencyRow, LinkRow, Point, Results, RunRow, SummaryRow, TimelineErrorRow,
    TimelineRow, VertexRow,
};

/// A small generator; only its variety matters.
pub(super) struct Noise(u64);

impl Noise {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Roughly normal, of deviation 1.
    fn bell(&mut self) -> f64 {
        ((0..12).map(|_| self.unit()).sum::<f64>() - 6.0) * 1.0
    }
}

struct Entry {
    label: &'static str,
    levels: [&'static str; 2],
    p99: f64,
    extra_hop: f64,
    snat: f64,
    cross_zone: f64,
    loss: f64,
    jain: f64,
}

const ENTRIES: [Entry; 5] = [
    Entry {
        label: "ClusterIP",
        levels: ["ClusterIP", "-"],
        p99: 18.4,
        extra_hop: 0.0,
        snat: 0.0,
        cross_zone: 0.668,
        loss: 0.000_31,
        jain: 0.997,
    },
    Entry {
        label: "NodePort, Cluster",
        levels: ["NodePort", "Cluster"],
        p99: 21.2,
        extra_hop: 0.834,
        snat: 1.0,
        cross_zone: 0.744,
        loss: 0.000_35,
        jain: 0.996,
    },
    Entry {
        label: "NodePort, Local",
        levels: ["NodePort", "Local"],
        p99: 24.9,
        extra_hop: 0.0,
        snat: 0.0,
        cross_zone: 0.0,
        loss: 0.0214,
        jain: 0.842,
    },
    Entry {
        label: "LoadBalancer, Cluster",
        levels: ["LoadBalancer", "Cluster"],
        p99: 21.1,
        extra_hop: 0.831,
        snat: 1.0,
        cross_zone: 0.741,
        loss: 0.000_34,
        jain: 0.996,
    },
    Entry {
        label: "LoadBalancer, Local",
        levels: ["LoadBalancer", "Local"],
        p99: 19.6,
        extra_hop: 0.0,
        snat: 0.0,
        cross_zone: 0.412,
        loss: 0.0016,
        jain: 0.905,
    },
];

/// Results of the first `points` entries over `replications`.
pub(super) fn results(points: usize, replications: u32) -> Results {
    let mut noise = Noise(7);
    let mut r = Results { about: about(points, replications), ..Results::default() };
    let mut per_point: BTreeMap<(u32, &str), Vec<f64>> = BTreeMap::new();
    let shared: Vec<f64> = (0..replications).map(|_| noise.bell()).collect();
    for (p, entry) in ENTRIES.iter().cycle().take(points).enumerate() {
        let point = p as u32;
        for replication in 0..replications {
            let load = shared[replication as usize];
            let mut push = |metric: &'static str, unit: &str, value: f64| {
                per_point.entry((point, metric)).or_default().push(value);
                r.runs.push(RunRow { point, replication, series: "all".into(), metric: metric.into(), unit: unit.into(), value });
            };
            let p99 = entry.p99 * (1.0 + 0.03 * load + 0.004 * noise.bell());
            push("latency_mean", "ms", p99 * 0.29);
            push("latency_p50", "ms", p99 * 0.21 * (1.0 + 0.002 * noise.bell()));
            push("latency_p90", "ms", p99 * 0.55);
            push("latency_p99", "ms", p99);
            push("latency_p999", "ms", p99 * 1.9 * (1.0 + 0.02 * noise.bell()));
            push("time_wait", "ms", p99 * 0.02);
            push("time_network", "ms", 0.4 + entry.extra_hop * 0.6 + entry.cross_zone * 0.5);
            push("throughput", "requests/s", 3000.0 * (1.0 - entry.loss) + 6.0 * load);
            push("error_rate", "share", (entry.loss * (1.0 + 0.05 * noise.bell())).max(0.0));
            push("jain_requests", "1", (entry.jain + 0.001 * noise.bell()).min(1.0));
            push("max_over_mean_requests", "1", 1.0 + 2.0 * (1.0 - entry.jain).sqrt());
            push("extra_hop_share", "share", if entry.extra_hop > 0.0 { entry.extra_hop + 0.001 * noise.bell() } else { 0.0 });
            push("snat_share", "share", entry.snat);
            push("cross_zone_share", "share", if entry.cross_zone > 0.0 { entry.cross_zone + 0.001 * noise.bell() } else { 0.0 });
            push("utilisation", "share", 0.61 + 0.01 * load);
            for pod in 0..6u32 {
                let skew = (1.0 - entry.jain).sqrt() * [1.7, -0.6, 0.9, -0.9, -0.7, -0.4][pod as usize] + 0.01 * noise.bell();
                let share = (1.0 + skew) / 6.0;
                r.balance.push(BalanceRow {
                    point,
                    replication,
                    series: "frontend".into(),
                    pod: format!("frontend-{pod}"),
                    node: format!("node-{}", [0, 0, 1, 2, 3, 5][pod as usize]),
                    zone: format!("zone-{}", ["a", "a", "a", "b", "b", "c"][pod as usize]),
                    requests: (share * 180_000.0) as u64,
                    connections: (share * 900.0) as u64,
                    share_requests: share,
                    share_connections: share,
                    busy_share: share,
                    utilisation: 0.61 * (1.0 + skew),
                });
            }
            for (cause, part) in [("policy_drop", if entry.loss > 0.01 { 0.9 } else { 0.1 }), ("refused", 0.06), ("timed_out", 0.04)] {
                let share = entry.loss * part;
                r.errors.push(ErrorRow {
                    point,
                    replication,
                    series: "all".into(),
                    cause: cause.into(),
                    place: "node-0".into(),
                    requests: (share * 180_000.0).round() as u64,
                    share,
                });
            }
            for (time_s, event, pod, node) in [
                (12.0, "crash", "frontend-0", "node-0"),
                (18.5, "ready", "frontend-0", "node-0"),
                (30.0, "terminate", "frontend-3", "node-2"),
                (31.0, "ready", "frontend-6", "node-4"),
                (33.0, "gone", "frontend-3", "node-2"),
            ] {
                r.incidents.push(IncidentRow { point, replication, time_s, event: event.into(), pod: pod.into(), node: node.into() });
            }
            events(&mut r, point, replication, entry);
            for w in 0..120 {
                let time_s = f64::from(w) * 0.5;
                let after = |t: f64, width: f64| if time_s >= t && time_s < t + width { 1.0 - (time_s - t) / width } else { 0.0 };
                let lost = 1500.0 * entry.loss.sqrt() * (after(12.0, 2.5) * 0.9 + after(30.0, 1.5) * 0.6) * (1.0 + 0.1 * noise.bell());
                let errors = lost.max(0.0) as u64;
                for (cause, requests) in [("refused", errors / 3), ("blackhole", errors - errors / 3)] {
                    if requests > 0 {
                        let (series, cause) = ("all".into(), cause.into());
                        r.timeline_errors.push(TimelineErrorRow { point, replication, series, time_s, cause, requests });
                    }
                }
                let slow = 1.0 + 4.0 * after(12.0, 4.0) + 2.0 * after(28.0, 10.0);
                r.timeline.push(TimelineRow {
                    point,
                    replication,
                    series: "all".into(),
                    time_s,
                    width_s: 0.5,
                    arrivals: 1500,
                    completed: 1500 - errors.min(1500),
                    errors,
                    latency_p50_ms: Some(p99 * 0.21),
                    latency_p99_ms: if w == 3 { None } else { Some(p99 * slow * (1.0 + 0.03 * noise.bell())) },
                    ready_endpoints: if (12.0..18.5).contains(&time_s) || (30.0..31.0).contains(&time_s) { 5 } else { 6 },
                    stale_nodes: (6.0 * (after(12.5, 1.5) + after(30.0, 1.0) + after(18.5, 1.0))) as u32,
                    serving_endpoints: 6,
                    terminating_endpoints: u32::from((30.0..33.0).contains(&time_s)),
                    capacity: 48,
                    hottest_pod_requests: 300,
                    retries: 0,
                });
            }
        }
        for k in 0..240 {
            // A lognormal body with a tail that starts where retries do.
            let latency_ms = libm::pow(1.02, f64::from(k)) * entry.p99 / 19.0;
            let z = (libm::log(latency_ms / (entry.p99 * 0.21)) / 0.66).max(-8.0);
            let above = 1.0 / (1.0 + libm::exp(1.702 * z)) * libm::exp(-(latency_ms / entry.p99 / 3.0)) + 0.0;
            let above = if k == 239 { 0.0 } else { (above * 1.8e6).round() / 1.8e6 };
            r.latency.push(LatencyRow { point, series: "all".into(), latency_ms, fraction_above: above });
        }
        network(&mut r, point, entry);
    }
    summarise(&mut r, &per_point, replications);
    vertices(&mut r);
    r
}

/// A node that crashes and comes back, and a rollout.
fn events(r: &mut Results, point: u32, replication: u32, entry: &Entry) {
    for (event, what, began_s, ended_s, slow, lost) in [
        ("node-0 crashes", "Node node-0 is off", 12.0, 16.0, 4.0, 900.0),
        ("rollout", "deployments.frontend restarts", 28.0, 40.0, 2.0, 300.0),
    ] {
        let mut push = |phase: &str, metric: &str, unit: &str, value: f64| {
            let (event, what, phase, metric, unit) = (event.into(), what.into(), phase.into(), metric.into(), unit.into());
            let series = "all".into();
            r.events.push(EventRow { point, replication, event, what, began_s, ended_s, series, phase, metric, unit, value });
        };
        let lost = lost * entry.loss.sqrt() + f64::from(replication % 3);
        for (phase, slow, lost) in [("before", 1.0, 0.0), ("during", slow, lost), ("after", 1.1, (lost / 50.0).floor())] {
            push(phase, "requests", "requests", 30_000.0);
            push(phase, "latency_p99", "ms", entry.p99 * slow);
            push(phase, "error_rate", "ratio", lost / 30_000.0);
            push(phase, "requests_lost", "requests", lost);
            push(phase, "error_budget_burned", "ratio", lost / 180.0);
            push(phase, "errors_blackhole", "requests", lost);
        }
        push("during", "ready_fewest", "Pods", 5.0);
        push("during", "capacity_fewest", "requests", 40.0);
        push("whole", "recovery", "s", 2.4 + 0.1 * f64::from(replication));
    }
}

fn about(points: usize, replications: u32) -> About {
    About {
        name: "Ways into a Service".into(),
        question:
            "Which way into the frontend Service gives clients outside of the cluster the lowest tail latency, and what does it cost?"
                .into(),
        version: "0.1.0".into(),
        seed: 42,
        replications,
        duration_s: 60.0,
        warm_up_s: 5.0,
        warm_up_how: String::new(),
        experiment_sha256: "5f2c1a0b9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a3b2c1d0e9f8a7b6c5d4e3f2a".into(),
        rebuild: vec!["svcsim run entries.yaml --seed 42 --out results/entries".into(), "svcsim verify results/entries".into()],
        factors: vec!["type".into(), "externalTrafficPolicy".into()],
        points: ENTRIES
            .iter()
            .cycle()
            .take(points)
            .enumerate()
            .map(|(i, e)| Point {
                label: if i < ENTRIES.len() { e.label.into() } else { format!("{} #{i}", e.label) },
                levels: e.levels.iter().map(|l| (*l).to_owned()).collect(),
            })
            .collect(),
        setup: vec![
            "6 Nodes in 3 zones".into(),
            "frontend: 6 Pods, service time lognormal(mean 4 ms, cv 1.2), 8 at a time".into(),
            "3,000 requests/s from 2 sites, open arrivals (Poisson)".into(),
        ],
        assumptions: vec!["readinessProbe: periodSeconds 10 (Kubernetes' default; the manifest has none)".into()],
        not_modelled: vec!["frontend: spec.template.spec.containers[0].resources.limits.cpu".into()],
        precision: None,
        ranking: None,
        expectations: Vec::new(),
        warnings: vec![
            "The Pods of node-0 are at 94% utilisation with \u{201C}NodePort, Local\u{201D}: its p99 depends on the length of the run."
                .into(),
        ],
    }
}

fn summarise(r: &mut Results, per_point: &BTreeMap<(u32, &str), Vec<f64>>, replications: u32) {
    for ((point, metric), values) in per_point {
        let interval = svcsim_engine::stats::t_interval(values, 0.95);
        let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
        let unit = r.runs.iter().find(|x| x.metric == *metric).map(|x| x.unit.clone()).unwrap_or_default();
        r.summary.push(SummaryRow {
            point: *point,
            series: "all".into(),
            metric: (*metric).to_owned(),
            unit,
            mean,
            ci_low: interval.as_ref().map(|i| i.low),
            ci_high: interval.as_ref().map(|i| i.high),
            confidence: 0.95,
            replications,
            warning: if *point == 2 && *metric == "latency_p999" {
                "fewer than 100 requests above it in a run".into()
            } else {
                String::new()
            },
        });
    }
}

fn vertices(r: &mut Results) {
    let mut vertex = |name: &str, kind: &str, zone: &str, pods: u32| {
        r.vertices.push(VertexRow { name: name.into(), kind: kind.into(), zone: zone.into(), x: None, y: None, pods });
    };
    vertex("berlin", "site", "", 0);
    vertex("madrid", "site", "", 0);
    vertex("edge", "switch", "", 0);
    for (zone, nodes) in [("zone-a", [0, 1]), ("zone-b", [2, 3]), ("zone-c", [4, 5])] {
        vertex(&format!("switch-{}", &zone[5..]), "switch", zone, 0);
        for node in nodes {
            vertex(&format!("node-{node}"), "node", zone, [2, 1, 1, 1, 0, 1][node as usize]);
        }
    }
}

fn network(r: &mut Results, point: u32, entry: &Entry) {
    let mut both = |from: &str, to: &str, bytes: f64, utilisation: f64| {
        for (from, to, bytes) in [(from, to, bytes * 0.1), (to, from, bytes)] {
            let messages = (bytes / 1200.0).round();
            r.links.push(LinkRow { point, from: from.into(), to: to.into(), messages, bytes, dropped: 0.0, utilisation });
        }
    };
    both("berlin", "edge", 1.3e9, 0.0);
    both("madrid", "edge", 0.6e9, 0.0);
    for (switch, nodes, part) in [("switch-a", [0, 1], 0.5), ("switch-b", [2, 3], 0.3), ("switch-c", [4, 5], 0.2)] {
        both("edge", switch, 1.9e9 * part * (1.0 + entry.cross_zone), 0.19 * part * (1.0 + entry.cross_zone) * 2.0);
        for node in nodes {
            both(switch, &format!("node-{node}"), 0.8e9 * part * (1.0 + entry.extra_hop), 0.0);
        }
    }
    for (a, b) in [("switch-a", "switch-b"), ("switch-b", "switch-c")] {
        both(a, b, 0.9e9 * entry.cross_zone, 0.9 * entry.cross_zone);
    }
}
