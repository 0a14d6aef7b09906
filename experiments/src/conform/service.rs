//! What the model says of Services as objects: which numbers are given out, what can be created, what annotations mean.

use crate::input::kubernetes::api_server::{addresses::parse_cidr, validation};
use crate::input::kubernetes::types::{
    Annotations, ClientIpConfig, IntOrString, Metadata, Service, ServicePort, ServiceSpec, SessionAffinityConfig,
};
use ipnet::IpNet;
use serde::Deserialize;
use serde_json::{Value, json};
use std::net::{Ipv4Addr, Ipv6Addr};
use svcsim_models::api::allocator;

/// Node ports that automatic choice avoids at first; with the ends of both bands if the range's ends are given.
pub fn nodeport_band(_fixtures: &Value, input: &Value) -> Result<Value, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Input {
        range_first: Option<u64>,
        range_last: Option<u64>,
        range_size: Option<u64>,
    }
    let Input { range_first, range_last, range_size } = parse(input)?;
    let from_ends = range_first.zip(range_last).and_then(|(first, last)| last.checked_sub(first)?.checked_add(1));
    let size = match (range_size, from_ends) {
        (Some(size), Some(other)) if size != other => return Err(format!("range_size is {size}, but its ends are {other} apart")),
        (size, other) => size.or(other).ok_or("neither range_size nor both ends are given")?,
    };
    let band = allocator::node_port_band(size);
    let mut says = json!({ "static_band_size": band });
    if let Some(first) = range_first {
        let dynamic = first.checked_add(band).ok_or("the range does not fit in 64 bits")?;
        says["dynamic_first"] = json!(dynamic);
        if band > 0 {
            says["static_last"] = json!(dynamic - 1);
        }
    }
    Ok(says)
}

/// Cluster IPs that automatic choice avoids at first, and where they begin and end.
pub fn clusterip_band(_fixtures: &Value, input: &Value) -> Result<Value, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Input {
        cidr: String,
    }
    let Input { cidr } = parse(input)?;
    let cidr = parse_cidr(&cidr).ok_or_else(|| format!("`{cidr}` is no CIDR"))?;
    let band = allocator::cluster_ip_band(cidr);
    let mut says = json!({ "static_band_size": band });
    if band > 0 {
        // The network's own address is never given out.
        let (first, last) = match cidr {
            IpNet::V4(net) => {
                let network = u32::from(net.network());
                let at = |n: u64| u32::try_from(n).ok().and_then(|n| network.checked_add(n)).map(|ip| Ipv4Addr::from(ip).to_string());
                (at(1), at(band))
            }
            IpNet::V6(net) => {
                let network = u128::from(net.network());
                let at = |n: u64| network.checked_add(u128::from(n)).map(|ip| Ipv6Addr::from(ip).to_string());
                (at(1), at(band))
            }
        };
        says["static_first"] = json!(first);
        says["static_last"] = json!(last);
    }
    Ok(says)
}

/// Whether a Service could be created; if not, the first field that is at fault, by the name it has among the vectors.
pub fn service_validation(_fixtures: &Value, input: &Value) -> Result<Value, String> {
    let service = parse::<ServiceInput>(input)?.into_service();
    Ok(match validation::validate(&service).first() {
        None => json!({ "valid": true }),
        Some(violation) => json!({ "valid": false, "field": field(&violation.path) }),
    })
}

fn parse<'de, T: Deserialize<'de>>(input: &'de Value) -> Result<T, String> {
    T::deserialize(input).map_err(|e| e.to_string())
}

/// A Service after defaulting and allocation, in snake case.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServiceInput {
    name: Option<String>,
    r#type: Option<String>,
    #[serde(default)]
    ports: Vec<PortInput>,
    #[serde(default)]
    selector: std::collections::BTreeMap<String, String>,
    cluster_ip: Option<String>,
    #[serde(default)]
    cluster_ips: Vec<String>,
    #[serde(default)]
    ip_families: Vec<String>,
    ip_family_policy: Option<String>,
    session_affinity: Option<String>,
    session_affinity_timeout: Option<i64>,
    external_traffic_policy: Option<String>,
    internal_traffic_policy: Option<String>,
    traffic_distribution: Option<String>,
    #[serde(default)]
    external_ips: Vec<String>,
    external_name: Option<String>,
    load_balancer_ip: Option<String>,
    #[serde(default)]
    load_balancer_source_ranges: Vec<String>,
    load_balancer_class: Option<String>,
    allocate_load_balancer_node_ports: Option<bool>,
    health_check_node_port: Option<i64>,
    publish_not_ready_addresses: Option<bool>,
    #[serde(default)]
    annotations: AnnotationsInput,
}

/// One of a Service's ports.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PortInput {
    name: Option<String>,
    protocol: Option<String>,
    port: i64,
    target_port: Option<IntOrString>,
    node_port: Option<i64>,
    #[serde(rename = "app_protocol")]
    _app_protocol: Option<String>,
}

/// Annotations under their own names.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct AnnotationsInput {
    #[serde(rename = "service.kubernetes.io/topology-mode")]
    topology_mode: Option<String>,
    #[serde(rename = "service.kubernetes.io/topology-aware-hints")]
    topology_aware_hints: Option<String>,
    #[serde(rename = "service.beta.kubernetes.io/load-balancer-source-ranges")]
    load_balancer_source_ranges: Option<String>,
}

impl ServiceInput {
    /// The same as the API has it. What no case states is sound: a name, a target port.
    fn into_service(self) -> Service {
        let cluster_ips = if self.cluster_ips.is_empty() { self.cluster_ip.iter().cloned().collect() } else { self.cluster_ips };
        let port = |p: PortInput| ServicePort {
            name: p.name,
            protocol: p.protocol,
            port: p.port,
            target_port: p.target_port.or(Some(IntOrString::Int(p.port))),
            node_port: p.node_port,
        };
        let client = |seconds| SessionAffinityConfig { client_ip: Some(ClientIpConfig { timeout_seconds: Some(seconds) }) };
        Service {
            api_version: "v1".to_owned(),
            kind: "Service".to_owned(),
            metadata: Metadata {
                name: self.name.unwrap_or_else(|| "web".to_owned()),
                annotations: Annotations {
                    topology_mode: self.annotations.topology_mode,
                    topology_aware_hints: self.annotations.topology_aware_hints,
                    load_balancer_source_ranges: self.annotations.load_balancer_source_ranges,
                },
                ..Metadata::default()
            },
            spec: ServiceSpec {
                r#type: self.r#type,
                selector: self.selector,
                ports: self.ports.into_iter().map(port).collect(),
                cluster_ip: self.cluster_ip,
                cluster_ips,
                ip_families: self.ip_families,
                ip_family_policy: self.ip_family_policy,
                external_ips: self.external_ips,
                external_name: self.external_name,
                external_traffic_policy: self.external_traffic_policy,
                internal_traffic_policy: self.internal_traffic_policy,
                traffic_distribution: self.traffic_distribution,
                session_affinity: self.session_affinity,
                session_affinity_config: self.session_affinity_timeout.map(client),
                publish_not_ready_addresses: self.publish_not_ready_addresses,
                load_balancer_ip: self.load_balancer_ip,
                load_balancer_source_ranges: self.load_balancer_source_ranges,
                load_balancer_class: self.load_balancer_class,
                allocate_load_balancer_node_ports: self.allocate_load_balancer_node_ports,
                health_check_node_port: self.health_check_node_port,
            },
            ..Service::default()
        }
    }
}

/// A path's name among the vectors: the field of the Service, or of its port, without indices; `clusterIPs` is `clusterIP`.
fn field(path: &str) -> &str {
    let path = path.strip_prefix("spec.").or(path.strip_prefix("metadata.")).unwrap_or(path);
    let head = path.split(['.', '[']).next().unwrap_or(path);
    match (head, path.rsplit_once("].")) {
        ("ports", Some((_, below))) => below,
        ("clusterIPs", _) => "clusterIP",
        _ => head,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> Value {
        json!({
            "type": "ClusterIP", "cluster_ip": "10.0.0.10", "ports": [{"name": "", "protocol": "TCP", "port": 80, "node_port": 0}],
            "session_affinity": "None", "internal_traffic_policy": "Cluster",
        })
    }

    /// A sound Service of a type, with fields changed.
    fn with(service_type: &str, fields: &Value) -> Value {
        let mut input = sound();
        input["type"] = json!(service_type);
        if service_type != "ClusterIP" {
            input["external_traffic_policy"] = json!("Cluster");
        }
        if service_type == "LoadBalancer" {
            input["allocate_load_balancer_node_ports"] = json!(true);
        }
        for (field, value) in fields.as_object().expect("a map") {
            input[field] = value.clone();
        }
        input
    }

    #[test]
    fn services() {
        let port = |fields: &Value| {
            let mut port = sound()["ports"][0].clone();
            fields.as_object().expect("a map").iter().for_each(|(k, v)| port[k] = v.clone());
            port
        };
        let two = |a: Value, b: Value| json!({"ports": [port(&a), port(&b)]});
        let external = |fields: Value| {
            let mut input = json!({"type": "ExternalName", "session_affinity": "None", "external_name": "db.example.com", "ports": []});
            fields.as_object().expect("a map").iter().for_each(|(k, v)| input[k] = v.clone());
            input
        };
        for (input, expected) in [
            (sound(), ""),
            (with("ClusterIP", &json!({"ports": []})), "ports"),
            (with("ClusterIP", &json!({"ports": [], "cluster_ip": "None"})), ""),
            (with("NodePort", &json!({"cluster_ip": "None"})), "clusterIP"),
            (with("ClusterIP", &json!({"cluster_ip": "10.0.0"})), "clusterIP"),
            (with("ClusterIP", &json!({"cluster_ip": "fd00::1"})), ""),
            (with("ClusterIP", &json!({"cluster_ips": ["10.0.0.10", "10.0.0.11"]})), "clusterIP"),
            (with("ClusterIP", &json!({"cluster_ips": ["10.0.0.10", "fd00::1"]})), ""),
            (with("ClusterIP", &json!({"ip_families": ["IPv6"]})), "clusterIP"),
            (with("ClusterIP", &json!({"ports": [port(&json!({"port": 65536}))]})), "port"),
            (with("ClusterIP", &json!({"ports": [port(&json!({"target_port": 0}))]})), "targetPort"),
            (with("ClusterIP", &json!({"ports": [port(&json!({"protocol": "ICMP"}))]})), "protocol"),
            (with("ClusterIP", &two(json!({"name": "a"}), json!({"name": "a", "port": 81}))), "name"),
            (with("ClusterIP", &two(json!({"name": "a"}), json!({"name": "b", "protocol": "UDP"}))), ""),
            (with("ClusterIP", &json!({"ports": [port(&json!({"name": "Web"}))]})), "name"),
            (
                with("NodePort", &two(json!({"name": "a", "node_port": 30001}), json!({"name": "b", "port": 81, "node_port": 30001}))),
                "nodePort",
            ),
            (with("NodePort", &json!({"external_traffic_policy": null})), "externalTrafficPolicy"),
            (with("ClusterIP", &json!({"external_traffic_policy": "Cluster"})), "externalTrafficPolicy"),
            (with("NodePort", &json!({"external_traffic_policy": "Local"})), ""),
            (with("NodePort", &json!({"external_traffic_policy": "Local", "health_check_node_port": 31000})), "healthCheckNodePort"),
            (with("LoadBalancer", &json!({"external_traffic_policy": "Local", "health_check_node_port": 31000})), ""),
            (with("LoadBalancer", &json!({"external_traffic_policy": "Local", "health_check_node_port": 70000})), "healthCheckNodePort"),
            (with("LoadBalancer", &json!({"allocate_load_balancer_node_ports": null})), "allocateLoadBalancerNodePorts"),
            (with("NodePort", &json!({"allocate_load_balancer_node_ports": false})), "allocateLoadBalancerNodePorts"),
            (with("LoadBalancer", &json!({"load_balancer_source_ranges": [" 10.0.0.1/8 "]})), ""),
            (with("LoadBalancer", &json!({"load_balancer_class": "not a class"})), "loadBalancerClass"),
            (with("ClusterIP", &json!({"internal_traffic_policy": null})), "internalTrafficPolicy"),
            (with("ClusterIP", &json!({"session_affinity": "ClientIP"})), "sessionAffinityConfig"),
            (with("ClusterIP", &json!({"session_affinity": "ClientIP", "session_affinity_timeout": 0})), "sessionAffinityConfig"),
            (with("ClusterIP", &json!({"session_affinity": "Cookie"})), "sessionAffinity"),
            (with("ClusterIP", &json!({"traffic_distribution": "PreferClose"})), ""),
            (with("Foo", &json!({"external_traffic_policy": null})), "type"),
            (external(json!({})), ""),
            (external(json!({"external_name": ""})), "externalName"),
            (external(json!({"external_name": "a_b"})), "externalName"),
            (external(json!({"ip_family_policy": "SingleStack"})), "ipFamilyPolicy"),
        ] {
            let expected = if expected.is_empty() { json!({"valid": true}) } else { json!({"valid": false, "field": expected}) };
            assert_eq!(service_validation(&Value::Null, &input), Ok(expected), "{input}");
        }
        for (ip, expected) in [
            ("192.0.2.7", true),
            ("0.0.0.0", false),
            ("::", false),
            ("127.8.8.8", false),
            ("::1", false),
            ("169.254.1.1", false),
            ("fe80::1", false),
            ("224.0.0.9", false),
            ("224.0.1.9", true),
            ("ff02::1", false),
            ("ff05::1", true),
            ("nowhere", false),
        ] {
            let input = with("ClusterIP", &json!({"external_ips": [ip], "external_traffic_policy": "Cluster"}));
            assert_eq!(service_validation(&Value::Null, &input).expect("understood")["valid"], json!(expected), "{ip}");
        }
    }

    #[test]
    fn bands() {
        let says = nodeport_band(&Value::Null, &json!({"range_first": 20000, "range_last": 32767, "range_size": 12768}));
        assert_eq!(says, Ok(json!({"static_band_size": 128, "static_last": 20127, "dynamic_first": 20128})));
        assert_eq!(nodeport_band(&Value::Null, &json!({"range_size": 2768})), Ok(json!({"static_band_size": 86})));
        let says = clusterip_band(&Value::Null, &json!({"cidr": "192.168.0.77/16"}));
        assert_eq!(says, Ok(json!({"static_band_size": 256, "static_first": "192.168.0.1", "static_last": "192.168.1.0"})));
        assert_eq!(clusterip_band(&Value::Null, &json!({"cidr": "10.0.0.1/32"})), Ok(json!({"static_band_size": 0})));
        let says = clusterip_band(&Value::Null, &json!({"cidr": "fd00::1/118"}));
        assert_eq!(says, Ok(json!({"static_band_size": 64, "static_first": "fd00::1", "static_last": "fd00::40"})));
    }

    #[test]
    fn what_is_not_understood_is_said() {
        for (adaptor, input) in [
            (nodeport_band as fn(&Value, &Value) -> Result<Value, String>, json!({"range_size": 5, "colour": "red"})),
            (nodeport_band, json!({"range_first": 5})),
            (nodeport_band, json!({"range_first": 5, "range_last": 9, "range_size": 7})),
            (clusterip_band, json!({"cidr": "10.0.0.0/33"})),
            (service_validation, json!({"type": "ClusterIP", "colour": "red"})),
        ] {
            assert!(adaptor(&Value::Null, &input).is_err(), "{input}");
        }
    }
}
