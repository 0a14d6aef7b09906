//! HorizontalPodAutoscalers and PodDisruptionBudgets: what they ask of the workloads that they are about.

use super::specs::{Import, same_namespace, seconds};
use super::types::{HorizontalPodAutoscaler, MetricSpec, PodDisruptionBudget, ScalingPolicySpec, ScalingRulesSpec};
use super::{Body, KeptOut, Object, join, quantity};
use svcsim_models::controllers::deployment::Round;
use svcsim_models::controllers::scaling_rules::{ScalingPolicy, SelectPolicy};
use svcsim_models::spec::{AutoscalerSpec, Budget, CpuTarget, DisruptionBudgetSpec, IntOrString, ScalingBehavior, ScalingRules};

/// An autoscaler without metrics wants so many percent of the CPU (`autoscaling.DefaultCPUUtilization`).
const DEFAULT_UTILIZATION: i32 = 80;
/// The longest window and period of scaling rules, s (`MaxStabilizationWindowSeconds`, `MaxPeriodSeconds`).
const LONGEST_WINDOW: i64 = 3_600;
const LONGEST_PERIOD: i64 = 1_800;

/// Reads those of the input into the workloads that it has.
pub(super) fn read(import: &mut Import<'_>) {
    for object in import.objects {
        match &object.body {
            Body::HorizontalPodAutoscaler(o) => autoscaler(import, object, o),
            Body::PodDisruptionBudget(o) => budget(import, object, o),
            _ => {}
        }
    }
}

fn autoscaler(import: &mut Import<'_>, object: &Object, hpa: &HorizontalPodAutoscaler) {
    let target = &hpa.spec.scale_target_ref;
    let aims = |o: &Object| o.kind == target.kind && o.name == target.name && same_namespace(o, object);
    let Some(place) = import.workloads.iter().position(|w| aims(w.object)) else {
        let problem = format!("there is no {}/{} in the input", target.kind, target.name);
        import.warnings.push(object.warning("spec.scaleTargetRef", &problem, "the autoscaler has nothing to scale"));
        import.kept_out.push(KeptOut::new(object, problem));
        return;
    };
    let mut refuse = |path: &str, problem: String, fix: &str| import.errors.push(object.error(path, problem, fix));
    let (least, most) = (hpa.spec.min_replicas.unwrap_or(1), hpa.spec.max_replicas);
    if least < 1 {
        refuse("spec.minReplicas", format!("{least}: must be greater than or equal to 1"), "leave it out for 1");
    }
    if most < 1 || most > i64::from(i32::MAX) {
        refuse("spec.maxReplicas", format!("{most}: must be greater than 0"), "give the most Pods that there may be");
    } else if most < least {
        refuse("spec.maxReplicas", format!("{most}: must be greater than or equal to `minReplicas`, which is {least}"), "raise it");
    }
    let mut targets = Vec::new();
    for (i, metric) in hpa.spec.metrics.iter().enumerate() {
        match cpu_target(metric) {
            Ok(target) => targets.push(target),
            Err((path, problem, fix)) => refuse(&join(&format!("spec.metrics[{i}]"), &path), problem, fix),
        }
    }
    if hpa.spec.metrics.is_empty() {
        targets.push(CpuTarget::Utilization(DEFAULT_UTILIZATION));
    }
    let behavior = hpa.spec.behavior.as_ref().map(|b| ScalingBehavior {
        up: rules("scaleUp", b.scale_up.as_ref(), ScalingRules::default_up(), &mut refuse),
        down: rules("scaleDown", b.scale_down.as_ref(), ScalingRules::default_down(), &mut refuse),
    });
    let workload = &mut import.workloads[place].facts.spec;
    if workload.cpu_request.is_none() && targets.iter().any(|t| matches!(t, CpuTarget::Utilization(_))) {
        let problem = format!("the containers of {} do not request cpu, so their utilisation cannot be told", target.name);
        import.warnings.push(object.warning("spec.metrics", problem, "nothing will be scaled: give them resources.requests.cpu"));
    }
    let count = |n: i64| u32::try_from(n).unwrap_or(1);
    let (min_replicas, max_replicas) = (count(least), count(most));
    workload.autoscaler = Some(AutoscalerSpec { field: object.field(), min_replicas, max_replicas, targets, behavior });
}

/// A complaint: the path below the metric, the problem, the fix.
type Complaint = (String, String, &'static str);

/// What a metric wants of its Pods' CPU.
fn cpu_target(metric: &MetricSpec) -> Result<CpuTarget, Complaint> {
    let (field, source) = match metric.r#type.as_str() {
        "Resource" => ("resource", &metric.resource),
        "ContainerResource" => ("containerResource", &metric.container_resource),
        other => {
            let problem = format!("svcsim measures no metric of type {other}; expected Resource or ContainerResource");
            return Err(("type".to_owned(), problem, "scale by cpu"));
        }
    };
    let Some(source) = source else {
        return Err((field.to_owned(), format!("must populate information for the given metric source: `{field}` is missing"), "add it"));
    };
    if source.name != "cpu" {
        return Err((format!("{field}.name"), format!("svcsim measures no {}; expected cpu", source.name), "scale by cpu"));
    }
    let at = |name: &str| format!("{field}.target.{name}");
    match (source.target.r#type.as_str(), source.target.average_utilization, &source.target.average_value) {
        ("Utilization", Some(percent), _) => match i32::try_from(percent) {
            Ok(percent) if percent > 0 => Ok(CpuTarget::Utilization(percent)),
            _ => Err((at("averageUtilization"), format!("{percent}: must be greater than 0"), "give a percentage such as 80")),
        },
        ("AverageValue", _, Some(value)) => match quantity::millis(value).and_then(|m| i64::try_from(m).ok()) {
            Some(millis) if millis > 0 => Ok(CpuTarget::AverageMillis(millis)),
            _ => Err((at("averageValue"), format!("{value}: must be positive"), "give cores such as 500m")),
        },
        (other, ..) => {
            let problem = format!("`{other}` without its value; expected Utilization with averageUtilization, or AverageValue");
            Err((at("type"), problem, "write {type: Utilization, averageUtilization: 80}"))
        }
    }
}

/// The rules of one direction, with what holds where they say nothing.
fn rules(
    name: &str,
    given: Option<&ScalingRulesSpec>,
    defaults: ScalingRules,
    refuse: &mut impl FnMut(&str, String, &str),
) -> ScalingRules {
    let Some(given) = given else { return defaults };
    let at = |field: &str| format!("spec.behavior.{name}.{field}");
    let mut rules = defaults;
    if let Some(window) = given.stabilization_window_seconds {
        if !(0..=LONGEST_WINDOW).contains(&window) {
            let problem = format!("{window}: must be from zero to {LONGEST_WINDOW}");
            refuse(&at("stabilizationWindowSeconds"), problem, "leave it out for the default");
        }
        rules.stabilization = Some(seconds(window));
    }
    rules.select = match given.select_policy.as_deref() {
        None | Some("Max") => SelectPolicy::Max,
        Some("Min") => SelectPolicy::Min,
        Some("Disabled") => SelectPolicy::Disabled,
        Some(other) => {
            refuse(&at("selectPolicy"), format!("`{other}` is unknown; expected Max, Min or Disabled"), "leave it out for Max");
            SelectPolicy::Max
        }
    };
    if let Some(tolerance) = &given.tolerance {
        match quantity::millis(tolerance) {
            Some(millis) => rules.tolerance = Some(millis as f64 / 1e3),
            None => refuse(&at("tolerance"), format!("`{tolerance}` is no quantity"), "write such as 0.05"),
        }
    }
    if !given.policies.is_empty() {
        let policy = |(i, policy): (usize, &ScalingPolicySpec)| {
            let at = |field: &str| at(&format!("policies[{i}].{field}"));
            if !(1..=LONGEST_PERIOD).contains(&policy.period_seconds) {
                let problem = format!("{}: must be from 1 to {LONGEST_PERIOD}", policy.period_seconds);
                refuse(&at("periodSeconds"), problem, "give seconds such as 60");
            }
            let value = i32::try_from(policy.value).ok().filter(|v| *v > 0);
            if value.is_none() {
                refuse(&at("value"), format!("{}: must be greater than zero", policy.value), "give Pods, or percent");
            }
            let period = seconds(policy.period_seconds);
            match (policy.r#type.as_str(), value.unwrap_or(1)) {
                ("Pods", value) => (ScalingPolicy::Pods(value), period),
                ("Percent", value) => (ScalingPolicy::Percent(value), period),
                (other, value) => {
                    refuse(&at("type"), format!("`{other}` is unknown; expected Pods or Percent"), "write Pods");
                    (ScalingPolicy::Pods(value), period)
                }
            }
        };
        rules.policies = given.policies.iter().enumerate().map(policy).collect();
    }
    rules
}

/// By the API server's rules (`ValidatePodDisruptionBudgetSpec`).
fn budget(import: &mut Import<'_>, object: &Object, pdb: &PodDisruptionBudget) {
    let spec = &pdb.spec;
    let mut refuse = |path: &str, problem: &str, fix: &str| import.errors.push(object.error(path, problem, fix));
    for (path, amount) in [("spec.minAvailable", &spec.min_available), ("spec.maxUnavailable", &spec.max_unavailable)] {
        let Some(amount) = amount else { continue };
        let most = if matches!(amount, IntOrString::Int(_)) { i32::MAX } else { 100 };
        if !amount.resolve(100, Round::Up).is_ok_and(|n| (0..=most).contains(&n)) {
            refuse(path, "it is neither 0 or more nor a percentage up to 100%", "give a whole number of Pods, or such as 50%");
        }
    }
    let always_allow_unhealthy = match spec.unhealthy_pod_eviction_policy.as_deref() {
        None | Some("IfHealthyBudget") => false,
        Some("AlwaysAllow") => true,
        Some(other) => {
            let problem = format!("`{other}` is unknown; expected IfHealthyBudget or AlwaysAllow");
            refuse("spec.unhealthyPodEvictionPolicy", &problem, "leave it out for IfHealthyBudget");
            false
        }
    };
    let guaranteed = match (&spec.min_available, &spec.max_unavailable) {
        (Some(_), Some(_)) => {
            return refuse("spec.maxUnavailable", "minAvailable and maxUnavailable cannot be both set", "leave one of them out");
        }
        (Some(least), None) => Some(Budget::MinAvailable(least.clone())),
        (None, Some(most)) => Some(Budget::MaxUnavailable(most.clone())),
        (None, None) => None,
    };
    let (Some(guaranteed), Some(selector)) = (guaranteed, &spec.selector) else {
        import.kept_out.push(KeptOut::new(object, "it guarantees nothing, or selects no Pods"));
        return;
    };
    let chosen = |w: &&mut super::specs::Found<'_>| {
        same_namespace(w.object, object) && selector.match_labels.iter().all(|(k, v)| w.facts.spec.labels.get(k) == Some(v))
    };
    let mut any = false;
    for workload in import.workloads.iter_mut().filter(chosen) {
        any = true;
        let spec = &mut workload.facts.spec;
        if let Some(other) = &spec.budget {
            let problem = format!("{} has the PodDisruptionBudget {} already", spec.name, other.name);
            let why = "the API server evicts no Pod that has two; here the first one counts";
            import.warnings.push(object.warning("spec.selector", problem, why));
            continue;
        }
        spec.budget = Some(DisruptionBudgetSpec { always_allow_unhealthy, ..DisruptionBudgetSpec::new(&object.name, guaranteed.clone()) });
    }
    if !any {
        import.kept_out.push(KeptOut::new(object, "its selector matches no Pod of the input"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::{KubernetesSpecs, read, to_specs};
    use super::*;
    use std::path::Path;

    /// `web` of two containers that request 300m, and more objects.
    fn specs(more: &str) -> Result<KubernetesSpecs, String> {
        let text = format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec:\n  selector: {{matchLabels: {{app: web}}}}\n  template:\n    \
             metadata: {{labels: {{app: web}}}}\n    spec:\n      containers:\n      - {{name: a, resources: {{requests: {{cpu: 250m, memory: 1Gi}}}}}}\n      \
             - {{name: b, resources: {{requests: {{cpu: 0.05}}}}}}\n{more}"
        );
        let shown = |errors: Vec<crate::input::error::InputError>| errors.iter().map(|e| e.render(false)).collect::<String>();
        to_specs(&read(Path::new("web.yaml"), &text).map_err(shown)?).map_err(shown)
    }

    fn hpa(spec: &str) -> String {
        let target = "scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}";
        format!("---\napiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {{name: web}}\nspec:\n  {target}\n  {spec}\n")
    }

    fn pdb(spec: &str) -> String {
        format!("---\napiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {{name: keep}}\nspec: {{{spec}}}\n")
    }

    #[test]
    fn an_autoscaler_is_read_with_its_defaults() {
        let found = specs(&hpa("maxReplicas: 10")).expect("it is fine").workloads.remove(0).spec;
        assert_eq!(found.cpu_request, Some(300));
        let autoscaler = found.autoscaler.expect("it has one");
        assert_eq!((autoscaler.min_replicas, autoscaler.max_replicas, autoscaler.behavior), (1, 10, None));
        assert_eq!((autoscaler.targets, autoscaler.field), (vec![CpuTarget::Utilization(80)], "horizontalpodautoscalers.web".to_owned()));
    }

    #[test]
    fn every_field_of_an_autoscaler_is_read() {
        let spec = "minReplicas: 2\n  maxReplicas: 10\n  metrics:\n  - {type: Resource, resource: {name: cpu, target: {type: AverageValue, averageValue: 500m}}}\n  \
                    - {type: ContainerResource, containerResource: {name: cpu, container: a, target: {type: Utilization, averageUtilization: 60}}}\n  \
                    behavior:\n    scaleUp: {stabilizationWindowSeconds: 60, selectPolicy: Min, tolerance: 50m, policies: [{type: Pods, value: 2, periodSeconds: 30}]}\n    \
                    scaleDown: {selectPolicy: Disabled}";
        let autoscaler = specs(&hpa(spec)).expect("it is fine").workloads.remove(0).spec.autoscaler.expect("it has one");
        assert_eq!(autoscaler.targets, [CpuTarget::AverageMillis(500), CpuTarget::Utilization(60)]);
        let behavior = autoscaler.behavior.expect("it has one");
        let up = ScalingRules {
            stabilization: Some(seconds(60)),
            select: SelectPolicy::Min,
            policies: vec![(ScalingPolicy::Pods(2), seconds(30))],
            tolerance: Some(0.05),
        };
        assert_eq!(behavior.up, up);
        assert_eq!(behavior.down, ScalingRules { select: SelectPolicy::Disabled, ..ScalingRules::default_down() });
    }

    #[test]
    fn the_api_servers_rules_hold() {
        for (more, field, problem) in [
            (hpa("minReplicas: 5\n  maxReplicas: 4"), "spec.maxReplicas", "must be greater than or equal to `minReplicas`, which is 5"),
            (hpa("minReplicas: 0\n  maxReplicas: 4"), "spec.minReplicas", "0: must be greater than or equal to 1"),
            (hpa("maxReplicas: 0"), "spec.maxReplicas", "0: must be greater than 0"),
            (hpa("maxReplicas: 4\n  metrics: [{type: Pods}]"), "spec.metrics[0].type", "no metric of type Pods"),
            (
                hpa("maxReplicas: 4\n  metrics: [{type: Resource, resource: {name: memory, target: {type: Utilization}}}]"),
                "spec.metrics[0].resource.name",
                "no memory",
            ),
            (hpa("maxReplicas: 4\n  behavior: {scaleUp: {selectPolicy: Most}}"), "spec.behavior.scaleUp.selectPolicy", "Most"),
            (hpa("maxReplicas: 4\n  behaviour: {}"), "spec", "behaviour"),
            (pdb("selector: {}, minAvailable: 1, maxUnavailable: 1"), "spec.maxUnavailable", "cannot be both set"),
            (pdb("selector: {}, minAvailable: 150%"), "spec.minAvailable", "percentage up to 100%"),
            (pdb("selector: {}, minAvailable: -1"), "spec.minAvailable", "percentage up to 100%"),
            (pdb("selector: {}, minAvailable: 1, unhealthyPodEvictionPolicy: Yes"), "unhealthyPodEvictionPolicy", ""),
        ] {
            let error = specs(&more).expect_err(field);
            assert!(error.contains(field) && error.contains(problem) && error.contains("web.yaml:"), "{more}\n{error}");
        }
    }

    #[test]
    fn budgets_belong_to_the_workloads_that_they_select() {
        let found = specs(&pdb("selector: {matchLabels: {app: web}}, maxUnavailable: 25%, unhealthyPodEvictionPolicy: AlwaysAllow"));
        let budget = found.expect("it is fine").workloads.remove(0).spec.budget.expect("it has one");
        assert_eq!(budget.name, "keep");
        assert_eq!(budget.budget, Budget::MaxUnavailable(IntOrString::Text("25%".to_owned())));
        assert!(budget.always_allow_unhealthy);
        for nobodys in ["selector: {matchLabels: {app: db}}, minAvailable: 1", "minAvailable: 1", "selector: {}"] {
            let found = specs(&pdb(nobodys)).expect("it is fine");
            assert_eq!((found.workloads[0].spec.budget.clone(), found.kept_out.len()), (None, 1), "{nobodys}");
        }
        let twice = pdb("selector: {}, minAvailable: 1") + &pdb("selector: {}, minAvailable: 2").replace("keep", "more");
        let found = specs(&twice).expect("it is fine");
        assert!(found.warnings.iter().any(|w| w.problem.contains("PodDisruptionBudget keep already")), "{:?}", found.warnings);
    }

    #[test]
    fn what_cannot_be_scaled_is_said() {
        let found = specs(&hpa("maxReplicas: 4").replace("name: web}\n  max", "name: wbe}\n  max")).expect("it is fine");
        assert!(found.warnings.iter().any(|w| w.problem.contains("no Deployment/wbe")), "{:?}", found.warnings);
        assert!(found.kept_out.iter().any(|k| k.object == "HorizontalPodAutoscaler/web"));
    }
}
