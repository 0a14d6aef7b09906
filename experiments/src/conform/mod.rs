//! What the model says of the conformance vectors' cases.

pub mod control_plane;
pub mod dataplane;

#[cfg(test)]
mod tests {
    use serde_json::Value;
    #[test]
    fn quick() {
        let v: Value = serde_json::from_str(include_str!("../../conformance/endpoint_selection.json")).unwrap();
        type G = fn(&Value, &Value) -> Result<Value, String>;
        let groups: [(&str, G); 19] = [
            ("categorize_endpoints", super::dataplane::categorize_endpoints),
            ("packet_flow", super::dataplane::packet_flow),
            ("conntrack_cleanup", super::dataplane::conntrack_cleanup),
            ("iptables_probability_string", super::dataplane::iptables_probability_string),
            ("iptables_probability_chain", super::dataplane::iptables_probability_chain),
            ("iptables_chain_pick", super::dataplane::iptables_chain_pick),
            ("nft_numgen_pick", super::dataplane::nft_numgen_pick),
            ("iptables_rule_count", super::dataplane::iptables_rule_count),
            ("endpoint_conditions", super::control_plane::endpoint_conditions),
            ("slice_condition_defaults", super::control_plane::slice_condition_defaults),
            ("slice_missing_node", super::control_plane::slice_missing_node),
            ("slice_packing", super::control_plane::slice_packing),
            ("traffic_distribution_hints", super::control_plane::traffic_distribution_hints),
            ("hints_annotation", super::control_plane::hints_annotation),
            ("topology_node_ratios", super::control_plane::topology_node_ratios),
            ("topology_auto", super::control_plane::topology_auto),
            ("topology_rebalance", super::control_plane::topology_rebalance),
            ("proxy_sync_schedule", super::control_plane::proxy_sync_schedule),
            ("health_check_node_port", super::control_plane::health_check_node_port),
        ];
        let mut bad = 0;
        for (name, run) in groups {
            for case in v["groups"][name].as_array().unwrap() {
                let found = run(&v["fixtures"], &case["input"]);
                let mut expect = case["expect"].clone();
                let mut got = found.clone().unwrap_or(Value::Null);
                for x in [&mut expect, &mut got] {
                    for k in ["cluster", "local", "all", "candidates"] {
                        if let Some(a) = x.get_mut(k).and_then(|a| a.as_array_mut()) {
                            a.sort_by_key(|s| s.to_string());
                        }
                    }
                }
                if expect.get("snat") == Some(&Value::Null) {
                    expect["snat"] = got["snat"].clone();
                }
                if found.is_err() || got != expect {
                    bad += 1;
                    println!("{} {:?} expected {expect}", case["id"], found);
                }
            }
        }
        assert_eq!(bad, 0);
    }
}
