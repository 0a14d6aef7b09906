//! Services: what the API server makes of them, and then the facts that traffic depends on.

use super::api_server::addresses::{parse_cidr, parse_ip};
use super::api_server::validation::{self, source_ranges};
use super::api_server::{AFFINITY_SECONDS, allocation, defaults};
use super::specs::{Found, Import, same_namespace, seconds};
use super::types::{IntOrString, Service, ServicePort};
use super::{Body, KeptOut, Object};
use std::collections::BTreeSet;
use svcsim_models::control_plane::hints::hints_enabled;
use svcsim_models::spec::{IpMode, Protocol, ServicePortSpec, ServiceSpec, ServiceType, TargetPort, TrafficDistribution, TrafficPolicy};

/// Reads all Services, after the workloads.
pub(super) fn read(import: &mut Import<'_>) -> Vec<ServiceSpec> {
    let all: Vec<(&Object, &Service)> =
        import.objects.iter().filter_map(|o| if let Body::Service(s) = &o.body { Some((o, s)) } else { None }).collect();
    let mut services: Vec<Service> = all.iter().map(|(_, service)| (*service).clone()).collect();
    services.iter_mut().for_each(defaults::set_defaults);
    let mut refused = allocation::allocate(&mut services);
    let mut specs = Vec::new();
    for (i, (service, (object, _))) in services.iter().zip(&all).enumerate() {
        let (mine, others): (Vec<_>, Vec<_>) = refused.into_iter().partition(|(of, _)| *of == i);
        refused = others;
        let mut violations: Vec<_> = mine.into_iter().map(|(_, violation)| violation).collect();
        // What was not granted for want of a sound number need not be said twice.
        let paths: BTreeSet<String> = violations.iter().map(|v| v.path.clone()).collect();
        violations.extend(validation::validate(service).into_iter().filter(|v| !paths.contains(&v.path)));
        import.errors.extend(violations.into_iter().map(|v| object.error(&v.path, v.problem, v.fix)));
        if service.spec.selector.is_empty() && service.type_name() != "ExternalName" {
            import.kept_out.push(KeptOut::new(object, "not modelled: Service without selector; its endpoints come from elsewhere"));
            continue;
        }
        check_addresses(import, object, service);
        if !service.spec.selector.is_empty() {
            check_backends(import, object, service);
        }
        specs.push(spec(object, service));
    }
    specs
}

/// A sound Service as plain facts; of one that is not sound, something: it is refused anyway.
fn spec(object: &Object, service: &Service) -> ServiceSpec {
    let spec = &service.spec;
    let local = |policy: &Option<String>| if policy.as_deref() == Some("Local") { TrafficPolicy::Local } else { TrafficPolicy::Cluster };
    let timeout = spec.session_affinity_config.as_ref().and_then(|c| c.client_ip.as_ref()).and_then(|c| c.timeout_seconds);
    let (load_balancer_ips, ip_mode) = load_balancer_ips(service);
    ServiceSpec {
        name: object.name.clone(),
        namespace: object.namespace.clone().unwrap_or_else(|| "default".to_owned()),
        field: object.field(),
        service_type: match service.type_name() {
            "NodePort" => ServiceType::NodePort,
            "LoadBalancer" => ServiceType::LoadBalancer,
            "ExternalName" => ServiceType::ExternalName,
            _ => ServiceType::ClusterIP,
        },
        selector: spec.selector.clone(),
        ports: spec.ports.iter().map(port).collect(),
        cluster_ip: spec.cluster_ip.as_deref().and_then(parse_ip),
        external_ips: spec.external_ips.iter().filter_map(|ip| parse_ip(ip)).collect(),
        load_balancer_ips,
        ip_mode,
        load_balancer_source_ranges: source_ranges(service).0.into_iter().filter_map(parse_cidr).collect(),
        health_check_node_port: spec.health_check_node_port.and_then(port_number),
        external_traffic_policy: local(&spec.external_traffic_policy),
        internal_traffic_policy: local(&spec.internal_traffic_policy),
        session_affinity: (spec.session_affinity.as_deref() == Some("ClientIP")).then(|| seconds(timeout.unwrap_or(AFFINITY_SECONDS))),
        traffic_distribution: match spec.traffic_distribution.as_deref() {
            Some("PreferSameZone" | "PreferClose") => Some(TrafficDistribution::PreferSameZone),
            Some("PreferSameNode") => Some(TrafficDistribution::PreferSameNode),
            _ => None,
        },
        topology_mode_auto: hints_enabled(
            service.metadata.annotations.topology_mode.as_deref(),
            service.metadata.annotations.topology_aware_hints.as_deref(),
        ),
        publish_not_ready_addresses: spec.publish_not_ready_addresses == Some(true),
        external_name: spec.external_name.clone().unwrap_or_default(),
    }
}

fn port(port: &ServicePort) -> ServicePortSpec {
    let number = port_number(port.port).unwrap_or(1);
    ServicePortSpec {
        name: port.name.clone().unwrap_or_default(),
        protocol: protocol(port.protocol.as_deref()),
        port: number,
        target_port: match &port.target_port {
            Some(IntOrString::String(name)) => TargetPort::Name(name.clone()),
            Some(IntOrString::Int(n)) => TargetPort::Number(port_number(*n).unwrap_or(number)),
            None => TargetPort::Number(number),
        },
        node_port: port.node_port.and_then(port_number),
    }
}

/// A protocol by its name; TCP if absent, as everywhere in Kubernetes.
pub(super) fn protocol(name: Option<&str>) -> Protocol {
    match name {
        Some("UDP") => Protocol::Udp,
        Some("SCTP") => Protocol::Sctp,
        _ => Protocol::Tcp,
    }
}

/// A port's number; none for 0 and what is no port.
pub(super) fn port_number(number: i64) -> Option<u16> {
    u16::try_from(number).ok().filter(|n| *n > 0)
}

/// The addresses that Nodes translate; if there are none, those that they leave alone (`pkg/proxy/serviceport.go`).
fn load_balancer_ips(service: &Service) -> (Vec<std::net::IpAddr>, IpMode) {
    if service.type_name() != "LoadBalancer" {
        return (Vec::new(), IpMode::Vip);
    }
    let ingress = || service.status.load_balancer.iter().flat_map(|s| &s.ingress);
    let ips = |proxy: bool| -> Vec<_> {
        let fits = ingress().filter(|i| (i.ip_mode.as_deref() == Some("Proxy")) == proxy);
        fits.filter_map(|i| parse_ip(i.ip.as_deref()?)).collect()
    };
    let translated = ips(false);
    if translated.is_empty() { (ips(true), IpMode::Proxy) } else { (translated, IpMode::Vip) }
}

/// Addresses that no creation checks, as they are the status of a running cluster.
fn check_addresses(import: &mut Import<'_>, object: &Object, service: &Service) {
    let written: Vec<_> = service.status.load_balancer.iter().flat_map(|s| &s.ingress).enumerate().collect();
    for (i, ingress) in written {
        let at = |name: &str| format!("status.loadBalancer.ingress[{i}].{name}");
        if let Some(ip) = ingress.ip.as_ref().filter(|ip| !ip.is_empty() && parse_ip(ip).is_none()) {
            import.errors.push(object.error(&at("ip"), format!("`{ip}` is no IP address"), "write such as 192.0.2.7"));
        }
        if let Some(mode) = ingress.ip_mode.as_ref().filter(|mode| !matches!(mode.as_str(), "VIP" | "Proxy")) {
            let problem = format!("`{mode}` is unknown; expected VIP or Proxy");
            import.errors.push(object.error(&at("ipMode"), problem, "write VIP, or leave it out"));
        }
    }
    if let Some(ip) = service.spec.load_balancer_ip.as_ref().filter(|ip| !ip.is_empty() && parse_ip(ip).is_none()) {
        let why = "the load balancer gets an address of svcsim's choice";
        import.warnings.push(object.warning("spec.loadBalancerIP", format!("`{ip}` is no IP address"), why));
    }
}

/// The workloads behind the Service: that there are any, in its namespace, with the ports it names.
fn check_backends(import: &mut Import<'_>, object: &Object, service: &Service) {
    let selector = &service.spec.selector;
    let selects = |w: &&Found<'_>| selector.iter().all(|(k, v)| w.facts.spec.labels.get(k) == Some(v));
    let backends: Vec<_> = import.workloads.iter().filter(selects).collect();
    if let Some(far) = backends.iter().find(|w| !same_namespace(w.object, object)) {
        let namespace = |o: &Object| o.namespace.clone().unwrap_or_default();
        let problem = format!(
            "the Service is in namespace {}, and its selector fits {} in namespace {}; svcsim does not tell namespaces apart",
            namespace(object),
            far.object.title(),
            namespace(far.object)
        );
        import.errors.push(object.error("spec.selector", problem, "import one namespace at a time"));
        return;
    }
    if backends.is_empty() {
        let labels = selector.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(",");
        let problem = format!("no workload has Pods with the labels {labels}");
        let why = "the Service has no endpoints: every request to it will be rejected";
        import.warnings.push(object.warning("spec.selector", problem, why));
        return;
    }
    let mut odd = Vec::new();
    for (i, port) in service.spec.ports.iter().enumerate() {
        let Some(IntOrString::String(name)) = &port.target_port else { continue };
        let protocol = protocol(port.protocol.as_deref());
        let has_port = |w: &Found<'_>| w.facts.spec.ports.iter().any(|p| p.name == *name && p.protocol == protocol);
        for w in backends.iter().filter(|w| !has_port(w)) {
            let problem = format!("no container of {} names a port `{name}` for {protocol}", w.object.title());
            let why = "its Pods are no endpoints of this port of the Service";
            odd.push(object.warning(&format!("spec.ports[{i}].targetPort"), problem, why));
        }
    }
    import.warnings.extend(odd);
}
