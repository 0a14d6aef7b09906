//! Where Pods may be placed: tolerations, affinity, spread constraints; and what Nodes say of it.

use super::specs::Import;
use super::types::{self, Expression, LabelSelector, NodeTerm, PodSpec, PodTermSpec};
use super::{Object, join};
use svcsim_models::spec::{Operator, PodTerm, Requirement, SchedulingSpec, SpreadConstraint, Taint, TaintEffect, Toleration};

/// What a Pod spec, at the path `at` of an object, asks of Nodes.
pub(super) fn read(import: &mut Import<'_>, object: &Object, at: &str, pod: &PodSpec) -> SchedulingSpec {
    let mut refuse = |path: &str, problem: String, fix: &str| import.errors.push(object.error(&join(at, path), problem, fix));
    let mut asks = SchedulingSpec::default();
    for (i, t) in pod.tolerations.iter().enumerate() {
        let path = |field: &str| format!("tolerations[{i}].{field}");
        let value = match t.operator.as_deref() {
            None | Some("Equal") => Some(t.value.clone()),
            Some("Exists") => None,
            Some(other) => {
                refuse(&path("operator"), format!("`{other}` is unknown; expected Equal or Exists"), "write Exists");
                None
            }
        };
        let effect = t.effect.as_deref().filter(|e| !e.is_empty());
        if let Some(wrong) = effect.filter(|e| effect_of(e).is_none()) {
            refuse(&path("effect"), unknown_effect(wrong), "leave it out for all");
        }
        asks.tolerations.push(Toleration { key: t.key.clone(), value, effect: effect.and_then(effect_of) });
    }
    if let Some(affinity) = &pod.affinity {
        read_affinity(affinity, &mut asks, &mut refuse);
    }
    for (i, spread) in pod.topology_spread_constraints.iter().enumerate() {
        let path = |field: &str| format!("topologySpreadConstraints[{i}].{field}");
        let hard = match spread.when_unsatisfiable.as_str() {
            "DoNotSchedule" => true,
            "ScheduleAnyway" => false,
            other => {
                let problem = format!("`{other}` is unknown; expected DoNotSchedule or ScheduleAnyway");
                refuse(&path("whenUnsatisfiable"), problem, "write ScheduleAnyway");
                false
            }
        };
        let mut positive = |field: &str, value: i64| {
            if !(1..=i64::from(i32::MAX)).contains(&value) {
                refuse(&path(field), format!("{value}: must be greater than zero"), "write 1");
            }
            u32::try_from(value).unwrap_or(1).max(1)
        };
        let max_skew = positive("maxSkew", spread.max_skew);
        let min_domains = positive("minDomains", spread.min_domains.unwrap_or(1));
        if let Some(term) = pod_term(spread.label_selector.as_ref(), &spread.topology_key) {
            asks.spread.push(SpreadConstraint { term, max_skew, hard, min_domains });
        }
    }
    asks
}

fn read_affinity(affinity: &types::Affinity, asks: &mut SchedulingSpec, refuse: &mut impl FnMut(&str, String, &str)) {
    const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
    const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";
    let mut weight = |path: &str, weight: i64| {
        if !(1..=100).contains(&weight) {
            refuse(path, format!("{weight}: must be in the range 1-100"), "write such as 50");
        }
        i32::try_from(weight.clamp(1, 100)).unwrap_or(1)
    };
    let mut terms: Vec<(String, &NodeTerm, Option<i32>)> = Vec::new();
    if let Some(nodes) = &affinity.node_affinity {
        for (i, term) in nodes.required.iter().flat_map(|r| &r.node_selector_terms).enumerate() {
            terms.push((format!("affinity.nodeAffinity.{REQUIRED}.nodeSelectorTerms[{i}]"), term, None));
        }
        for (i, preferred) in nodes.preferred.iter().enumerate() {
            let path = format!("affinity.nodeAffinity.{PREFERRED}[{i}]");
            let weight = weight(&format!("{path}.weight"), preferred.weight);
            terms.push((format!("{path}.preference"), &preferred.preference, Some(weight)));
        }
    }
    for (pods, name, sign) in [(&affinity.pod_affinity, "podAffinity", 1), (&affinity.pod_anti_affinity, "podAntiAffinity", -1)] {
        let Some(pods) = pods else { continue };
        let required = pods.required.iter().filter_map(pod_term_of);
        if sign > 0 {
            asks.near.extend(required)
        } else {
            asks.apart.extend(required)
        }
        for (i, preferred) in pods.preferred.iter().enumerate() {
            let weight = weight(&format!("affinity.{name}.{PREFERRED}[{i}].weight"), preferred.weight);
            asks.pod_preferences.extend(pod_term_of(&preferred.pod_affinity_term).map(|term| (sign * weight, term)));
        }
    }
    for (path, term, weight) in terms {
        let requirement = |(i, e): (usize, &Expression)| {
            let operator = match e.operator.as_str() {
                "In" => Operator::In,
                "NotIn" => Operator::NotIn,
                "Exists" => Operator::Exists,
                "DoesNotExist" => Operator::DoesNotExist,
                "Gt" => Operator::Gt,
                "Lt" => Operator::Lt,
                other => {
                    let problem = format!("`{other}` is unknown; expected In, NotIn, Exists, DoesNotExist, Gt or Lt");
                    refuse(&format!("{path}.matchExpressions[{i}].operator"), problem, "write In");
                    Operator::Exists
                }
            };
            Requirement { key: e.key.clone(), operator, values: e.values.clone() }
        };
        let all: Vec<Requirement> = term.match_expressions.iter().enumerate().map(requirement).collect();
        match weight {
            Some(weight) => asks.node_preferences.push((weight, all)),
            None => asks.node_terms.push(all),
        }
    }
}

fn pod_term_of(term: &PodTermSpec) -> Option<PodTerm> {
    pod_term(term.label_selector.as_ref(), &term.topology_key)
}

/// None where no Pods are meant.
fn pod_term(selector: Option<&LabelSelector>, topology_key: &str) -> Option<PodTerm> {
    selector.map(|s| PodTerm { labels: s.match_labels.clone(), topology_key: topology_key.to_owned() })
}

/// Taints of a Node.
pub(super) fn taints(object: &Object, node: &types::Node, errors: &mut Vec<crate::input::error::InputError>) -> Vec<Taint> {
    let mut taints = Vec::new();
    for (i, taint) in node.spec.taints.iter().enumerate() {
        match effect_of(&taint.effect) {
            Some(effect) => taints.push(Taint { key: taint.key.clone(), value: taint.value.clone(), effect }),
            None => errors.push(object.error(&format!("spec.taints[{i}].effect"), unknown_effect(&taint.effect), "write NoSchedule")),
        }
    }
    taints
}

fn effect_of(name: &str) -> Option<TaintEffect> {
    match name {
        "NoSchedule" => Some(TaintEffect::NoSchedule),
        "PreferNoSchedule" => Some(TaintEffect::PreferNoSchedule),
        "NoExecute" => Some(TaintEffect::NoExecute),
        _ => None,
    }
}

fn unknown_effect(name: &str) -> String {
    format!("`{name}` is unknown; expected NoSchedule, PreferNoSchedule or NoExecute")
}

#[cfg(test)]
mod tests {
    use super::super::{KubernetesSpecs, read, to_specs};
    use super::*;
    use std::path::Path;

    fn specs(pod: &str, more: &str) -> Result<KubernetesSpecs, String> {
        let text = format!(
            "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {{name: web}}\nspec:\n  podManagementPolicy: Parallel\n  updateStrategy: \
             {{rollingUpdate: {{partition: 2}}}}\n  template:\n    metadata: {{labels: {{app: web}}}}\n    spec:\n      containers: \
             [{{name: a, resources: {{requests: {{memory: 1Gi}}}}}}]\n{pod}---\napiVersion: v1\nkind: Node\nmetadata: {{name: n1}}\n{more}"
        );
        let shown = |errors: Vec<crate::input::error::InputError>| errors.iter().map(|e| e.render(false)).collect::<String>();
        to_specs(&read(Path::new("web.yaml"), &text).map_err(shown)?).map_err(shown)
    }

    const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
    const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

    #[test]
    fn every_field_is_read() {
        let term = "{labelSelector: {matchLabels: {app: web}}, topologyKey: zone}";
        let nodes = "matchExpressions: [{key: disk, operator: In, values: [ssd]}]";
        let pod = format!(
            "      tolerations: [{{key: spot, operator: Exists, effect: NoSchedule}}, {{key: gpu, value: 'yes'}}]\n      affinity:\n        \
             nodeAffinity:\n          {REQUIRED}: {{nodeSelectorTerms: [{{{nodes}}}]}}\n          {PREFERRED}: [{{weight: 7, preference: {{{nodes}}}}}]\n        \
             podAffinity: {{{REQUIRED}: [{term}]}}\n        podAntiAffinity: {{{REQUIRED}: [{term}], {PREFERRED}: [{{weight: 5, podAffinityTerm: {term}}}]}}\n      \
             topologySpreadConstraints: [{{maxSkew: 2, topologyKey: zone, whenUnsatisfiable: DoNotSchedule, labelSelector: {{matchLabels: {{app: web}}}}, minDomains: 3}}]\n"
        );
        let found =
            specs(&pod, "spec: {taints: [{key: spot, effect: NoSchedule}]}\nstatus: {allocatable: {cpu: 2, memory: 4Gi, pods: 110}}\n");
        let mut found = found.expect("it is fine");
        assert_eq!(found.not_modelled, []);
        let node = found.nodes.remove(0);
        assert_eq!((node.cpu_millis, node.memory, node.most_pods), (Some(2_000), Some(4 << 30), Some(110)));
        assert_eq!(node.taints, [Taint { key: "spot".to_owned(), value: String::new(), effect: TaintEffect::NoSchedule }]);
        let spec = found.workloads.remove(0).spec;
        assert_eq!((spec.rollout.partition, spec.rollout.parallel), (2, true));
        let asks = spec.scheduling;
        let ssd = vec![Requirement { key: "disk".to_owned(), operator: Operator::In, values: vec!["ssd".to_owned()] }];
        let near = PodTerm { labels: spec.labels, topology_key: "zone".to_owned() };
        let toleration =
            |key: &str, value: Option<&str>, effect| Toleration { key: key.to_owned(), value: value.map(str::to_owned), effect };
        let expected = SchedulingSpec {
            tolerations: vec![toleration("spot", None, Some(TaintEffect::NoSchedule)), toleration("gpu", Some("yes"), None)],
            node_terms: vec![ssd.clone()],
            node_preferences: vec![(7, ssd)],
            near: vec![near.clone()],
            apart: vec![near.clone()],
            pod_preferences: vec![(-5, near.clone())],
            spread: vec![SpreadConstraint { term: near, max_skew: 2, hard: true, min_domains: 3 }],
            memory_request: Some(1 << 30),
        };
        assert_eq!(asks, expected);
    }

    #[test]
    fn the_api_servers_rules_hold() {
        let spread = |skew: i32, when: &str| {
            format!(
                "      topologySpreadConstraints: [{{maxSkew: {skew}, topologyKey: zone, whenUnsatisfiable: {when}, labelSelector: {{}}}}]\n"
            )
        };
        for (pod, more, field, problem) in [
            ("      tolerations: [{key: a, operator: Like}]\n".to_owned(), "", "tolerations[0].operator", "Like"),
            ("      tolerations: [{key: a, effect: Never}]\n".to_owned(), "", "tolerations[0].effect", "Never"),
            (spread(0, "DoNotSchedule"), "", "topologySpreadConstraints[0].maxSkew", "must be greater than zero"),
            (spread(1, "Maybe"), "", "topologySpreadConstraints[0].whenUnsatisfiable", "Maybe"),
            (String::new(), "spec: {taints: [{key: a, effect: Never}]}\n", "spec.taints[0].effect", "Never"),
            (
                format!("      affinity: {{podAffinity: {{{PREFERRED}: [{{weight: 101, podAffinityTerm: {{topologyKey: z}}}}]}}}}\n"),
                "",
                ".weight",
                "range 1-100",
            ),
        ] {
            let error = specs(&pod, more).expect_err(field);
            assert!(error.contains(field) && error.contains(problem) && error.contains("web.yaml:"), "{error}");
        }
    }
}
