//! Starters, rankings, decisions, call graphs and recorded requests, as their users meet them.

use crate::desk::{Desk, shipped};

/// Arguments that make a run short.
const SHORT: [&str; 5] = ["--quiet", "--set", "run.warmUp=0s", "--set", "design.replications=2"];

#[test]
fn every_starter_can_be_checked_and_run() {
    let desk = Desk::empty();
    let listed = desk.succeeds(&["new"]);
    let names: Vec<&str> = listed.lines().take_while(|l| !l.is_empty()).filter_map(|l| l.split_whitespace().next()).collect();
    assert!(names.len() >= 5, "{listed}");
    for name in names {
        desk.succeeds(&["new", name]);
        let file = format!("{name}.yaml");
        desk.succeeds(&["check", &file]);
        let duration = if desk.text(&file).contains("at: 20s") { "run.duration=25s" } else { "run.duration=4s" };
        desk.succeeds(&[&["run", &file, "--out", name, "--set", duration], &SHORT[..]].concat());
        let again = desk.svcsim(&["new", name]);
        assert_eq!(again.code, Some(2), "{}", again.err);
        assert!(again.err.contains("is there already"), "{}", again.err);
    }
    let none = desk.svcsim(&["new", "nothing"]);
    assert!(none.code == Some(2) && none.err.contains("name one of way-in"), "{}", none.err);
}

#[test]
fn a_ranking_names_the_best_and_where_others_break() {
    let desk = Desk::empty();
    desk.succeeds(&["new", "policies", "p.yaml"]);
    desk.succeeds(&["run", "p.yaml", "--out", "out", "--quiet", "--set", "run.duration=8s", "--set", "run.warmUp=2s"]);
    let report = desk.text("out/report.md").replace('\\', "");
    assert!(report.contains("## policy ranked by latency_p99"), "{report}");
    assert!(report.contains("| leastWork (control) |") && report.contains("ranks first"), "{report}");
    let random = report.lines().find(|l| l.contains("random breaks in")).expect("slow Pods break it");
    assert!(random.contains("times the best one's"), "{random}");
    let text = desk.text("p.yaml").replace("factor: policy", "factor: polcy");
    desk.write("q.yaml", text);
    let wrong = desk.svcsim(&["check", "q.yaml"]);
    assert!(wrong.code == Some(2) && wrong.err.contains("ranking.factor"), "{}", wrong.err);
}

#[test]
fn decisions_say_what_a_choice_was_made_from() {
    let desk = Desk::empty();
    desk.succeeds(&["new", "policies", "p.yaml"]);
    let text = desk.succeeds(&["explain", "p.yaml", "--point", "2", "--decisions", "50"]);
    let rows: Vec<Vec<&str>> = text.lines().skip(1).map(|l| l.split(',').collect()).collect();
    assert_eq!(rows.len(), 50 * 6, "six Pods each");
    for choice in rows.chunks(6) {
        let chosen: Vec<_> = choice.iter().filter(|r| r[9] == "1").collect();
        assert_eq!(chosen.len(), 1);
        let least = choice.iter().map(|r| r[5].parse::<u32>().expect("a load")).min();
        assert_eq!(Some(chosen[0][5].parse().expect("a load")), least, "leastRequest takes the least");
    }
    desk.write(
        "way.yaml",
        desk.text("p.yaml").replace("via: Endpoints", "via: ClusterIP").replace("    balancing: {policy: roundRobin}\n", ""),
    );
    let none = desk.svcsim(&["explain", "way.yaml", "--set", "design.factors=[]", "--decisions", "5"]);
    assert_ne!(none.code, Some(0), "{}", none.out);
}

#[test]
fn the_time_of_a_request_is_split_over_what_it_calls() {
    let desk = Desk::empty();
    desk.succeeds(&["new", "call-graph", "c.yaml"]);
    desk.succeeds(&["run", "c.yaml", "--out", "out", "--quiet", "--set", "run.duration=10s"]);
    let summary = desk.text("out/summary.csv");
    let mean = |series: &str, metric: &str| -> f64 {
        let row = summary
            .lines()
            .find(|l| l.contains("one after the other") && l.contains(&format!(",{series},{metric},")))
            .unwrap_or_else(|| panic!("{series} {metric}"));
        row.split(',').nth(5).and_then(|v| v.parse().ok()).expect("a mean")
    };
    let parts: f64 = ["users", "page->cart", "page->prices"].iter().map(|s| mean(s, "time_critical")).sum();
    assert!((parts / mean("users", "latency_mean") - 1.0).abs() < 1e-3, "{parts}");
    assert!(desk.text("out/report.md").contains("Where the time of a request from outside goes"));
}

#[test]
fn calls_are_found_in_environment_variables() {
    let desk = Desk::empty();
    let manifest = shipped("manifests/online-boutique.yaml");
    desk.succeeds(&["import", manifest.to_str().expect("a path"), "--out", "shop.yaml"]);
    let text = desk.text("shop.yaml");
    for called in ["cartservice", "currencyservice", "redis-cart", "paymentservice"] {
        assert!(text.contains(&format!("{{to: \"{called}\"")), "nobody calls {called}: {text}");
    }
    assert!(!text.contains("to: \"frontend\""), "the load generator is not part of the shop");
    desk.succeeds(&["run", "shop.yaml", "--out", "out", "--quiet", "--set", "run.duration=6s", "--set", "design.replications=2"]);
    assert!(desk.text("out/summary.csv").contains("checkoutservice->paymentservice"));
}

/// A small experiment whose requests are recorded in `r.csv`.
fn recorded(desk: &Desk, csv: &str, replay: &str) -> crate::desk::Said {
    desk.succeeds(&["new", "call-graph", "c.yaml"]);
    desk.write("r.csv", csv);
    let text = desk.text("c.yaml");
    let text =
        text.split("design:").next().expect("a part").replace("{poisson: {rate: 1000/s}}", &format!("{{replay: {{file: r.csv{replay}}}}}"));
    desk.write("c.yaml", text);
    desk.svcsim(&["run", "c.yaml", "--out", "out", "--quiet", "--set", "run.warmUp=0s"])
}

#[test]
fn recorded_requests_are_sent_as_they_were() {
    let requests = |csv: &str, replay: &str| {
        let desk = Desk::empty();
        let said = recorded(&desk, csv, replay);
        assert_eq!(said.code, Some(0), "{}", said.err);
        desk.succeeds(&["verify", "out"]);
        let summary = desk.text("out/summary.csv");
        let row = summary.lines().find(|l| l.contains(",users,requests,")).expect("requests").to_owned();
        row.split(',').find_map(|v| v.parse::<f64>().ok().filter(|v| *v >= 1.0)).expect("a number")
    };
    assert_eq!(requests("time,size\n0,1\n1.5,2\n2,3\n", ""), 3.0);
    assert_eq!(requests("\u{feff}time,size\r\n0,1\r\n1.5,2\r\n2,3", ", clones: 2"), 6.0);
    assert_eq!(
        requests("when,requests\n2023-11-16 18:17:00,10\n2023-11-16 18:17:05,0\n2023-11-16 18:17:10,5\n", ", time: when, count: requests"),
        15.0
    );
}

#[test]
fn what_is_wrong_with_a_record_is_told_with_its_line() {
    let wrong = |csv: &str, replay: &str| {
        let desk = Desk::empty();
        let said = recorded(&desk, csv, replay);
        assert_eq!(said.code, Some(2), "{}", said.err);
        assert!(!desk.path("out").exists());
        said.err
    };
    for (csv, replay, expected) in [
        ("time\n0\n-1\n", "", "line 3: time `-1`"),
        ("time\n0\n2\n1\n", "", "line 4: time `1`: before the line above it"),
        ("time,s\n0,1\n1,\n", ", serviceTime: {column: s, each: 1ms}", "line 3: s ``"),
        ("time,s\n0,1\n1\n", "", "line 3: 1 fields; expected 2"),
        ("at\n0\n", "", "has no column `time`; its first line names at"),
        ("time\n", "", "holds no requests"),
        ("time\n0\n", ", tme: x", "tme"),
        ("time\n0\n", ", keep: 2", "keep"),
    ] {
        let error = wrong(csv, replay);
        assert!(error.contains(expected), "{expected}: {error}");
    }
    let desk = Desk::empty();
    desk.succeeds(&["new", "call-graph", "c.yaml"]);
    desk.write("c.yaml", desk.text("c.yaml").replace("{poisson: {rate: 1000/s}}", "{replay: {file: none.csv}}"));
    let missing = desk.svcsim(&["check", "c.yaml"]);
    assert!(missing.code == Some(2) && missing.err.contains("none.csv"), "{}", missing.err);
}
