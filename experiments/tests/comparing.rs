//! `compare`, `plan` and designs that stop by themselves, as their users meet them.

use crate::desk::Desk;

/// Four Pods that are asked for what they can serve; a factor of one percent more work.
const WORK: &str = "\
apiVersion: svcsim/v1alpha1
kind: Experiment
metadata: {name: work, question: Does one percent more work show?}
kubernetes:
  nodes: {zones: [a], perZone: 3}
  objects:
    - {apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: 4, selector: {matchLabels: {app: web}},
       template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web}]}}}}
    - {apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: web}, ports: [{port: 80}]}}
network: {shape: {oneSwitch: {node: {delay: 100us}}}}
pods: {web: {serviceTime: {exponential: {mean: 10ms}}, concurrency: 4}}
traffic:
  t: {from: cluster, to: web, via: ClusterIP, arrivals: {poisson: {rate: 1000/s}}}
run: {duration: 6s, warmUp: 1s, window: 1s}
";

/// The experiment with a design.
fn with_design(design: &str) -> Desk {
    let desk = Desk::empty();
    desk.write("work.yaml", format!("{WORK}design:\n{design}"));
    desk
}

const LEVELS: &str = "  replications: 10
  factors: [{name: work, path: pods.web.serviceTime.exponential.mean, levels: [10ms, 10.1ms]}]
";

#[test]
fn one_percent_is_found_by_pairs_and_missed_without() {
    let desk = with_design(LEVELS);
    desk.succeeds(&["run", "work.yaml", "--quiet", "--out", "out"]);
    let said = desk.succeeds(&["compare", "out:0", "out:1"]);
    let p50 = said.lines().find(|l| l.starts_with("latency_p50:")).unwrap_or_else(|| panic!("{said}"));
    assert!(p50.contains("B is higher") && p50.contains("Unpaired runs of this length would not have shown it"), "{said}");
    // The same lengths with other random numbers: no pairs, and no difference.
    desk.succeeds(&["run", "work.yaml", "--quiet", "--out", "other", "--seed", "2"]);
    let said = desk.succeeds(&["compare", "out:10ms", "other:10.1ms"]);
    assert!(said.contains("The seeds differ") && said.contains("latency_p50: no difference found"), "{said}");
    let json: serde_json::Value = serde_json::from_str(&desk.succeeds(&["compare", "out", "out", "--format", "json"])).expect("JSON");
    assert_eq!(json["comparisons"].as_array().map(Vec::len), Some(2), "each point with itself");
}

#[test]
fn runs_part_where_they_first_differ() {
    let desk = with_design(LEVELS);
    let said = desk.succeeds(&["diverge", "work.yaml:0", "work.yaml:1"]);
    let then = said.split("Then they part:").nth(1).unwrap_or_else(|| panic!("{said}"));
    assert!(then.contains("ServiceCompletes: a request of t sent at") && then.contains("B:"), "the first service is longer: {said}");
    assert_eq!(desk.succeeds(&["diverge", "work.yaml:1", "work.yaml:1"]), "The two runs are the same, event by event.\n");
    let wrong = desk.svcsim(&["diverge", "work.yaml:2", "work.yaml"]);
    assert!(wrong.code == Some(2) && wrong.err.contains("no design point 2"), "{}", wrong.err);
}

#[test]
fn what_cannot_be_compared_is_named() {
    let desk = with_design(LEVELS);
    desk.succeeds(&["run", "work.yaml", "--quiet", "--out", "out"]);
    let refused = |arguments: &[&str], part: &str| {
        let said = desk.svcsim(&[&["compare"], arguments].concat());
        assert!(said.code == Some(2) && said.out.is_empty() && said.err.contains(part), "{arguments:?}: {}", said.err);
    };
    refused(&["out:2", "out:1"], "there is no design point `2`");
    refused(&["out:0", "nowhere"], "expected a results directory");
    refused(&["out:0", "out"], "one is a point, the other a directory with several");
    refused(&["out:0", "out:1", "--metric", "latency_p98"], "did you mean `latency_p9");
    let edited = desk.text("out/runs.csv").replacen("10ms", "11ms", 1);
    desk.write("out/runs.csv", edited);
    refused(&["out:0", "out:1"], "altered since it was written: runs.csv");
}

#[test]
fn a_design_stops_when_it_knows_enough() {
    let design = "  replications: 5\n  precision: {metrics: [latency_p99], relativeHalfWidth: 1%, most: 400}\n";
    let desk = with_design(design);
    let said = desk.succeeds(&["run", "work.yaml", "--out", "out"]);
    assert!(said.contains("A pilot of 5 replications asked for"), "{said}");
    let row = |dir: &str| {
        let summary = desk.text(&format!("{dir}/summary.csv"));
        let row = summary.lines().find(|l| l.contains(",latency_p99,")).expect("a p99").to_owned();
        row.split(',').map(str::to_owned).collect::<Vec<_>>()
    };
    let cells = row("out");
    let at = |i: usize| cells[i].parse::<f64>().expect("a number");
    let (mean, low, high, n) = (at(4), at(5), at(6), at(8));
    assert!(n > 5.0 && n < 400.0 && (high - low) / 2.0 <= 0.0105 * mean, "{cells:?}");
    let verified = desk.succeeds(&["verify", "out"]);
    assert!(verified.contains("byte for byte"), "{verified}");
    desk.succeeds(&["run", "work.yaml", "--quiet", "--out", "few", "--set", "design.precision.most=6"]);
    assert_eq!(row("few")[8], "6");
    assert!(desk.text("few/report.md").contains("more than the 6 that were run"));
}

#[test]
fn the_start_is_cut_by_mser5_or_by_hand() {
    let desk = with_design("  replications: 5\n");
    let cut = |warm_up: &str, rate: &str| {
        let text = desk
            .text("work.yaml")
            .replace("duration: 6s, warmUp: 1s, window: 1s", &format!("duration: 12s, warmUp: {warm_up}, window: 100ms"));
        desk.write("cut.yaml", text.replace("1000/s", rate));
        let out = format!("{}-{}", warm_up, rate.replace('/', ""));
        desk.succeeds(&["run", "cut.yaml", "--quiet", "--out", &out]);
        let about: serde_json::Value = serde_json::from_str(&desk.text(&format!("{out}/about.json"))).expect("JSON");
        desk.succeeds(&["verify", &out]);
        (about["warm_up_s"].as_f64().expect("seconds"), about["warnings"].to_string())
    };
    assert_eq!(cut("0", "1000/s").0, 0.0);
    assert_eq!(cut("500ms", "1000/s").0, 0.5);
    let (seconds, warnings) = cut("mser5", "1000/s");
    assert!(seconds < 5.0 && !warnings.contains("no steady part"), "{seconds} {warnings}");
    let (seconds, warnings) = cut("mser5", "1700/s");
    assert!(seconds >= 5.0 && warnings.contains("MSER-5 found no steady part of as given"), "a line that grows: {seconds} {warnings}");
    desk.write("wrong.yaml", desk.text("work.yaml").replace("warmUp: 1s", "warmUp: mser6"));
    let said = desk.svcsim(&["check", "wrong.yaml"]);
    assert!(said.code == Some(2) && said.err.contains("or `mser5`") && said.err.contains("wrong.yaml"), "{}", said.err);
}

#[test]
fn targets_that_are_none_are_refused() {
    for (precision, part) in [
        ("{metrics: [latency_p98], relativeHalfWidth: 2%}", "did you mean `latency_p9"),
        ("{metrics: [], relativeHalfWidth: 2%}", "none is named"),
        ("{metrics: [latency_p99], relativeHalfWidth: 0%}", "no number of runs is enough"),
        ("{metrics: [latency_p99], relativeHalfWidth: 2}", "precision"),
        ("{metrics: [latency_p99], relativeHalfWidth: 2%, most: 3}", "design.precision.most"),
    ] {
        let desk = with_design(&format!("  replications: 10\n  precision: {precision}\n"));
        let said = desk.svcsim(&["check", "work.yaml"]);
        assert!(said.code == Some(2) && said.err.contains(part) && said.err.contains("work.yaml"), "{precision}: {}", said.err);
    }
}

#[test]
fn a_plan_is_the_least_value_that_is_known_to_do() {
    let desk = with_design("  replications: 10\n");
    let plan = |more: &[&str]| desk.svcsim(&[&["plan", "work.yaml"], more].concat());
    let said = plan(&["--slo", "p99<60ms,errors<0.1%", "--vary", "deployments.web.spec.replicas", "--from", "2", "--to", "9"]);
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    assert!(said.out.starts_with("deployments.web.spec.replicas = 4 is the least value that is known to meet"), "{}", said.out);
    assert!(said.out.contains("\n  3: not met"), "{}", said.out);
    let runs = desk.text("results/work-plan/plan-runs.csv");
    assert!(runs.starts_with("value,replication,metric,number\n") && runs.contains("\n4,9,latency_p99,"), "{runs}");
    // Nothing is overwritten: another search of the same experiment has a directory of its own.
    let again = plan(&["--slo", "p99<60ms", "--vary", "deployments.web.spec.replicas", "--from", "4", "--to", "5"]);
    assert!(again.code == Some(0) && again.out.contains("results/work-plan-2"), "{}{}", again.out, again.err);
    assert_eq!(desk.text("results/work-plan/plan-runs.csv"), runs);
    let said: serde_json::Value = serde_json::from_str(&desk.text("results/work-plan-2/plan.json")).expect("JSON");
    assert_eq!((&said["answer"], &said["seed"]), (&4.into(), &1.into()));
    let none = plan(&["--slo", "p99<1ms", "--vary", "deployments.web.spec.replicas", "--from", "2", "--to", "4", "--out", "none"]);
    assert!(none.code == Some(1) && none.out.starts_with("No value of"), "{}", none.out);
    for (arguments, part) in [
        (["--slo", "p98<1ms", "--vary", "deployments.web.spec.replicas", "--from", "2", "--to", "4"], "--slo"),
        (["--slo", "p99<1ms", "--vary", "deployments.web.spec.replica", "--from", "2", "--to", "4"], "replica"),
        (["--slo", "p99<1ms", "--vary", "deployments.web.spec.replicas", "--from", "4", "--to", "4"], "--to"),
        (["--slo", "p99<1ms", "--vary", "run.duration", "--from", "1s", "--to", "4/s"], "--to"),
    ] {
        let said = plan(&arguments);
        assert!(said.code == Some(2) && said.err.contains(part), "{arguments:?}: {}", said.err);
    }
}
