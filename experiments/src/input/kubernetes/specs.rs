//! From objects to the plain facts that models take.

use super::api_server::addresses::parse_ip;
use super::pods::{self, Owner};
use super::read::few;
use super::report::not_modelled;
use super::types::{ContainerPort, Node, PodSpec};
use super::{Body, KeptOut, NotModelled, Object, join, placement, policies, quantity, services};
use crate::input::error::{InputError, Warning};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use svcsim_engine::SimDuration;
use svcsim_engine::random::DistSpec;
use svcsim_models::controllers::deployment::{Round, Strategy};
use svcsim_models::spec::{
    ContainerPortSpec, Controller, IntOrString, NodeSpec, PodBehaviour, ProbeSpec, Probes, RolloutSpec, ServiceSpec, WorkloadSpec,
};

/// What Kubernetes objects say of a cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KubernetesSpecs {
    /// Nodes, in the order of the input; none if the input has none.
    pub nodes: Vec<NodeSpec>,
    /// What creates Pods, in the order of the input.
    pub workloads: Vec<WorkloadFacts>,
    /// Services whose endpoints the input knows, in its order.
    pub services: Vec<ServiceSpec>,
    /// Objects that have no part in the simulation.
    pub kept_out: Vec<KeptOut>,
    /// Fields that have no effect on the simulation, of objects that have a part in it.
    pub not_modelled: Vec<NotModelled>,
    /// What is legal but odd.
    pub warnings: Vec<Warning>,
}

/// All that manifests say of a workload; what its Pods do with requests they do not say.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkloadFacts {
    /// The workload, but for what its Pods do: that is for [`WorkloadFacts::into_spec`] to fill in.
    pub spec: WorkloadSpec,
    /// Environment variables of its containers whose values are given as they are, in the order of the input.
    pub env: Vec<(String, String)>,
}

impl WorkloadFacts {
    /// The workload, with what the experiment says of its Pods.
    #[must_use]
    pub fn into_spec(self, pod: PodBehaviour) -> WorkloadSpec {
        WorkloadSpec { pod, ..self.spec }
    }
}

/// What is being found.
pub(super) struct Import<'a> {
    pub(super) objects: &'a [Object],
    pub(super) nodes: Vec<NodeSpec>,
    pub(super) workloads: Vec<Found<'a>>,
    pub(super) kept_out: Vec<KeptOut>,
    pub(super) warnings: Vec<Warning>,
    pub(super) errors: Vec<InputError>,
}

/// A workload, and what Services must know of it.
pub(super) struct Found<'a> {
    pub(super) facts: WorkloadFacts,
    pub(super) object: &'a Object,
}

/// Reads the objects as the API server would check them, and models would take them.
///
/// # Errors
///
/// What the API server would refuse when the objects are created, and what svcsim cannot tell apart (equal names in two
/// namespaces). All errors are found, not only the first.
pub fn to_specs(objects: &[Object]) -> Result<KubernetesSpecs, Vec<InputError>> {
    let mut import =
        Import { objects, nodes: Vec::new(), workloads: Vec::new(), kept_out: Vec::new(), warnings: Vec::new(), errors: Vec::new() };
    let owners = pods::owners(objects);
    import.check_names(&owners);
    import.add_nodes();
    import.add_workloads(&owners);
    policies::read(&mut import);
    let services = services::read(&mut import);
    import.warn_of_unknown_fields();
    if !import.errors.is_empty() {
        return Err(few(import.errors));
    }
    let mut kept_out = import.kept_out;
    kept_out.sort();
    let mut not_modelled = not_modelled(objects);
    let out: BTreeSet<_> = kept_out.iter().map(|k| (&k.file, &k.object)).collect();
    not_modelled.retain(|n| !out.contains(&(&n.file, &n.object)));
    let workloads = import.workloads.into_iter().map(|w| w.facts).collect();
    Ok(KubernetesSpecs { nodes: import.nodes, workloads, services, kept_out, not_modelled, warnings: not_too_often(import.warnings) })
}

/// Of warnings that say the same of many objects, the first, and how many more there are.
fn not_too_often(warnings: Vec<Warning>) -> Vec<Warning> {
    const MOST: usize = 5;
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    let mut kept: Vec<Warning> = Vec::new();
    for warning in warnings {
        let seen = times.entry(warning.problem.clone()).or_default();
        *seen += 1;
        if *seen <= MOST {
            kept.push(warning);
        }
    }
    for (problem, seen) in times.into_iter().filter(|(_, seen)| *seen > MOST) {
        if let Some(last) = kept.iter_mut().rfind(|w| w.problem == problem) {
            last.problem = format!("{problem} (and {} more like it)", seen - MOST);
        }
    }
    kept
}

/// Whether two objects may stand in one namespace; one that names none goes wherever it is applied.
pub(super) fn same_namespace(a: &Object, b: &Object) -> bool {
    a.namespace.is_none() || b.namespace.is_none() || a.namespace == b.namespace
}

impl<'a> Import<'a> {
    /// Names must tell objects of a kind apart, and workloads of all kinds; Pods that a workload owns do not count.
    fn check_names(&mut self, owners: &[Owner<'_>]) {
        let mut kinds: BTreeMap<(&str, &str), &Object> = BTreeMap::new();
        let mut workloads: BTreeMap<&str, &Object> = BTreeMap::new();
        for (object, owner) in self.objects.iter().zip(owners) {
            if matches!(object.body, Body::Other(_)) || !matches!(owner, Owner::None) {
                continue;
            }
            if let Some(first) = kinds.insert((&object.kind, &object.name), object) {
                self.errors.push(twice(first, object));
                continue;
            }
            if matches!(object.body, Body::Node(_) | Body::Service(_) | Body::HorizontalPodAutoscaler(_) | Body::PodDisruptionBudget(_)) {
                continue;
            }
            if let Some(first) = workloads.insert(&object.name, object) {
                let problem = format!("{} and {} have one name; svcsim tells workloads apart by name alone", first.title(), object.title());
                self.errors.push(object.error("metadata.name", problem, "rename one of them, or leave it out"));
            }
        }
    }

    fn add_nodes(&mut self) {
        for object in self.objects {
            let Body::Node(node) = &object.body else { continue };
            let labels = &node.metadata.labels;
            let label = |names: [&str; 2]| names.iter().find_map(|n| labels.get(*n)).cloned().unwrap_or_default();
            self.nodes.push(NodeSpec {
                name: object.name.clone(),
                zone: label(["topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone"]),
                region: label(["topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/region"]),
                labels: labels.clone(),
                unschedulable: node.spec.unschedulable == Some(true),
                addresses: addresses(object, node, &mut self.errors),
                cpu_millis: allocatable(object, node, "cpu", &mut self.errors),
                memory: allocatable(object, node, "memory", &mut self.errors).map(|millis| millis / 1_000),
                most_pods: allocatable(object, node, "pods", &mut self.errors)
                    .map(|millis| u32::try_from(millis / 1_000).unwrap_or(u32::MAX)),
                taints: placement::taints(object, node, &mut self.errors),
                control_plane: CONTROL_PLANE.iter().any(|l| labels.contains_key(*l)),
                excluded_from_load_balancers: labels.contains_key(EXCLUDED),
            });
        }
    }

    fn add_workloads(&mut self, owners: &[Owner<'a>]) {
        let mut placing = pods::Placing::new(self, owners);
        for (i, object) in self.objects.iter().enumerate() {
            let (spec, template, replicas, selector, at) = match &object.body {
                Body::Deployment(o) => {
                    (&o.spec.template.spec, &o.spec.template.metadata, o.spec.replicas, &o.spec.selector, "spec.template")
                }
                Body::StatefulSet(o) => {
                    (&o.spec.template.spec, &o.spec.template.metadata, o.spec.replicas, &o.spec.selector, "spec.template")
                }
                Body::ReplicaSet(o) if matches!(owners.get(i), Some(Owner::None)) => {
                    (&o.spec.template.spec, &o.spec.template.metadata, o.spec.replicas, &o.spec.selector, "spec.template")
                }
                Body::DaemonSet(o) => (&o.spec.template.spec, &o.spec.template.metadata, None, &o.spec.selector, "spec.template"),
                Body::Pod(pod) => {
                    if let Some(found) = placing.pod(self, i, object, pod) {
                        self.workloads.push(found);
                    }
                    continue;
                }
                Body::Other(reason) => {
                    self.kept_out.push(KeptOut::new(object, reason.as_str()));
                    continue;
                }
                _ => continue,
            };
            if let Some(selector) = selector
                && let Some((key, value)) = selector.match_labels.iter().find(|(k, v)| template.labels.get(*k) != Some(v))
            {
                let problem = format!("the selector asks for the label `{key}: {value}`, which the Pods of the template do not carry");
                let fix = "give the template's `metadata.labels` all labels of the selector";
                self.errors.push(object.error("spec.selector.matchLabels", problem, fix));
            }
            let Some(replicas) = self.replicas(object, replicas) else { continue };
            let mut found = self.workload(object, at, &template.labels, spec);
            found.facts.spec.replicas = replicas;
            found.facts.spec.rollout = match &object.body {
                Body::Deployment(o) => self.rollout(object, o.spec.strategy.as_ref(), o.spec.min_ready_seconds),
                Body::DaemonSet(o) => {
                    // A DaemonSet does without one Pod at a time where it says nothing (`SetDefaults_DaemonSet`).
                    let rollout = self.rollout(object, o.spec.update_strategy.as_ref(), o.spec.min_ready_seconds);
                    let said = o
                        .spec
                        .update_strategy
                        .as_ref()
                        .and_then(|s| s.rolling_update.as_ref())
                        .is_some_and(|r| r.max_unavailable.is_some());
                    if said { rollout } else { RolloutSpec { max_unavailable: IntOrString::Int(1), ..rollout } }
                }
                Body::StatefulSet(o) => self.rollout_of_stateful_set(object, &o.spec),
                _ => RolloutSpec::default(),
            };
            if let Body::Deployment(o) = &object.body
                && let Some(deadline) = o.spec.progress_deadline_seconds
            {
                if deadline <= o.spec.min_ready_seconds.unwrap_or(0) {
                    let problem = format!("{deadline}: must be greater than minReadySeconds");
                    self.errors.push(object.error("spec.progressDeadlineSeconds", problem, "leave it out for 600"));
                }
                found.facts.spec.rollout.progress_deadline = seconds(deadline);
            }
            if matches!(object.body, Body::StatefulSet(_)) {
                found.facts.spec.controller = Controller::StatefulSet;
            }
            if matches!(object.body, Body::DaemonSet(_)) {
                let fits = |n: &&NodeSpec| found.facts.spec.node_selector.iter().all(|(k, v)| n.labels.get(k) == Some(v));
                found.facts.spec.replicas = self.nodes.iter().filter(fits).count() as u32;
                found.facts.spec.controller = Controller::DaemonSet;
            } else if let Some(node) = spec.node_name.as_ref().filter(|n| self.nodes.iter().any(|node| node.name == **n)) {
                found.facts.spec.placed_on = vec![node.clone(); replicas.min(100_000) as usize];
            }
            placing.place(self, i, &mut found);
            self.workloads.push(found);
        }
    }

    fn replicas(&mut self, object: &Object, replicas: Option<i64>) -> Option<u32> {
        let replicas = replicas.unwrap_or(1);
        if let Ok(n @ 0..=0x7fff_ffff) = u32::try_from(replicas) {
            return Some(n);
        }
        let problem = format!("{replicas} replicas; expected a whole number from 0 to {}", i32::MAX);
        self.errors.push(object.error("spec.replicas", problem, "give the number of Pods to keep"));
        None
    }

    /// What a Pod spec, at the path `at` of an object, says of the object's Pods.
    pub(super) fn workload(&mut self, object: &'a Object, at: &str, labels: &BTreeMap<String, String>, spec: &'a PodSpec) -> Found<'a> {
        let at = join(at, "spec").replace("spec.spec", "spec");
        let grace = spec.termination_grace_period_seconds.unwrap_or(30);
        if grace < 0 {
            let problem = format!("a grace period of {grace} s; expected 0 or more");
            self.errors.push(object.error(&join(&at, "terminationGracePeriodSeconds"), problem, "give whole seconds"));
        }
        let mut workload = WorkloadSpec {
            name: object.name.clone(),
            field: object.field(),
            labels: labels.clone(),
            replicas: 1,
            controller: Controller::Deployment,
            rollout: RolloutSpec::default(),
            budget: None,
            autoscaler: None,
            cpu_request: None,
            scheduling: placement::read(self, object, &at, spec),
            node_selector: spec.node_selector.clone(),
            placed_on: Vec::new(),
            ports: Vec::new(),
            termination_grace: seconds(grace),
            pre_stop: SimDuration::ZERO,
            probes: Probes::default(),
            readiness_gate: !spec.readiness_gates.is_empty(),
            // The experiment says it.
            pod: PodBehaviour::new(DistSpec::Constant(SimDuration::ZERO), 1),
        };
        let mut env = Vec::new();
        for (c, container) in spec.containers.iter().enumerate() {
            let at = format!("{at}.containers[{c}]");
            workload.ports.extend(self.ports(object, &at, &container.ports));
            if let Some(cpu) = container.resources.requests.as_ref().and_then(|r| r.cpu.as_ref()) {
                match quantity::millis(cpu) {
                    Some(millis) => *workload.cpu_request.get_or_insert(0) += millis.min(u64::from(u32::MAX)),
                    None => {
                        let at = format!("{at}.resources.requests.cpu");
                        self.errors.push(object.error(&at, format!("`{cpu}` is no quantity of cores"), "write such as 2 or 250m"));
                    }
                }
            }
            if let Some(memory) = container.resources.requests.as_ref().and_then(|r| r.memory.as_ref()) {
                match quantity::millis(memory) {
                    Some(millis) => *workload.scheduling.memory_request.get_or_insert(0) += millis / 1_000,
                    None => {
                        let at = format!("{at}.resources.requests.memory");
                        self.errors.push(object.error(&at, format!("`{memory}` is no quantity of bytes"), "write such as 512Mi"));
                    }
                }
            }
            env.extend(container.env.iter().filter_map(|e| Some((e.name.clone(), e.value.clone()?))));
            for (name, probe, all) in [
                ("startupProbe", &container.startup_probe, &mut workload.probes.startup),
                ("readinessProbe", &container.readiness_probe, &mut workload.probes.readiness),
                ("livenessProbe", &container.liveness_probe, &mut workload.probes.liveness),
            ] {
                if let Some(probe) = probe {
                    let probe = self.probe(object, &format!("{at}.{name}"), probe);
                    // Of several containers the one that takes longest decides.
                    *all = Some(all.map_or(probe, |other| if probe.initial_delay > other.initial_delay { probe } else { other }));
                }
            }
            let Some(hook) = container.lifecycle.as_ref().and_then(|l| l.pre_stop.as_ref()) else { continue };
            let Some(sleep) = &hook.sleep else {
                let problem = "this preStop hook is not modelled: the Pod stops at once";
                let why = "a hook that waits for traffic to cease changes what is lost; write it as `sleep: {seconds: N}`";
                self.warnings.push(object.warning(&format!("{at}.lifecycle.preStop"), problem, why));
                continue;
            };
            if sleep.seconds < 0 || sleep.seconds > grace {
                let problem = format!("a sleep of {} s; expected 0 to terminationGracePeriodSeconds, which is {grace}", sleep.seconds);
                let fix = "sleep for less, or raise the grace period";
                self.errors.push(object.error(&format!("{at}.lifecycle.preStop.sleep.seconds"), problem, fix));
            }
            workload.pre_stop = workload.pre_stop.max(seconds(sleep.seconds));
        }
        Found { facts: WorkloadFacts { spec: workload, env }, object }
    }

    /// A probe, at the path `at`, with its defaults and by the API server's rules (`validateProbe`).
    fn probe(&mut self, object: &Object, at: &str, probe: &super::types::Probe) -> ProbeSpec {
        let mut number = |name: &str, value: Option<i64>, default: i64, least: i64| {
            let value = value.unwrap_or(default);
            if !(least..=i64::from(i32::MAX)).contains(&value) {
                let problem = format!("{value}; expected {least} or more");
                self.errors.push(object.error(&format!("{at}.{name}"), problem, format!("leave it out for {default}")));
            }
            value.clamp(least, i64::from(i32::MAX))
        };
        // 0 stands for the default (`SetDefaults_Probe`).
        let set = |value: Option<i64>| value.filter(|v| *v != 0);
        ProbeSpec {
            initial_delay: seconds(number("initialDelaySeconds", probe.initial_delay_seconds, 0, 0)),
            period: seconds(number("periodSeconds", set(probe.period_seconds), 10, 1)),
            timeout: seconds(number("timeoutSeconds", set(probe.timeout_seconds), 1, 1)),
            success_threshold: number("successThreshold", set(probe.success_threshold), 1, 1) as u32,
            failure_threshold: number("failureThreshold", set(probe.failure_threshold), 3, 1) as u32,
        }
    }

    /// How new Pods replace old ones, by the API server's rules (`ValidateDeploymentStrategy`).
    fn rollout(&mut self, object: &Object, strategy: Option<&super::types::Strategy>, min_ready: Option<i64>) -> RolloutSpec {
        let mut rollout = RolloutSpec { min_ready: seconds(min_ready.unwrap_or(0)), ..RolloutSpec::default() };
        let Some(strategy) = strategy else { return rollout };
        match strategy.r#type.as_deref() {
            None | Some("RollingUpdate") => {}
            Some("Recreate") => rollout.strategy = Strategy::Recreate,
            Some(other) => {
                let problem = format!("`{other}` is not modelled; expected RollingUpdate or Recreate");
                self.warnings.push(object.warning("spec.strategy.type", problem, "RollingUpdate is taken"));
            }
        }
        let Some(rolling) = &strategy.rolling_update else { return rollout };
        for (name, given, field) in [
            ("maxSurge", &rolling.max_surge, &mut rollout.max_surge),
            ("maxUnavailable", &rolling.max_unavailable, &mut rollout.max_unavailable),
        ] {
            let Some(given) = given else { continue };
            if given.resolve(100, Round::Up).is_ok_and(|n| n >= 0) {
                *field = given.clone();
            } else {
                let fix = "give a whole number of Pods, or a percentage such as 25%";
                self.errors.push(object.error(
                    &format!("spec.strategy.rollingUpdate.{name}"),
                    "it is neither 0 or more nor a percentage",
                    fix,
                ));
            }
        }
        let none = |amount: &IntOrString| amount.resolve(100, Round::Up) == Ok(0);
        if rollout.strategy == Strategy::RollingUpdate && none(&rollout.max_surge) && none(&rollout.max_unavailable) {
            let problem = "may not be 0 when `maxSurge` is 0: no Pod could ever be replaced";
            self.errors.push(object.error("spec.strategy.rollingUpdate.maxUnavailable", problem, "allow one Pod more, or one less"));
        }
        rollout
    }

    /// The same of a StatefulSet, whose Pods go one at a time.
    fn rollout_of_stateful_set(&mut self, object: &Object, spec: &super::types::ReplicatedSpec) -> RolloutSpec {
        let partition = spec.update_strategy.as_ref().and_then(|s| s.rolling_update.as_ref()?.partition).unwrap_or(0);
        if partition < 0 {
            let problem = format!("{partition}: must be greater than or equal to 0");
            self.errors.push(object.error("spec.updateStrategy.rollingUpdate.partition", problem, "leave it out for 0"));
        }
        if let Some(other) = spec.update_strategy.as_ref().and_then(|s| s.r#type.as_deref()).filter(|t| *t != "RollingUpdate") {
            let problem = format!("`{other}` is not modelled; expected RollingUpdate");
            self.warnings.push(object.warning("spec.updateStrategy.type", problem, "RollingUpdate is taken"));
        }
        let parallel = match spec.pod_management_policy.as_deref() {
            None | Some("OrderedReady") => false,
            Some("Parallel") => true,
            Some(other) => {
                let problem = format!("`{other}` is unknown; expected OrderedReady or Parallel");
                self.errors.push(object.error("spec.podManagementPolicy", problem, "leave it out for OrderedReady"));
                false
            }
        };
        let min_ready = seconds(spec.min_ready_seconds.unwrap_or(0));
        RolloutSpec { min_ready, parallel, partition: u32::try_from(partition).unwrap_or(0), ..RolloutSpec::default() }
    }

    /// A container's ports, at the path `at`.
    fn ports(&mut self, object: &Object, at: &str, ports: &[ContainerPort]) -> Vec<ContainerPortSpec> {
        let mut specs = Vec::new();
        for (i, port) in ports.iter().enumerate() {
            if !matches!(port.protocol.as_deref().unwrap_or_default(), "" | "TCP" | "UDP" | "SCTP") {
                let problem = format!("`{}` is unknown; expected TCP, UDP or SCTP", port.protocol.as_deref().unwrap_or_default());
                self.errors.push(object.error(&format!("{at}.ports[{i}].protocol"), problem, "write TCP"));
            }
            match services::port_number(port.container_port) {
                Some(number) => {
                    let (name, protocol) = (port.name.clone().unwrap_or_default(), services::protocol(port.protocol.as_deref()));
                    specs.push(ContainerPortSpec { name, protocol, number });
                }
                None => {
                    let problem = format!("port {}; expected 1 to 65535", port.container_port);
                    let at = format!("{at}.ports[{i}].containerPort");
                    self.errors.push(object.error(&at, problem, "give the port that the container listens on"));
                }
            }
        }
        specs
    }

    fn warn_of_unknown_fields(&mut self) {
        for object in self.objects {
            for field in object.ignored.iter().filter(|i| i.unknown) {
                let why = "it has no effect here, and an API server that is as old would refuse it";
                self.warnings.push(object.warning(&field.path, "Kubernetes 1.35 has no such field here", why));
            }
        }
    }
}

/// An object that is there twice.
fn twice(first: &Object, second: &Object) -> InputError {
    let line = first.line("").map_or_else(String::new, |l| format!(":{l}"));
    let place = format!("{}{line}", first.origin.source.file.display());
    match (&first.namespace, &second.namespace) {
        (Some(a), Some(b)) if a != b && first.kind != "Node" => {
            let problem =
                format!("{} is in the namespaces {a} and {b} (first at {place}); svcsim does not tell namespaces apart", first.title());
            second.error("metadata.name", problem, "import one namespace at a time")
        }
        _ => {
            let problem = format!("{} is in the input twice (first at {place})", first.title());
            second.error("metadata.name", problem, "leave one of them out")
        }
    }
}

/// Labels of Nodes that run the control plane (`k8s.io/endpointslice/topologycache`, `isControlPlaneNode`).
const CONTROL_PLANE: [&str; 2] = ["node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"];
/// Label of Nodes that are no load balancer's target (`core/v1` `LabelNodeExcludeBalancers`).
const EXCLUDED: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

/// A Node's addresses, inner ones first (`pkg/util/node`, `GetNodeHostIPs`).
fn addresses(object: &Object, node: &Node, errors: &mut Vec<InputError>) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for wanted in ["InternalIP", "ExternalIP"] {
        for (i, address) in node.status.addresses.iter().enumerate().filter(|(_, a)| a.r#type == wanted) {
            match parse_ip(&address.address) {
                Some(ip) => found.push(ip),
                None => {
                    let problem = format!("`{}` is no IP address", address.address);
                    errors.push(object.error(&format!("status.addresses[{i}].address"), problem, "write such as 10.0.0.4"));
                }
            }
        }
    }
    found
}

/// What Pods may use of a Node's resource, in thousandths.
fn allocatable(object: &Object, node: &Node, resource: &str, errors: &mut Vec<InputError>) -> Option<u64> {
    let all = node.status.allocatable.as_ref()?;
    let (quantity, example) = match resource {
        "cpu" => (all.cpu.as_ref()?, "4 or 3920m"),
        "memory" => (all.memory.as_ref()?, "16Gi"),
        _ => (all.pods.as_ref()?, "110"),
    };
    let found = quantity::millis(quantity);
    if found.is_none() {
        let problem = format!("`{quantity}` is no quantity of {}", if resource == "cpu" { "cores" } else { resource });
        errors.push(object.error(&format!("status.allocatable.{resource}"), problem, format!("write such as {example}")));
    }
    found
}

/// Whole seconds; negative ones have been refused.
pub(super) fn seconds(n: i64) -> SimDuration {
    SimDuration::from_secs(u64::try_from(n).unwrap_or(0))
}
