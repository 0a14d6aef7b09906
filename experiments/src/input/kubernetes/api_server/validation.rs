//! Which Services can be created: `pkg/apis/core/validation/validation.go`, `ValidateService` and its helpers, in their order.
//!
//! It is asked after defaulting and allocation, as in the API server, and knows nothing of other Services: whether a number is
//! in range and free is for allocation to say.

use super::super::schema;
use super::super::types::{IntOrString, Service, ServicePort};
use super::addresses::{parse_cidr, parse_ip};
use super::names::{is_dns_label, is_dns_subdomain, is_label_value, is_port_name, is_qualified_name};
use super::{AFFINITY_SECONDS, NONE, Violation};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The kubelet's port (`pkg/cluster/ports`), which no load balancer may expose.
const KUBELET: i64 = 10_250;
/// The longest session affinity in seconds (`core/v1` `MaxClientIPServiceAffinitySeconds`): a day.
const LONGEST_AFFINITY: i64 = 86_400;

/// Everything that is wrong with a Service, in the order in which the API server finds it.
pub(crate) fn validate(service: &Service) -> Vec<Violation> {
    let mut rules = Rules { service, found: Vec::new() };
    rules.metadata();
    rules.service_type();
    rules.ports();
    rules.selector();
    rules.session_affinity();
    rules.cluster_ips();
    rules.external_ips();
    rules.node_ports();
    rules.load_balancer();
    rules.external_traffic();
    rules.internal_traffic();
    rules.found
}

struct Rules<'a> {
    service: &'a Service,
    found: Vec<Violation>,
}

impl Rules<'_> {
    fn say(&mut self, path: impl Into<String>, problem: impl Into<String>, fix: impl Into<String>) {
        self.found.push(Violation::new(path, problem, fix));
    }

    /// A word of a fixed list.
    fn word(&mut self, path: &str, found: &str, words: &[&str]) {
        if words.contains(&found) {
            return;
        }
        let fix = match schema::nearest(found, words.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("write one of {}", words.join(", ")),
        };
        self.say(path, format!("`{found}` is unknown; expected one of {}", words.join(", ")), fix);
    }

    fn port_number(&mut self, path: String, number: i64, fix: &str) {
        if !(1..=65_535).contains(&number) {
            self.say(path, format!("port {number}; expected 1 to 65535"), fix);
        }
    }

    fn metadata(&mut self) {
        let metadata = &self.service.metadata;
        if !is_dns_label(&metadata.name) {
            let problem = format!("`{}` is no name for a Service; expected lower-case letters, digits and `-`, at most 63", metadata.name);
            self.say("metadata.name", problem, "write such as `web`");
        }
        let annotations = &metadata.annotations;
        if let (Some(mode), Some(hints)) = (&annotations.topology_mode, &annotations.topology_aware_hints)
            && mode != hints
        {
            let problem = format!("`{mode}`, but its older name service.kubernetes.io/topology-aware-hints says `{hints}`");
            self.say("metadata.annotations[\"service.kubernetes.io/topology-mode\"]", problem, "leave the older annotation out");
        }
    }

    /// What a type asks of the rest.
    fn service_type(&mut self) {
        let spec = &self.service.spec;
        let service_type = self.service.type_name();
        if spec.ports.is_empty() && !self.service.is_headless() && service_type != "ExternalName" {
            self.say("spec.ports", "a Service without ports; expected at least one", "add `ports: [{port: 80}]`");
        }
        match service_type {
            "ClusterIP" => {}
            "NodePort" | "LoadBalancer" => {
                for i in (0..spec.ports.len()).filter(|i| service_type == "LoadBalancer" && spec.ports[*i].port == KUBELET) {
                    let problem = format!("a load balancer on port {KUBELET}, which is the kubelet's; expected another port");
                    self.say(format!("spec.ports[{i}]"), problem, "give another port");
                }
                if self.service.is_headless() {
                    let problem = format!("a headless Service of type {service_type}; expected an address, or type ClusterIP");
                    self.say("spec.clusterIP", problem, "leave `clusterIP` out");
                }
            }
            "ExternalName" => self.external_name(),
            other => self.word("spec.type", other, &["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"]),
        }
    }

    fn external_name(&mut self) {
        let spec = &self.service.spec;
        let given = [
            ("clusterIP", !spec.cluster_ips.is_empty() || spec.cluster_ip.as_ref().is_some_and(|ip| !ip.is_empty())),
            ("ipFamilies", !spec.ip_families.is_empty()),
            ("ipFamilyPolicy", spec.ip_family_policy.is_some()),
        ];
        for (field, _) in given.iter().filter(|(_, given)| *given) {
            let problem = format!("an ExternalName with `{field}`; it has no address of its own");
            self.say(format!("spec.{field}"), problem, format!("leave `{field}` out"));
        }
        let name = spec.external_name.as_deref().unwrap_or_default();
        let name = name.strip_suffix('.').unwrap_or(name);
        if name.is_empty() {
            self.say("spec.externalName", "an ExternalName without a name to stand for", "add `externalName:`, such as `db.example.com`");
        } else if !is_dns_subdomain(name) {
            let problem = format!("`{name}` is no DNS name; expected lower-case letters, digits, `-` and `.`");
            self.say("spec.externalName", problem, "write such as `db.example.com`");
        }
    }

    /// Ports one by one, and their names against each other.
    fn ports(&mut self) {
        let ports = &self.service.spec.ports;
        let mut names = BTreeSet::new();
        for (i, port) in ports.iter().enumerate() {
            let at = |name: &str| format!("spec.ports[{i}].{name}");
            let name = port.name.as_deref().unwrap_or_default();
            if name.is_empty() && ports.len() > 1 {
                self.say(at("name"), "a port without name; expected a name where a Service has several ports", "name every port");
            } else if !name.is_empty() && !is_dns_label(name) {
                let problem = format!("`{name}` is no name for a port; expected lower-case letters, digits and `-`, at most 63");
                self.say(at("name"), problem, "write such as `http`");
            } else if !name.is_empty() && !names.insert(name) {
                self.say(at("name"), format!("two ports are named `{name}`; expected different names"), "rename one of them");
            }
            self.port_number(at("port"), port.port, "give the port that clients dial");
            if !matches!(protocol(port), "TCP" | "UDP" | "SCTP") {
                self.say(at("protocol"), format!("`{}` is unknown; expected TCP, UDP or SCTP", protocol(port)), "write TCP");
            }
            match &port.target_port {
                // One that was defaulted says nothing that `port` does not.
                Some(IntOrString::Int(n)) if *n != port.port => {
                    self.port_number(at("targetPort"), *n, "give the port that the Pods listen on, by number or name");
                }
                Some(IntOrString::String(s)) if !is_port_name(s) => {
                    let problem =
                        format!("`{s}` is no name of a port; expected at most 15 lower-case letters, digits and `-`, one of them a letter");
                    self.say(at("targetPort"), problem, "give the name of a container's port, or its number without quotes");
                }
                _ => {}
            }
        }
    }

    fn selector(&mut self) {
        for (key, value) in &self.service.spec.selector {
            if !is_qualified_name(key) || !is_label_value(value) {
                let problem = format!("`{key}: {value}` is no label; expected letters, digits, `-`, `_` and `.`, at most 63 each");
                self.say("spec.selector", problem, "write it as the Pods carry it");
            }
        }
    }

    fn session_affinity(&mut self) {
        let spec = &self.service.spec;
        let config = spec.session_affinity_config.as_ref();
        match spec.session_affinity.as_deref().unwrap_or_default() {
            "None" if config.is_some() => {
                let problem = "a configuration of session affinity, which is None";
                self.say("spec.sessionAffinityConfig", problem, "leave it out, or write `sessionAffinity: ClientIP`");
            }
            "None" => {}
            "ClientIP" => {
                let timeout = config.and_then(|c| c.client_ip.as_ref()).and_then(|c| c.timeout_seconds);
                if !timeout.is_some_and(|t| (1..=LONGEST_AFFINITY).contains(&t)) {
                    let found = timeout.map_or_else(|| "no timeout".to_owned(), |t| format!("a timeout of {t} s"));
                    let problem = format!("{found}; expected 1 to {LONGEST_AFFINITY}");
                    let fix = format!("give whole seconds; the default is {AFFINITY_SECONDS}");
                    self.say("spec.sessionAffinityConfig.clientIP.timeoutSeconds", problem, fix);
                }
            }
            other => self.word("spec.sessionAffinity", other, &["None", "ClientIP"]),
        }
    }

    /// `ValidateServiceClusterIPsRelatedFields`.
    fn cluster_ips(&mut self) {
        let spec = &self.service.spec;
        if self.service.type_name() == "ExternalName" {
            return;
        }
        let ips = &spec.cluster_ips;
        let first = spec.cluster_ip.as_deref().unwrap_or_default();
        match ips.first() {
            Some(_) if first.is_empty() => self.say("spec.clusterIPs", "`clusterIPs` without `clusterIP`", "give `clusterIP` as well"),
            Some(other) if other != first => {
                let problem = format!("the first is {other}, but `clusterIP` is {first}; expected the same");
                self.say("spec.clusterIPs", problem, "leave one of the two out");
            }
            _ => {}
        }
        for (i, family) in spec.ip_families.iter().enumerate() {
            self.word(&format!("spec.ipFamilies[{i}]"), family, &["IPv4", "IPv6"]);
            if spec.ip_families.iter().take(i).any(|other| other == family) {
                self.say(format!("spec.ipFamilies[{i}]"), format!("{family} is there twice"), "give each family once");
            }
        }
        if let Some(policy) = &spec.ip_family_policy {
            self.word("spec.ipFamilyPolicy", policy, &["SingleStack", "PreferDualStack", "RequireDualStack"]);
        }
        let mut parsed = Vec::new();
        for (i, ip) in ips.iter().enumerate() {
            let path = if i == 0 { "spec.clusterIP".to_owned() } else { format!("spec.clusterIPs[{i}]") };
            match parse_ip(ip) {
                Some(ip) => parsed.push((path, ip)),
                None if i == 0 && ip == NONE && ips.len() == 1 => return,
                None if i == 0 && ip == NONE => {
                    return self.say("spec.clusterIPs", "`None` with another address", "give `None` alone, or addresses alone");
                }
                None => {
                    let problem = format!("`{ip}` is no IP address");
                    return self.say(path, problem, "write such as 10.96.0.10, or `None`, or leave it out");
                }
            }
        }
        match parsed.as_slice() {
            [] | [_] => {}
            [(_, a), (_, b)] if a.is_ipv4() != b.is_ipv4() => {}
            _ => self.say("spec.clusterIPs", "expected one address of each IP family at most", "leave the others out"),
        }
        for ((path, ip), family) in parsed.into_iter().zip(&spec.ip_families) {
            if matches!(family.as_str(), "IPv4" | "IPv6") && (family == "IPv4") != ip.is_ipv4() {
                self.say(path, format!("{ip} is no {family} address, which `ipFamilies` asks for"), "give an address of that family");
            }
        }
    }

    fn external_ips(&mut self) {
        for (i, text) in self.service.spec.external_ips.iter().enumerate() {
            let path = format!("spec.externalIPs[{i}]");
            match parse_ip(text) {
                None => self.say(path, format!("`{text}` is no IP address"), "write such as 192.0.2.7"),
                Some(ip) => {
                    if let Some(kind) = special(ip) {
                        self.say(path, format!("{ip} is {kind}; expected an address that others can reach"), "give another address");
                    }
                }
            }
        }
    }

    /// Node ports and ports against each other, by protocol.
    fn node_ports(&mut self) {
        let ports = &self.service.spec.ports;
        let node_ports = || ports.iter().enumerate().filter_map(|(i, p)| Some((i, p, p.node_port.filter(|n| *n != 0)?)));
        if self.service.type_name() == "ClusterIP" {
            for (i, ..) in node_ports() {
                let problem = "a node port on a Service of type ClusterIP, which has none";
                self.say(format!("spec.ports[{i}].nodePort"), problem, "leave `nodePort` out, or write `type: NodePort`");
            }
        }
        let mut seen = BTreeSet::new();
        for (i, port, number) in node_ports() {
            if !seen.insert((protocol(port), number)) {
                let problem = format!("two ports have node port {number}/{}", protocol(port));
                self.say(format!("spec.ports[{i}].nodePort"), problem, "give another port, or leave it out");
            }
        }
        let mut seen = BTreeSet::new();
        for (i, port) in ports.iter().enumerate() {
            if !seen.insert((protocol(port), port.port)) {
                let problem = format!("port {}/{} is there twice; expected different numbers or protocols", port.port, protocol(port));
                self.say(format!("spec.ports[{i}]"), problem, "give each port once");
            }
        }
    }

    /// What only a LoadBalancer may have.
    fn load_balancer(&mut self) {
        let spec = &self.service.spec;
        let balanced = self.service.type_name() == "LoadBalancer";
        let annotation = &self.service.metadata.annotations.load_balancer_source_ranges;
        let (ranges, path) = source_ranges(self.service);
        let given = [
            (path, !spec.load_balancer_source_ranges.is_empty() || annotation.is_some()),
            ("spec.allocateLoadBalancerNodePorts", spec.allocate_load_balancer_node_ports.is_some()),
            ("spec.loadBalancerClass", spec.load_balancer_class.is_some()),
        ];
        for (path, _) in given.iter().filter(|(_, given)| *given && !balanced) {
            let problem = format!("this is for load balancers, and the Service is of type {}", self.service.type_name());
            self.say(*path, problem, "leave it out, or write `type: LoadBalancer`");
        }
        for (i, range) in ranges.iter().enumerate().filter(|(_, range)| parse_cidr(range).is_none()) {
            let path = if path.starts_with("spec.") { format!("{path}[{i}]") } else { path.to_owned() };
            self.say(path, format!("`{range}` is no range of addresses"), "write such as 10.0.0.0/8");
        }
        if balanced && spec.allocate_load_balancer_node_ports.is_none() {
            self.say("spec.allocateLoadBalancerNodePorts", "a LoadBalancer must say if it wants node ports", "write true or false");
        }
        if let Some(class) = spec.load_balancer_class.as_ref().filter(|class| balanced && !is_qualified_name(class)) {
            let problem = format!("`{class}` is no class of load balancers; expected a name, or a domain, `/` and a name");
            self.say("spec.loadBalancerClass", problem, "write such as `example.com/internal`");
        }
    }

    /// `validateServiceExternalTrafficPolicy`.
    fn external_traffic(&mut self) {
        let spec = &self.service.spec;
        let policy = spec.external_traffic_policy.as_deref().unwrap_or_default();
        if self.service.externally_accessible() {
            self.word("spec.externalTrafficPolicy", policy, &["Cluster", "Local"]);
        } else if !policy.is_empty() {
            let problem = format!(
                "an external traffic policy on a Service of type {}, which cannot be reached from outside",
                self.service.type_name()
            );
            let fix = "leave it out, or write `type: NodePort` or `type: LoadBalancer`";
            self.say("spec.externalTrafficPolicy", problem, fix);
        }
        let number = spec.health_check_node_port.unwrap_or(0);
        let path = "spec.healthCheckNodePort";
        match (self.service.needs_health_check(), number) {
            (false, 0) => {}
            (false, _) => {
                let problem = "a port for health checks, which only a LoadBalancer with `externalTrafficPolicy: Local` has";
                self.say(path, problem, "leave it out");
            }
            (true, 0) => {
                let problem = "a LoadBalancer with `externalTrafficPolicy: Local` and no port for health checks";
                self.say(path, problem, "give a free node port");
            }
            (true, _) => self.port_number(path.to_owned(), number, "give a free node port"),
        }
    }

    fn internal_traffic(&mut self) {
        let spec = &self.service.spec;
        match spec.internal_traffic_policy.as_deref() {
            Some(policy) => self.word("spec.internalTrafficPolicy", policy, &["Cluster", "Local"]),
            None if matches!(self.service.type_name(), "ClusterIP" | "NodePort" | "LoadBalancer") => {
                self.say("spec.internalTrafficPolicy", "no internal traffic policy; expected Cluster or Local", "write Cluster");
            }
            None => {}
        }
        if let Some(distribution) = &spec.traffic_distribution {
            self.word("spec.trafficDistribution", distribution, &["PreferSameZone", "PreferSameNode", "PreferClose"]);
        }
    }
}

/// Source ranges without the blanks around them, and where they stand: the annotation counts where the field is empty.
pub(in super::super) fn source_ranges(service: &Service) -> (Vec<&str>, &'static str) {
    let field = &service.spec.load_balancer_source_ranges;
    let annotation = service.metadata.annotations.load_balancer_source_ranges.as_deref().map(str::trim);
    match annotation {
        Some(list) if field.is_empty() => {
            let ranges = if list.is_empty() { Vec::new() } else { list.split(',').map(str::trim).collect() };
            (ranges, "metadata.annotations[\"service.beta.kubernetes.io/load-balancer-source-ranges\"]")
        }
        _ => (field.iter().map(|range| range.trim()).collect(), "spec.loadBalancerSourceRanges"),
    }
}

fn protocol(port: &ServicePort) -> &str {
    port.protocol.as_deref().unwrap_or_default()
}

/// Why nobody else can reach an address (`ValidateEndpointIP`). An IPv4 address in IPv6 clothes is an IPv4 address.
fn special(ip: IpAddr) -> Option<&'static str> {
    let ip = ip.to_canonical();
    let (local, multicast) = match ip {
        IpAddr::V4(ip) => (ip.is_link_local(), matches!(ip.octets(), [224, 0, 0, _])),
        IpAddr::V6(ip) => (ip.is_unicast_link_local(), ip.segments()[0] & 0xff0f == 0xff02),
    };
    match () {
        () if ip.is_unspecified() => Some("no address in particular"),
        () if ip.is_loopback() => Some("a loopback address"),
        () if local => Some("a link-local address"),
        () if multicast => Some("a link-local multicast address"),
        () => None,
    }
}
