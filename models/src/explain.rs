//! [`Explanation`]: one request followed through the cluster, step by step, as plain data.
//!
//! The steps are noted by the very functions that move the request; nothing here decides anything. Times are nanoseconds since
//! the start of the run, except where a name says otherwise.

use serde::Serialize;

/// One request from its client and back.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The source it came from.
    pub source: String,
    /// Which of the source's requests, counted from 0.
    pub request: u64,
    /// How it ended, by its name in results.
    pub outcome: String,
    /// Intended start.
    pub start_ns: u64,
    /// When it ended.
    pub end_ns: u64,
    /// Where the time between went.
    pub times: Times,
    /// What happened, in order.
    pub steps: Vec<Step>,
}

impl Explanation {
    /// Sums up the steps, once all are there. What the client still waited for when it gave up is nobody's time but its own.
    pub(crate) fn sum_up(&mut self) {
        let mut t = Times { total_ns: self.end_ns.saturating_sub(self.start_ns), ..Times::default() };
        for step in &self.steps {
            let took = step.end_ns.saturating_sub(step.start_ns);
            match &step.what {
                What::Resolves { .. } => t.name_lookup_ns += took,
                What::Crosses { path, .. } => {
                    t.network_ns += took;
                    t.hops += path.len().saturating_sub(1) as u64;
                }
                What::Balances { .. } => t.load_balancer_ns += took,
                // Only the load balancer takes time to pass on what it knows.
                What::Follows { .. } => t.load_balancer_ns += took,
                What::Decides { .. } => t.rules_ns += took,
                What::Serves { waited_ns, service_ns, .. } => {
                    t.waiting_ns += waited_ns;
                    t.service_ns += service_ns;
                }
                What::Sends { .. } | What::Retries { .. } | What::Answers { .. } | What::Ends { .. } => {}
            }
        }
        let known = t.name_lookup_ns + t.network_ns + t.load_balancer_ns + t.rules_ns + t.waiting_ns + t.service_ns;
        t.in_vain_ns = t.total_ns.saturating_sub(known);
        self.times = t;
    }
}

/// Where a request's time went: the parts add up to the total.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Times {
    /// From the intended start to the end.
    pub total_ns: u64,
    /// Looking its name up.
    pub name_lookup_ns: u64,
    /// On links, in line before them included.
    pub network_ns: u64,
    /// Inside the load balancer.
    pub load_balancer_ns: u64,
    /// Until a Node's data plane had found the rule.
    pub rules_ns: u64,
    /// In the Pod's line; where Pods share their servers, what sharing cost.
    pub waiting_ns: u64,
    /// Served.
    pub service_ns: u64,
    /// The rest: what a client waited for an answer that did not come.
    pub in_vain_ns: u64,
    /// Links crossed, both ways.
    pub hops: u64,
}

/// One thing that happened to it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// When it began.
    pub start_ns: u64,
    /// When it was over.
    pub end_ns: u64,
    /// Who did it: a client, the network, the load balancer, a Node, a Pod.
    pub place: String,
    /// What it was.
    #[serde(flatten)]
    pub what: What,
    /// Why it matters, in sentences.
    pub notes: Vec<String>,
}

/// What happened.
#[allow(clippy::large_enum_variant)] // A story has a dozen steps: their size is no matter.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "step")]
pub enum What {
    /// The client sends.
    Sends {
        /// The Service, as `namespace/name`.
        service: String,
        /// Which address: `ClusterIP`, `NodePort`, ...
        via: String,
        /// The packet.
        packet: String,
        /// Whether it goes over a connection that was there before.
        reused: bool,
    },
    /// The client tries again, once this pause is over.
    Retries {
        /// Which retry.
        retry: u64,
        /// How the try before ended.
        after: String,
    },
    /// A name is looked up, or the cached answer used.
    Resolves {
        /// The name.
        name: String,
        /// Whether DNS was asked.
        asked: bool,
        /// Addresses in the answer.
        answer: Vec<String>,
        /// The one taken; none: no such name.
        taken: Option<String>,
    },
    /// A message crosses links.
    Crosses {
        /// The vertices on its way, both ends included.
        path: Vec<String>,
        /// Whether it is on its way back.
        back: bool,
    },
    /// The load balancer chooses a target.
    Balances {
        /// Which kind it is.
        kind: String,
        /// What it could have chosen, with why not.
        targets: Vec<Candidate>,
        /// What it chose; none if there is nothing.
        chosen: Option<String>,
        /// How.
        how: String,
    },
    /// A Node's data plane decides on the first packet of a flow.
    Decides {
        /// Which data plane.
        data_plane: String,
        /// The packet as it arrives.
        packet: String,
        /// The rule that matches it.
        rule: String,
        /// Who the sender is to this Node.
        sender: String,
        /// The policy that governs the address.
        policy: String,
        /// Every endpoint that the Node knows, with why it was left out.
        candidates: Vec<Candidate>,
        /// Which list was used.
        list: String,
        /// How many changes of the endpoints the Node has yet to hear of.
        changes_behind: u64,
        /// How one was chosen: the draws or the state.
        draw: String,
        /// The endpoint chosen, by its name among the candidates; none: the packet goes to none.
        chosen: Option<String>,
        /// What became of the packet.
        verdict: String,
        /// The packet as it leaves; none if it does not. A port `*` is one that the kernel draws.
        rewritten: Option<String>,
        /// Whether its source was rewritten too (SNAT), so that the Pod cannot see who sent it.
        snat: bool,
        /// Whether the Pod is on another Node than the one the packet entered the cluster at.
        extra_hop: bool,
        /// The conntrack entry that later packets follow; none if there is none.
        conntrack: Option<String>,
    },
    /// A Node or the load balancer passes a packet of a flow that it knows.
    Follows {
        /// The entry it follows, or that translates an answer back.
        entry: String,
        /// Whether the packet is on its way back.
        back: bool,
    },
    /// The Pod takes the request in.
    Serves {
        /// The sender's address as the Pod sees it.
        sees: String,
        /// Time in line.
        waited_ns: u64,
        /// Time of service.
        service_ns: u64,
    },
    /// The Pod answers, or turns the request away.
    Answers {
        /// The answer as it leaves the Pod.
        packet: String,
        /// What it says, by its name in results; `handshake` before the request, `flight` of an answer of which more follows.
        result: String,
        /// Which way it goes, and who translates it back.
        way: String,
    },
    /// It ends.
    Ends {
        /// By its name in results.
        outcome: String,
    },
}

/// Something that could have been chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    /// A Pod or a Node.
    pub name: String,
    /// Its address and port.
    pub address: String,
    /// Its Node and zone.
    pub at: String,
    /// Why it was left out; none: it could have been chosen.
    pub left_out: Option<String>,
}
