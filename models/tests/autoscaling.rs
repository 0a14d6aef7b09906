//! Horizontal Pod autoscalers in runs: when they look, what they see, how fast they follow.

use crate::world::*;
use svcsim_models::cluster::check;
use svcsim_models::record::RunResult;

/// 14.5 requests are served at any time, by Pods that serve ten at once: 72 % of two Pods, 24 % of six. Half is wanted.
fn world(replicas: u32) -> ClusterSpec {
    let traffic = traffic(workload_origin("caller"), Via::ClusterIP, 145.0);
    let workloads = vec![web(&["n0", "n1", "n2", "n3"], behaviour(constant(ms(100)), 10)), callers(&["n4"])];
    let mut spec = spec(nodes_in(&[""; 5]), workloads, traffic);
    spec.run.duration = secs(60);
    let web = &mut spec.workloads[0];
    (web.replicas, web.cpu_request) = (replicas, Some(500));
    web.autoscaler = Some(autoscaler(2, 10));
    spec
}

fn autoscaler(min_replicas: u32, max_replicas: u32) -> AutoscalerSpec {
    let field = "horizontalpodautoscalers.web".to_owned();
    AutoscalerSpec { field, min_replicas, max_replicas, targets: vec![CpuTarget::Utilization(50)], behavior: None }
}

/// When the autoscaler did what, in seconds.
fn scaled(run: &RunResult) -> Vec<(f64, &str)> {
    let marks = run.marks.iter().filter(|m| m.name == "autoscaler of web");
    marks.map(|m| (m.time.as_nanos() as f64 / 1e9, m.what.as_str())).collect()
}

#[test]
fn a_busy_workload_gets_as_many_pods_as_the_formula_says_once_there_is_a_metric() {
    for replication in 0..5 {
        let run = run_one(&world(2), replication);
        let scaled = scaled(&run);
        assert_eq!(scaled.iter().map(|s| s.1).collect::<Vec<_>>(), ["web is scaled from 2 to 3 by its autoscaler"]);
        // The second look of metrics-server gives a first rate; autoscalers look every 15 s.
        assert!((15.0..45.0).contains(&scaled[0].0), "{scaled:?}");
    }
}

#[test]
fn a_slower_metric_is_seen_later() {
    let mut spec = world(2);
    spec.run.duration = secs(150);
    spec.autoscaling.metric_resolution = secs(60);
    let run = run_one(&spec, 0);
    assert!((60.0..135.0).contains(&scaled(&run)[0].0), "{:?}", scaled(&run));
}

#[test]
fn fewer_are_asked_for_only_after_five_minutes() {
    let mut spec = world(6);
    spec.run.duration = secs(400);
    let run = run_one(&spec, 0);
    let scaled = scaled(&run);
    assert_eq!(scaled.iter().map(|s| s.1).collect::<Vec<_>>(), ["web is scaled from 6 to 3 by its autoscaler"]);
    assert!((315.0..345.0).contains(&scaled[0].0), "its first look with a metric still asked for six: {scaled:?}");
    let gone = run.incidents.iter().filter(|i| i.event == "terminate").count();
    assert_eq!(gone, 3);
}

#[test]
fn bounds_hold_whatever_the_metric_says() {
    let mut spec = world(2);
    spec.workloads[0].autoscaler = Some(autoscaler(1, 2));
    assert_eq!(scaled(&run_one(&spec, 0)), []);
    spec.workloads[0].autoscaler = Some(autoscaler(5, 10));
    let run = run_one(&spec, 0);
    let scaled = scaled(&run);
    assert!(scaled[0].0 < 15.0 && scaled[0].1 == "web is scaled from 2 to 5 by its autoscaler", "no metric is needed for that: {scaled:?}");
}

#[test]
fn nothing_is_scaled_while_the_control_plane_is_out() {
    let mut spec = world(2);
    spec.run.duration = secs(100);
    let outage = EventSpec::at(secs(1), Action::ControlPlaneOutage(Everything {})).lasting(constant(secs(70)));
    spec.events.insert("outage".to_owned(), outage);
    let run = run_one(&spec, 0);
    assert!((71.0..86.0).contains(&scaled(&run)[0].0), "{:?}", scaled(&run));
}

#[test]
fn what_the_api_server_would_refuse_is_refused() {
    let mut spec = world(2);
    spec.workloads[0].autoscaler = Some(autoscaler(5, 4));
    let error = check(&spec).expect_err("5 to 4");
    assert_eq!(error.field, "horizontalpodautoscalers.web.spec.maxReplicas", "{error}");
    spec.workloads[0].autoscaler = Some(autoscaler(1, 4));
    spec.workloads[0].controller = Controller::DaemonSet;
    assert_eq!(check(&spec).expect_err("a DaemonSet").field, "horizontalpodautoscalers.web.spec.scaleTargetRef");
}
