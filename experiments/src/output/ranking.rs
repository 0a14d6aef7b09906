//! The levels of one factor ranked, condition by condition, and where each of them breaks.
//!
//! A condition is one combination of the other factors' levels. Within it, levels are compared by paired ratios: the logarithm of the
//! ratio to the best level, replication by replication, has a Student-t interval, widened (Bonferroni) so that all of a condition hold
//! together. Who loses many more requests than others ranks behind them, whatever the latency of those it answered.

use super::format::{number, percent, plural};
use super::tables::Results;
use super::view::{Case, View};

/// Confidence of all intervals of a condition together.
const CONFIDENCE: f64 = 0.95;
/// A level breaks where it is so many times as slow as the best,
const TIMES: f64 = 2.0;
/// or loses this part of its requests more than who loses least.
const LOSSES: f64 = 0.01;

/// How a level stands in a condition.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Place {
    /// The level.
    pub(crate) level: String,
    /// Its mean.
    pub(crate) mean: f64,
    /// How many times the best level's, with an interval; none for the best itself, and where it has none.
    pub(crate) ratio: Option<(f64, Option<(f64, f64)>)>,
    /// The part of its requests that it loses.
    pub(crate) lost: f64,
    /// Whether it breaks.
    pub(crate) breaks: bool,
    /// Whether it is only there to compare with.
    pub(crate) control: bool,
}

impl Place {
    /// Whether nobody is told apart from it who is better.
    fn is_best(&self) -> bool {
        !self.breaks && self.ratio.is_none_or(|(_, ends)| ends.is_some_and(|(low, _)| low <= 1.0))
    }
}

/// The levels in one condition, best first; controls stand where they belong.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Condition {
    /// What a reader calls it.
    pub(crate) label: String,
    /// Best first.
    pub(crate) places: Vec<Place>,
}

/// What a level is like over all conditions.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Overall {
    /// The level.
    pub(crate) level: String,
    /// Conditions in which nobody is told apart from it who is better.
    pub(crate) best_in: usize,
    /// Geometric mean of its ratios to the best.
    pub(crate) times: f64,
    /// Where it is worst: the ratio, and the condition.
    pub(crate) worst: (f64, String),
    /// Conditions in which it breaks.
    pub(crate) breaks_in: Vec<String>,
    /// Whether it is only there to compare with.
    pub(crate) control: bool,
}

/// All of it; none where the experiment asks for no ranking.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ranked {
    /// The factor ranked.
    pub(crate) factor: String,
    /// By which metric.
    pub(crate) metric: String,
    /// In the order of the design.
    pub(crate) conditions: Vec<Condition>,
    /// Best first, controls last.
    pub(crate) overall: Vec<Overall>,
}

/// Ranks what the experiment asks to be ranked.
pub(crate) fn ranked(view: &View<'_>) -> Option<Ranked> {
    let results: &Results = view.results;
    let ranking = results.about.ranking.as_ref()?;
    let at = results.about.factors.iter().position(|f| *f == ranking.factor)?;
    let mut groups: Vec<(String, Vec<(&str, &Case)>)> = Vec::new();
    for case in &view.cases {
        let levels = &results.about.points.get(case.point as usize)?.levels;
        let others: Vec<&str> = levels.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, l)| l.as_str()).collect();
        let label = if others.is_empty() { "all".to_owned() } else { others.join(", ") };
        let member = (levels.get(at)?.as_str(), case);
        match groups.iter_mut().find(|(known, _)| *known == label) {
            Some((_, members)) => members.push(member),
            None => groups.push((label, vec![member])),
        }
    }
    let is_control = |level: &str| ranking.controls.iter().any(|c| c == level);
    let conditions: Vec<Condition> =
        groups.into_iter().map(|(label, members)| condition(view, label, &members, &ranking.metric, &is_control)).collect();
    let overall = overall(&conditions);
    Some(Ranked { factor: ranking.factor.clone(), metric: ranking.metric.clone(), conditions, overall })
}

fn condition(view: &View<'_>, label: String, members: &[(&str, &Case)], metric: &str, is_control: &dyn Fn(&str) -> bool) -> Condition {
    let lost = |case: &Case| view.mean(case, "error_rate").unwrap_or(0.0);
    let mut known: Vec<(&str, &Case, f64)> = members.iter().filter_map(|(l, c)| Some((*l, *c, view.mean(c, metric)?))).collect();
    let least_lost = known.iter().filter(|(l, ..)| !is_control(l)).map(|(_, c, _)| lost(c)).fold(f64::INFINITY, f64::min);
    let loses = |case: &Case| lost(case) > least_lost + LOSSES;
    known.sort_by(|a, b| loses(a.1).cmp(&loses(b.1)).then(a.2.total_cmp(&b.2)));
    let Some(&(_, best, best_mean)) = known.iter().find(|(l, ..)| !is_control(l)) else { return Condition { label, places: Vec::new() } };
    let confidence = 1.0 - (1.0 - CONFIDENCE) / (known.len() - 1).max(1) as f64;
    let place = |&(level, case, mean): &(&str, &Case, f64)| {
        let ratio = (case != best).then(|| {
            let logs = log_ratios(view, best, case, metric);
            let interval = svcsim_engine::stats::t_interval(&logs, confidence);
            interval.map_or((mean / best_mean, None), |t| (libm::exp(t.mean), Some((libm::exp(t.low), libm::exp(t.high)))))
        });
        let breaks = loses(case) || ratio.is_some_and(|(times, _)| times > TIMES);
        Place { level: level.to_owned(), mean, ratio, lost: lost(case), breaks, control: is_control(level) }
    };
    Condition { label, places: known.iter().map(place).collect() }
}

/// Logarithms of the ratios to the best, replication by replication.
fn log_ratios(view: &View<'_>, best: &Case, case: &Case, metric: &str) -> Vec<f64> {
    let (Some(best), Some(other)) = (view.values(best, metric), view.values(case, metric)) else { return Vec::new() };
    let ratio = |(r, value): (&u32, &f64)| best.get(r).map(|b| libm::log(value / b));
    other.iter().filter_map(ratio).filter(|x| x.is_finite()).collect()
}

fn overall(conditions: &[Condition]) -> Vec<Overall> {
    let mut levels: Vec<&str> = Vec::new();
    for place in conditions.iter().flat_map(|c| &c.places) {
        if !levels.contains(&place.level.as_str()) {
            levels.push(&place.level);
        }
    }
    let of = |level: &str| {
        let met: Vec<(&str, &Place)> =
            conditions.iter().flat_map(|c| c.places.iter().map(move |p| (c.label.as_str(), p))).filter(|(_, p)| p.level == level).collect();
        let times = |p: &Place| p.ratio.map_or(1.0, |(times, _)| times);
        let logs: f64 = met.iter().map(|(_, p)| libm::log(times(p))).sum();
        let worst = met.iter().max_by(|a, b| times(a.1).total_cmp(&times(b.1)));
        Overall {
            level: level.to_owned(),
            best_in: met.iter().filter(|(_, p)| p.is_best()).count(),
            times: libm::exp(logs / met.len().max(1) as f64),
            worst: worst.map_or((1.0, String::new()), |(label, p)| (times(p), (*label).to_owned())),
            breaks_in: met.iter().filter(|(_, p)| p.breaks).map(|(label, _)| (*label).to_owned()).collect(),
            control: met.iter().any(|(_, p)| p.control),
        }
    };
    let mut overall: Vec<Overall> = levels.into_iter().map(of).collect();
    overall.sort_by(|a, b| a.control.cmp(&b.control).then(a.breaks_in.len().cmp(&b.breaks_in.len())).then(a.times.total_cmp(&b.times)));
    overall
}

impl Ranked {
    /// What is to be said of it, most important first.
    pub(crate) fn sentences(&self) -> Vec<String> {
        let all = self.conditions.len();
        let mut said = Vec::new();
        let compared: Vec<&Overall> = self.overall.iter().filter(|o| !o.control).collect();
        if let Some(first) = compared.first() {
            let without = if first.breaks_in.is_empty() { "and it breaks nowhere" } else { "and it breaks least often" };
            said.push(format!(
                "{} ranks first: in {} of {all} conditions nobody is told apart from it as better, its {} is {} times the best one's in the \
                 geometric mean, {without}.",
                first.level,
                first.best_in,
                self.metric,
                number(first.times)
            ));
        }
        for o in &compared {
            let (times, label) = &o.worst;
            if o.breaks_in.is_empty() {
                continue;
            }
            let named: Vec<String> = o.breaks_in.iter().take(3).map(|l| format!("\u{201C}{l}\u{201D}")).collect();
            let more = o.breaks_in.len().saturating_sub(named.len());
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            said.push(format!(
                "{} breaks in {} of {}: {}{more}; at worst ({label}) its {} is {} times the best one's.",
                o.level,
                o.breaks_in.len(),
                plural(all, "condition"),
                named.join(", "),
                self.metric,
                number(*times)
            ));
        }
        said
    }
}

/// A ratio with its interval, as a table shows it: `1.35` and `[1.31, 1.39]`.
pub(crate) fn shown(ratio: Option<(f64, Option<(f64, f64)>)>) -> (String, String) {
    match ratio {
        None => ("1".to_owned(), String::new()),
        Some((times, ends)) => (number(times), ends.map_or_else(String::new, |(low, high)| format!("[{}, {}]", number(low), number(high)))),
    }
}

/// The part of the requests that is lost, if any is.
pub(crate) fn lost(place: &Place) -> String {
    if place.lost > 0.0 { percent(place.lost) } else { "0".to_owned() }
}
