//! Kubernetes' words, each explained where a reader meets it first.

/// A word as it may stand in a step, and what it means.
struct Term {
    name: &'static str,
    /// Texts that call for it.
    seen_as: &'static [&'static str],
    means: &'static str,
}

/// In the order in which they are explained, where one step brings several.
const TERMS: &[Term] = &[
    Term {
        name: "ClusterIP",
        seen_as: &["ClusterIP", "cluster IP"],
        means: "an address of the Service that no machine has. Every Node rewrites packets to it, so that it works everywhere inside the \
                cluster and nowhere outside.",
    },
    Term {
        name: "NodePort",
        seen_as: &["NodePort", "node port"],
        means: "one port number that every Node of the cluster answers for the Service, whether or not it runs a Pod of it.",
    },
    Term {
        name: "LoadBalancer",
        seen_as: &["LoadBalancer", "load balancer"],
        means: "a public address in front of the cluster. What stands there hands connections to Nodes (or to Pods); it is not part of \
                Kubernetes itself.",
    },
    Term {
        name: "external IP",
        seen_as: &["ExternalIP", "external IP"],
        means: "an address from outside that somebody routes to Nodes, which take it as the Service's.",
    },
    Term {
        name: "headless Service",
        seen_as: &["headless Service"],
        means: "one with `clusterIP: None`. No Node rewrites anything: clients dial Pods, by the answers of DNS.",
    },
    Term {
        name: "kube-proxy",
        seen_as: &["kube-proxy in"],
        means: "the program on each Node that turns Services into rules of the Node's kernel. Packets meet the rules, never kube-proxy itself.",
    },
    Term {
        name: "externalTrafficPolicy",
        seen_as: &["externalTrafficPolicy: "],
        means: "Cluster lets the Node use Pods on any Node, Local only its own; for node ports and load balancers' addresses.",
    },
    Term {
        name: "internalTrafficPolicy",
        seen_as: &["internalTrafficPolicy: "],
        means: "Cluster lets the Node use Pods on any Node, Local only its own; for cluster IPs.",
    },
    Term {
        name: "endpoint",
        seen_as: &["endpoint"],
        means: "one Pod's address and port behind a Service. Each Node has its own list of them, which it learns with a delay.",
    },
    Term {
        name: "hint",
        seen_as: &["hints vanish", "hints do not hold", "zone hint", "hinted to it"],
        means: "a mark on an endpoint that says for which zone or Node it is meant. Hints count all together or not at all.",
    },
    Term {
        name: "session affinity",
        seen_as: &["session affinity"],
        means: "the Node remembers which Pod a client's address got last, and sends its next connections there too.",
    },
    Term {
        name: "draw",
        seen_as: &["(probability ", "numgen random"],
        means: "chance alone decides, so that each endpoint is as likely as any other. No Node knows how busy a Pod is.",
    },
    Term { name: "DNAT", seen_as: &["DNAT"], means: "the destination is rewritten: the Service's address becomes a Pod's." },
    Term {
        name: "SNAT",
        seen_as: &["SNAT"],
        means: "the source is rewritten too: the Node's own address takes the client's place, so that the answer returns to the Node.",
    },
    Term {
        name: "conntrack",
        seen_as: &["conntrack"],
        means: "the kernel's table of connections. It repeats what was decided for the first packet on all that follow, and undoes it on \
                answers.",
    },
    Term {
        name: "keep-alive",
        seen_as: &["Keep-alive"],
        means: "a client leaves its connection open after an answer and sends the next request over it.",
    },
];

/// Which words were explained before.
#[derive(Default)]
pub(super) struct Terms {
    explained: Vec<&'static str>,
}

impl Terms {
    /// What to explain after `text`, as sentences.
    pub(super) fn new_in(&mut self, text: &str) -> Vec<String> {
        let new = |t: &&Term| !self.explained.contains(&t.name) && t.seen_as.iter().any(|word| text.contains(word));
        let found: Vec<&Term> = TERMS.iter().filter(new).collect();
        self.explained.extend(found.iter().map(|t| t.name));
        found.iter().map(|t| format!("{}: {}", t.name, t.means)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_explained_once() {
        let mut terms = Terms::default();
        let first = terms.new_in("node port 30080 of web, one endpoint");
        assert_eq!(first.len(), 2, "{first:?}");
        assert!(first[0].starts_with("NodePort: ") && first[1].starts_with("endpoint: "), "{first:?}");
        assert!(terms.new_in("node port 30080 and an endpoint").is_empty());
    }
}
