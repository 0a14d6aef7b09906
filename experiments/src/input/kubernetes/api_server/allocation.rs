//! Cluster IPs, node ports and addresses of load balancers for all Services: `pkg/registry/core/service/storage/alloc.go`.
//!
//! Numbers that manifests give are reserved first, whatever the order: it is as if those Services had been created first.

use super::super::types::{LoadBalancerIngress, Service};
use super::Violation;
use super::addresses::parse_ip;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use svcsim_models::api::allocator::{Allocator, NODE_PORTS, Purpose, Refused, service_cidr, starts};

/// The addresses that load balancers are given which have none, counting up: our assumption, from the block that RFC 2544 sets
/// aside for benchmarks (198.18.0.0/15).
const FIRST_LOAD_BALANCER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);

/// Gives every Service the numbers that it asks for, or free ones; what cannot be given, by the Service's index.
pub(in super::super) fn allocate(services: &mut [Service]) -> Vec<(usize, Violation)> {
    let mut numbers = Numbers {
        node_ports: Allocator::node_ports(NODE_PORTS),
        cluster_ips: Allocator::cluster_ips(service_cidr()),
        of_port: BTreeMap::new(),
        of_address: BTreeMap::new(),
        refused: Vec::new(),
    };
    let mut shared: Vec<BTreeMap<i64, i64>> = Vec::new();
    for (i, service) in services.iter().enumerate() {
        numbers.reserve_cluster_ips(i, service);
        shared.push(numbers.reserve_node_ports(i, service));
    }
    let mut wished: BTreeSet<IpAddr> = services.iter().flat_map(load_balancer_wishes).collect();
    let mut next = u32::from(FIRST_LOAD_BALANCER);
    for (i, (service, shared)) in services.iter_mut().zip(shared).enumerate() {
        numbers.give_cluster_ip(i, service);
        numbers.give_node_ports(i, service, shared);
        give_load_balancer_address(service, &mut wished, &mut next);
    }
    numbers.refused
}

/// What is taken, and by whom.
struct Numbers {
    node_ports: Allocator,
    cluster_ips: Allocator,
    of_port: BTreeMap<i64, String>,
    of_address: BTreeMap<IpAddr, String>,
    refused: Vec<(usize, Violation)>,
}

impl Numbers {
    fn refuse(&mut self, service: usize, path: impl Into<String>, problem: String, fix: &str) {
        self.refused.push((service, Violation::new(path, problem, fix)));
    }

    /// Addresses outside the range are granted as well: the input's cluster may have another.
    fn reserve_cluster_ips(&mut self, i: usize, service: &Service) {
        if service.type_name() == "ExternalName" {
            return;
        }
        for (n, text) in service.spec.cluster_ips.iter().enumerate() {
            let Some(ip) = parse_ip(text) else { continue };
            let path = if n == 0 { "spec.clusterIP".to_owned() } else { format!("spec.clusterIPs[{n}]") };
            if let Some(owner) = self.of_address.get(&ip) {
                let problem = format!("cluster IP {ip} is taken by {owner}; expected one that is free");
                self.refuse(i, path, problem, "give another address, or leave it out");
                continue;
            }
            self.of_address.insert(ip, title(service));
            if let IpAddr::V4(ip) = ip
                && self.cluster_ips.reserve(u32::from(ip)) == Err(Refused::OutOfRange)
                && service_cidr().contains(&ip)
            {
                let problem = format!("{ip} is the network's own or the broadcast address of {}", service_cidr());
                self.refuse(i, path, problem, "give another address, or leave it out");
            }
        }
    }

    fn give_cluster_ip(&mut self, i: usize, service: &mut Service) {
        let spec = &service.spec;
        if service.type_name() == "ExternalName"
            || spec.cluster_ip.as_ref().is_some_and(|ip| !ip.is_empty())
            || !spec.cluster_ips.is_empty()
        {
            return;
        }
        if spec.ip_families.first().is_some_and(|family| family == "IPv6") {
            let problem = format!("no IPv6 address can be chosen: svcsim gives out those of {}", service_cidr());
            return self.refuse(i, "spec.ipFamilies[0]", problem, "write IPv4, or give `clusterIP`");
        }
        match self.cluster_ips.allocate(&mut starts(Purpose::ClusterIp, &service.metadata.name)) {
            Some(ip) => {
                let ip = Ipv4Addr::from(ip);
                self.of_address.insert(ip.into(), title(service));
                service.spec.cluster_ip = Some(ip.to_string());
                service.spec.cluster_ips = vec![ip.to_string()];
            }
            None => self.refuse(i, "spec.clusterIP", format!("no address of {} is free", service_cidr()), "use fewer Services"),
        }
    }

    /// Reserves what is asked for; which node port each port number has. Ports of one number and several protocols share one
    /// (`initNodePorts`).
    fn reserve_node_ports(&mut self, i: usize, service: &Service) -> BTreeMap<i64, i64> {
        let mut shared = BTreeMap::new();
        if service.may_have_node_ports() {
            for (n, port) in service.spec.ports.iter().enumerate() {
                let Some(number) = port.node_port.filter(|number| *number != 0) else { continue };
                if shared.get(&port.port) != Some(&number) {
                    self.reserve_node_port(i, service, format!("spec.ports[{n}].nodePort"), number);
                    shared.entry(port.port).or_insert(number);
                }
            }
        }
        if let Some(number) = service.spec.health_check_node_port.filter(|n| *n != 0 && service.needs_health_check()) {
            self.reserve_node_port(i, service, "spec.healthCheckNodePort".to_owned(), number);
        }
        shared
    }

    fn reserve_node_port(&mut self, i: usize, service: &Service, path: String, number: i64) {
        match u32::try_from(number).map_or(Err(Refused::OutOfRange), |n| self.node_ports.reserve(n)) {
            Ok(()) => {
                self.of_port.insert(number, title(service));
            }
            Err(Refused::OutOfRange) => {
                let problem = format!("node port {number}; expected {} to {}", NODE_PORTS.start(), NODE_PORTS.end());
                self.refuse(i, path, problem, "give a port of that range, or leave it out");
            }
            Err(Refused::Taken) => {
                let owner = self.of_port.get(&number).cloned().unwrap_or_default();
                let problem = format!("node port {number} is taken by {owner}; expected one that is free");
                self.refuse(i, path, problem, "give another port, or leave it out");
            }
        }
    }

    fn give_node_ports(&mut self, i: usize, service: &mut Service, mut shared: BTreeMap<i64, i64>) {
        let (name, owner) = (service.metadata.name.clone(), title(service));
        if service.may_have_node_ports() && service.spec.allocate_load_balancer_node_ports != Some(false) {
            let mut starts = starts(Purpose::NodePort, &name);
            for n in 0..service.spec.ports.len() {
                let port = &mut service.spec.ports[n];
                if port.node_port.is_some_and(|number| number != 0) {
                    continue;
                }
                port.node_port = shared.get(&port.port).copied().or_else(|| Some(i64::from(self.node_ports.allocate(&mut starts)?)));
                match port.node_port {
                    Some(number) => {
                        shared.insert(port.port, number);
                        self.of_port.entry(number).or_insert_with(|| owner.clone());
                    }
                    None => {
                        let problem = format!("no node port from {} to {} is free", NODE_PORTS.start(), NODE_PORTS.end());
                        return self.refuse(i, format!("spec.ports[{n}]"), problem, "use fewer Services with node ports");
                    }
                }
            }
        }
        if service.needs_health_check() && service.spec.health_check_node_port.is_none_or(|n| n == 0) {
            let number = self.node_ports.allocate(&mut starts(Purpose::HealthCheckNodePort, &name)).map(i64::from);
            if let Some(number) = number {
                self.of_port.insert(number, owner);
            }
            service.spec.health_check_node_port = number;
        }
    }
}

/// Addresses that the status or `loadBalancerIP` names.
fn load_balancer_wishes(service: &Service) -> impl Iterator<Item = IpAddr> {
    let ingress = service.status.load_balancer.iter().flat_map(|s| &s.ingress);
    let all = ingress.filter_map(|i| i.ip.as_deref()).chain(service.spec.load_balancer_ip.as_deref());
    all.filter_map(parse_ip)
}

/// An address for a load balancer whose status has none, as its implementation would write it. One that is known by name is one
/// that packets really go to: no Node translates it (`pkg/proxy/serviceport.go`).
fn give_load_balancer_address(service: &mut Service, taken: &mut BTreeSet<IpAddr>, next: &mut u32) {
    if service.type_name() != "LoadBalancer" {
        return;
    }
    let wish = service.spec.load_balancer_ip.as_deref().and_then(parse_ip);
    let ingress = &mut service.status.load_balancer.get_or_insert_default().ingress;
    if ingress.iter().any(|i| i.ip.as_ref().is_some_and(|ip| !ip.is_empty())) {
        return;
    }
    let mode = if ingress.is_empty() { "VIP" } else { "Proxy" };
    let ip = wish.unwrap_or_else(|| {
        while !taken.insert(Ipv4Addr::from(*next).into()) {
            *next = next.saturating_add(1);
        }
        Ipv4Addr::from(*next).into()
    });
    let ip_mode = Some(mode.to_owned());
    *ingress = vec![LoadBalancerIngress { ip: Some(ip.to_string()), ip_mode, ..LoadBalancerIngress::default() }];
}

fn title(service: &Service) -> String {
    format!("Service/{}", service.metadata.name)
}
