//! What a change of a Service takes with it: `pkg/registry/core/service/strategy.go`, `dropTypeDependentFields`, and
//! `normalizeClusterIPs` in `registry/core/service/storage`.
//!
//! So one field is enough to turn a LoadBalancer into a NodePort Service, although it holds numbers that only a LoadBalancer
//! may have. What is not the API server's own doing stays, and is for validation to refuse: source ranges, for example.

use super::super::types::Service;

/// Drops from `new` what `old` needed and `new` has no use for, unless the change was about that very field.
pub(in super::super) fn drop_type_dependent_fields(old: &Service, new: &mut Service) {
    let (was, is) = (&old.spec, &new.spec);
    let same_cluster_ips = was.cluster_ips == is.cluster_ips;
    let other_cluster_ip = was.cluster_ip != is.cluster_ip;
    let no_cluster_ip = old.type_name() != "ExternalName" && new.type_name() == "ExternalName";
    let same_families = was.ip_families == is.ip_families;
    let same_family_policy = was.ip_family_policy == is.ip_family_policy;
    let node_ports = |s: &Service| s.spec.ports.iter().map(|p| p.node_port.unwrap_or(0)).collect::<Vec<_>>();
    let no_node_ports = old.may_have_node_ports() && !new.may_have_node_ports() && node_ports(old) == node_ports(new);
    let no_health_check = old.needs_health_check() && !new.needs_health_check() && was.health_check_node_port == is.health_check_node_port;
    let no_load_balancer = old.type_name() == "LoadBalancer" && new.type_name() != "LoadBalancer";
    let same_allocation = was.allocate_load_balancer_node_ports == is.allocate_load_balancer_node_ports;
    let same_class = was.load_balancer_class == is.load_balancer_class;
    let not_external =
        old.externally_accessible() && !new.externally_accessible() && was.external_traffic_policy == is.external_traffic_policy;

    let spec = &mut new.spec;
    if no_cluster_ip {
        if same_cluster_ips && !other_cluster_ip {
            spec.cluster_ip = None;
            spec.cluster_ips.clear();
        }
        if same_families {
            spec.ip_families.clear();
        }
        if same_family_policy {
            spec.ip_family_policy = None;
        }
    } else if other_cluster_ip && same_cluster_ips {
        spec.cluster_ips.clear();
    }
    if no_node_ports {
        spec.ports.iter_mut().for_each(|port| port.node_port = None);
    }
    if no_health_check {
        spec.health_check_node_port = None;
    }
    if no_load_balancer && same_allocation {
        spec.allocate_load_balancer_node_ports = None;
    }
    if no_load_balancer && same_class {
        spec.load_balancer_class = None;
    }
    if not_external {
        spec.external_traffic_policy = None;
    }
    if no_load_balancer {
        new.status.load_balancer = None;
    }
}
