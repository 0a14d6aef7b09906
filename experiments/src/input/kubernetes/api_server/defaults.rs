//! What an absent field means: `pkg/apis/core/v1/defaults.go`, `SetDefaults_Service`.

use super::super::types::{ClientIpConfig, IntOrString, Service, SessionAffinityConfig};
use super::AFFINITY_SECONDS;

/// Fills in what is absent.
pub(crate) fn set_defaults(service: &mut Service) {
    let service_type = service.type_name().to_owned();
    let externally_accessible = service.externally_accessible();
    let spec = &mut service.spec;
    let affinity = or(&mut spec.session_affinity, "None");
    if affinity == "None" {
        spec.session_affinity_config = None;
    } else if affinity == "ClientIP" {
        let config = spec.session_affinity_config.get_or_insert_with(SessionAffinityConfig::default);
        let client = config.client_ip.get_or_insert_with(ClientIpConfig::default);
        client.timeout_seconds.get_or_insert(AFFINITY_SECONDS);
    }
    for port in &mut spec.ports {
        or(&mut port.protocol, "TCP");
        let unset = match &port.target_port {
            None | Some(IntOrString::Int(0)) => true,
            Some(IntOrString::Int(_)) => false,
            Some(IntOrString::String(name)) => name.is_empty(),
        };
        if unset {
            port.target_port = Some(IntOrString::Int(port.port));
        }
    }
    if externally_accessible {
        or(&mut spec.external_traffic_policy, "Cluster");
    }
    if matches!(service_type.as_str(), "ClusterIP" | "NodePort" | "LoadBalancer") {
        spec.internal_traffic_policy.get_or_insert_with(|| "Cluster".to_owned());
    }
    if service_type == "LoadBalancer" {
        spec.allocate_load_balancer_node_ports.get_or_insert(true);
        for ingress in service.status.load_balancer.iter_mut().flat_map(|s| &mut s.ingress) {
            if ingress.ip.as_ref().is_some_and(|ip| !ip.is_empty()) {
                ingress.ip_mode.get_or_insert_with(|| "VIP".to_owned());
            }
        }
    }
    spec.r#type = Some(service_type);
    // Not a default but the strategy's doing on creation: who writes the one field means the other as well.
    if let Some(ip) = spec.cluster_ip.as_ref().filter(|ip| !ip.is_empty() && spec.cluster_ips.is_empty()) {
        spec.cluster_ips = vec![ip.clone()];
    }
}

/// The word, or the default if it is absent or empty.
fn or<'a>(word: &'a mut Option<String>, default: &str) -> &'a str {
    if word.as_ref().is_none_or(String::is_empty) {
        *word = Some(default.to_owned());
    }
    word.as_deref().unwrap_or_default()
}
