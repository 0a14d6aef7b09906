//! docs/features.md says what the code does: whatever one of them names, the other has.

use crate::desk::{Desk, shipped};
use serde_json::Value;
use std::collections::BTreeSet;
use svcsim_models::balance::PolicySpec;
use svcsim_models::cluster::Outcome;
use svcsim_models::dataplane::{DataPlaneSpec, ipvs::Scheduler};
use svcsim_models::load_balancer::LoadBalancerSpec;
use svcsim_models::spec::Via;

struct Row {
    /// The code word in the first cell, such as `via: NodePort`; empty if there is none.
    word: String,
    supported: String,
    line: String,
}

/// The rows of all tables.
fn rows() -> Vec<Row> {
    let text = std::fs::read_to_string(shipped("../docs/features.md")).expect("docs/features.md");
    let cells = |line: &str| line.trim_matches('|').split('|').map(|c| c.trim().to_owned()).collect::<Vec<_>>();
    let body = |line: &&str| line.starts_with('|') && !line.starts_with("|---") && !line.starts_with("| feature |");
    text.lines()
        .filter(body)
        .map(|line| {
            let cells = cells(line);
            assert_eq!(cells.len(), 5, "docs/features.md: five cells are expected: {line}");
            let word = cells[0].split('`').nth(1).filter(|_| cells[0].starts_with('`')).unwrap_or_default().to_owned();
            assert!(["yes", "partly", "no"].contains(&cells[1].as_str()), "docs/features.md: yes, partly or no: {line}");
            assert!(!cells[2].is_empty(), "docs/features.md: say how: {line}");
            Row { word, supported: cells[1].clone(), line: line.to_owned() }
        })
        .collect()
}

/// The words of a family that the table marks as supported.
fn family(name: &str) -> BTreeSet<String> {
    let prefix = format!("{name}: ");
    let supported = |r: &Row| r.supported != "no";
    rows().iter().filter(|r| supported(r)).filter_map(|r| r.word.strip_prefix(&prefix).map(str::to_owned)).collect()
}

#[track_caller]
fn same(name: &str, code: impl IntoIterator<Item = String>) {
    let (code, table) = (code.into_iter().collect::<BTreeSet<_>>(), family(name));
    let missing: Vec<_> = code.difference(&table).collect();
    let phantom: Vec<_> = table.difference(&code).collect();
    assert!(missing.is_empty(), "docs/features.md has no supported row `{name}: ...` for {missing:?}");
    assert!(phantom.is_empty(), "docs/features.md has rows `{name}: ...` for {phantom:?}, which the code does not know");
}

#[test]
fn every_data_plane_scheduler_balancer_address_and_outcome_has_its_row_and_no_other() {
    same("dataPlane", DataPlaneSpec::NAMES.iter().map(ToString::to_string));
    same("loadBalancer", LoadBalancerSpec::NAMES.iter().map(ToString::to_string));
    let word = |value: Value| value.as_str().expect("a word").to_owned();
    same("scheduler", Scheduler::ALL.iter().map(|s| word(serde_json::to_value(s).expect("a word"))));
    same("policy", PolicySpec::NAMES.iter().map(ToString::to_string));
    let vias = [Via::ClusterIP, Via::NodePort, Via::LoadBalancer, Via::ExternalIP, Via::PodIP, Via::Endpoints, Via::ExternalName];
    same("via", vias.iter().map(|v| word(serde_json::to_value(v).expect("a word"))));
    same("errors", Outcome::ALL.iter().filter(|o| **o != Outcome::Completed).map(|o| o.name().to_owned()));
}

#[test]
fn every_group_of_conformance_vectors_has_its_row() {
    let text = std::fs::read(shipped("conformance/endpoint_selection.json")).expect("the vectors");
    let vectors: Value = serde_json::from_slice(&text).expect("JSON");
    same("group", vectors["groups"].as_object().expect("groups").keys().cloned());
}

/// A Service that uses the field.
fn using(field: &str) -> Option<&'static str> {
    Some(match field {
        "spec.type" => "type: NodePort",
        "spec.clusterIP" => "clusterIP: 10.96.7.7",
        "spec.selector" | "spec.ports" => "type: ClusterIP",
        "spec.ports[].targetPort" => "ports: [{port: 80, targetPort: http}]",
        "spec.ports[].nodePort" => "type: NodePort, ports: [{port: 80, nodePort: 30007}]",
        "spec.ports[].protocol" => "ports: [{port: 80, protocol: UDP}]",
        "spec.ports[].appProtocol" => "ports: [{port: 80, appProtocol: http}]",
        "spec.externalTrafficPolicy" => "type: NodePort, externalTrafficPolicy: Local",
        "spec.internalTrafficPolicy" => "internalTrafficPolicy: Local",
        "spec.trafficDistribution" => "trafficDistribution: PreferClose",
        "spec.sessionAffinity" => "sessionAffinity: ClientIP",
        "spec.sessionAffinityConfig" => "sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: 60}}",
        "spec.publishNotReadyAddresses" => "publishNotReadyAddresses: true",
        "spec.externalIPs" => "externalIPs: [192.0.2.7]",
        "spec.externalName" => "type: ExternalName, externalName: other.default.svc.cluster.local",
        "spec.loadBalancerSourceRanges" => "type: LoadBalancer, loadBalancerSourceRanges: [192.0.2.0/24]",
        "spec.allocateLoadBalancerNodePorts" => "type: LoadBalancer, allocateLoadBalancerNodePorts: false",
        "spec.healthCheckNodePort" => "type: LoadBalancer, externalTrafficPolicy: Local, healthCheckNodePort: 30009",
        "spec.loadBalancerIP" => "type: LoadBalancer, loadBalancerIP: 192.0.2.9",
        "spec.loadBalancerClass" => "type: LoadBalancer, loadBalancerClass: example.com/lb",
        "spec.ipFamilyPolicy" => "ipFamilyPolicy: SingleStack",
        _ => return None,
    })
}

#[test]
fn a_field_marked_yes_is_read_and_one_marked_no_is_listed() {
    for row in rows().iter().filter(|r| r.word.starts_with("spec.")) {
        let spec = using(&row.word).unwrap_or_else(|| panic!("add a Service that uses {} to experiments/tests/features.rs", row.word));
        let ports = if spec.contains("ports:") { "" } else { ", ports: [{port: 80}]" };
        let last = row.word.rsplit('.').next().expect("a name");
        let desk = Desk::empty();
        let manifest = format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: web}}\nspec: {{selector: {{app: web}}, {spec}{ports}}}\n---\n\
             apiVersion: v1\nkind: Service\nmetadata: {{name: other}}\nspec: {{selector: {{app: web}}, ports: [{{port: 80}}]}}\n---\n\
             apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec:\n  selector: {{matchLabels: {{app: web}}}}\n  template:\n    \
             metadata: {{labels: {{app: web}}}}\n    spec: {{containers: [{{name: web, ports: [{{name: http, containerPort: 8080}}]}}]}}\n"
        );
        desk.write("web.yaml", manifest);
        let said = desk.svcsim(&["import", "web.yaml", "-o", "web-experiment.yaml"]);
        assert_eq!(said.code, Some(0), "{}: {}{}", row.word, said.out, said.err);
        let listed = format!("{}{}{}", said.out, said.err, desk.text("web-experiment.yaml"))
            .lines()
            .any(|l| l.contains(last) && l.contains("not modelled"));
        match row.supported.as_str() {
            "no" => assert!(
                format!("{}{}", said.out, said.err).contains(last),
                "{} is marked `no` but not listed: {}{}",
                row.line,
                said.out,
                said.err
            ),
            _ => assert!(!listed, "{} is marked `{}` but listed as not modelled", row.line, row.supported),
        }
    }
}
