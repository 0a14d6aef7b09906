//! Designs that are not all combinations: what is run, what the results say of factors, and what is refused.

use crate::desk::{Desk, SMALL};
use std::collections::BTreeMap;

/// The design of the small experiment.
const DESIGN: &str = "  factors:\n    - path: pods.web.concurrency\n      levels: [1, 2]\n";
/// What befalls it: lost requests and seconds of waiting, beside which no factor would be seen.
const EVENTS: &str = "events:\n  deletions: {every: {exponential: {mean: 500ms}}, do: {podDelete: {workload: web}}}\n";
/// Three ranges of which two matter to latency.
const RANGES: &str = "  factors:
    - {name: service, path: pods.web.serviceTime.exponential.mean, from: 1ms, to: 6ms}
    - {name: link, path: network.sites.internet.link.delay, from: 1ms, to: 3ms}
    - {name: slots, path: pods.web.queueLimit, from: 1000, to: 2000}
";

fn small(design: &str) -> Desk {
    assert!(SMALL.contains(DESIGN) && SMALL.contains(EVENTS), "the small experiment has changed");
    Desk::with(SMALL.replace(DESIGN, design).replace(EVENTS, ""))
}

/// Rows of `sensitivity.csv` of a metric of all requests: (factor, level, index) and value.
fn indices(desk: &Desk, metric: &str) -> BTreeMap<(String, String, String), f64> {
    let text = desk.text("out/sensitivity.csv");
    let rows = text.lines().skip(1).map(|line| line.split(',').collect::<Vec<_>>());
    rows.filter(|r| r[2] == "all" && r[3] == metric)
        .map(|r| ((r[0].to_owned(), r[1].to_owned(), r[4].to_owned()), r[6].parse().expect("a number")))
        .collect()
}

fn index(found: &BTreeMap<(String, String, String), f64>, factor: &str, level: &str, index: &str) -> f64 {
    let key = (factor.to_owned(), level.to_owned(), index.to_owned());
    *found.get(&key).unwrap_or_else(|| panic!("no {key:?} in {found:?}"))
}

#[test]
fn one_at_a_time_tells_what_each_change_alone_does() {
    let desk = small(&format!("  sampling: {{oneAtATime: {{}}}}\n{RANGES}"));
    desk.succeeds(&["run", "small.yaml", "--quiet", "--out", "out"]);
    let found = indices(&desk, "latency_mean");
    // The experiment as it is has 5 ms one way over the link: at 1 ms both ways take 8 ms less, whatever else happens.
    assert!((index(&found, "link", "1ms", "difference") + 8.0).abs() < 0.5, "{found:?}");
    assert!((index(&found, "link", "3ms", "difference") + 4.0).abs() < 0.5, "{found:?}");
    assert!(index(&found, "service", "1ms", "difference") < index(&found, "service", "6ms", "difference"), "{found:?}");
    let report = desk.text("out/report.md");
    assert!(report.contains("Which factors matter") && report.contains("latency_p99 depends most on"), "{report}");
}

#[test]
fn morris_finds_the_factors_that_matter_and_a_report_is_rebuilt_from_its_tables() {
    let desk = small(&format!("  sampling: {{morris: {{trajectories: 4}}}}\n{RANGES}"));
    desk.succeeds(&["run", "small.yaml", "--quiet", "--out", "out"]);
    let found = indices(&desk, "latency_mean");
    // 2 ms more one way, there and back.
    assert!((index(&found, "link", "", "mu") - 4.0).abs() < 0.5, "{found:?}");
    assert!((index(&found, "link", "", "mu") - index(&found, "link", "", "mu_star")).abs() < 1e-9);
    assert!(index(&found, "service", "", "mu_star") > index(&found, "slots", "", "mu_star"), "{found:?}");
    let report = desk.text("out/report.md");
    desk.succeeds(&["report", "out"]);
    assert_eq!(desk.text("out/report.md"), report);
    desk.write("out/sensitivity.csv", desk.text("out/sensitivity.csv").lines().take(3).collect::<Vec<_>>().join("\n"));
    let said = desk.svcsim(&["report", "out"]);
    assert!(said.code == Some(1) && said.err.contains("sensitivity.csv"), "{said:?}");
}

#[test]
fn samples_are_made_by_the_seed_and_check_tells_their_price() {
    let desk = small(&format!("  sampling: {{saltelli: {{samples: 4}}}}\n{RANGES}"));
    let out = desk.succeeds(&["check", "small.yaml"]);
    assert!(out.contains("20 design points by saltelli, 2 replications each: 40 runs") && out.contains("in all: 19200 requests"), "{out}");
    desk.succeeds(&["run", "small.yaml", "--quiet", "--out", "out"]);
    let found = indices(&desk, "latency_mean");
    assert!(index(&found, "service", "", "total") > index(&found, "slots", "", "total"), "{found:?}");
    desk.succeeds(&["run", "small.yaml", "--quiet", "--out", "again", "--threads", "1"]);
    assert!(desk.results("out") == desk.results("again"));
    desk.succeeds(&["verify", "out"]);
    let desk = small(&format!("  sampling: {{latinHypercube: {{points: 5}}}}\n{RANGES}"));
    let points = |seed: &str| desk.succeeds(&["check", "small.yaml", "--set", &format!("design.seed={seed}")]);
    assert!(points("1") == points("1") && points("1") != points("2"));
    let sobol = small(&format!("  sampling: {{sobol: {{points: 8}}}}\n{RANGES}"));
    assert!(sobol.succeeds(&["check", "small.yaml"]).contains("8 design points by sobol"));
}

#[test]
fn a_subset_is_chosen_on_the_command_line() {
    let factors = "  factors:\n    - {path: pods.web.concurrency, levels: [1, 2]}\n    - {name: load, path: traffic.users.arrivals.poisson.rate, levels: {low: 100/s, high: 400/s}}\n";
    let desk = small(&format!("  subsets: {{quick: {{load: low}}}}\n{factors}"));
    assert!(desk.succeeds(&["check", "small.yaml"]).contains("4 design points"));
    let quick = desk.succeeds(&["check", "small.yaml", "--set", "design.subset=quick"]);
    assert!(quick.contains("2 design points,") && quick.contains("  1, low:") && !quick.contains("high"), "{quick}");
}

#[test]
fn claims_are_judged_where_their_points_are_run() {
    let factors = "  factors:\n    - {name: slots, path: pods.web.concurrency, levels: [1, 2, 3]}\n";
    let claims = "expect:\n  - {claim: One slot loses no more, metric: requests_lost, where: {slots: 3}, of: {slots: 1}, equals: 0}\n  \
                  - {claim: Nothing is rejected, metric: errors_rejected, equals: 0}\n";
    let desk = small(&format!("  subsets: {{two: {{slots: [2, 3]}}}}\n{factors}{claims}"));
    let run = |out: &str, options: &[&str]| desk.svcsim(&[&["run", "small.yaml", "--out", out], options].concat());
    let said = run("all", &[]);
    assert!(said.out.contains("expectation met: One slot loses"), "{said:?}");
    let said = run("two", &["--set", "design.subset=two"]);
    assert!(said.code == Some(0) && !said.out.contains("One slot loses") && said.out.contains("expectation met: Nothing"), "{said:?}");
    assert!(desk.text("two/report.md").contains("not judged, since none of its points is in the subset: One slot loses"));
    // Without a subset it is a slip: there would never be anything to judge.
    let said = run("none", &["--set", "design.exclude=[{slots: 1}]"]);
    assert!(said.code == Some(2) && said.err.contains("the claim is about no design point"), "{said:?}");
}

/// A design that is refused: one message, with the place that is marked by « and ».
#[track_caller]
fn refused(design: &str, expected: &str) {
    let text = SMALL.replace(DESIGN, design);
    let place = text.find('«').map(|at| {
        let before = &text[..at];
        let column = before.lines().last().filter(|_| !before.ends_with('\n')).unwrap_or("").chars().count() + 1;
        format!("--> small.yaml:{}:{column}\n", before.matches('\n').count() + 1)
    });
    let desk = Desk::with(text.replace(['«', '»'], ""));
    let said = desk.svcsim(&["run", "small.yaml"]);
    assert_eq!(said.code, Some(2), "{design}\n{}{}", said.out, said.err);
    assert!(said.err.matches("error: ").count() == 1 && said.err.contains("help: "), "{design}\n{}", said.err);
    assert!(said.err.contains(expected), "{design}: does not say {expected}\n{}", said.err);
    assert!(place.is_none_or(|place| said.err.contains(&place)), "{design}: the place is wrong\n{}", said.err);
    assert_eq!(desk.files().len(), 1, "{design}: something was left behind");
}

#[test]
fn designs_that_cannot_be_run_are_refused_in_their_place() {
    let concurrency = "  factors:\n    - {path: pods.web.concurrency, levels: [1, 2]}\n";
    for (more, expected) in [
        ("  «exclude»: [{concurrency: [1, 2]}]\n", "no design point is left of 2 combinations"),
        ("  where: [{concurency: «1»}]\n", "did you mean `concurrency`?"),
        ("  subsets: {quick: {concurrency: «3»}}\n", "there is no level of `concurrency` `3`"),
        ("  subset: «quick»\n", "there is no subset `quick`"),
        ("  paired: [«[»concurrency]]\n", "fewer than two factors"),
        ("  sampling: {morris: {trajectories: «1»}}\n", "1 trajectories are too few"),
        ("  sampling: {morris: {trajectories: 4, levels: «3»}}\n", "expected an even number"),
        ("  sampling: {«sobl»: {points: 4}}\n", "did you mean `sobol`?"),
        ("  sampling: {sobol: {«point»: 4}}\n", "did you mean `points`?"),
        ("  sampling: {saltelli: {samples: 1000000000}}\n", "runs; expected at most 1000000"),
        ("  sampling: {latinHypercube: {points: 4000000000}}\n", "8000000000 runs"),
        ("  sampling: {latinHypercube: {points: -4}}\n", "points"),
        ("  sampling: {sobol: {points: 8}}\n  «exclude»: [{concurrency: 1}]\n", "leave one of the two out"),
    ] {
        refused(&format!("{more}{concurrency}"), expected);
    }
    refused("  sampling: {sobol: {points: 8}}\n  factors: []\n", "the design has no factors");
}

#[test]
fn ranges_that_are_none_are_refused_in_their_place() {
    let path = "path: traffic.users.arrivals.poisson.rate";
    for (factor, expected) in [
        (format!("{{{path}, from: 100/s, to: «90/s»}}"), "nothing lies between 100/s and 90/s"),
        (format!("{{{path}, from: 100/s, to: «9000/min»}}"), "different units"),
        (format!("{{{path}, from: «0/s», to: 90/s, scale: log}}"), "cannot begin at 0/s"),
        (format!("{{{path}, from: «fast», to: 90/s}}"), "`fast` is no number"),
        (format!("{{{path}, from: «100/s»}}"), "a range without `to`"),
        (format!("{{{path}, «levels»: [100/s], from: 100/s, to: 200/s}}"), "either `levels` or a range"),
        (format!("{{{path}, levels: [100/s], scale: «log»}}"), "a scale without a range"),
        ("{name: x, from: 1, to: 2}".to_owned(), "a range without a `path`"),
        (
            "{«path»: traffic.users.arrivals.poisson.rte, from: 1/s, to: 2/s}"
                .replace("«path»: traffic.users.arrivals.poisson.rte", "path: «traffic.users.arrivals.poisson.rte»"),
            "did you mean `rate`?",
        ),
        (format!("{{{path}, from: «1ms», to: 2ms}}"), "is not a rate"),
    ] {
        refused(&format!("  sampling: {{sobol: {{points: 4}}}}\n  factors:\n    - {factor}\n"), expected);
    }
    refused(&format!("  factors:\n    - {{{path}, from: «100/s», to: 200/s}}\n"), "a range has no levels to combine");
}
