//! Two design points against each other: by how much they differ, how sure that is, and when and in which Pods it arises.

use super::format::{interval, number, percent, unit_of};
use super::tables::{Results, TimelineRow};
use super::view::{ALL, Case, View};
use serde::Serialize;
use std::collections::BTreeMap;
use svcsim_engine::stats::interval::{Interval, Sample};
use svcsim_engine::stats::paired::{paired, welch};
use svcsim_engine::stats::simultaneous::bonferroni_confidence;

/// Metrics that are compared unless others are named: what clients notice, and how even and how far requests go.
const METRICS: [&str; 8] = [
    "latency_mean",
    "latency_p50",
    "latency_p99",
    "latency_p999",
    "error_rate",
    "throughput",
    "max_over_mean_requests",
    "cross_zone_share",
];
/// Pods and stretches of time that are named.
const NAMED: usize = 5;

/// One of the two.
pub(crate) struct Side {
    /// The results that it is in.
    pub(crate) results: Results,
    /// Its number there.
    pub(crate) point: u32,
    /// What a reader calls it.
    pub(crate) name: String,
}

/// B against A.
#[derive(Serialize)]
pub(crate) struct Comparison {
    pub(crate) a: String,
    pub(crate) b: String,
    /// Whether replications met the same random numbers in pairs.
    pub(crate) paired: bool,
    /// Of each interval by itself: all of one kind hold together with `confidence`.
    pub(crate) confidence: f64,
    pub(crate) metrics: Vec<Difference>,
    /// Stretches of time in which p99 latency or losses differ.
    pub(crate) times: Vec<Stretch>,
    /// Pods that get another part of the requests, most first.
    pub(crate) pods: Vec<PodDifference>,
}

/// How a metric differs.
#[derive(Serialize)]
pub(crate) struct Difference {
    pub(crate) metric: String,
    pub(crate) unit: String,
    /// Means over replications.
    pub(crate) a: f64,
    pub(crate) b: f64,
    /// Of B - A, with its interval; none with fewer than two replications of both.
    pub(crate) difference: Option<Interval>,
    /// The interval that unpaired runs of the same length would have, and how many times as many of them the same width takes.
    pub(crate) unpaired: Option<Interval>,
    pub(crate) variance_reduction: Option<f64>,
    /// Why a reader must not build on it.
    pub(crate) doubt: String,
}

/// Whether an interval shows a difference.
fn is_sure(interval: &Interval) -> bool {
    !interval.contains(0.0)
}

/// Windows in a row in which a metric differs the same way.
#[derive(Serialize)]
pub(crate) struct Stretch {
    pub(crate) metric: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) from_s: f64,
    pub(crate) to_s: f64,
    /// Mean difference B - A of a window.
    pub(crate) difference: f64,
}

/// A Pod's part of the requests.
#[derive(Serialize)]
pub(crate) struct PodDifference {
    pub(crate) pod: String,
    /// Shares of the requests, means over replications.
    pub(crate) a: f64,
    pub(crate) b: f64,
    pub(crate) difference: Interval,
}

/// Compares `metrics`, or the usual ones if none are named.
pub(crate) fn compare(a: &Side, b: &Side, metrics: &[String], confidence: f64) -> Comparison {
    let together = a.results.about.seed == b.results.about.seed;
    let (of_a, of_b) = (View::new(&a.results), View::new(&b.results));
    let (case_a, case_b) = (whole(a), whole(b));
    let named: Vec<&str> = if metrics.is_empty() { METRICS.to_vec() } else { metrics.iter().map(String::as_str).collect() };
    let present: Vec<&str> = named.into_iter().filter(|m| of_a.values(&case_a, m).is_some() && of_b.values(&case_b, m).is_some()).collect();
    let each = bonferroni_confidence(present.len().max(1) as u64, confidence);
    let difference = |metric: &&str| {
        let (va, vb) = (of_a.values(&case_a, metric)?, of_b.values(&case_b, metric)?);
        let unit = of_a.row(&case_a, metric).map_or("", |r| r.unit.as_str());
        let doubt = of_a.doubt(&case_a, metric).or_else(|| of_b.doubt(&case_b, metric)).unwrap_or_default();
        Some(differ(metric, unit, &known(va), &known(vb), together, each, &doubt))
    };
    Comparison {
        a: a.name.clone(),
        b: b.name.clone(),
        paired: together,
        confidence: each,
        metrics: present.iter().filter_map(difference).collect(),
        times: times(a, b, together, confidence),
        pods: pods(a, b, together, confidence),
    }
}

fn whole(side: &Side) -> Case {
    Case { point: side.point, series: ALL.to_owned(), label: side.name.clone() }
}

/// Values by replication, as far as they are numbers.
fn known(values: &BTreeMap<u32, f64>) -> BTreeMap<u32, f64> {
    values.iter().filter(|(_, v)| v.is_finite()).map(|(r, v)| (*r, *v)).collect()
}

fn differ(
    metric: &str,
    unit: &str,
    a: &BTreeMap<u32, f64>,
    b: &BTreeMap<u32, f64>,
    together: bool,
    confidence: f64,
    doubt: &str,
) -> Difference {
    let mean = |values: &BTreeMap<u32, f64>| values.values().sum::<f64>() / values.len().max(1) as f64;
    let alone = welch(&all(b), &all(a), confidence).map(|(interval, _)| interval);
    let (difference, unpaired, variance_reduction) = match of_pairs(a, b, confidence).filter(|_| together) {
        Some((ends, reduction)) => (Some(ends), alone, reduction),
        None => (alone, None, None),
    };
    let (metric, unit, doubt) = (metric.to_owned(), unit_of(metric, unit).to_owned(), doubt.to_owned());
    Difference { metric, unit, a: mean(a), b: mean(b), difference, unpaired, variance_reduction, doubt }
}

fn all(values: &BTreeMap<u32, f64>) -> Vec<f64> {
    values.values().copied().collect()
}

/// B - A over the replications that both have, and what the pairing gained.
fn of_pairs(a: &BTreeMap<u32, f64>, b: &BTreeMap<u32, f64>, confidence: f64) -> Option<(Interval, Option<f64>)> {
    let (b, a): (Vec<f64>, Vec<f64>) = b.iter().filter_map(|(r, b)| a.get(r).map(|a| (*b, *a))).unzip();
    paired(&b, &a, confidence).map(|p| (p.difference, p.variance_reduction))
}

/// The interval of B - A of values by replication, paired where they belong together.
fn ends(a: &BTreeMap<u32, f64>, b: &BTreeMap<u32, f64>, together: bool, confidence: f64) -> Option<Interval> {
    if together { of_pairs(a, b, confidence).map(|(ends, _)| ends) } else { welch(&all(b), &all(a), confidence).map(|(i, _)| i) }
}

/// When p99 latency and losses differ, as far as all windows' intervals that hold together show.
fn times(a: &Side, b: &Side, together: bool, confidence: f64) -> Vec<Stretch> {
    let p99 = |rows: &[&TimelineRow]| rows.iter().filter_map(|r| r.latency_p99_ms).reduce(f64::max);
    let lost = |rows: &[&TimelineRow]| Some(rows.iter().map(|r| r.errors as f64).sum());
    let mut found = stretches(("latency_p99", "ms"), (a, b), &p99, together, confidence);
    found.extend(stretches(("errors", "requests"), (a, b), &lost, together, confidence));
    found.sort_by(|x, y| (y.difference.abs() * (y.to_s - y.from_s)).total_cmp(&(x.difference.abs() * (x.to_s - x.from_s))));
    found.truncate(NAMED);
    found
}

type Windows<'a> = BTreeMap<u64, (f64, BTreeMap<u32, Vec<&'a TimelineRow>>)>;

/// A side's windows by when they begin: their width, and by replication a row for each source.
fn windows(side: &Side) -> Windows<'_> {
    let mut windows = Windows::new();
    for row in side.results.timeline.iter().filter(|r| r.point == side.point) {
        let window = windows.entry((row.time_s * 1e9).round() as u64).or_insert_with(|| (row.width_s, BTreeMap::new()));
        window.1.entry(row.replication).or_default().push(row);
    }
    windows
}

fn stretches(
    (metric, unit): (&'static str, &'static str),
    (a, b): (&Side, &Side),
    value: &dyn Fn(&[&TimelineRow]) -> Option<f64>,
    together: bool,
    confidence: f64,
) -> Vec<Stretch> {
    let (of_a, of_b) = (windows(a), windows(b));
    let each = bonferroni_confidence(of_a.len().max(1) as u64, confidence);
    let values = |rows: &BTreeMap<u32, Vec<&TimelineRow>>| {
        rows.iter().filter_map(|(r, rows)| value(rows).map(|v| (*r, v))).collect::<BTreeMap<u32, f64>>()
    };
    let mut found: Vec<(Stretch, u32)> = Vec::new();
    for (start, (width, rows)) in &of_a {
        let Some((_, others)) = of_b.get(start) else { continue };
        let Some(ends) = ends(&values(rows), &values(others), together, each).filter(is_sure) else { continue };
        let from_s = *start as f64 / 1e9;
        match found.last_mut() {
            Some((last, n)) if (last.to_s - from_s).abs() < 1e-6 && last.difference.signum() == ends.mean.signum() => {
                last.difference += (ends.mean - last.difference) / f64::from(*n + 1);
                (last.to_s, *n) = (from_s + width, *n + 1);
            }
            _ => found.push((Stretch { metric, unit, from_s, to_s: from_s + width, difference: ends.mean }, 1)),
        }
    }
    found.into_iter().map(|(stretch, _)| stretch).collect()
}

/// Which Pods get more or less of the requests; nothing where the numbers of Pods differ, since then all do.
fn pods(a: &Side, b: &Side, together: bool, confidence: f64) -> Vec<PodDifference> {
    let shares = |side: &Side| {
        let mut shares: BTreeMap<String, BTreeMap<u32, f64>> = BTreeMap::new();
        for row in side.results.balance.iter().filter(|r| r.point == side.point && r.series == ALL) {
            shares.entry(row.pod.clone()).or_default().insert(row.replication, row.share_requests);
        }
        shares
    };
    let (of_a, of_b) = (shares(a), shares(b));
    if of_a.len() != of_b.len() {
        return Vec::new();
    }
    let each = bonferroni_confidence(of_a.len().max(1) as u64, confidence);
    let mean = |values: &BTreeMap<u32, f64>| Sample::of(&all(values)).map_or(f64::NAN, |s| s.mean);
    let mut found: Vec<PodDifference> = of_a
        .iter()
        .filter_map(|(pod, va)| {
            let vb = of_b.get(pod)?;
            let difference = ends(va, vb, together, each).filter(is_sure)?;
            Some(PodDifference { pod: pod.clone(), a: mean(va), b: mean(vb), difference })
        })
        .collect();
    found.sort_by(|x, y| y.difference.mean.abs().total_cmp(&x.difference.mean.abs()).then_with(|| x.pod.cmp(&y.pod)));
    found.truncate(NAMED);
    found
}

impl Comparison {
    /// The verdict in words, and the tables.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("A: {}\nB: {}\n\n", self.a, self.b);
        let how = if self.paired {
            "Paired differences: replication i of both met the same arrivals and demands."
        } else {
            "The seeds differ, so nothing is paired: intervals are Welch's, and wider than they need be."
        };
        text.push_str(how);
        text.push_str(&format!(" Intervals of {} each, so that all hold together.\n\n", percent(self.confidence)));
        for d in &self.metrics {
            text.push_str(&format!("{}\n", d.sentence()));
        }
        if self.metrics.is_empty() {
            text.push_str("The two have no metric in common.\n");
        }
        if !self.times.is_empty() {
            text.push_str("\nWhen it arises:\n");
        }
        for s in &self.times {
            let (from, to, by) = (number(s.from_s), number(s.to_s), signed(s.difference, s.unit));
            text.push_str(&format!("  {from} s to {to} s: {} {by} a window\n", s.metric));
        }
        if !self.pods.is_empty() {
            text.push_str("\nPods with another part of the requests:\n");
        }
        for p in &self.pods {
            text.push_str(&format!("  {}: {} instead of {}\n", p.pod, percent(p.b), percent(p.a)));
        }
        text
    }
}

impl Difference {
    /// What is known of the metric, in a sentence.
    fn sentence(&self) -> String {
        let Self { metric, unit, a, b, .. } = self;
        let values = format!("{} instead of {}", interval(*b, None, unit), interval(*a, None, unit));
        if !self.doubt.is_empty() {
            return format!("{metric}: not judged ({}); B has {values}.", self.doubt);
        }
        let Some(d) = self.difference else {
            return format!("{metric}: B has {values}; with one replication nobody knows whether that is chance.");
        };
        let by = format!("{} [{}, {}]", signed(d.mean, unit), signed(d.low, unit), signed(d.high, unit));
        let part = if *a == 0.0 { String::new() } else { format!(", {}{}", if d.mean > 0.0 { "+" } else { "" }, percent(d.mean / a)) };
        if d.low == 0.0 && d.high == 0.0 {
            return format!("{metric}: the same in every replication, {}.", interval(*a, None, unit));
        }
        let gain = match (self.unpaired, self.variance_reduction) {
            (Some(u), _) if is_sure(&d) && !is_sure(&u) => {
                format!(" Unpaired runs of this length would not have shown it: [{}, {}].", signed(u.low, unit), signed(u.high, unit))
            }
            (_, Some(times)) if times >= 2.0 => format!(" Unpaired, it would take {} times the runs.", number(times)),
            _ => String::new(),
        };
        if is_sure(&d) {
            let word = if d.mean > 0.0 { "higher" } else { "lower" };
            format!("{metric}: B is {word}, {values}: {by}{part}.{gain}")
        } else {
            format!("{metric}: no difference found, {values}: {by}{part}.{gain}")
        }
    }
}

/// A difference with its sign.
fn signed(value: f64, unit: &str) -> String {
    let sign = if value > 0.0 { "+" } else { "" };
    format!("{sign}{}", interval(value, None, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(v: &[f64]) -> BTreeMap<u32, f64> {
        (0..).zip(v.iter().copied()).collect()
    }

    #[test]
    fn pairing_shows_what_unpaired_runs_miss() {
        let a = values(&[100.0, 140.0, 80.0, 120.0, 60.0]);
        let b = values(&[101.1, 141.3, 80.7, 121.3, 60.7]);
        let d = differ("latency_p99", "ms", &a, &b, true, 0.95, "");
        let (difference, unpaired) = (d.difference.expect("five"), d.unpaired.expect("five"));
        assert!(is_sure(&difference) && !is_sure(&unpaired), "{difference:?} {unpaired:?}");
        assert!((difference.mean - 1.02).abs() < 1e-9, "{difference:?}");
        let sentence = d.sentence();
        assert!(sentence.starts_with("latency_p99: B is higher, 101 ms instead of 100 ms: +1.02 ms"), "{sentence}");
        assert!(sentence.contains("Unpaired runs of this length would not have shown it"), "{sentence}");
    }

    #[test]
    fn replications_that_only_one_has_are_left_out() {
        let (ends, _) = of_pairs(&values(&[1.0, 2.0, 3.0]), &values(&[2.0, 3.0]), 0.95).expect("two pairs");
        assert_eq!((ends.mean, ends.low, ends.high), (1.0, 1.0, 1.0));
        assert_eq!(of_pairs(&values(&[1.0]), &values(&[2.0]), 0.95), None);
    }

    #[test]
    fn what_must_not_be_built_on_is_not_judged() {
        let d = differ("latency_p99", "ms", &values(&[1.0, 2.0]), &values(&[5.0, 6.0]), true, 0.95, "only 12 samples above");
        assert_eq!(d.sentence(), "latency_p99: not judged (only 12 samples above); B has 5.50 ms instead of 1.50 ms.");
    }
}
