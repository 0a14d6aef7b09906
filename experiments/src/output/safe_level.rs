//! The shortest safe level of a time, such as a preStop: the smallest from which on no request is lost in any replication.

use super::findings::{Finding, Kind, causes, words};
use super::format::{count, list, number, percent, plural};
use super::tables::About;
use super::view::{ALL, Case, View};
use std::collections::BTreeMap;
use svcsim_engine::SimDuration;

/// Confidence of the bounds on what was never seen.
const CONFIDENCE: f64 = 0.95;
/// Combinations of other factors that a sentence names.
const NAMED: usize = 6;

/// A factor whose levels are times, and what each of them lost, for every combination of the other factors.
pub(crate) struct SafeLevels {
    /// The factor.
    pub(crate) factor: String,
    /// By combination of the levels of the others, in the order of the design.
    pub(crate) groups: Vec<Group>,
}

/// The levels of the factor under one combination of the others.
pub(crate) struct Group {
    /// The other factors' levels; empty if there are none.
    pub(crate) label: String,
    /// Shortest first.
    pub(crate) levels: Vec<Level>,
    /// Place of the shortest safe one among them.
    pub(crate) safe: Option<usize>,
}

/// What one level lost, over all replications.
pub(crate) struct Level {
    /// The level as the experiment writes it.
    pub(crate) label: String,
    /// Requests that were measured.
    pub(crate) requests: f64,
    /// Those that were lost.
    pub(crate) lost: f64,
    /// Causes with the requests that they took, most first.
    pub(crate) causes: Vec<(String, u64)>,
}

impl Group {
    /// The levels that are shorter than the shortest safe one, or all.
    pub(crate) fn shorter(&self) -> &[Level] {
        &self.levels[..self.safe.unwrap_or(self.levels.len())]
    }

    /// The shortest safe level.
    pub(crate) fn safe(&self) -> Option<&Level> {
        self.safe.map(|i| &self.levels[i])
    }
}

/// Every factor of time that has something to say: a preStop always, any other where shorter levels lose requests and longer ones none.
pub(crate) fn safe_levels(view: &View<'_>) -> Vec<SafeLevels> {
    let about = &view.results.about;
    let of = |(f, factor): (usize, &String)| {
        let times = times(about, f)?;
        let found = SafeLevels { factor: factor.clone(), groups: groups(view, f, &times) };
        let tells = found.groups.iter().any(|g| g.safe.is_some_and(|i| i > 0));
        (tells || is_pre_stop(factor)).then_some(found)
    };
    about.factors.iter().enumerate().filter_map(of).collect()
}

fn is_pre_stop(factor: &str) -> bool {
    factor.to_lowercase().contains("prestop")
}

/// The levels of a factor as nanoseconds, if it has several and all are durations, or numbers of what its name says are seconds.
fn times(about: &About, factor: usize) -> Option<BTreeMap<String, u64>> {
    let name = about.factors[factor].to_lowercase();
    let in_seconds = name.ends_with("seconds") || is_pre_stop(&name);
    let time = |level: &String| {
        let seconds = if in_seconds { level.parse::<u32>().ok().map(|s| SimDuration::from_secs(s.into())) } else { None };
        seconds.or_else(|| level.parse().ok()).map(|t| (level.clone(), t.as_nanos()))
    };
    let times: BTreeMap<_, _> = about.points.iter().map(|p| time(p.levels.get(factor)?)).collect::<Option<_>>()?;
    (times.len() > 1).then_some(times)
}

fn groups(view: &View<'_>, factor: usize, times: &BTreeMap<String, u64>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (i, point) in view.results.about.points.iter().enumerate() {
        let others: Vec<&str> = point.levels.iter().enumerate().filter(|(f, _)| *f != factor).map(|(_, level)| level.as_str()).collect();
        let label = others.join(", ");
        let level = level(view, i as u32, &point.levels[factor]);
        match groups.iter_mut().find(|g| g.label == label) {
            Some(group) => group.levels.push(level),
            None => groups.push(Group { label, levels: vec![level], safe: None }),
        }
    }
    for group in &mut groups {
        group.levels.sort_by_key(|level| times[&level.label]);
        let lossy = group.levels.iter().rposition(|level| level.lost > 0.0 || level.requests == 0.0);
        group.safe = Some(lossy.map_or(0, |i| i + 1)).filter(|i| *i < group.levels.len());
    }
    groups
}

fn level(view: &View<'_>, point: u32, label: &str) -> Level {
    let case = Case { point, series: ALL.to_owned(), label: label.to_owned() };
    let sum = |metric: &str| view.values(&case, metric).map_or(0.0, |values| values.values().sum());
    let causes = causes(view, &case).into_iter().map(|loss| (loss.cause, loss.requests)).collect();
    Level { label: label.to_owned(), requests: sum("requests"), lost: sum("requests_lost"), causes }
}

/// One finding for each factor.
pub(crate) fn findings(view: &View<'_>) -> Vec<Finding> {
    safe_levels(view).iter().map(|found| Finding { text: found.sentence(&view.results.about), kind: Kind::Safe }).collect()
}

impl SafeLevels {
    fn sentence(&self, about: &About) -> String {
        let runs = about.replications;
        let mut text = match &self.groups[..] {
            [only] => match only.safe() {
                Some(safe) if only.safe == Some(0) => format!("No {} loses a request, not even {}.", self.factor, safe.label),
                Some(safe) => format!("The shortest safe {} is {}.", self.factor, safe.label),
                None => format!("No {} up to {} is safe.", self.factor, last(only)),
            },
            groups => {
                let more = groups.len().saturating_sub(NAMED);
                let each = groups[..groups.len() - more].iter().map(|g| match g.safe() {
                    Some(safe) => format!("{} with \u{201C}{}\u{201D}", safe.label, g.label),
                    None => format!("none up to {} with \u{201C}{}\u{201D}", last(g), g.label),
                });
                let rest = if more > 0 { format!("; {more} more are in the table") } else { String::new() };
                format!("The shortest safe {}: {}{rest}.", self.factor, each.collect::<Vec<_>>().join("; "))
            }
        };
        if let Some(safe) = self.groups.iter().filter_map(Group::safe).min_by(|a, b| a.requests.total_cmp(&b.requests)) {
            text.push_str(&format!(
                " From there on no request was lost in any of {}; with 95% confidence at most {} in a million requests are, and at most {} of runs lose \
                 one.",
                plural(runs as usize, "run"),
                number(1e6 * bound(safe.requests)),
                percent(bound(f64::from(runs)))
            ));
        }
        let shorter = self.groups.iter().flat_map(|g| g.shorter().iter().map(move |level| (g, level)));
        if let Some((group, level)) = shorter.max_by(|a, b| a.1.lost.total_cmp(&b.1.lost)).filter(|(_, level)| level.lost > 0.0) {
            let with = if group.label.is_empty() { String::new() } else { format!(" with \u{201C}{}\u{201D}", group.label) };
            text.push_str(&format!(
                " At {}{with}, {} requests a run are lost: {}.",
                level.label,
                per_run(level.lost, runs),
                by_cause(level, runs)
            ));
        }
        text
    }
}

fn last(group: &Group) -> &str {
    group.levels.last().map_or("", |level| &level.label)
}

/// Lost requests of a level by cause, per run, in words.
pub(crate) fn by_cause(level: &Level, runs: u32) -> String {
    list(&level.causes.iter().map(|(cause, requests)| format!("{} {}", per_run(*requests as f64, runs), words(cause))).collect::<Vec<_>>())
}

/// A number of requests over all replications as a mean per run.
pub(crate) fn per_run(requests: f64, runs: u32) -> String {
    let mean = requests / f64::from(runs.max(1));
    if mean.fract() == 0.0 { count(mean as u64) } else { number(mean) }
}

/// The upper bound on a probability of which `trials` gave not one case (Clopper and Pearson; about 3 / trials, the rule of three).
pub(crate) fn bound(trials: f64) -> f64 {
    if trials > 0.0 { -libm::expm1(libm::log(1.0 - CONFIDENCE) / trials) } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::tables::{ErrorRow, Point, Results, RunRow};

    /// Results of a sweep of preStop under two data planes: by point, how many requests each of two runs lost to two causes.
    fn swept(losses: &[(&str, &str, [u64; 2])]) -> Results {
        let mut results = Results::default();
        results.about.replications = 2;
        results.about.factors = vec!["preStop".into(), "dataPlane".into()];
        for (point, (pre_stop, plane, lost)) in losses.iter().enumerate() {
            let point = point as u32;
            let levels = vec![(*pre_stop).to_owned(), (*plane).to_owned()];
            results.about.points.push(Point { label: levels.join(", "), levels });
            for replication in 0..2 {
                for (metric, value) in [("requests", 50_000.0), ("requests_lost", (lost[0] + lost[1]) as f64)] {
                    let (series, metric) = (ALL.to_owned(), metric.to_owned());
                    results.runs.push(RunRow { point, replication, series, metric, value, ..RunRow::default() });
                }
                for (cause, requests) in ["refused", "reset"].into_iter().zip(*lost) {
                    let (series, cause) = (ALL.to_owned(), cause.to_owned());
                    results.errors.push(ErrorRow { point, replication, series, cause, requests, ..ErrorRow::default() });
                }
            }
        }
        results
    }

    #[test]
    fn the_shortest_safe_level_is_the_one_from_which_on_nothing_is_lost() {
        // 2s happens to lose nothing, but 5s does: it is luck, not safety. Levels are sorted as times, not as words.
        let results = swept(&[
            ("10s", "iptables", [0, 0]),
            ("0s", "iptables", [7, 2]),
            ("2s", "iptables", [0, 0]),
            ("5s", "iptables", [1, 0]),
            ("0s", "ipvs", [3, 0]),
            ("2s", "ipvs", [0, 0]),
            ("5s", "ipvs", [0, 0]),
            ("10s", "ipvs", [0, 0]),
            ("0s", "none", [1, 1]),
            ("10s", "none", [1, 1]),
        ]);
        let view = View::new(&results);
        let found = &safe_levels(&view)[0];
        let safe: Vec<_> = found.groups.iter().map(|g| (g.label.as_str(), g.safe().map(|l| l.label.as_str()))).collect();
        assert_eq!(safe, [("iptables", Some("10s")), ("ipvs", Some("2s")), ("none", None)]);
        let shorter: Vec<_> = found.groups[0].shorter().iter().map(|l| (l.label.as_str(), l.lost)).collect();
        assert_eq!(shorter, [("0s", 18.0), ("2s", 0.0), ("5s", 2.0)]);
        insta::assert_snapshot!(findings(&view)[0].text, @"The shortest safe preStop: 10s with “iptables”; 2s with “ipvs”; none up to 10s with “none”. From there on no request was lost in any of 2 runs; with 95% confidence at most 30.0 in a million requests are, and at most 77.6% of runs lose one. At 0s with “iptables”, 9 requests a run are lost: 7 refused and 2 reset.");
    }

    #[test]
    fn what_is_no_time_or_says_nothing_is_left_alone() {
        let mut results = swept(&[("0s", "a", [0, 0]), ("5s", "a", [0, 0])]);
        assert!(findings(&View::new(&results))[0].text.starts_with("No preStop loses a request, not even 0s."));
        results.about.factors[0] = "serviceTime".into();
        assert!(findings(&View::new(&results)).is_empty(), "nothing is lost, and it is no preStop");
        results.about.factors[0] = "preStop".into();
        results.about.points[0].levels[0] = "short".into();
        assert!(findings(&View::new(&results)).is_empty(), "not a time");
        results.about.points[0].levels[0] = "0".into();
        assert_eq!(findings(&View::new(&results)).len(), 1, "a number of seconds");
    }

    #[test]
    fn what_was_never_seen_is_bounded_by_the_rule_of_three() {
        assert!((bound(1e5) * 1e5 - 2.9957).abs() < 1e-3);
        assert!((bound(10.0) - 0.2589).abs() < 1e-4);
        assert_eq!(bound(0.0), 1.0);
    }
}
