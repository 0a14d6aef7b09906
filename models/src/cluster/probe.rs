//! [`Probe`]: follows one request and notes what happens to it.
//!
//! Everything is asked of the nouns before they decide, by functions that change nothing, so a followed run takes exactly the
//! course of any other.

mod answer;

use super::request::Back;
use super::{Cluster, Outcome, Request, Source, Stage};
use crate::api::{Endpoint, HintLevel};
use crate::dataplane::{Address, Approach, Candidates, Packet, Scope, Sender, VirtualServer};
use crate::explain::{Candidate, Explanation, Step, What};
use crate::ids::{NodeId, SourceId, VertexId};
use crate::load_balancer::{ClientAddress, Target};
use crate::network::Leg;
use crate::spec::{Protocol, TrafficDistribution, Via};
use svcsim_engine::{Key, SimTime};

/// Which request is followed, and what is known of it.
#[derive(Debug)]
pub(super) struct Probe {
    source: SourceId,
    /// Requests of the source to let pass before.
    left: u64,
    pub(super) key: Option<Key>,
    pub(super) done: bool,
    /// Who sent it.
    client: String,
    pub(super) explanation: Explanation,
}

impl Probe {
    pub(super) fn new(source: SourceId, name: &str, request: u64) -> Self {
        let explanation = Explanation { source: name.to_owned(), request, ..Explanation::default() };
        Self { source, left: request, key: None, done: false, client: String::new(), explanation }
    }

    /// Requests of the source so far, if the one to follow has yet to come.
    pub(super) fn passed(&self) -> u64 {
        self.explanation.request - self.left
    }

    fn note(&mut self, start: SimTime, end: SimTime, place: String, what: What, notes: Vec<String>) {
        self.explanation.steps.push(Step { start_ns: start.as_nanos(), end_ns: end.as_nanos(), place, what, notes });
    }
}

impl Cluster {
    /// Whether `key` is the request that is followed.
    #[inline]
    pub(super) fn follows(&self, key: Key) -> bool {
        self.probe.as_ref().is_some_and(|p| p.key == Some(key) && !p.done)
    }

    fn note(&mut self, start: SimTime, end: SimTime, place: String, what: What, notes: Vec<String>) {
        if let Some(probe) = &mut self.probe {
            probe.note(start, end, place, what, notes);
        }
    }

    /// A request was made; it may be the one.
    pub(super) fn probe_sent(&mut self, key: Key, r: &Request, leaves: SimTime) {
        let next = |p: &&mut Box<Probe>| p.source == r.source && if r.attempt == 0 { p.key.is_none() } else { p.key == Some(key) };
        let Some(probe) = self.probe.as_mut().filter(next) else { return };
        if r.attempt == 0 {
            if probe.left > 0 {
                probe.left -= 1;
                return;
            }
            probe.key = Some(key);
            probe.explanation.start_ns = r.start.as_nanos();
        }
        let source = &self.sources[r.source];
        let service = &self.table.services[source.service];
        let name = format!("{}/{}", service.namespace, service.name);
        let client = self.client_name(source, r.client);
        if let Some(probe) = &mut self.probe {
            probe.client.clone_from(&client);
        }
        let mut notes = Vec::new();
        if source.resolver.is_some() && r.fresh {
            let cached = source.clients[r.client as usize].resolved.as_ref().and_then(|a| a.endpoints());
            let of = |e: &Endpoint| socket(e.ip, e.port);
            let endpoints = cached.and_then(|set| set.ports.get(usize::from(source.port)));
            let answer = endpoints.map_or_else(
                || service.cluster_ip.iter().map(ToString::to_string).collect(),
                |p| p.ready().iter().map(|i| of(&p.endpoints[*i as usize])).collect(),
            );
            let taken = match source.via {
                Via::PodIP => endpoints.and_then(|p| p.endpoints.iter().find(|e| e.pod == r.connection.pod)).map(of),
                _ => service.cluster_ip.map(|ip| ip.to_string()),
            };
            let what = What::Resolves {
                name: format!("{}.{}.svc.cluster.local", service.name, service.namespace),
                asked: leaves > r.start,
                answer,
                taken,
            };
            let why = match source.via {
                Via::PodIP => {
                    "A headless Service has no address of its own: DNS answers with its ready Pods, and the client chooses. \
                               Until the answer expires, the client does not hear of changes."
                }
                _ => "DNS answers with the Service's one address, however many Pods there are.",
            };
            let (start, place) = (r.start, client.clone());
            self.note(start, leaves, place, what, vec![why.to_owned()]);
        }
        let source = &self.sources[r.source];
        notes.extend(self.reuse_note(source, r));
        notes.extend(self.balance_note(source, r));
        let packet = text(&self.dialled_packet(source, r));
        let what = What::Sends { service: name, via: format!("{:?}", source.via), packet, reused: !r.fresh };
        self.note(leaves, leaves, client, what, notes);
    }

    /// TCP sends a packet again.
    pub(super) fn probe_sends_again(&mut self, r: &Request, cause: Outcome, held: bool, now: SimTime) {
        let source = &self.sources[r.source];
        let follows = match (r.fresh, held) {
            (false, _) => "The connection stands, and so does its Pod.",
            (true, true) => "The first packet has left a choice behind, which this one follows, whatever has changed since.",
            (true, false) => "Nothing remembers the packet before: whoever chooses, chooses anew.",
        };
        let notes = vec![format!("Nobody answered ({}): the client's TCP sends the packet again. {follows}", cause.name())];
        let service = &self.table.services[source.service];
        let name = format!("{}/{}", service.namespace, service.name);
        let packet = text(&self.dialled_packet(source, r));
        let what = What::Sends { service: name, via: format!("{:?}", source.via), packet, reused: !r.fresh };
        let client = self.client_name(source, r.client);
        self.note(now, now, client, what, notes);
    }

    /// The client tries again with the request `next`, which is followed from now on.
    pub(super) fn probe_retries(&mut self, next: Key, failed: &Request, outcome: Outcome, (now, then): (SimTime, SimTime)) {
        let client = self.client_name(&self.sources[failed.source], failed.client);
        let retry = u64::from(failed.attempt) + 1;
        let notes = vec!["The try before may still be at work in the cluster: its Pod does not know that nobody waits for it.".to_owned()];
        self.note(now, then, client, What::Retries { retry, after: outcome.name().to_owned() }, notes);
        if let Some(probe) = &mut self.probe {
            probe.key = Some(next);
        }
    }

    /// The message crosses links from `leg.at` to `to`.
    pub(super) fn probe_crossing(&mut self, r: &Request, leg: Leg, to: VertexId, start: SimTime, end: SimTime) {
        let vertices = self.network.vertices();
        let mut path = vec![vertices[leg.at].name.clone()];
        for link in self.network.route(leg) {
            let next = self.network.links()[link].to;
            path.push(vertices[next].name.clone());
            if next == to {
                break;
            }
        }
        let back = !matches!(r.stage, Stage::ToLoadBalancer | Stage::ToEntry | Stage::ToPod);
        if path.len() < 2 {
            return;
        }
        // The message rests before each link that queues: it is one crossing all the same.
        if let Some(Step { end_ns, what: What::Crosses { path: so_far, back: before }, .. }) =
            self.probe.as_mut().and_then(|p| p.explanation.steps.last_mut())
            && (*before, *end_ns, so_far.last()) == (back, start.as_nanos(), path.first())
        {
            so_far.extend(path.into_iter().skip(1));
            *end_ns = end.as_nanos();
            return;
        }
        self.note(start, end, "network".to_owned(), What::Crosses { path, back }, Vec::new());
    }

    /// Someone who has chosen before passes a packet on.
    pub(super) fn probe_passing(&mut self, r: &Request, at: SimTime, leaves: SimTime) {
        let source = &self.sources[r.source];
        let packet = self.packet(source, r.client, r.connection.entry, r.connection.flow);
        let entry_of = |node: NodeId| self.conntrack_entry(&packet, r, node);
        let node = r.connection.entry;
        let (place, entry, note) = match r.stage {
            Stage::ToEntry => (self.node_name(node), entry_of(node), "The flow's first packet was translated here: this one follows."),
            Stage::BackToEntry => (
                self.node_name(node),
                entry_of(node),
                "The Pod answered this Node, whose address it saw. Only this Node knows the connection: it puts the client's address and the \
                 address dialled back in, so that the client notices nothing.",
            ),
            Stage::ToLoadBalancer | Stage::BackToLoadBalancer => {
                ("load balancer".to_owned(), "the connection's target is fixed".to_owned(), "Established connections keep their target.")
            }
            _ => return,
        };
        let back = matches!(r.stage, Stage::BackToEntry | Stage::BackToLoadBalancer);
        self.note(at, leaves, place, What::Follows { entry, back }, vec![note.to_owned()]);
    }

    /// What the load balancer that a source dials may choose from.
    pub(super) fn probe_targets(&self, source: SourceId) -> Vec<Candidate> {
        let Some(balancer) = self.balancer_of(source) else { return Vec::new() };
        let describe = |target: &Target| {
            let left_out = match (balancer.lb.is_healthy(*target), balancer.lb.is_ejected(*target)) {
                (true, false) => None,
                (true, true) => Some("ejected for its failures".to_owned()),
                (false, _) => Some("unhealthy, or not yet checked".to_owned()),
            };
            match *target {
                Target::Node(node) => {
                    Candidate { name: self.node_name(node), address: self.node_address(node), at: self.node_name(node), left_out }
                }
                Target::Pod(pod) => {
                    let p = &self.pods[pod];
                    Candidate { name: self.pod_name(pod), address: p.ip.to_string(), at: self.node_name(p.node), left_out }
                }
            }
        };
        balancer.targets.iter().map(describe).collect()
    }

    /// The load balancer has chosen a Node or a Pod.
    pub(super) fn probe_balancing(&mut self, r: &Request, start: SimTime, end: SimTime, targets: Vec<Candidate>, chosen: Option<Target>) {
        let once = if self.proxying(r).is_some() {
            "The load balancer is a proxy: the client's connection ends here, and it chooses for each request."
        } else {
            "The load balancer knows nothing of requests: it chooses once for each connection."
        };
        let mut notes = vec![once.to_owned()];
        match chosen {
            None => notes.push("There is no target at all: the connection is refused.".to_owned()),
            Some(Target::Node(_)) => {
                notes.push(
                    "Its targets are Nodes, not Pods: the Node's own proxy chooses a Pod next, which may run on another Node.".to_owned(),
                );
            }
            Some(Target::Pod(_)) => notes.push("Its targets are Pods: no Node's proxy has a say.".to_owned()),
        }
        let Some(balancer) = self.balancer_of(r.source) else { return };
        let parameters = balancer.lb.parameters();
        if parameters.client_address == ClientAddress::Lost {
            notes.push("It puts its own address in place of the client's.".to_owned());
        }
        let chosen = chosen.map(|t| match t {
            Target::Node(node) => self.node_name(node),
            Target::Pod(pod) => self.pod_name(pod),
        });
        let how = format!("{:?} over the connection's addresses and ports", parameters.algorithm);
        let what = What::Balances { kind: self.load_balancer.to_owned(), targets, chosen, how };
        self.note(start, end, "load balancer".to_owned(), what, notes);
    }

    /// The entry Node is about to decide: what it knows and what it will draw.
    pub(super) fn probe_before_decision(&self, r: &Request, now: SimTime) -> What {
        let source = &self.sources[r.source];
        let node = &self.nodes[r.connection.entry];
        let packet = self.packet(source, r.client, r.connection.entry, r.connection.flow);
        let mut what = What::Decides {
            data_plane: self.data_plane.to_owned(),
            packet: text(&packet),
            rule: "none: no address of a Service that this Node serves".to_owned(),
            sender: sender_text(node.proxy.addresses().sender(packet.src)).to_owned(),
            policy: "none".to_owned(),
            candidates: Vec::new(),
            list: "none".to_owned(),
            changes_behind: self.endpoints[source.service].version.saturating_sub(node.proxy.view(source.service).version),
            draw: String::new(),
            chosen: None,
            verdict: String::new(),
            rewritten: None,
            snat: false,
            extra_hop: false,
            conntrack: None,
        };
        let What::Decides { rule, policy, candidates, list, draw, .. } = &mut what else { return what };
        match source.clients[r.client as usize].approach {
            Approach::NoMatch => {}
            Approach::Refused(_) => {
                *rule = "an address of a Service, but the sender is outside loadBalancerSourceRanges or the port is none of the Service's"
                    .to_owned();
            }
            Approach::Server(server, sender) => {
                let service = &self.table.services[server.service];
                *rule = self.rule_text(server);
                let external = server.address != Address::ClusterIP;
                let (name, value) = match external {
                    true => ("externalTrafficPolicy", service.external_traffic_policy),
                    false => ("internalTrafficPolicy", service.internal_traffic_policy),
                };
                *policy = format!("{name}: {value:?}");
                let found = node.proxy.candidates(&self.table, server, sender).ok();
                if let Some(found) = found {
                    *list = list_text(found.scope).to_owned();
                    *draw = match node.proxy.bound(service, server, &packet, now) {
                        Some(pod) => format!("session affinity binds this client to {}", self.pod_name(pod)),
                        None => node.proxy.explain(server, found, &packet, now),
                    };
                }
                *candidates = self.candidates_text(r.connection.entry, server, found);
            }
        }
        what
    }

    /// What the Node decided.
    pub(super) fn probe_decision(&mut self, r: &Request, mut what: What, start: SimTime, end: SimTime, cause: Option<Outcome>) {
        let source = &self.sources[r.source];
        let entry = r.connection.entry;
        let client = &source.clients[r.client as usize];
        let packet = self.packet(source, r.client, entry, r.connection.flow);
        let mut notes = Vec::new();
        if let What::Decides { policy, verdict, chosen, rewritten, snat, extra_hop, conntrack, list, candidates, changes_behind, .. } =
            &mut what
        {
            if self.dialled_packet(source, r).dst != packet.dst {
                notes.push("The load balancer has put this Node's address and node port in place of its own.".to_owned());
            }
            if *changes_behind > 0 {
                notes.push(format!(
                    "This Node has yet to hear of {changes_behind} change(s) of the Service's Pods: it decides by what was true before."
                ));
            }
            if let Approach::Server(server, sender) = client.approach {
                notes.extend(self.hint_note(entry, server));
                if sender != Sender::Outside && source.via == Via::LoadBalancer && source.balancer.is_none() {
                    notes.push(
                        "A Pod dialled the load balancer's address, but its own Node knows that address and translates it in place: the packet \
                         never reaches the load balancer, its health checks or its firewall."
                            .to_owned(),
                    );
                }
            }
            match cause {
                Some(Outcome::Rejected) => {
                    *verdict = "reject: but the Node has said so too often of late to say it again".to_owned();
                    *list = "empty".to_owned();
                    notes.push(
                        "Linux limits how often it tells one address (net.ipv4.icmp_ratelimit): the client hears nothing.".to_owned(),
                    );
                }
                None if r.result == Outcome::Rejected && r.stage != Stage::ToPod => {
                    *verdict = "reject: the client is told at once (connection refused)".to_owned();
                    *list = "empty".to_owned();
                    notes.push(
                        "No Pod of the Service is usable anywhere, so the Node refuses at once instead of letting the client wait."
                            .to_owned(),
                    );
                }
                None => {
                    let pod = &self.pods[r.connection.pod];
                    let to = self.endpoint_text(source, r.connection.pod);
                    let from = if r.connection.snat { self.node_address(entry) } else { packet.src.to_string() };
                    let port = if r.connection.snat { "*".to_owned() } else { packet.sport.to_string() };
                    *chosen = Some(self.pod_name(r.connection.pod));
                    *snat = r.connection.snat;
                    *extra_hop = pod.node != entry && client.node != Some(entry);
                    *verdict = format!("forward to {}", self.pod_name(r.connection.pod));
                    *rewritten = Some(format!("{} {} -> {to}", packet.protocol, with_port(&from, &port)));
                    *conntrack = r.connection.tracked.then(|| self.conntrack_entry(&packet, r, entry));
                    if pod.node != entry {
                        notes.push(match client.node == Some(entry) {
                            true => format!("The Pod runs on {}: the packet crosses the network once, straight to it.", self.node_name(pod.node)),
                            false => format!(
                                "The Pod runs on {}, not on the Node the packet entered at: it crosses the network once more. That is the extra hop \
                                 of externalTrafficPolicy Cluster.",
                                self.node_name(pod.node)
                            ),
                        });
                    }
                    if r.connection.snat {
                        notes.push(format!(
                            "The source is rewritten (SNAT): the Pod sees {from} and not the client's {}, and its answer has to come back through \
                             this Node.",
                            packet.src
                        ));
                    }
                    if r.connection.back == Back::Astray {
                        notes.push(
                            "The answer will not pass this Node, so nobody translates it back: the client gets it from an address it never dialled \
                             and throws it away."
                                .to_owned(),
                        );
                    }
                    if !r.connection.tracked {
                        notes.push("The address was translated in the client's connect() call: no packet is rewritten and no conntrack entry made.".to_owned());
                    }
                }
                Some(Outcome::PolicyDrop) => {
                    *verdict = "drop: silence, until the client gives up".to_owned();
                    if policy.ends_with("Local") && !candidates.is_empty() {
                        list_text(Scope::Local).clone_into(list);
                        list.push_str(": none");
                        notes.push(format!(
                            "The policy is Local and {} runs no usable Pod of the Service, though other Nodes do. Local never forwards to \
                             another Node. The packet is dropped, not refused: the client hears nothing and waits for its whole timeout.",
                            self.node_name(entry)
                        ));
                    }
                }
                Some(Outcome::ConntrackFull) => *verdict = "drop: this Node's conntrack table is full".to_owned(),
                Some(Outcome::SnatExhausted) => *verdict = "drop: every source port towards the chosen Pod is taken".to_owned(),
                Some(_) => *verdict = "none: the packet goes on as ordinary traffic, to nobody".to_owned(),
            }
        }
        let place = self.node_name(entry);
        self.note(start, end, place, what, notes);
    }

    /// The Pod is done with the request, or turned it away.
    pub(super) fn probe_served(&mut self, r: &Request, now: SimTime) {
        let place = self.pod_name(r.connection.pod);
        let what = What::Serves { sees: self.sender_seen(r), waited_ns: r.waited.as_nanos(), service_ns: r.demand.as_nanos() };
        let notes = if r.waited.as_nanos() > r.demand.as_nanos() {
            vec!["It waited longer than it was served: others came to this Pod before it.".to_owned()]
        } else {
            Vec::new()
        };
        self.note(r.joined, now, place, what, notes);
    }

    /// It ended.
    pub(super) fn probe_ended(&mut self, r: &Request, outcome: Outcome, now: SimTime) {
        let inside = (outcome == Outcome::TimedOut && r.stage == Stage::InPod).then(|| {
            let pod = self.pod_name(r.connection.pod);
            format!("It was still in {pod}, in line or being served, when the client gave up: the Pod goes on for nobody.")
        });
        let Some(probe) = &mut self.probe else { return };
        probe.done = true;
        outcome.name().clone_into(&mut probe.explanation.outcome);
        probe.explanation.end_ns = now.as_nanos();
        // Links and Nodes that decide nothing are passed in one go, ahead of the clock: of what is told of them, only what came
        // before the end counts.
        let end = now.as_nanos();
        probe.explanation.steps.retain(|s| s.start_ns <= end);
        for step in probe.explanation.steps.iter_mut().filter(|s| s.end_ns > end) {
            step.end_ns = end;
            step.notes.push("This was not over yet when the client gave up.".to_owned());
        }
        let place = probe.client.clone();
        probe.note(now, now, place, What::Ends { outcome: outcome.name().to_owned() }, inside.into_iter().collect());
        probe.explanation.sum_up();
    }

    /// Why hints narrow the candidates at a Node, or do not.
    fn hint_note(&self, node: NodeId, server: VirtualServer) -> Option<String> {
        let service = &self.table.services[server.service];
        let proxy = &self.nodes[node].proxy;
        let port = proxy.endpoints(server)?;
        let asked = match (service.topology_mode_auto, service.traffic_distribution) {
            (true, _) => "topology-mode Auto".to_owned(),
            (false, Some(TrafficDistribution::PreferSameZone)) => "trafficDistribution PreferSameZone (once PreferClose)".to_owned(),
            (false, Some(TrafficDistribution::PreferSameNode)) => "trafficDistribution PreferSameNode".to_owned(),
            (false, None) => return None,
        };
        Some(match port.hinted(proxy.vantage()) {
            Some((HintLevel::Zone, _)) => {
                format!("{asked}: every ready endpoint carries a zone hint, so this Node uses those for its own zone only.")
            }
            Some((HintLevel::Node, _)) => format!("{asked}: this Node uses the endpoints hinted to it only."),
            None => {
                let bare = port.ready().iter().map(|i| &port.endpoints[*i as usize]).find(|e| e.hints.zones.is_empty());
                match bare {
                    Some(e) => {
                        let why = if e.zone.is_none() { ", since its Node carries no zone label" } else { "" };
                        format!(
                            "{asked}, but the hints vanish: {} has none{why}. One ready endpoint without a hint turns them off for all, so \
                             this Node uses every ready endpoint, far ones too.",
                            self.pod_name(e.pod)
                        )
                    }
                    None => {
                        let why = match proxy.vantage().zone {
                            None => "this Node carries no zone label",
                            Some(_) => "no ready endpoint is meant for this Node's zone",
                        };
                        format!("{asked}, but the hints do not hold here: {why}, so this Node uses every ready endpoint, far ones too.")
                    }
                }
            }
        })
    }

    fn candidates_text(&self, node: NodeId, server: VirtualServer, found: Option<Candidates<'_>>) -> Vec<Candidate> {
        let Some(port) = self.nodes[node].proxy.endpoints(server) else { return Vec::new() };
        let list = found.map_or(&[][..], |f| f.list);
        let describe = |(i, e): (u32, &Endpoint)| {
            let left_out = (!list.contains(&i)).then(|| {
                let c = e.conditions;
                let ready_elsewhere = "draining: takes new connections only where no ready endpoint is left";
                match (c.ready, c.serving && c.terminating) {
                    (false, true) => ready_elsewhere,
                    (false, false) => "not ready",
                    (true, _) if e.node != Some(node) && found.is_none_or(|f| f.scope == Scope::Local) => {
                        "on another Node, and the policy is Local"
                    }
                    (true, _) => "its hint is for another zone or Node",
                }
                .to_owned()
            });
            let at = e.node.map_or_else(|| "no Node".to_owned(), |n| self.node_name(n));
            Candidate { name: self.pod_name(e.pod), address: socket(e.ip, e.port), at, left_out }
        };
        (0..).zip(&port.endpoints).map(describe).collect()
    }

    fn rule_text(&self, server: VirtualServer) -> String {
        let service = &self.table.services[server.service];
        let port = service.ports.get(usize::from(server.port));
        let number = port.map_or(0, |p| p.port);
        match server.address {
            Address::ClusterIP => format!("cluster IP of {}, port {number}", service.name),
            Address::NodePort => format!("node port {} of {}", port.and_then(|p| p.node_port).unwrap_or(0), service.name),
            Address::LoadBalancer(_) => format!("load balancer's address of {}, port {number}", service.name),
            Address::ExternalIP(_) => format!("external IP of {}, port {number}", service.name),
        }
    }

    fn conntrack_entry(&self, packet: &Packet, r: &Request, entry: NodeId) -> String {
        let source = &self.sources[r.source];
        let pod = self.endpoint_text(source, r.connection.pod);
        let seen = if r.connection.snat { self.node_address(entry) } else { packet.src.to_string() };
        let (src, dst) = (socket(packet.src, packet.sport), socket(packet.dst, packet.dport));
        format!("{} {src} -> {dst}, answered by {pod} -> {seen}", packet.protocol)
    }

    fn endpoint_text(&self, source: &Source, pod: crate::ids::PodId) -> String {
        let p = &self.pods[pod];
        socket(p.ip, self.target_port(source.service, usize::from(source.port), p.workload).unwrap_or(0))
    }

    fn node_address(&self, node: NodeId) -> String {
        self.nodes[node].proxy.addresses().addresses.first().map_or_else(String::new, ToString::to_string)
    }

    /// A Node's name, with its zone.
    pub(super) fn node_name(&self, node: NodeId) -> String {
        let spec = &self.nodes[node].spec;
        if spec.zone.is_empty() { format!("Node {}", spec.name) } else { format!("Node {} ({})", spec.name, spec.zone) }
    }

    /// A Pod's name.
    pub(super) fn pod_name(&self, pod: crate::ids::PodId) -> String {
        self.pods.enumerate().nth(pod.0 as usize).map_or_else(String::new, |(_, p)| format!("Pod {}", self.replicas[p.replica].name))
    }

    fn client_name(&self, source: &Source, client: u32) -> String {
        let c = &source.clients[client as usize];
        match c.node {
            Some(node) => format!("client {client} in a Pod on {}", self.node_name(node)),
            None => format!("client {client} at {}", self.network.vertices()[c.vertex].name),
        }
    }
}

fn socket(ip: std::net::IpAddr, port: u16) -> String {
    std::net::SocketAddr::new(ip, port).to_string()
}

/// An address with a port that may be unknown.
fn with_port(address: &str, port: &str) -> String {
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}

fn text(packet: &Packet) -> String {
    let protocol: Protocol = packet.protocol;
    format!("{protocol} {} -> {}", socket(packet.src, packet.sport), socket(packet.dst, packet.dport))
}

fn sender_text(sender: Sender) -> &'static str {
    match sender {
        Sender::Pod => "a Pod of the cluster",
        Sender::Node => "this Node itself",
        Sender::Outside => "someone outside the cluster",
    }
}

fn list_text(scope: Scope) -> &'static str {
    match scope {
        Scope::Cluster => "all usable endpoints of the cluster",
        Scope::Local => "usable endpoints on this Node",
        Scope::ShortCircuit => "all usable endpoints, since the sender is inside the cluster (policy Local is for the outside)",
    }
}
