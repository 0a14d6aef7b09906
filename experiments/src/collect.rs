//! Runs to tables: rows per run, and per design point their means with intervals.

use crate::design::Design;
use crate::expect;
use crate::input::experiment::{Loaded, SloSection};
use crate::input::files::sha256;
use crate::measures::{self, CONFIDENCE, SATURATED};
use crate::output::requests::RequestRow;
use crate::output::tables::{
    About, BalanceRow, ErrorRow, EventRow, IncidentRow, LatencyRow, LinkRow, Point, Precision, Results, RunRow, SummaryRow,
    TimelineErrorRow, TimelineRow, VertexRow,
};
use crate::sensitivity;
use crate::steady::{self, WarmUp};
use crate::verbs::{Failure, Planned};
use std::collections::BTreeMap;
use svcsim_engine::stats::Histogram;
use svcsim_engine::stats::proportion::clopper_pearson;
use svcsim_engine::stats::replications::interval_after_pilot;
use svcsim_engine::stats::t_interval;
use svcsim_engine::{Id, SimDuration, SimTime};
use svcsim_models::cluster::{Lint, Outcome, lint};
use svcsim_models::ids::{NodeId, ReplicaId};
use svcsim_models::network::{Network, Vertex, VertexKind};
use svcsim_models::record::{Place, RunResult, SeriesResult, Window, around, spans};
use svcsim_models::spec::ClusterSpec;

/// Points of a latency curve: enough for a figure, and its file stays small.
const CURVE_POINTS: usize = 300;
/// A quantile with fewer samples above it than this, pooled, is a guess.
const FEWEST_ABOVE: f64 = 100.0;

/// Values of a metric over replications (series, metric, unit, values), in the order of series and metric.
type Metrics = BTreeMap<(usize, usize), (String, String, &'static str, Vec<f64>)>;

/// What was found out on the way.
pub(crate) struct Made {
    /// Runs of each point.
    pub(crate) replications: u32,
    /// Why there are so many, where a pilot decided it.
    pub(crate) precision: Option<Precision>,
    /// The warm-up, where it was not given.
    pub(crate) warm_up: Option<WarmUp>,
}

/// Everything the runs found, as tables. `runs` gives those of a point, one point after the other: no more are in memory at once.
pub(crate) fn collect(
    planned: &Planned,
    specs: &[ClusterSpec],
    runs: impl Fn(usize) -> Result<Vec<RunResult>, Failure>,
    made: Made,
) -> Result<Results, Failure> {
    let Made { replications, precision, warm_up } = made;
    let Planned { loaded, design, claims, .. } = planned;
    let (warm_up_how, unsteady) = warm_up.map_or_else(Default::default, |w| (w.how, w.warning));
    let about = planned.origin.as_ref().map_or_else(|| about(loaded, design, specs), |origin| origin.about.clone());
    let about = About { replications, precision, warm_up_how, ..about };
    let mut results = Results { about, ..Results::default() };
    let map = Map::of(specs);
    for point in 0..design.points.len() {
        let of_point = &runs(point)?[..];
        let mut point = PointTables { point: point as u32, results: &mut results };
        let mut metrics = Metrics::new();
        let mut latencies: Vec<(String, Histogram)> = Vec::new();
        for (replication, run) in of_point.iter().enumerate() {
            let replication = replication as u32;
            for (s, series) in compared(run).iter().enumerate() {
                let mut of_series = measures::of_series(run, series, loaded.experiment.slo.as_ref());
                if s == 0 {
                    of_series.extend(measures::of_run(run));
                }
                for (m, (metric, unit, value)) in of_series.into_iter().enumerate() {
                    point.results.runs.push(RunRow {
                        point: point.point,
                        replication,
                        series: series.name.clone(),
                        metric: metric.clone(),
                        unit: unit.to_owned(),
                        value,
                    });
                    let key = metrics.iter().find(|(_, v)| v.0 == series.name && v.1 == metric).map_or((s, m + 1000 * s), |(k, _)| *k);
                    metrics.entry(key).or_insert_with(|| (series.name.clone(), metric, unit, Vec::new())).3.push(value);
                }
                point.balance(replication, run, series);
                point.errors(replication, run, series, &specs[point.point as usize]);
                point.events(replication, run, series, &specs[point.point as usize], loaded.experiment.slo.as_ref());
                match latencies.get_mut(s) {
                    Some((_, pooled)) => pooled.merge(&series.latency),
                    None => latencies.push((series.name.clone(), series.latency.clone())),
                }
            }
            point.results.requests.extend(RequestRow::of_run(point.point, replication, run));
            point.timeline(replication, run);
            point.incidents(replication, run, &specs[point.point as usize]);
        }
        let drift = steady::drifts(&specs[point.point as usize], of_point);
        point.summary(metrics, &latencies, replications, drift);
        point.latency(&latencies);
        point.links(of_point, &map);
    }
    results.sensitivity = sensitivity::rows(design, &results.runs);
    results.vertices = map.rows(specs);
    results.about.warnings.extend(numbers_to_doubt(&results));
    let short = results.about.precision.as_ref().filter(|p| !p.is_reached()).map(Precision::sentence);
    results.about.warnings.extend(short.into_iter().chain(unsteady));
    results.about.warnings.extend(expect::unjudged(claims));
    results.about.expectations = expect::judge(claims, &results);
    Ok(results)
}

/// What is compared inside a run: the whole, and each source where there are several.
fn compared(run: &RunResult) -> Vec<SeriesResult> {
    let mut series = vec![measures::all_series(run)];
    if run.series.len() > 1 {
        series.extend(run.series.iter().cloned());
    }
    series
}

struct PointTables<'a> {
    point: u32,
    results: &'a mut Results,
}

impl PointTables<'_> {
    fn balance(&mut self, replication: u32, run: &RunResult, series: &SeriesResult) {
        let backends = measures::backends(run, series);
        let total = |counts: &[u64]| backends.iter().map(|p| counts[p.replica]).sum::<u64>();
        let share = |n: u64, of: u64| if of == 0 { 0.0 } else { n as f64 / of as f64 };
        let (requests, connections) = (total(&series.requests_by_replica), total(&series.connections_by_replica));
        let busy: u64 = backends.iter().map(|p| p.busy.as_nanos()).sum();
        for pod in &backends {
            let (r, c) = (series.requests_by_replica[pod.replica], series.connections_by_replica[pod.replica]);
            self.results.balance.push(BalanceRow {
                point: self.point,
                replication,
                series: series.name.clone(),
                pod: pod.name.clone(),
                node: pod.node.clone(),
                zone: pod.zone.clone(),
                requests: r,
                connections: c,
                share_requests: share(r, requests),
                share_connections: share(c, connections),
                busy_share: share(pod.busy.as_nanos(), busy),
                utilisation: pod.busy.as_secs_f64() / run.measured.as_secs_f64() / f64::from(pod.concurrency),
            });
        }
    }

    fn errors(&mut self, replication: u32, run: &RunResult, series: &SeriesResult, spec: &ClusterSpec) {
        let ended = series.ended();
        let mut row = |cause: Outcome, place: String, requests: u64| {
            self.results.errors.push(ErrorRow {
                point: self.point,
                replication,
                series: series.name.clone(),
                cause: cause.name().to_owned(),
                place,
                requests,
                share: if ended == 0 { 0.0 } else { requests as f64 / ended as f64 },
            });
        };
        for outcome in Outcome::ALL.iter().filter(|o| **o != Outcome::Completed) {
            let places = series.lost.iter().filter(|((cause, _), _)| cause == outcome);
            let mut left = series.outcomes[*outcome as usize];
            for ((_, place), requests) in places {
                row(*outcome, place_name(*place, run, spec), *requests);
                left = left.saturating_sub(*requests);
            }
            if left > 0 || series.outcomes[*outcome as usize] == 0 {
                row(*outcome, String::new(), left);
            }
        }
    }

    fn timeline(&mut self, replication: u32, run: &RunResult) {
        let ms = |d: Option<SimDuration>| d.map(|d| d.as_millis_f64());
        for series in &run.series {
            self.results.timeline.extend(series.timeline.iter().map(|w| TimelineRow {
                point: self.point,
                replication,
                series: series.name.clone(),
                time_s: w.start.as_secs_f64(),
                width_s: w.width.as_secs_f64(),
                arrivals: w.arrivals,
                completed: w.completed,
                errors: w.errors,
                serving_endpoints: w.serving_endpoints,
                terminating_endpoints: w.terminating_endpoints,
                capacity: w.capacity,
                hottest_pod_requests: w.hottest_pod_requests,
                retries: w.retries,
                latency_p50_ms: ms(w.latency_p50),
                latency_p99_ms: ms(w.latency_p99),
                ready_endpoints: w.ready_endpoints,
                stale_nodes: w.stale_nodes,
            }));
            let lost = |w: &Window| {
                let causes = Outcome::ALL.iter().filter(|o| **o != Outcome::Completed);
                causes.map(|o| (o.name(), w.outcomes[*o as usize])).filter(|(_, n)| *n > 0).collect::<Vec<_>>()
            };
            for (window, (cause, requests)) in series.timeline.iter().flat_map(|w| lost(w).into_iter().map(move |l| (w, l))) {
                self.results.timeline_errors.push(TimelineErrorRow {
                    point: self.point,
                    replication,
                    series: series.name.clone(),
                    time_s: window.start.as_secs_f64(),
                    cause: cause.to_owned(),
                    requests: requests.into(),
                });
            }
        }
    }

    /// What a series met before, during and after each event of a run.
    fn events(&mut self, replication: u32, run: &RunResult, series: &SeriesResult, spec: &ClusterSpec, slo: Option<&SloSection>) {
        // What one lost request takes of the budget of the run.
        let part = slo.filter(|_| series.ended() > 0).map(|slo| 1.0 / (slo.error_budget() * series.ended() as f64));
        for span in spans(&run.marks, SimTime::ZERO + spec.run.duration) {
            let mut row = |phase: &str, (metric, unit, value): measures::Measure| {
                self.results.events.push(EventRow {
                    point: self.point,
                    replication,
                    event: span.name.clone(),
                    what: span.what.clone(),
                    began_s: span.began.as_secs_f64(),
                    ended_s: span.ended.as_secs_f64(),
                    series: series.name.clone(),
                    phase: phase.to_owned(),
                    metric,
                    unit: unit.to_owned(),
                    value,
                });
            };
            let phases = around(&span, &series.stretches);
            for (phase, stretches) in ["before", "during", "after"].into_iter().zip(phases) {
                measures::of_phase(stretches, part).into_iter().for_each(|measure| row(phase, measure));
            }
            let last_lost = phases[1..].iter().flat_map(|p| p.iter()).filter_map(|s| s.last_lost).max();
            let recovery = last_lost.map_or(0.0, |last| last.since(span.began).as_secs_f64());
            row("whole", ("recovery".to_owned(), "s", recovery));
            let under_way = |w: &&Window| w.start + w.width > span.began && w.start < span.ended;
            let fewest = |of: fn(&Window) -> u32| series.timeline.iter().filter(under_way).map(of).min();
            for (metric, unit, value) in
                [("ready_fewest", "Pods", fewest(|w| w.ready_endpoints)), ("capacity_fewest", "requests", fewest(|w| w.capacity))]
            {
                value.into_iter().for_each(|v| row("during", (metric.to_owned(), unit, v.into())));
            }
        }
    }

    fn incidents(&mut self, replication: u32, run: &RunResult, spec: &ClusterSpec) {
        self.results.incidents.extend(run.incidents.iter().map(|i| IncidentRow {
            point: self.point,
            replication,
            time_s: i.time.as_secs_f64(),
            event: i.event.to_string(),
            pod: i.pod.clone(),
            node: spec.nodes[i.node.index()].name.clone(),
        }));
    }

    fn summary(&mut self, metrics: Metrics, latencies: &[(String, Histogram)], replications: u32, drift: Option<String>) {
        let mut sent: BTreeMap<String, f64> = BTreeMap::new();
        for (series, _, _, values) in metrics.values().filter(|(_, metric, ..)| metric == "requests") {
            sent.insert(series.clone(), values.iter().sum());
        }
        for (series, metric, unit, values) in metrics.into_values() {
            let none_lost = metric == "error_rate" && values.iter().all(|v| *v == 0.0);
            let pilot = self.results.about.precision.as_ref().filter(|p| series == "all" && p.metrics.contains(&metric)).map(|p| p.pilot);
            let interval = match pilot {
                // Zeros do not scatter: how rare losses may be follows from how many requests there were.
                _ if none_lost => clopper_pearson(0, sent.get(&series).map_or(0, |n| *n as u64), CONFIDENCE),
                Some(pilot) => interval_after_pilot(&values, pilot as usize, CONFIDENCE),
                None => t_interval(&values, CONFIDENCE),
            };
            let samples = latencies.iter().find(|(name, _)| *name == series).map_or(0, |(_, h)| h.count());
            let mut warning: Vec<String> = drift.iter().filter(|_| metric.starts_with("latency_")).cloned().collect();
            if values.len() < replications as usize {
                warning.push(format!("only {} of {replications} replications have it", values.len()));
            }
            if let Some(above) = samples_above(&metric, samples).filter(|n| *n < FEWEST_ABOVE) {
                warning.push(format!("only {above:.0} samples lie above this quantile: a guess"));
            }
            self.results.summary.push(SummaryRow {
                point: self.point,
                series,
                metric,
                unit: unit.to_owned(),
                mean: values.iter().sum::<f64>() / values.len() as f64,
                // No metric can be negative; near zero the t interval does not know that.
                ci_low: interval.map(|i| i.low.max(0.0)),
                ci_high: interval.map(|i| i.high),
                confidence: CONFIDENCE,
                replications: values.len() as u32,
                warning: warning.join("; "),
            });
        }
    }

    fn latency(&mut self, latencies: &[(String, Histogram)]) {
        for (series, pooled) in latencies {
            let curve: Vec<_> = pooled.ccdf().collect();
            for (latency, fraction_above) in thinned(&curve) {
                self.results.latency.push(LatencyRow {
                    point: self.point,
                    series: series.clone(),
                    latency_ms: latency.as_millis_f64(),
                    fraction_above,
                });
            }
        }
    }

    fn links(&mut self, runs: &[RunResult], map: &Map) {
        let mean = |of: &dyn Fn(&RunResult) -> f64| runs.iter().map(of).sum::<f64>() / runs.len() as f64;
        let Some(network) = map.networks.get(self.point as usize) else { return };
        for (id, link) in network.links().enumerate() {
            let at = |run: &RunResult| run.links[id.index()].clone();
            self.results.links.push(LinkRow {
                point: self.point,
                from: network.vertices()[link.from].name.clone(),
                to: network.vertices()[link.to].name.clone(),
                messages: mean(&|r| at(r).messages as f64),
                bytes: mean(&|r| at(r).bytes as f64),
                dropped: mean(&|r| at(r).dropped as f64),
                utilisation: mean(&|r| at(r).utilisation),
            });
        }
    }
}

/// Where requests were lost, by name.
fn place_name(place: Place, run: &RunResult, spec: &ClusterSpec) -> String {
    let node = |node: NodeId| spec.nodes.get(node.index()).map(|n| n.name.clone());
    let replica = |replica: ReplicaId| run.pods.iter().find(|p| p.replica == replica.index()).map(|p| p.name.clone());
    match place {
        Place::Client => "client".to_owned(),
        Place::Dns => "dns".to_owned(),
        Place::LoadBalancer => "load balancer".to_owned(),
        Place::Network => "network".to_owned(),
        Place::Node(id) => node(id).unwrap_or_default(),
        Place::Replica(id) => replica(id).unwrap_or_default(),
    }
}

/// How many samples lie above the quantile that a metric is.
fn samples_above(metric: &str, samples: u64) -> Option<f64> {
    let above = match metric {
        "latency_p90" => 0.1,
        "latency_p99" => 0.01,
        "latency_p999" => 0.001,
        _ => return None,
    };
    Some(samples as f64 * above)
}

/// Evenly spread over the logarithm of the fraction above, so that the tail keeps its points.
fn thinned(curve: &[(SimDuration, f64)]) -> Vec<(SimDuration, f64)> {
    let depth = |fraction: f64| -libm::log10(fraction.max(1e-12));
    let deepest = curve.iter().map(|c| c.1).filter(|f| *f > 0.0).fold(1.0, f64::min);
    let step = depth(deepest) / CURVE_POINTS as f64;
    let mut kept: Vec<(SimDuration, f64)> = Vec::new();
    let mut next = 0.0;
    for (i, &(latency, fraction)) in curve.iter().enumerate() {
        let last = i + 1 == curve.len();
        if last || kept.is_empty() || depth(fraction) >= next {
            kept.push((latency, fraction));
            next = depth(fraction) + step;
        }
    }
    kept
}

/// The network of each point, for names.
struct Map {
    networks: Vec<Network>,
}

impl Map {
    fn of(specs: &[ClusterSpec]) -> Self {
        // Specs were checked to build before anything ran.
        Self { networks: specs.iter().filter_map(|s| Network::build(&s.network, &s.nodes).ok()).collect() }
    }

    /// Vertices of the first point.
    fn rows(&self, specs: &[ClusterSpec]) -> Vec<VertexRow> {
        let (Some(network), Some(spec)) = (self.networks.first(), specs.first()) else { return Vec::new() };
        let pods = svcsim_models::cluster::pods_by_node(spec);
        let row = |v: &Vertex| VertexRow {
            name: v.name.clone(),
            kind: kind(v.kind).to_owned(),
            zone: v.zone.clone(),
            x: v.position.map(|(_, lon)| lon),
            y: v.position.map(|(lat, _)| lat),
            pods: spec.nodes.iter().position(|n| v.kind == VertexKind::Node && n.name == v.name).map_or(0, |i| pods[i]),
        };
        network.vertices().iter().map(row).collect()
    }
}

fn kind(kind: VertexKind) -> &'static str {
    match kind {
        VertexKind::Site => "site",
        VertexKind::Node => "node",
        VertexKind::Zone => "zone",
        VertexKind::Region => "region",
        VertexKind::Switch | VertexKind::Edge => "switch",
    }
}

/// What is known of the results before there are any.
pub(crate) fn about(loaded: &Loaded, design: &Design, specs: &[ClusterSpec]) -> About {
    let experiment = &loaded.experiment;
    let run = &experiment.run;
    let warm_up = specs.first().map_or(SimDuration::ZERO, |s| s.run.warm_up);
    About {
        name: experiment.metadata.name.clone(),
        question: experiment.metadata.question.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        seed: design.seed,
        replications: design.replications,
        duration_s: run.duration.saturating_sub(warm_up).as_secs_f64(),
        warm_up_s: warm_up.as_secs_f64(),
        warm_up_how: String::new(),
        experiment_sha256: sha256(loaded.resolved_yaml().as_bytes()),
        rebuild: vec!["svcsim run experiment.yaml".to_owned(), "svcsim verify .".to_owned()],
        factors: design.factors.clone(),
        points: design.points.iter().map(|p| Point { label: p.label(), levels: p.levels.clone() }).collect(),
        setup: specs.first().map(setup).unwrap_or_default(),
        assumptions: experiment.metadata.assumptions.clone(),
        not_modelled: loaded.not_modelled.clone(),
        warnings: warnings(loaded, design, specs),
        precision: None,
        ranking: experiment.ranking.clone(),
        expectations: Vec::new(),
    }
}

/// What the input got warnings for, each once, with the points that it concerns.
pub(crate) fn warnings(loaded: &Loaded, design: &Design, specs: &[ClusterSpec]) -> Vec<String> {
    let mut warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    let mut lints: Vec<(Lint, Vec<String>)> = Vec::new();
    for (point, spec) in design.points.iter().zip(specs) {
        for found in lint(spec) {
            match lints.iter_mut().find(|(l, _)| *l == found) {
                Some((_, points)) => points.push(point.label()),
                None => lints.push((found, vec![point.label()])),
            }
        }
    }
    lints.retain(|(lint, points)| points.len() == specs.len() || !lint.of_no_effect);
    for (lint, points) in lints {
        let place = loaded.line(&lint.field).map_or(String::new(), |line| format!(" (line {line})"));
        let concerns = if points.len() == specs.len() { String::new() } else { format!(" [{}]", points.join("; ")) };
        warnings.push(format!("{}{place}: {}{concerns}", lint.field, lint.problem));
    }
    warnings
}

/// Numbers that a reader must not build on.
fn numbers_to_doubt(results: &Results) -> Vec<String> {
    let mut doubts = Vec::new();
    let label = |point: u32| results.about.label(point);
    for row in results.summary.iter().filter(|r| r.series == "all") {
        if row.metric == "latency_p99" && !row.warning.is_empty() {
            doubts.push(format!("{}: latency_p99: {}", label(row.point), row.warning));
        }
        if row.metric == "in_flight_at_end" && row.mean > 0.0 {
            doubts.push(format!("{}: {:.0} requests on average had not ended when the run was given up", label(row.point), row.mean));
        }
        if row.metric == "utilisation" && row.mean > SATURATED {
            doubts.push(format!(
                "{}: Pods were busy {:.0} % of the time: near or beyond saturation, where latencies depend on the run's length",
                label(row.point),
                100.0 * row.mean
            ));
        }
    }
    doubts
}

/// The set-up of the first point, in lines.
fn setup(spec: &ClusterSpec) -> Vec<String> {
    let mut zones: Vec<&str> = spec.nodes.iter().map(|n| n.zone.as_str()).collect();
    zones.sort_unstable();
    zones.dedup();
    let mut lines = vec![format!("{} Nodes in {} zone(s), data plane {}", spec.nodes.len(), zones.len(), spec.data_plane.name())];
    for (name, t) in &spec.traffic {
        lines.push(format!(
            "source {name}: {:.0} requests/s from {} clients to Service {} via {:?}",
            t.arrivals.rate(),
            t.clients,
            t.to,
            t.via
        ));
        let Some(service) = spec.services.iter().find(|s| s.name == t.to) else { continue };
        let selected = |w: &&svcsim_models::spec::WorkloadSpec| {
            !service.selector.is_empty() && service.selector.iter().all(|(k, v)| w.labels.get(k) == Some(v))
        };
        for w in spec.workloads.iter().filter(selected) {
            let mean = w.pod.service_time.build().map_or(f64::NAN, |d| d.mean() / 1e6);
            lines.push(format!(
                "{}: {} Pods, each serving {} at once, {} service time of mean {mean:.3} ms",
                w.name,
                w.replicas,
                w.pod.concurrency,
                w.pod.service_time.name()
            ));
        }
    }
    lines.dedup();
    lines
}
