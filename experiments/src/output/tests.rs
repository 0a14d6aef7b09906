//! What holds of tables, figures and report together.

use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::fixture;
use super::tables::*;
use super::{findings, plots, report};

fn figures_of(results: &Results) -> Vec<plots::Figure> {
    plots::figures(results)
}

/// Writes everything to a directory named by `SVCSIM_LOOK`, for eyes.
#[test]
fn look() {
    let Some(dir) = std::env::var_os("SVCSIM_LOOK") else { return };
    for (name, results) in [
        ("five", fixture::results(5, 10)),
        ("one", fixture::results(1, 10)),
        ("forty", fixture::results(40, 3)),
        ("single", fixture::results(5, 1)),
        ("geo", geographic()),
        ("many", many_nodes()),
        ("hostile", hostile()),
        ("empty", Results::default()),
    ] {
        let dir = Path::new(&dir).join(name);
        results.write(&dir).unwrap();
        super::publish(&results, &dir).unwrap();
        fs::write(dir.join("terminal.txt"), findings::terminal_table(&results)).unwrap();
    }
}

fn geographic() -> Results {
    let mut r = fixture::results(1, 4);
    for (i, v) in r.vertices.iter_mut().enumerate() {
        let (x, y) = match v.name.as_str() {
            "berlin" => (13.4, 52.5),
            "madrid" => (-3.7, 40.4),
            "edge" => (8.7, 50.1),
            _ if v.zone == "zone-a" => (2.3, 48.9),
            _ if v.zone == "zone-b" => (-6.3, 53.3),
            _ => (9.2, 45.5),
        };
        (v.x, v.y) = (Some(x + 0.01 * i as f64), Some(y));
    }
    r
}

fn many_nodes() -> Results {
    let mut r = fixture::results(2, 4);
    for i in 6..60 {
        let zone = ["zone-a", "zone-b", "zone-c"][i % 3];
        r.vertices.push(VertexRow { name: format!("node-{i}"), kind: "node".into(), zone: zone.into(), x: None, y: None, pods: 2 });
        let from = format!("switch-{}", ["a", "b", "c"][i % 3]);
        r.links.push(LinkRow { point: 0, from, to: format!("node-{i}"), messages: 1.0, bytes: 4e8, dropped: 0.0, utilisation: 0.3 });
    }
    for b in 0..54u32 {
        for point in 0..2 {
            r.balance.push(BalanceRow {
                point,
                replication: 0,
                series: "frontend".into(),
                pod: format!("frontend-{}", b + 6),
                zone: ["zone-a", "zone-b", "zone-c"][b as usize % 3].into(),
                share_requests: 0.1 + 0.002 * f64::from(b % 11),
                ..BalanceRow::default()
            });
        }
    }
    r
}

const NASTY: &str = "<script>alert('x')</script> & \"q\" | *b* `c` \u{1b}[31m";

fn hostile() -> Results {
    let mut r = fixture::results(3, 4);
    let about = &mut r.about;
    about.name = NASTY.into();
    about.question = NASTY.into();
    about.points[0].label = NASTY.into();
    about.points[0].levels[0] = NASTY.into();
    about.factors[0] = NASTY.into();
    about.setup.push(NASTY.into());
    about.assumptions.push(NASTY.into());
    about.not_modelled.push(NASTY.into());
    about.warnings.push(NASTY.into());
    about.rebuild.push(NASTY.into());
    r.vertices[0].name = NASTY.into();
    r.vertices[3].zone = NASTY.into();
    r.balance[0].pod = NASTY.into();
    r.errors[0].cause = NASTY.into();
    r.summary[0].warning = NASTY.into();
    r.summary[1].unit = NASTY.into();
    r.incidents[0].event = NASTY.into();
    for (i, row) in r.summary.iter_mut().enumerate().skip(5) {
        match i % 7 {
            0 => row.mean = f64::NAN,
            1 => row.ci_high = Some(f64::INFINITY),
            2 => (row.ci_low, row.ci_high) = (None, Some(f64::NEG_INFINITY)),
            3 => row.mean = 1e300,
            _ => {}
        }
    }
    for (i, row) in r.runs.iter_mut().enumerate() {
        if i % 5 == 0 {
            row.value = f64::NAN;
        }
    }
    r.latency[7].latency_ms = f64::NAN;
    r.latency[9].fraction_above = f64::INFINITY;
    r.timeline[4].time_s = f64::NAN;
    r.timeline[5].width_s = f64::INFINITY;
    r.balance[3].share_requests = f64::NAN;
    r.links[2].bytes = f64::NAN;
    r.links[3].utilisation = f64::INFINITY;
    r
}

#[test]
fn nothing_panics_on_any_data() {
    for results in [Results::default(), hostile(), fixture::results(1, 1), fixture::results(40, 2), many_nodes(), geographic()] {
        let dir = tempfile::tempdir().unwrap();
        super::publish(&results, dir.path()).unwrap();
        findings::terminal_table(&results);
    }
}

#[test]
fn figures_are_byte_stable_and_written_twice() {
    let results = fixture::results(5, 10);
    let figures = figures_of(&results);
    assert_eq!(figures, figures_of(&results));
    let dir = tempfile::tempdir().unwrap();
    plots::write(&figures, dir.path()).unwrap();
    for figure in &figures {
        let svg = fs::read_to_string(dir.path().join(format!("plots/{}.svg", figure.name))).unwrap();
        assert_eq!(svg, figure.svg);
        let png = fs::read(dir.path().join(format!("plots/{}.png", figure.name))).unwrap();
        assert_eq!(&png[1..4], b"PNG");
        assert_eq!(u32::from_be_bytes(png[16..20].try_into().unwrap()), 1600);
    }
    let names: Vec<&str> = figures.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(names[..7], ["latency_ccdf", "p99_by_entry", "heat_map", "pareto", "pod_load", "timeline", "topology_map"]);
}

fn figure(results: &Results, name: &str) -> Option<plots::Figure> {
    figures_of(results).into_iter().find(|f| f.name == name)
}

/// Four points with these levels of two factors.
fn grid(levels: [[&str; 2]; 4]) -> Results {
    let mut results = fixture::results(4, 3);
    for (point, levels) in results.about.points.iter_mut().zip(levels) {
        point.levels = levels.map(str::to_owned).to_vec();
    }
    results
}

/// Sets the mean of a metric of a point, known to within 1 %.
fn set(results: &mut Results, point: u32, metric: &str, mean: f64) {
    let rows = results.summary.iter_mut().filter(|r| r.point == point && r.metric == metric && r.series == "all");
    rows.for_each(|row| (row.mean, row.ci_low, row.ci_high) = (mean, Some(mean * 0.99), Some(mean * 1.01)));
}

#[test]
fn a_heat_map_has_a_cell_for_each_pair_of_levels_and_marks_what_must_not_be_built_on() {
    let mut results = grid([["a", "x"], ["a", "y"], ["b", "x"], ["b", "y"]]);
    (0..4).for_each(|point| set(&mut results, point, "latency_p99", 11.1 * f64::from(point + 1)));
    let svg = figure(&results, "heat_map").expect("a grid").svg;
    for text in ["11.1", "22.2", "33.3", "44.4"] {
        assert_eq!(svg.matches(&format!(">{text}<")).count(), 1, "{text}");
    }
    set(&mut results, 1, "utilisation", 0.999);
    assert!(figure(&results, "heat_map").expect("a grid").svg.contains("22.2 !"));
    let sampled = grid([["1", "10"], ["2", "20"], ["3", "30"], ["4", "40"]]);
    assert!(figure(&sampled, "heat_map").is_none(), "a sample of two ranges is no grid");
}

#[test]
fn the_pareto_front_has_whom_nobody_beats() {
    let mut results = fixture::results(4, 3);
    // The second is slower than the first at the same price; the third is slower and cheaper; the fourth is cheaper still, and saturated.
    for (point, p99, cross_zone) in [(0, 10.0, 0.6), (1, 20.0, 0.6), (2, 30.0, 0.3), (3, 40.0, 0.1)] {
        set(&mut results, point, "latency_p99", p99);
        set(&mut results, point, "cross_zone_share", cross_zone);
        set(&mut results, point, "error_rate", 0.0);
        set(&mut results, point, "utilisation", if point == 3 { 1.0 } else { 0.5 });
    }
    let label = |point: usize| results.about.points[point].label.clone();
    let front = figure(&results, "pareto").expect("there is a price").alt;
    assert!(front.ends_with(&format!("on the front: {} and {}", label(0), label(2))), "{front}");
    (0..4).for_each(|point| set(&mut results, point, "cross_zone_share", 0.5));
    assert!(figure(&results, "pareto").is_none(), "all at one price");
}

#[test]
fn the_tornado_names_the_factor_that_matters_most_first() {
    let row = |factor: &str, level: &str, value: f64| SensitivityRow {
        factor: factor.into(),
        level: level.into(),
        series: "all".into(),
        metric: "latency_p99".into(),
        index: "difference".into(),
        unit: "ms".into(),
        value,
        ci_low: Some(value - 1.0),
        ci_high: Some(value + 1.0),
    };
    let mut results = fixture::results(4, 3);
    assert!(figure(&results, "tornado").is_none());
    results.sensitivity = vec![row("small", "s1", 2.0), row("large", "l1", -9.0), row("large", "l2", 5.0), row("large", "l3", -3.0)];
    let tornado = figure(&results, "tornado").expect("indices");
    assert!(tornado.alt.ends_with("large most"), "{}", tornado.alt);
    for (level, told) in [("l1", true), ("l2", true), ("l3", false), ("s1", true)] {
        assert_eq!(tornado.svg.contains(level), told, "{level}: only the longest bar of a side is named");
    }
    assert!(figure(&results, "pareto").is_none(), "changes of single factors are no choice");
}

#[test]
fn the_timeline_names_causes_events_and_what_its_panels_show() {
    let mut results = fixture::results(2, 2);
    let timeline = |results: &Results| plots::figures(results).into_iter().find(|f| f.name == "timeline").expect("it is there").svg;
    let svg = timeline(&results);
    for (text, times) in [
        ("node-0 crashes", 2),
        ("rollout", 2),
        ("lost: blackhole", 1),
        ("lost: refused", 1),
        ("p99 (ms)", 2),
        ("lost / window", 2),
        ("Nodes with an old view", 1),
        ("terminating", 1),
        ("time (s)", 1),
    ] {
        assert_eq!(svg.matches(&format!(">{text}")).count(), times, "{text}");
    }
    results.events.clear();
    results.timeline_errors.clear();
    let svg = timeline(&results);
    assert!(!svg.contains("rollout") && svg.contains(">lost: other causes"), "errors without a cause are drawn all the same");
}

#[test]
fn text_of_the_input_is_text_in_the_report() {
    let results = hostile();
    let html = report::html(&results, &figures_of(&results));
    assert!(html.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"));
    assert_eq!(html.matches("<script").count(), 1, "only the report's own script");
    assert!(!html.contains('\u{1b}'));
    let markdown = report::markdown(&results, &figures_of(&results));
    assert!(!markdown.lines().filter(|l| !l.starts_with("    ")).any(|l| l.contains("<script")));
    assert!(!findings::terminal_table(&results).contains('\u{1b}'));
}

#[test]
fn the_report_needs_nothing_from_outside() {
    let results = fixture::results(5, 10);
    let html = report::html(&results, &figures_of(&results)).replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    for outside in ["http:", "https:", "src=", "href=", "url(", "@import", "<link"] {
        assert!(!html.contains(outside), "{outside}");
    }
}

#[test]
fn the_report_shows_every_warning() {
    let mut results = fixture::results(5, 10);
    results.about.warnings.push("the second warning".into());
    results.summary[3].warning = "the warning of a number".into();
    let html = report::html(&results, &[]);
    let markdown = report::markdown(&results, &[]);
    let warnings = results.about.warnings.iter().chain(results.summary.iter().map(|r| &r.warning)).filter(|w| !w.is_empty());
    for warning in warnings {
        assert!(html.contains(warning.as_str()), "{warning}");
        assert!(markdown.contains(warning.as_str()), "{warning}");
    }
    assert!(findings::terminal_table(&results).contains("4 warnings"));
}

#[test]
fn the_report_of_known_results() {
    let results = fixture::results(3, 4);
    insta::assert_snapshot!("report", report::markdown(&results, &figures_of(&results)));
    insta::assert_snapshot!("terminal", findings::terminal_table(&results));
}

#[test]
fn a_terminal_table_fits_a_hundred_columns() {
    for results in [fixture::results(5, 10), fixture::results(40, 3), Results::default()] {
        for line in findings::terminal_table(&results).lines() {
            assert!(line.chars().count() <= 100, "{line}");
        }
    }
}

#[test]
fn cases_that_do_not_differ_are_not_told_apart() {
    let mut results = fixture::results(2, 10);
    let first: Vec<RunRow> = results.runs.iter().filter(|r| r.point == 0).cloned().collect();
    for (row, twin) in results.runs.iter_mut().filter(|r| r.point == 1).zip(&first) {
        row.value = twin.value;
    }
    let means: Vec<f64> = results.summary.iter().filter(|r| r.point == 0).map(|r| r.mean).collect();
    for (row, mean) in results.summary.iter_mut().filter(|r| r.point == 1).zip(means) {
        row.mean = mean;
    }
    let found = findings::findings(&results);
    assert!(found[0].text.contains("no reason to prefer"), "{}", found[0].text);
    assert!(found[1].text.contains("can be told apart from noise"), "{}", found[1].text);
}

#[test]
fn odd_files_are_refused_with_a_reason() {
    let results = fixture::results(2, 2);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    let refused = |what: &str| {
        let message = Results::read(path).unwrap_err();
        assert!(message.contains(what), "{message}");
    };
    assert!(Results::read(&path.join("nowhere")).unwrap_err().contains("no such directory"));
    refused("about.json is missing");
    results.write(path).unwrap();
    let runs = fs::read_to_string(path.join("runs.csv")).unwrap();
    assert!(
        runs.starts_with("point,replication,type,externalTrafficPolicy,series,metric,unit,value\n0,0,ClusterIP,-,all,latency_mean,ms,"),
        "{runs:.200}"
    );

    let lines: Vec<&str> = runs.lines().collect();
    fs::write(path.join("runs.csv"), lines[..lines.len() - 1].join("\n") + "\n").unwrap();
    refused("runs.csv: has 59 rows where about.json counts 60");
    fs::write(path.join("runs.csv"), &runs[..runs.len() - 30]).unwrap();
    refused("runs.csv");
    fs::write(path.join("runs.csv"), runs.replacen(",ms,", ",ms,x", 1)).unwrap();
    refused("runs.csv, line 2: `x");
    fs::write(path.join("runs.csv"), runs.replacen("metric", "quantity", 1)).unwrap();
    refused("its columns are");
    fs::write(path.join("runs.csv"), "").unwrap();
    refused("empty, not even a header");
    fs::remove_file(path.join("runs.csv")).unwrap();
    refused("runs.csv: missing");
    fs::write(path.join("runs.csv"), &runs).unwrap();
    fs::write(path.join("about.json"), "{").unwrap();
    refused("about.json");
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z-]{0,8}", "[ -~\n\r\t\",;|]{0,12}", any::<String>()]
}

fn float() -> impl Strategy<Value = f64> {
    prop_oneof![
        proptest::num::f64::NORMAL | proptest::num::f64::ZERO | proptest::num::f64::SUBNORMAL,
        Just(f64::INFINITY),
        (-1000i32..1000).prop_map(f64::from)
    ]
}

prop_compose! {
    fn any_about()(
        name in text(), question in text(), seed in any::<u64>(), milliseconds in any::<u32>(),
        factors in prop::collection::vec(text(), 0..3), points in prop::collection::vec((text(), prop::collection::vec(text(), 0..3)), 0..4),
        warnings in prop::collection::vec(text(), 0..3),
    ) -> About {
        let points = points.into_iter().map(|(label, levels)| Point { label, levels }).collect();
        About { name, question, seed, duration_s: f64::from(milliseconds) / 1000.0, factors, points, warnings, ..About::default() }
    }
}

prop_compose! {
    fn any_results()(
        about in any_about(),
        runs in prop::collection::vec((0u32..5, any::<u32>(), text(), text(), text(), float()), 0..6),
        summary in prop::collection::vec((0u32..5, text(), float(), prop::option::of(float()), prop::option::of(float()), text()), 0..6),
        other in prop::collection::vec((0u32..5, text(), text(), any::<u64>(), float(), prop::option::of(float())), 0..6),
    ) -> Results {
        let mut r = Results { about, ..Results::default() };
        for (point, replication, series, metric, unit, value) in runs {
            r.runs.push(RunRow { point, replication, series, metric, unit, value });
        }
        for (point, metric, mean, ci_low, ci_high, warning) in summary {
            r.summary.push(SummaryRow { point, metric, mean, ci_low, ci_high, warning, ..SummaryRow::default() });
        }
        for (point, a, b, n, x, maybe) in other {
            let (a, b) = (|| a.clone(), || b.clone());
            r.balance.push(BalanceRow { point, series: a(), pod: b(), requests: n, utilisation: x, ..BalanceRow::default() });
            r.errors.push(ErrorRow { point, series: a(), cause: b(), requests: n, share: x, ..ErrorRow::default() });
            r.timeline.push(TimelineRow { point, series: a(), time_s: x, arrivals: n, latency_p99_ms: maybe, ..TimelineRow::default() });
            r.incidents.push(IncidentRow { point, time_s: x, event: a(), pod: b(), ..IncidentRow::default() });
            r.latency.push(LatencyRow { point, series: a(), latency_ms: x, ..LatencyRow::default() });
            r.vertices.push(VertexRow { name: a(), kind: b(), x: maybe, ..VertexRow::default() });
            r.links.push(LinkRow { point, from: a(), to: b(), bytes: x, ..LinkRow::default() });
        }
        r
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(results in any_results()) {
        let dir = tempfile::tempdir().unwrap();
        results.write(dir.path()).unwrap();
        prop_assert_eq!(Results::read(dir.path()).unwrap(), results);
    }

    #[test]
    fn any_results_make_a_report(results in any_results()) {
        let figures = figures_of(&results);
        let dir = tempfile::tempdir().unwrap();
        plots::write(&figures, dir.path()).unwrap();
        report::html(&results, &figures);
        report::markdown(&results, &figures);
        findings::terminal_table(&results);
    }
}
