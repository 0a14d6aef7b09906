//! Results as OpenMetrics text (<https://prometheus.io/docs/specs/om/open_metrics_spec/>), for dashboards that know Envoy's,
//! kube-proxy's and the EndpointSlice controller's metrics. Where a measure means the same as one of theirs it has that name.

use super::format::printable;
use super::tables::Results;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};

/// The file's name.
pub(super) const FILE: &str = "openmetrics.txt";

/// Measures that others have too: ours, their family, its type, and what it means.
const THEIRS: &[(&str, &str, Kind, &str)] = &[
    // Envoy: docs/root/configuration/http/http_conn_man/stats.rst, upstream/cluster_manager/cluster_stats.rst.
    ("requests", "envoy_http_downstream_rq", Kind::Counter, "Requests that clients sent"),
    ("in_flight_at_end", "envoy_http_downstream_rq_active", Kind::Gauge, "Requests that had not ended when the run did"),
    ("retries", "envoy_cluster_upstream_rq_retry", Kind::Counter, "Tries after the first"),
    ("retries_refused", "envoy_cluster_upstream_rq_retry_overflow", Kind::Counter, "Tries that a retry budget did not allow"),
    // pkg/controller/util/endpointslice/metrics.
    ("slice_writes", "endpoint_slice_controller_changes", Kind::Counter, "EndpointSlices created, updated or deleted"),
];
/// Quantiles of kube-proxy's `network_programming_duration_seconds` (`pkg/proxy/metrics/metrics.go`, a histogram there).
const PROGRAMMING: (&str, [(&str, &str); 3]) = (
    "kubeproxy_network_programming_duration_seconds",
    [("network_programming_p50", "0.5"), ("network_programming_p90", "0.9"), ("network_programming_p99", "0.99")],
);
/// Ends of Envoy's default buckets, ms (`source/common/stats/histogram_impl.cc`).
const BUCKETS: [f64; 19] = [0.5, 1.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1e3, 2.5e3, 5e3, 1e4, 3e4, 6e4, 3e5, 6e5, 1.8e6, 3.6e6];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Summary,
    Histogram,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Summary => "summary",
            Self::Histogram => "histogram",
        }
    }
}

/// Families by name, each with its type, its help and its samples as they are written.
#[derive(Default)]
struct Families(BTreeMap<String, (Kind, String, String)>);

impl Families {
    fn add(&mut self, family: &str, kind: Kind, help: &str, suffix: &str, labels: &[(&str, &str)], value: f64) {
        // A counter has no way to say that nothing is known.
        if !value.is_finite() && kind == Kind::Counter {
            return;
        }
        let (_, _, samples) = self.0.entry(family.to_owned()).or_insert_with(|| (kind, help.to_owned(), String::new()));
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let value = if value.is_finite() { value.to_string() } else { "NaN".to_owned() };
        let _ = writeln!(samples, "{family}{suffix}{{{}}} {value}", labels.join(","));
    }
}

/// What every sample of a run is labelled with.
struct Run<'a> {
    experiment: &'a str,
    case: String,
    replication: String,
    series: &'a str,
}

impl<'a> Run<'a> {
    fn of(results: &'a Results, point: u32, replication: u32, series: &'a str) -> Self {
        let about = &results.about;
        Self { experiment: &about.name, case: about.label(point), replication: replication.to_string(), series }
    }

    fn labels<'b>(&'b self, more: &[(&'b str, &'b str)]) -> Vec<(&'b str, &'b str)> {
        let own = [("experiment", self.experiment), ("case", &self.case), ("replication", &self.replication), ("series", self.series)];
        [&own[..], more].concat()
    }
}

/// Writes `openmetrics.txt` into a results directory.
pub(crate) fn write(results: &Results, dir: &Path) -> io::Result<()> {
    fs::write(dir.join(FILE), text(results))
}

fn text(results: &Results) -> String {
    let mut families = Families::default();
    for row in &results.runs {
        let (run, value) = (Run::of(results, row.point, row.replication, &row.series), row.value);
        if let Some((_, family, kind, help)) = THEIRS.iter().find(|(ours, ..)| *ours == row.metric) {
            families.add(family, *kind, help, if *kind == Kind::Counter { "_total" } else { "" }, &run.labels(&[]), value);
        } else if let Some((_, quantile)) = PROGRAMMING.1.iter().find(|(ours, _)| *ours == row.metric) {
            let help = "From a change of endpoints to the end of the sync that applied it on a Node, seconds";
            families.add(PROGRAMMING.0, Kind::Summary, help, "", &run.labels(&[("quantile", quantile)]), value / 1e3);
        } else if !row.metric.starts_with("errors_") {
            // Base units, as the specification asks.
            let (unit, value) = if row.unit == "ms" { ("_seconds", value / 1e3) } else { ("", value) };
            let family = format!("svcsim_{}{unit}", worded(&row.metric));
            families.add(&family, Kind::Gauge, &format!("{} of a run, as docs/results.md has it", row.metric), "", &run.labels(&[]), value);
        }
    }
    for row in &results.errors {
        let run = Run::of(results, row.point, row.replication, &row.series);
        let labels = run.labels(&[("cause", &row.cause), ("place", &row.place)]);
        families.add("svcsim_lost", Kind::Counter, "Requests lost, by cause and place", "_total", &labels, row.requests as f64);
    }
    for row in &results.balance {
        let run = Run::of(results, row.point, row.replication, &row.series);
        let labels = run.labels(&[("pod", &row.pod), ("node", &row.node), ("zone", &row.zone)]);
        families.add("svcsim_pod_requests", Kind::Counter, "Requests given to a replica", "_total", &labels, row.requests as f64);
    }
    latencies(&mut families, results);
    let mut out = String::new();
    for (name, (kind, help, samples)) in &families.0 {
        let _ = write!(out, "# TYPE {name} {}\n# HELP {name} {}\n{samples}", kind.name(), escaped(help));
    }
    out + "# EOF\n"
}

/// Envoy's histogram of the time of requests, ms, over all replications of a point; as fine as `latency.csv` is.
fn latencies(families: &mut Families, results: &Results) {
    const FAMILY: &str = "envoy_http_downstream_rq_time";
    const HELP: &str = "Time of completed requests over all replications, milliseconds";
    let mut curves: BTreeMap<(u32, &str), Vec<(f64, f64)>> = BTreeMap::new();
    for row in results.latency.iter().filter(|r| r.latency_ms.is_finite() && r.fraction_above.is_finite()) {
        curves.entry((row.point, &row.series)).or_default().push((row.latency_ms, row.fraction_above.clamp(0.0, 1.0)));
    }
    for ((point, series), mut curve) in curves {
        curve.sort_by(|a, b| a.0.total_cmp(&b.0));
        let of_runs = |metric: &str| -> BTreeMap<u32, f64> {
            let rows = results.runs.iter().filter(|r| r.point == point && r.series == series && r.metric == metric);
            rows.filter(|r| r.value.is_finite()).map(|r| (r.replication, r.value)).collect()
        };
        let (lost, under_way, means) = (of_runs("requests_lost"), of_runs("in_flight_at_end"), of_runs("latency_mean"));
        let of = |values: &BTreeMap<u32, f64>, replication: u32| values.get(&replication).copied().unwrap_or(0.0);
        let (mut completed, mut time) = (0.0, 0.0);
        for (replication, sent) in of_runs("requests") {
            let ended_well = (sent - of(&lost, replication) - of(&under_way, replication)).max(0.0);
            completed += ended_well;
            time += ended_well * of(&means, replication);
        }
        let case = results.about.label(point);
        let labels = [("experiment", results.about.name.as_str()), ("case", case.as_str()), ("series", series)];
        let within = |end: f64| curve.iter().take_while(|(ms, _)| *ms <= end).last().map_or(0.0, |(_, above)| 1.0 - above);
        for end in BUCKETS {
            let le = format!("{end:?}");
            families.add(
                FAMILY,
                Kind::Histogram,
                HELP,
                "_bucket",
                &[&labels[..], &[("le", &le)]].concat(),
                (completed * within(end)).round(),
            );
        }
        families.add(FAMILY, Kind::Histogram, HELP, "_bucket", &[&labels[..], &[("le", "+Inf")]].concat(), completed);
        families.add(FAMILY, Kind::Histogram, HELP, "_count", &labels, completed);
        families.add(FAMILY, Kind::Histogram, HELP, "_sum", &labels, time);
    }
}

/// As label values and helps are escaped.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    text.chars().map(printable).collect()
}

/// Only what may stand in a metric's name.
fn worded(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::fixture;

    #[test]
    fn names_are_theirs_where_the_meaning_is() {
        let results = fixture::results(2, 2);
        let text = text(&results);
        let label = results.about.label(0);
        let head = format!("{{experiment=\"{}\",case=\"{label}\",replication=\"0\",series=\"all\"", results.about.name);
        let p99 = results.runs.iter().find(|r| r.point == 0 && r.replication == 0 && r.metric == "latency_p99").expect("a run").value;
        assert!(text.contains(&format!("svcsim_latency_p99_seconds{head}}} {}\n", p99 / 1e3)), "{text}");
        assert!(text.contains("# TYPE envoy_http_downstream_rq_time histogram\n"));
        assert!(text.ends_with("\n# EOF\n") && text.matches("# EOF").count() == 1);
    }

    #[test]
    fn families_stand_together_and_histograms_never_fall() {
        let text = text(&fixture::results(3, 2));
        let mut family = "";
        let mut seen = std::collections::BTreeSet::new();
        let mut last = 0.0;
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                family = rest.split(' ').next().expect("a name");
                assert!(seen.insert(family), "{family} twice");
            } else if !line.starts_with('#') {
                assert!(line.starts_with(family), "{line}");
                let value: f64 = line.rsplit(' ').next().and_then(|v| v.parse().ok()).expect("a number");
                if line.contains("_bucket{") {
                    assert!(line.contains("le=\"0.5\"") || value >= last, "{line}");
                    last = value;
                }
                assert!(!line.contains("_total") || value >= 0.0 && value.fract() == 0.0, "{line}");
            }
        }
        assert!(seen.len() > 5, "{seen:?}");
    }

    #[test]
    fn text_of_the_input_cannot_end_a_label() {
        let mut results = fixture::results(1, 1);
        results.about.points[0].label = "a\"} 1\nb\\".to_owned();
        let text = text(&results);
        assert!(text.contains(r#"case="a\"} 1\nb\\""#), "{text}");
    }
}
