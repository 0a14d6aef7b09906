//! Who calls whom, as environment variables tell: `CART_SERVICE_ADDR: cartservice:7070`.

use super::WorkloadFacts;
use svcsim_models::spec::ServiceSpec;

/// Ends of the names of variables that say where a Service is.
const ENDS: [&str; 3] = ["_ADDR", "_HOST", "_URL"];

/// A Service that a workload's containers are told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalledService<'a> {
    /// The variable.
    pub variable: &'a str,
    /// The Service's name.
    pub service: &'a str,
    /// The port that it is called under, where it is not the Service's first.
    pub port: Option<u16>,
}

/// The Services that `workload`'s variables `*_ADDR`, `*_HOST` and `*_URL` name, each once, in their order.
#[must_use]
pub fn called_services<'a>(workload: &'a WorkloadFacts, services: &'a [ServiceSpec]) -> Vec<CalledService<'a>> {
    let mut called: Vec<CalledService<'_>> = Vec::new();
    for (variable, value) in workload.env.iter().filter(|(name, _)| ENDS.iter().any(|end| name.ends_with(end))) {
        let Some((host, port)) = host_and_port(value) else { continue };
        let Some(service) = services.iter().find(|s| is_name_of(host, s)) else { continue };
        if called.iter().any(|c| c.service == service.name) {
            continue;
        }
        let known = port.filter(|p| service.ports.iter().skip(1).any(|known| known.port == *p));
        called.push(CalledService { variable, service: &service.name, port: known });
    }
    called
}

/// A workload that requests reach, and whom it calls.
#[derive(Clone, Debug)]
pub struct Reached<'a> {
    /// The workload.
    pub workload: &'a WorkloadFacts,
    /// The Services that it calls, but those by which a request would come back to it.
    pub calls: Vec<CalledService<'a>>,
    /// How often it is called for one request from outside.
    pub visits: u32,
}

/// The workloads that requests to the workload `entry` reach, callers before those that they call.
#[must_use]
pub fn reached<'a>(entry: &'a WorkloadFacts, workloads: &'a [WorkloadFacts], services: &'a [ServiceSpec]) -> Vec<Reached<'a>> {
    let mut graph = Graph { workloads, services, state: vec![State::New; workloads.len()], last_first: Vec::new() };
    if let Some(start) = workloads.iter().position(|w| w.spec.name == entry.spec.name) {
        graph.follow(start);
    }
    let mut reached: Vec<Reached<'_>> = graph.last_first.into_iter().rev().collect();
    if let Some(first) = reached.first_mut() {
        first.visits = 1;
    }
    for at in 0..reached.len() {
        let (visits, called) = (reached[at].visits, reached[at].calls.clone());
        for backend in called.iter().filter_map(|c| backend(c.service, workloads, services)) {
            let name = &workloads[backend].spec.name;
            let times = reached.iter_mut().filter(|r| r.workload.spec.name == *name);
            times.for_each(|r| r.visits = r.visits.saturating_add(visits));
        }
    }
    reached
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    New,
    OnTheWay,
    Done,
}

struct Graph<'a> {
    workloads: &'a [WorkloadFacts],
    services: &'a [ServiceSpec],
    state: Vec<State>,
    last_first: Vec<Reached<'a>>,
}

impl Graph<'_> {
    /// Depth first: what leads back to the way here is left out.
    fn follow(&mut self, at: usize) {
        self.state[at] = State::OnTheWay;
        let workload = &self.workloads[at];
        let mut calls = called_services(workload, self.services);
        calls.retain(|call| {
            let Some(next) = backend(call.service, self.workloads, self.services) else { return false };
            if self.state[next] == State::New {
                self.follow(next);
            }
            self.state[next] == State::Done
        });
        self.state[at] = State::Done;
        self.last_first.push(Reached { workload, calls, visits: 0 });
    }
}

/// The first workload that a Service selects.
fn backend(service: &str, workloads: &[WorkloadFacts], services: &[ServiceSpec]) -> Option<usize> {
    let service = services.iter().find(|s| s.name == service && !s.selector.is_empty())?;
    workloads.iter().position(|w| service.selector.iter().all(|(k, v)| w.spec.labels.get(k) == Some(v)))
}

/// Of `http://cart.shop:7070/path` the name and the number.
fn host_and_port(value: &str) -> Option<(&str, Option<u16>)> {
    let value = value.trim();
    let authority = value.split_once("://").map_or(value, |(_, rest)| rest).split(['/', '?']).next()?;
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (host, port) = authority.split_once(':').map_or((authority, None), |(host, port)| (host, port.parse().ok()));
    (!host.is_empty()).then_some((host, port))
}

/// `cart`, `cart.shop`, `cart.shop.svc`, `cart.shop.svc.cluster.local`, with or without a dot at the end.
fn is_name_of(host: &str, service: &ServiceSpec) -> bool {
    let mut labels = host.trim_end_matches('.').split('.');
    let name = labels.next().is_some_and(|n| n == service.name);
    name && labels.next().is_none_or(|namespace| namespace == service.namespace) && labels.next().is_none_or(|svc| svc == "svc")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str, ports: &[u16]) -> ServiceSpec {
        let ports = ports.iter().map(|p| svcsim_models::spec::ServicePortSpec::tcp("", *p)).collect();
        ServiceSpec { name: name.to_owned(), namespace: "shop".to_owned(), ports, ..ServiceSpec::default() }
    }

    #[test]
    fn hosts_and_ports_are_found_in_addresses_and_urls() {
        let cases = [
            ("cartservice:7070", Some(("cartservice", Some(7070)))),
            ("redis://user:word@redis-cart.shop.svc.cluster.local:6379/0", Some(("redis-cart.shop.svc.cluster.local", Some(6379)))),
            ("http://reviews/path?x=1", Some(("reviews", None))),
            ("reviews:http", Some(("reviews", None))),
            ("", None),
            ("http://", None),
        ];
        for (value, expected) in cases {
            assert_eq!(host_and_port(value), expected, "{value}");
        }
    }

    #[test]
    fn names_are_matched_whole() {
        let cart = service("cart", &[80]);
        let names = ["cart", "cart.", "cart.shop", "cart.shop.svc", "cart.shop.svc.cluster.local."];
        assert!(names.iter().all(|n| is_name_of(n, &cart)));
        assert!(["carts", "cart.other", "cart.example.com", "shop.cart", "10.0.0.1"].iter().all(|n| !is_name_of(n, &cart)));
    }
}
