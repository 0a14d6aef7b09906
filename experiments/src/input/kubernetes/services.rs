//! Services: what the API server checks when they are created, and which of them traffic can be sent to.

use super::schema;
use super::specs::{Import, same_namespace};
use super::types::{IntOrString, Service, ServicePort};
use super::{Body, KeptOut, Object};
use std::collections::{BTreeMap, BTreeSet};
use svcsim_models::spec::{ServicePortSpec, ServiceSpec, ServiceType, TrafficPolicy};

/// Node ports that Kubernetes gives out, unless told otherwise.
const NODE_PORTS: std::ops::RangeInclusive<i64> = 30_000..=32_767;
/// The kubelet's port, which no load balancer may expose.
const KUBELET: i64 = 10_250;

/// Reads all Services, after the workloads.
pub(super) fn read(import: &mut Import<'_>) -> Vec<ServiceSpec> {
    let mut node_ports: BTreeMap<(String, i64), &Object> = BTreeMap::new();
    let mut services = Vec::new();
    for object in import.objects {
        let Body::Service(service) = &object.body else { continue };
        let Some(service_type) = service_type(import, object, service) else { continue };
        if let Some(reason) = kept_out(service) {
            import.kept_out.push(KeptOut::new(object, reason));
            continue;
        }
        let checker = Checker { object, service, service_type };
        let ports = checker.ports(import);
        checker.node_ports(import, &mut node_ports);
        let policy = |import: &mut Import<'_>, name: &str, value: &Option<String>| checker.policy(import, name, value);
        let internal_traffic_policy = policy(import, "internalTrafficPolicy", &service.spec.internal_traffic_policy);
        let external_traffic_policy = checker.external_policy(import);
        checker.backends(import);
        services.push(ServiceSpec {
            name: object.name.clone(),
            field: object.field(),
            service_type,
            selector: service.spec.selector.clone(),
            ports,
            external_traffic_policy,
            internal_traffic_policy,
            ..ServiceSpec::default()
        });
    }
    services
}

/// The type, or ClusterIP for one that is kept out; none for one that does not exist.
fn service_type(import: &mut Import<'_>, object: &Object, service: &Service) -> Option<ServiceType> {
    let found = service.spec.r#type.as_deref().unwrap_or_default();
    let found = match found {
        "" | "ClusterIP" | "ExternalName" => ServiceType::ClusterIP,
        "NodePort" => ServiceType::NodePort,
        "LoadBalancer" => ServiceType::LoadBalancer,
        other => {
            let types = ["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"];
            import.errors.push(unknown_word(object, "spec.type", other, &types));
            return None;
        }
    };
    if service.spec.cluster_ip.as_deref() == Some("None") && found != ServiceType::ClusterIP {
        let problem = format!("a headless Service of type {found}; expected an address, or type ClusterIP");
        import.errors.push(object.error("spec.clusterIP", problem, "leave `clusterIP` out"));
        return None;
    }
    Some(found)
}

fn unknown_word(object: &Object, path: &str, found: &str, words: &[&str]) -> crate::input::error::InputError {
    let fix = match schema::nearest(found, words.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("write one of {}", words.join(", ")),
    };
    object.error(path, format!("`{found}` is unknown; expected one of {}", words.join(", ")), fix)
}

/// Why no traffic can be sent to a Service.
fn kept_out(service: &Service) -> Option<&'static str> {
    let spec = &service.spec;
    if spec.r#type.as_deref() == Some("ExternalName") {
        return Some("not modelled: ExternalName Service; it is an alias in DNS, with no endpoints in the cluster");
    }
    if spec.cluster_ip.as_deref() == Some("None") {
        return Some("not modelled: headless Service; no traffic can be sent to it");
    }
    if spec.selector.is_empty() {
        return Some("not modelled: Service without selector; its endpoints come from elsewhere");
    }
    None
}

struct Checker<'a> {
    object: &'a Object,
    service: &'a Service,
    service_type: ServiceType,
}

impl<'a> Checker<'a> {
    /// All ports, checked one by one and against each other.
    fn ports(&self, import: &mut Import<'_>) -> Vec<ServicePortSpec> {
        let ports = &self.service.spec.ports;
        let mut error = |path: &str, problem: String, fix: &str| import.errors.push(self.object.error(path, problem, fix));
        if ports.is_empty() {
            error("spec.ports", "a Service without ports; expected at least one".to_owned(), "add `ports: [{port: 80}]`");
        }
        let (mut numbers, mut names) = (BTreeSet::new(), BTreeSet::new());
        let mut specs = Vec::new();
        for (i, port) in ports.iter().enumerate() {
            let at = |name: &str| format!("spec.ports[{i}].{name}");
            if !matches!(protocol(port), "TCP" | "UDP" | "SCTP") {
                error(&at("protocol"), format!("`{}` is unknown; expected TCP, UDP or SCTP", protocol(port)), "write TCP");
            }
            let number = u16::try_from(port.port).ok().filter(|n| *n > 0);
            if number.is_none() {
                error(&at("port"), out_of_range(port.port), "give the port that clients dial");
            } else if !numbers.insert((protocol(port), port.port)) {
                let problem = format!("port {}/{} is there twice; expected different numbers or protocols", port.port, protocol(port));
                error(&at("port"), problem, "give each port once");
            }
            let name = port.name.as_deref().unwrap_or_default();
            if name.is_empty() && ports.len() > 1 {
                error(&at("name"), "a port without name; expected a name where a Service has several ports".to_owned(), "name every port");
            } else if !name.is_empty() && !is_label(name) {
                let problem = format!("`{name}` is no name for a port; expected lower-case letters, digits and `-`, at most 63");
                error(&at("name"), problem, "write such as `http`");
            } else if !name.is_empty() && !names.insert(name) {
                error(&at("name"), format!("two ports are named `{name}`; expected different names"), "rename one of them");
            }
            match &port.target_port {
                Some(IntOrString::Int(n)) if !(1..=65_535).contains(n) => {
                    error(&at("targetPort"), out_of_range(*n), "give the port that the Pods listen on, by number or name");
                }
                Some(IntOrString::String(s)) if !is_port_name(s) => {
                    let problem =
                        format!("`{s}` is no name of a port; expected at most 15 lower-case letters, digits and `-`, one of them a letter");
                    let fix = "give the name of a container's port, or its number without quotes";
                    error(&at("targetPort"), problem, fix);
                }
                _ => {}
            }
            if self.service_type == ServiceType::LoadBalancer && port.port == KUBELET {
                let problem = format!("a load balancer on port {KUBELET}, which is the kubelet's; expected another port");
                error(&at("port"), problem, "give another port");
            }
            let node_port = port.node_port.and_then(|n| u16::try_from(n).ok()).filter(|n| *n > 0);
            specs.push(ServicePortSpec { node_port, ..ServicePortSpec::tcp(name, number.unwrap_or(1)) });
        }
        for (i, port) in ports.iter().enumerate().filter(|(_, p)| matches!(protocol(p), "UDP" | "SCTP")) {
            let problem = format!("{} is simulated as TCP is", protocol(port));
            let why = "requests to this port have connections, and answers, that the real ones have not";
            import.warnings.push(self.object.warning(&format!("spec.ports[{i}].protocol"), problem, why));
        }
        specs
    }

    /// Node ports: only where the type has them, in range, and each once in the cluster.
    fn node_ports(&self, import: &mut Import<'_>, taken: &mut BTreeMap<(String, i64), &'a Object>) {
        for (i, port) in self.service.spec.ports.iter().enumerate() {
            let Some(number) = port.node_port.filter(|n| *n != 0) else { continue };
            let path = format!("spec.ports[{i}].nodePort");
            if self.service_type == ServiceType::ClusterIP {
                let problem = "a node port on a Service of type ClusterIP, which has none";
                import.errors.push(self.object.error(&path, problem, "leave `nodePort` out, or write `type: NodePort`"));
                continue;
            }
            if !NODE_PORTS.contains(&number) {
                let problem = format!("node port {number}; expected {} to {}", NODE_PORTS.start(), NODE_PORTS.end());
                import.errors.push(self.object.error(&path, problem, "give a port of that range, or leave it out"));
                continue;
            }
            if let Some(first) = taken.insert((protocol(port).to_owned(), number), self.object) {
                let problem = format!("node port {number} is taken by {}; expected one that is free", first.title());
                import.errors.push(self.object.error(&path, problem, "give another port, or leave it out"));
            }
        }
    }

    fn external_policy(&self, import: &mut Import<'_>) -> TrafficPolicy {
        let spec = &self.service.spec;
        let found = spec.external_traffic_policy.as_ref().filter(|p| !p.is_empty());
        if found.is_some() && self.service_type == ServiceType::ClusterIP && spec.external_ips.is_empty() {
            let problem = "an external traffic policy on a Service of type ClusterIP, which cannot be reached from outside";
            let fix = "leave it out, or write `type: NodePort` or `type: LoadBalancer`";
            import.errors.push(self.object.error("spec.externalTrafficPolicy", problem, fix));
            return TrafficPolicy::Cluster;
        }
        self.policy(import, "externalTrafficPolicy", &spec.external_traffic_policy)
    }

    fn policy(&self, import: &mut Import<'_>, name: &str, value: &Option<String>) -> TrafficPolicy {
        match value.as_deref().unwrap_or_default() {
            "" | "Cluster" => TrafficPolicy::Cluster,
            "Local" => TrafficPolicy::Local,
            other => {
                import.errors.push(unknown_word(self.object, &format!("spec.{name}"), other, &["Cluster", "Local"]));
                TrafficPolicy::Cluster
            }
        }
    }

    /// The workloads behind the Service: that there are any, in its namespace, with the ports it names.
    fn backends(&self, import: &mut Import<'_>) {
        let selector = &self.service.spec.selector;
        let selects = |w: &&super::specs::Found<'_>| selector.iter().all(|(k, v)| w.facts.labels.get(k) == Some(v));
        let backends: Vec<_> = import.workloads.iter().filter(selects).collect();
        if let Some(far) = backends.iter().find(|w| !same_namespace(w.object, self.object)) {
            let namespace = |o: &Object| o.namespace.clone().unwrap_or_default();
            let problem = format!(
                "the Service is in namespace {}, and its selector fits {} in namespace {}; svcsim does not tell namespaces apart",
                namespace(self.object),
                far.object.title(),
                namespace(far.object)
            );
            import.errors.push(self.object.error("spec.selector", problem, "import one namespace at a time"));
            return;
        }
        if backends.is_empty() {
            let labels = selector.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(",");
            let problem = format!("no workload has Pods with the labels {labels}");
            let why = "the Service has no endpoints: every request to it will be rejected";
            import.warnings.push(self.object.warning("spec.selector", problem, why));
            return;
        }
        let mut odd = Vec::new();
        for (i, port) in self.service.spec.ports.iter().enumerate() {
            let Some(IntOrString::String(name)) = &port.target_port else { continue };
            for w in backends.iter().filter(|w| !w.ports.contains(&name.as_str())) {
                let problem = format!("no container of {} names a port `{name}`", w.object.title());
                let why =
                    "Kubernetes would send this port's traffic elsewhere or nowhere; the simulation sends it to these Pods all the same";
                odd.push(self.object.warning(&format!("spec.ports[{i}].targetPort"), problem, why));
            }
        }
        import.warnings.extend(odd);
    }
}

fn protocol(port: &ServicePort) -> &str {
    port.protocol.as_deref().filter(|p| !p.is_empty()).unwrap_or("TCP")
}

fn out_of_range(port: i64) -> String {
    format!("port {port}; expected 1 to 65535")
}

/// A DNS-1123 label.
fn is_label(name: &str) -> bool {
    name.len() <= 63
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// An IANA service name.
fn is_port_name(name: &str) -> bool {
    name.len() <= 15 && is_label(name) && name.bytes().any(|b| b.is_ascii_lowercase()) && !name.contains("--")
}
