//! What the numbers say, in sentences.
//!
//! Cases are compared by *paired differences*: replication `i` of every design point meets the same random requests (common random
//! numbers), so the difference within a replication is free of the noise that both share. A difference is called one only where its
//! Student-t interval excludes 0. Where several cases are compared with the best, the intervals are widened (Bonferroni), so that all
//! of them hold together with the stated confidence.

use crate::measures::{CONFIDENCE, SATURATED};
use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::format::{self, interval, list, number, percent, plural};
use super::plots::loads;
use super::ranking;
use super::safe_level;
use super::sensitivity;
use super::tables::{Results, Verdict};
use super::view::{ALL, Case, DOUBT, View};

/// A sentence or two about the results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// The text, without markup.
    pub(crate) text: String,
    /// What it is about.
    pub(crate) kind: Kind,
}

/// What a [`Finding`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Which case to prefer, and why.
    Recommendation,
    /// Latency.
    Latency,
    /// The shortest time at which nothing is lost.
    Safe,
    /// Lost requests.
    Losses,
    /// Evenness of load.
    Balance,
    /// What explains a difference, in Kubernetes' terms.
    Reason,
    /// What to beware of.
    Caution,
}

/// Cases named one by one in a sentence.
const NAMED: usize = 4;
/// Differences of latency below this part of the best are visible but do not decide.
const MATTERS: f64 = 0.01;
/// Differences between parts of requests lost below this do not decide.
const LOSSES_MATTER: f64 = 1e-5;

/// The findings, most important first.
pub(crate) fn findings(results: &Results) -> Vec<Finding> {
    let view = View::new(results);
    // Where a factor is ranked, conditions are not to be compared with one another.
    if let Some(ranked) = ranking::ranked(&view) {
        let kind = |i| if i == 0 { Kind::Recommendation } else { Kind::Latency };
        return ranked.sentences().into_iter().enumerate().map(|(i, text)| finding(kind(i), text)).collect();
    }
    // Points of a sample are not there to be compared with one another: what they tell of factors is.
    if !results.sensitivity.is_empty() {
        return sensitivity::sentences(results).into_iter().map(|text| finding(Kind::Reason, text)).collect();
    }
    let mut found = Vec::new();
    let cases = &view.cases;
    let Some(p99) = Ranking::new(&view, "latency_p99", false) else {
        let text = "No latency was measured, so nothing can be compared.".to_owned();
        return vec![Finding { text, kind: Kind::Caution }];
    };
    let losses = Ranking::new(&view, "error_rate", false);
    let balance = Ranking::new(&view, "jain_requests", true);
    found.extend(safe_level::findings(&view));
    if cases.len() > 1 {
        found.extend(recommendation(&view, &p99, losses.as_ref(), balance.as_ref()));
    }
    found.push(latency(&view, &p99));
    found.extend(mean_latency(&view, &p99));
    found.extend(reason(&view, &p99));
    found.extend(lost(&view, losses.as_ref()));
    found.extend(evenness(&view, balance.as_ref()));
    found.extend(saturation(&view));
    found
}

/// How a case stands to the best one on a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Standing {
    Best,
    /// The interval of the paired difference excludes 0.
    Differs {
        mean: f64,
        low: f64,
        high: f64,
    },
    /// The interval covers 0.
    Tied {
        mean: f64,
        low: f64,
        high: f64,
    },
    /// Every replication gave the same number.
    Same,
    /// Too few replications for an interval.
    Unknown {
        mean: f64,
    },
}

/// The cases on one metric, best first.
struct Ranking {
    unit: String,
    higher_is_better: bool,
    /// Index of the case and how it stands to the first.
    order: Vec<(usize, Standing)>,
}

impl Ranking {
    fn new(view: &View<'_>, metric: &str, higher_is_better: bool) -> Option<Self> {
        let mut order: Vec<(usize, f64)> = view.cases.iter().enumerate().filter_map(|(i, c)| Some((i, view.mean(c, metric)?))).collect();
        let sign = if higher_is_better { -1.0 } else { 1.0 };
        order.sort_by(|a, b| (a.1 * sign).total_cmp(&(b.1 * sign)).then(a.0.cmp(&b.0)));
        let (best, best_mean) = *order.first()?;
        let unit = format::unit_of(metric, &view.row(&view.cases[best], metric)?.unit).to_owned();
        let confidence = 1.0 - (1.0 - CONFIDENCE) / (order.len() - 1).max(1) as f64;
        let standing = |(i, mean): (usize, f64)| {
            let differences = view.differences(&view.cases[best], &view.cases[i], metric);
            if i == best {
                return Standing::Best;
            }
            if differences.len() > 1 && differences.iter().all(|d| *d == 0.0) {
                return Standing::Same;
            }
            match svcsim_engine::stats::t_interval(&differences, confidence) {
                Some(t) if t.low > 0.0 || t.high < 0.0 => Standing::Differs { mean: t.mean, low: t.low, high: t.high },
                Some(t) => Standing::Tied { mean: t.mean, low: t.low, high: t.high },
                None => Standing::Unknown { mean: mean - best_mean },
            }
        };
        Some(Self { unit, higher_is_better, order: order.into_iter().map(|o| (o.0, standing(o))).collect() })
    }

    fn best(&self) -> usize {
        self.order[0].0
    }

    fn standing(&self, case: usize) -> Option<Standing> {
        self.order.iter().find(|o| o.0 == case).map(|o| o.1)
    }

    /// Whether a case is worse than the best, beyond noise and by more than `slack`.
    fn is_worse(&self, case: usize, slack: f64) -> bool {
        match self.standing(case) {
            Some(Standing::Differs { mean, .. }) => (if self.higher_is_better { -mean } else { mean }) > slack,
            Some(Standing::Unknown { mean }) => mean.abs() > slack,
            Some(_) => false,
            None => true,
        }
    }

    fn any_told_apart(&self) -> bool {
        self.order.iter().any(|o| matches!(o.1, Standing::Differs { .. } | Standing::Unknown { .. }))
    }
}

fn finding(kind: Kind, text: String) -> Finding {
    Finding { text, kind }
}

fn show(view: &View<'_>, case: &Case, metric: &str) -> String {
    match (view.row(case, metric), view.estimate(case, metric)) {
        (Some(row), Some(e)) => interval(e.mean, e.ends, format::unit_of(metric, &row.unit)),
        _ => "n/a".to_owned(),
    }
}

fn latency(view: &View<'_>, p99: &Ranking) -> Finding {
    let cases = &view.cases;
    let best = &cases[p99.best()];
    let mut text = String::new();
    if p99.order.len() == 1 {
        let _ = write!(text, "99 of 100 requests took less than {} (p99)", show(view, best, "latency_p99"));
        if view.mean(best, "latency_p50").is_some() {
            let _ = write!(text, ", half of them less than {}", show(view, best, "latency_p50"));
        }
        text.push('.');
        return finding(Kind::Latency, text);
    }
    if !p99.any_told_apart() {
        let means: Vec<f64> = p99.order.iter().filter_map(|o| view.mean(&cases[o.0], "latency_p99")).collect();
        let (low, high) = (means.iter().copied().fold(f64::INFINITY, f64::min), means.iter().copied().fold(0.0, f64::max));
        let _ = write!(
            text,
            "On p99 latency no difference between the {} cases can be told apart from noise; all lie between {} and {} {}.",
            p99.order.len(),
            number(low),
            number(high),
            p99.unit
        );
        return finding(Kind::Latency, text);
    }
    let best_mean = view.mean(best, "latency_p99").unwrap_or(f64::NAN);
    let has_interval = view.estimate(best, "latency_p99").is_some_and(|e| e.ends.is_some());
    let interval_told = if has_interval { " (mean and 95% interval)" } else { "" };
    let _ = write!(text, "{} has the lowest p99 latency: {}{}.", best.quoted(), show(view, best, "latency_p99"), interval_told);
    let (mut tied, mut slower): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    for (i, standing) in &p99.order[1..] {
        match *standing {
            Standing::Differs { mean, low, high } => {
                slower.push(format!(
                    "{} by {} ({})",
                    cases[*i].quoted(),
                    interval(mean, Some((low, high)), &p99.unit),
                    percent(mean / best_mean)
                ));
            }
            Standing::Unknown { mean } => slower.push(format!("{} by {} {}", cases[*i].quoted(), number(mean), p99.unit)),
            Standing::Tied { .. } | Standing::Same | Standing::Best => tied.push(cases[*i].quoted()),
        }
    }
    if !tied.is_empty() {
        let _ = write!(text, " No difference can be told apart from noise between it and {}.", named(&tied));
    }
    if !slower.is_empty() {
        let more = slower.len().saturating_sub(NAMED);
        let last = slower.last().cloned();
        slower.truncate(NAMED);
        let items: Vec<String> = slower;
        let _ = write!(text, " Slower than it: {}", items.join("; "));
        match last.filter(|_| more > 0) {
            Some(last) => {
                let _ = write!(text, "; and {more} more, up to {last}.");
            }
            None => text.push('.'),
        }
    }
    if p99.order.iter().any(|o| matches!(o.1, Standing::Unknown { .. })) {
        text.push_str(" Without enough replications there are no intervals: such differences may be noise.");
    }
    finding(Kind::Latency, text)
}

/// A sentence on the mean, only where it says something else than the p99.
fn mean_latency(view: &View<'_>, p99: &Ranking) -> Option<Finding> {
    let mean = Ranking::new(view, "latency_mean", false)?;
    if mean.order.len() < 2 || !mean.any_told_apart() || mean.best() == p99.best() || !mean.is_worse(p99.best(), 0.0) {
        return None;
    }
    let (best, other) = (&view.cases[mean.best()], &view.cases[p99.best()]);
    let text = format!(
        "The mean tells another story than the p99: on the mean {} is ahead with {}, against {} for {}.",
        best.quoted(),
        show(view, best, "latency_mean"),
        show(view, other, "latency_mean"),
        other.quoted()
    );
    Some(finding(Kind::Latency, text))
}

/// The data path of each case, cases with about the same path together.
fn reason(view: &View<'_>, p99: &Ranking) -> Option<Finding> {
    let mut groups: Vec<(Way, Vec<String>)> = Vec::new();
    for (i, _) in &p99.order {
        let case = &view.cases[*i];
        let way = Way::of(view, case);
        match groups.iter_mut().find(|g| g.0.is_like(&way)) {
            Some(group) => group.1.push(case.quoted()),
            None => groups.push((way, vec![case.quoted()])),
        }
    }
    groups.retain(|g| !g.0.words().is_empty());
    if groups.is_empty() || (groups.len() < 2 && view.cases.len() > 1) {
        return None;
    }
    let more = groups.len().saturating_sub(NAMED + 1);
    let sentences: Vec<String> = groups
        .iter()
        .take(NAMED + 1)
        .map(|(way, labels)| match &labels[..] {
            [one] => format!("{one} {}", way.words()),
            _ => format!("each of {} {}", named(labels), way.words()),
        })
        .collect();
    let rest = if more > 0 { format!("; {more} other ways are in the table") } else { String::new() };
    let start = if view.cases.len() > 1 { "Requests go different ways" } else { "The way of a request" };
    let times = times(view, p99).map_or_else(String::new, |t| format!(" {t}"));
    Some(finding(Kind::Reason, format!("{start}: {}{rest}.{times}", sentences.join("; "))))
}

/// Where the time of the mean request goes in the case with the lowest and in that with the highest p99.
fn times(view: &View<'_>, p99: &Ranking) -> Option<String> {
    let (best, worst) = (&view.cases[p99.best()], &view.cases[p99.order.last()?.0]);
    if best == worst || !p99.any_told_apart() {
        return None;
    }
    let of = |metric: &str| Some((view.mean(best, metric)?, view.mean(worst, metric)?));
    let (network, wait) = (of("time_network")?, of("time_wait")?);
    Some(format!(
        "The mean request spends {} ms on the network with {} and {} ms with {}, and waits {} and {} ms in line at the Pod.",
        number(network.0),
        best.quoted(),
        number(network.1),
        worst.quoted(),
        number(wait.0),
        number(wait.1)
    ))
}

/// The way of requests through the cluster, as shares of them.
struct Way {
    extra_hop: Option<f64>,
    snat: Option<f64>,
    cross_zone: Option<f64>,
}

impl Way {
    fn of(view: &View<'_>, case: &Case) -> Self {
        let share = |metric: &str| view.mean(case, metric);
        Self { extra_hop: share("extra_hop_share"), snat: share("snat_share"), cross_zone: share("cross_zone_share") }
    }

    fn is_like(&self, other: &Self) -> bool {
        let near = |a: Option<f64>, b: Option<f64>| match (a, b) {
            (Some(a), Some(b)) => (a - b).abs() < 0.02 && (a < 0.005) == (b < 0.005),
            (a, b) => a.is_none() && b.is_none(),
        };
        near(self.extra_hop, other.extra_hop) && near(self.snat, other.snat) && near(self.cross_zone, other.cross_zone)
    }

    fn words(&self) -> String {
        let mut parts: Vec<String> = Vec::new();
        let part = |share: f64, some: &str, none: &str| {
            if share < 0.005 { none.to_owned() } else { some.replace("{}", &format!("{:.0}%", share * 100.0)) }
        };
        parts.extend(self.extra_hop.map(|v| part(v, "takes an extra hop over a second Node on {} of requests", "takes no extra hop")));
        parts.extend(self.snat.map(|v| part(v, "hides the client's address (SNAT) on {}", "keeps the client's address")));
        parts.extend(self.cross_zone.map(|v| part(v, "crosses zones on {}", "stays within a zone")));
        list(&parts)
    }
}

fn lost(view: &View<'_>, losses: Option<&Ranking>) -> Option<Finding> {
    let losses = losses?;
    let cases = &view.cases;
    let rate = |i: usize| view.mean(&cases[i], "error_rate").unwrap_or(0.0);
    let worst = losses.order.last()?.0;
    if losses.order.iter().all(|o| rate(o.0) == 0.0) {
        let text = if cases.len() > 1 { "No request was lost in any case." } else { "No request was lost." };
        return Some(finding(Kind::Losses, text.to_owned()));
    }
    let causes = causes(view, &cases[worst]);
    let because = match &causes[..] {
        [] => String::new(),
        [only] => format!(", all because {}", because(&only.cause)),
        [first, rest @ ..] => {
            let others: Vec<String> = rest.iter().take(2).map(|l| format!("{} ({})", words(&l.cause), percent(l.share))).collect();
            format!("; {} of these because {}, others as {}", percent(first.share), because(&first.cause), list(&others))
        }
    };
    if losses.order.len() == 1 {
        let text = format!("Of all requests, {} were lost{because}.", show(view, &cases[worst], "error_rate"));
        return Some(finding(Kind::Losses, text));
    }
    let best = losses.best();
    let best_text = if rate(best) == 0.0 { "none".to_owned() } else { show(view, &cases[best], "error_rate") };
    let text = if losses.any_told_apart() {
        let spared: Vec<String> = losses.order.iter().filter(|o| rate(o.0) == 0.0).map(|o| cases[o.0].quoted()).collect();
        let least = if spared.len() > 1 {
            format!("{} lost none", named(&spared))
        } else {
            format!("{} lost {best_text}{}", cases[best].quoted(), if rate(best) == 0.0 { "" } else { " of requests, the fewest" })
        };
        format!("{} lost the most requests: {}{because}. {least}.", cases[worst].quoted(), show(view, &cases[worst], "error_rate"))
    } else {
        format!(
            "Requests were lost in about the same measure everywhere ({} to {}); no difference can be told apart from noise. With {}{because}.",
            percent(rate(best)),
            percent(rate(worst)),
            cases[worst].quoted(),
        )
        .replace(". With ", ". For instance with ")
    };
    Some(finding(Kind::Losses, text))
}

/// What one cause took of the requests of a case, over all replications.
pub(crate) struct Loss {
    /// The cause.
    pub(crate) cause: String,
    /// Requests lost to it.
    pub(crate) requests: u64,
    /// Its part of all losses.
    pub(crate) share: f64,
    /// Its part of all requests, summed over replications.
    pub(crate) of_requests: f64,
}

/// Causes of loss in a case, largest first.
pub(crate) fn causes(view: &View<'_>, case: &Case) -> Vec<Loss> {
    let rows = || view.results.errors.iter().filter(|r| r.point == case.point && r.requests > 0);
    let series = View::series_of(case, rows().map(|r| r.series.as_str()));
    let mut counts: BTreeMap<&str, (u64, f64)> = BTreeMap::new();
    for row in rows().filter(|r| series.contains(&r.series.as_str())) {
        let sum = counts.entry(&row.cause).or_default();
        *sum = (sum.0.saturating_add(row.requests), sum.1 + row.share);
    }
    let total = counts.values().map(|c| c.0 as f64).sum::<f64>().max(1.0);
    let loss = |(cause, (requests, of_requests)): (&str, (u64, f64))| Loss {
        cause: cause.to_owned(),
        requests,
        share: requests as f64 / total,
        of_requests,
    };
    let mut losses: Vec<Loss> = counts.into_iter().map(loss).collect();
    losses.sort_by(|a, b| b.requests.cmp(&a.requests).then_with(|| a.cause.cmp(&b.cause)));
    losses
}

/// The name of a cause in words.
pub(crate) fn words(cause: &str) -> String {
    cause.replace('_', " ")
}

/// A cause as the rest of a sentence.
fn because(cause: &str) -> String {
    match cause {
        "refused" => "the Pod was there but nothing listened any more (connection refused)".to_owned(),
        "reset" => "the Pod died or closed the connection with the request in it".to_owned(),
        "rejected" => "no endpoint was ready anywhere and the Node rejected them".to_owned(),
        "policy_drop" => "policy Local drops what reaches a Node without a ready endpoint of its own".to_owned(),
        "blackhole" => "they went to a Pod or a Node that was gone, or could not be reached".to_owned(),
        "reply_lost" => "their answers bypassed the Node that translated the address, and clients threw them away".to_owned(),
        "conntrack_full" => "a Node's table of connections was full".to_owned(),
        "snat_exhausted" => "a Node had no source port left for SNAT to the Pod".to_owned(),
        "no_route" => "no Node knew the address".to_owned(),
        "name_error" => "DNS had no address for the name".to_owned(),
        "dns_failure" => "DNS did not answer".to_owned(),
        "no_target" => "the load balancer had no target".to_owned(),
        "link_drop" => "the queue of a link was full or the link lost them".to_owned(),
        "queue_full" => "the line at the Pod was full (503)".to_owned(),
        "timed_out" => "the client gave up waiting".to_owned(),
        _ => format!("of \u{201C}{}\u{201D}", words(cause)),
    }
}

fn evenness(view: &View<'_>, balance: Option<&Ranking>) -> Option<Finding> {
    let balance = balance?;
    let cases = &view.cases;
    let (best, worst) = (balance.best(), balance.order.last()?.0);
    let jain = |i: usize| view.mean(&cases[i], "jain_requests").map_or_else(|| "n/a".to_owned(), |v| format!("{v:.3}"));
    let loads = loads(view);
    let hottest = |i: usize| {
        let load = loads.iter().find(|l| l.label == cases[i].label)?;
        let pod = load.pods.iter().max_by(|a, b| a.relative.total_cmp(&b.relative))?;
        Some(format!("its busiest Pod, {} on {}, gets {} times an equal share on average", pod.pod, pod.node, number(pod.relative)))
    };
    let busy = hottest(worst).map_or_else(String::new, |h| format!("; {h}"));
    let text = if balance.order.len() == 1 {
        format!("Load is spread over the Pods with a Jain index of {} (1 is even){busy}.", jain(best))
    } else if !balance.any_told_apart() {
        let low = jain(worst);
        format!(
            "Load is spread over the Pods alike everywhere: Jain indices from {low} to {} (1 is even), no difference beyond noise.",
            jain(best)
        )
    } else {
        format!(
            "Load is most even over the Pods with {} (Jain {}, 1 is even) and least even with {} (Jain {}){busy}.",
            cases[best].quoted(),
            jain(best),
            cases[worst].quoted(),
            jain(worst)
        )
    };
    Some(finding(Kind::Balance, text))
}

fn saturation(view: &View<'_>) -> Option<Finding> {
    let full: Vec<String> =
        view.cases.iter().filter(|c| view.mean(c, "utilisation").is_some_and(|u| u > SATURATED)).map(Case::quoted).collect();
    if full.is_empty() {
        return None;
    }
    let text = format!(
        "Pods are busy 95% of the time or more with {}: queues do not settle there, and latencies depend on how long the run was.",
        named(&full)
    );
    Some(finding(Kind::Caution, text))
}

fn recommendation(view: &View<'_>, p99: &Ranking, losses: Option<&Ranking>, balance: Option<&Ranking>) -> Option<Finding> {
    let cases = &view.cases;
    let all: Vec<usize> = p99.order.iter().map(|o| o.0).collect();
    let (choice, peers) = choose(view, all.clone())?;
    if peers.len() + 1 == all.len() {
        let text =
            "By these numbers there is no reason to prefer one case to another: neither losses nor p99 latency differ by more than noise \
                    and 1%. Choose what is simplest to run."
                .to_owned();
        return Some(finding(Kind::Recommendation, with_caution(view, text)));
    }
    let mean = |i: usize, metric: &str| view.mean(&cases[i], metric);
    let p99_of = |i: usize| mean(i, "latency_p99").unwrap_or(f64::NAN);
    let slack = MATTERS * p99_of(p99.best()).abs();
    let mut why = Vec::new();
    if let Some(losses) = losses
        && losses.order.iter().any(|o| losses.is_worse(o.0, LOSSES_MATTER))
        && !losses.is_worse(choice, LOSSES_MATTER)
    {
        let rate = mean(choice, "error_rate").unwrap_or(0.0);
        why.push(if rate == 0.0 {
            "it loses no request".to_owned()
        } else {
            format!("no other loses fewer requests beyond noise ({})", percent(rate))
        });
    }
    let among = if p99.is_worse(choice, slack) { "of those its p99 is the lowest" } else { "no other has a lower p99" };
    why.push(format!("{among} ({} {}{})", number(p99_of(choice)), p99.unit, if peers.is_empty() { "" } else { ", within noise and 1%" }));
    let hides = |i: usize| mean(i, "snat_share").is_some_and(|v| v >= 0.005);
    if (0..cases.len()).any(hides) && !hides(choice) {
        why.push("it keeps the client's address".to_owned());
    }
    let mut text = format!("If the choice is free, take {}: {}.", cases[choice].quoted(), list(&why));
    let mut price = Vec::new();
    if let Some(balance) = balance.filter(|b| b.is_worse(choice, 0.02)) {
        let jain = |i: usize| mean(i, "jain_requests").unwrap_or(f64::NAN);
        let best = balance.best();
        price.push(format!("a less even load (Jain {:.3} against {:.3} with {})", jain(choice), jain(best), cases[best].quoted()));
    }
    if p99.is_worse(choice, slack) {
        price.push(format!("a higher p99 than with {} ({} {})", cases[p99.best()].quoted(), number(p99_of(p99.best())), p99.unit));
    }
    if !price.is_empty() {
        let _ = write!(text, " The price is {}.", list(&price));
    }
    if !peers.is_empty() {
        let labels: Vec<String> = peers.iter().map(|i| cases[*i].quoted()).collect();
        let _ = write!(text, " As good within noise and 1%: {}.", named(&labels));
    } else if let Some((next, _)) = choose(view, all.into_iter().filter(|i| *i != choice).collect()).filter(|_| cases.len() > 2) {
        let _ = write!(text, " Next comes {} (p99 {} {}", cases[next].quoted(), number(p99_of(next)), p99.unit);
        if let Some(rate) = mean(next, "error_rate") {
            let _ = write!(text, ", {} lost", percent(rate));
        }
        text.push_str(").");
    }
    Some(finding(Kind::Recommendation, with_caution(view, text)))
}

/// The case to take, by fewest losses, then lowest p99, then a client's address that is kept; and those that are as good on the first two.
fn choose(view: &View<'_>, mut left: Vec<usize>) -> Option<(usize, Vec<usize>)> {
    let mean = |i: usize, metric: &str| view.mean(&view.cases[i], metric);
    if left.iter().all(|i| mean(*i, "error_rate").is_some()) {
        left = not_worse(view, left, "error_rate", |_| LOSSES_MATTER);
    }
    left = not_worse(view, left, "latency_p99", |best| MATTERS * best.abs());
    let hides = |i: usize| mean(i, "snat_share").is_some_and(|v| v >= 0.005);
    let p99 = |i: usize| mean(i, "latency_p99").unwrap_or(f64::INFINITY);
    let choice = left.iter().copied().min_by(|a, b| hides(*a).cmp(&hides(*b)).then(p99(*a).total_cmp(&p99(*b))))?;
    left.retain(|i| *i != choice);
    Some((choice, left))
}

/// The cases that are not worse than the one with the lowest mean, beyond noise and by more than a slack that depends on that mean.
fn not_worse(view: &View<'_>, cases: Vec<usize>, metric: &str, slack: impl Fn(f64) -> f64) -> Vec<usize> {
    let mean = |i: usize| view.mean(&view.cases[i], metric).unwrap_or(f64::INFINITY);
    let Some(best) = cases.iter().copied().min_by(|a, b| mean(*a).total_cmp(&mean(*b))) else { return cases };
    let slack = slack(mean(best));
    let confidence = 1.0 - (1.0 - CONFIDENCE) / (cases.len().saturating_sub(1)).max(1) as f64;
    let is_worse = |i: usize| {
        let differences = view.differences(&view.cases[best], &view.cases[i], metric);
        match svcsim_engine::stats::t_interval(&differences, confidence) {
            Some(t) => t.low > 0.0 && t.mean > slack,
            None => mean(i) - mean(best) > slack,
        }
    };
    cases.into_iter().filter(|i| *i == best || !is_worse(*i)).collect()
}

fn with_caution(view: &View<'_>, mut text: String) -> String {
    if view.results.about.replications < 2 {
        text.push_str(" But one replication says nothing about noise: run at least ten before acting on it.");
    }
    match warnings(view.results).len() {
        0 => {}
        1 => text.push_str(" Read the warning below first."),
        n => {
            let _ = write!(text, " Read the {n} warnings below first.");
        }
    }
    text
}

/// Every warning there is: those of the whole, then those of single numbers, alike ones together.
pub(crate) fn warnings(results: &Results) -> Vec<String> {
    let mut warnings = results.about.warnings.clone();
    let mut of_numbers: Vec<((&str, &str), Vec<String>)> = Vec::new();
    for row in results.summary.iter().filter(|r| !r.warning.trim().is_empty()) {
        let label = results.about.label(row.point);
        if warnings.iter().any(|w| w.contains(&label) && w.contains(&row.metric) && w.contains(&row.warning)) {
            continue;
        }
        let place = if row.series == ALL { label } else { format!("{label}, {}", row.series) };
        let key = (row.metric.as_str(), row.warning.as_str());
        match of_numbers.iter_mut().find(|n| n.0 == key) {
            Some(known) => known.1.push(place),
            None => of_numbers.push((key, vec![place])),
        }
    }
    warnings.extend(of_numbers.into_iter().map(|((metric, warning), places)| format!("{metric}: {warning} [{}]", places.join("; "))));
    warnings
}

/// A judged claim in a line.
pub(crate) fn verdict(verdict: &Verdict) -> String {
    let Verdict { claim, expected, found, met } = verdict;
    format!("expectation {}: {claim} [expected {expected}; found {found}]", if *met { "met" } else { "failed" })
}

/// Labels as a list, the rest as a number where there are many.
fn named(labels: &[String]) -> String {
    if labels.len() <= NAMED + 1 { list(labels) } else { format!("{} and {} others", labels[..NAMED].join(", "), labels.len() - NAMED) }
}

/// The results as a short table with the findings under it, for a terminal of 100 columns.
pub(crate) fn terminal_table(results: &Results) -> String {
    const COLUMNS: usize = 100;
    const ROWS: usize = 40;
    let view = View::new(results);
    let mut out = String::new();
    let label_width = view.cases.iter().take(ROWS).map(|c| c.label.chars().count()).max().unwrap_or(0).clamp(5, 40);
    let _ = writeln!(out, "{:<label_width$}  {:>9}  {:>18}  {:>9}  {:>6}", "", "p50 ms", "p99 ms", "lost", "Jain");
    for case in view.cases.iter().take(ROWS) {
        let cell = |metric: &str, show: &dyn Fn(f64) -> String| view.mean(case, metric).map_or_else(|| "-".to_owned(), show);
        let p99 = view.estimate(case, "latency_p99").map_or_else(|| "-".to_owned(), |e| format::plus_minus(e.mean, e.ends));
        let p99 = if view.doubt(case, "latency_p99").is_some() { p99 + DOUBT } else { p99 };
        let line = format!(
            "{:<label_width$}  {:>9}  {p99:>18}  {:>9}  {:>6}",
            format::shorten(&case.label, label_width),
            cell("latency_p50", &number),
            cell("error_rate", &percent),
            cell("jain_requests", &|v| format!("{v:.3}")),
        );
        let _ = writeln!(out, "{}", line.trim_end());
    }
    if view.cases.len() > ROWS {
        let _ = writeln!(out, "... and {} more", view.cases.len() - ROWS);
    }
    out.push('\n');
    for finding in findings(results).iter().take(4) {
        for (i, line) in format::wrap(&finding.text, COLUMNS - 2).iter().enumerate() {
            let _ = writeln!(out, "{} {line}", if i == 0 { "*" } else { " " });
        }
    }
    if !results.about.expectations.is_empty() {
        out.push('\n');
    }
    for line in results.about.expectations.iter().flat_map(|v| format::wrap(&verdict(v), COLUMNS)) {
        let _ = writeln!(out, "{line}");
    }
    match warnings(results).len() {
        0 => {}
        n => {
            let _ = writeln!(out, "\n{}; the report lists them.", plural(n, "warning"));
        }
    }
    // Control characters in names of the input would be orders to the terminal.
    out.chars().map(|c| if c.is_control() && c != '\n' { '\u{FFFD}' } else { c }).collect()
}
