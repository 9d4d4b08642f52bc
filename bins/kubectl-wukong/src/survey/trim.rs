//! What a survey leaves out of large objects.

use serde_json::{Value, json};

use super::scope::{NODE_NETWORKS, NODES};

/// Removes from an object of a node what no rule reads and what is large: its images, and the interfaces of pods. A survey
/// has one such object for each node.
pub(super) fn trim(plural: &str, object: &mut Value) {
    if plural == NODES {
        for (part, large) in [("metadata", "managedFields"), ("status", "images")] {
            if let Some(part) = object.get_mut(part).and_then(Value::as_object_mut) {
                part.remove(large);
            }
        }
    }
    if plural == NODE_NETWORKS
        && let Some(state) = object.pointer_mut("/status/currentState")
    {
        let interfaces = state.get("interfaces").and_then(Value::as_array);
        let interfaces = interfaces.into_iter().flatten();
        let lasting = interfaces.filter(|it| it.get("type").is_none_or(|type_| type_ != "veth"));
        let names = [
            "name",
            "type",
            "state",
            "bridge",
            "link-aggregation",
            "ipv4",
            "ipv6",
        ];
        let lasting: Vec<Value> = lasting.map(|it| fields(it, &names)).collect();
        let routes = state.get("routes").cloned().unwrap_or_default();
        *state = json!({"interfaces": lasting, "routes": routes});
    }
}

/// These fields of an object.
pub(super) fn fields(object: &Value, names: &[&str]) -> Value {
    let kept = names
        .iter()
        .filter_map(|field| Some(((*field).to_owned(), object.get(*field)?.clone())));
    Value::Object(kept.collect())
}

#[cfg(test)]
mod tests {
    use wukong_engine::facts::{Fact, NodeFact, NodeNetworkFact};

    use super::*;

    #[test]
    fn what_is_trimmed_is_in_no_fact() {
        let mut node = json!({
            "metadata": {"name": "node-1", "labels": {"zone": "a"}},
            "spec": {"taints": [{"key": "a", "value": "b", "effect": "NoSchedule"}]},
            "status": {"allocatable": {"cpu": "8"}, "nodeInfo": {"osImage": "Debian"}, "images": [{"names": ["large"]}]},
        });
        let fact = NodeFact::project(&node);
        trim(NODES, &mut node);
        assert!(!node.to_string().contains("large"), "{node}");
        assert_eq!(NodeFact::project(&node), fact);

        let mut network = json!({"metadata": {"name": "node-1"}, "status": {"currentState": {
            "dns-resolver": {"large": true},
            "interfaces": [
                {"name": "veth1", "type": "veth", "ipv4": {"address": [{"ip": "10.0.0.9"}]}},
                {"name": "eth0", "type": "ethernet", "ipv4": {"address": [{"ip": "10.0.0.1"}]}, "ethtool": {"large": true}},
                {"name": "br-a", "type": "linux-bridge", "bridge": {"port": [{"name": "eth1"}]}},
                {"name": "bond0", "type": "bond", "link-aggregation": {"port": ["eth2"]}, "ipv6": {"address": [{"ip": "fd00::1"}]}},
            ],
            "routes": {"running": [{"destination": "0.0.0.0/0", "next-hop-interface": "eth0"}]},
        }}});
        let fact = NodeNetworkFact::project(&network);
        trim(NODE_NETWORKS, &mut network);
        let text = network.to_string();
        assert!(!text.contains("large") && !text.contains("veth"), "{text}");
        assert_eq!(NodeNetworkFact::project(&network), fact);
    }
}
