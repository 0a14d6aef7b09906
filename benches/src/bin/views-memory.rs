//! `views-memory [NODES] [SERVICES] [ENDPOINTS] [CHANGED]`: what it takes to give every Node its own view of all Services, in
//! MB of resident memory (Linux), while `CHANGED` Services change at half of the Nodes, at all, and when all agree again.

use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use svcsim_engine::Id;
use svcsim_engine::random::Streams;
use svcsim_models::api::{Conditions, Endpoint, EndpointSet, Hints, PortEndpoints, Vantage};
use svcsim_models::dataplane::{DataPlaneSpec, EndpointTable, NodeAddresses, NodePortAddresses, Proxy, ProxySpec};
use svcsim_models::ids::{NodeId, PodId, ServiceId};

fn main() {
    let mut args = std::env::args().skip(1);
    let mut number = |default: u32| args.next().and_then(|a| a.parse().ok()).unwrap_or(default);
    let (nodes, services, endpoints, changed) = (number(5_000), number(10_000), number(15), number(100));
    let mut table: EndpointTable = (0..services).map(|s| set(s, endpoints, nodes, 0)).collect();
    report("endpoints", &[]);
    let mut proxies: Vec<Proxy> = (0..nodes).map(proxy).collect();
    report("proxies without views", &proxies);
    share(&mut proxies, &table);
    report("all agree", &proxies);
    let news: Vec<_> = (0..changed.min(services)).map(|s| (ServiceId(s), set(s, endpoints, nodes, 1))).collect();
    let (first, rest) = proxies.split_at_mut(nodes as usize / 2);
    learn(first, &news);
    report("half of the Nodes know the changes", first);
    learn(rest, &news);
    report("all know them", &proxies);
    news.into_iter().for_each(|(service, set)| table[service] = set);
    share(&mut proxies, &table);
    report("all agree again", &proxies);
    let tables: Vec<EndpointTable> = proxies.iter().map(|_| table.clone()).collect();
    report(&format!("for comparison: {} tables, one for each Node", tables.len()), &[]);
}

fn share(proxies: &mut [Proxy], table: &EndpointTable) {
    let table = Rc::new(table.clone());
    proxies.iter_mut().for_each(|p| p.share(&table));
}

fn learn(proxies: &mut [Proxy], news: &[(ServiceId, Rc<EndpointSet>)]) {
    for proxy in proxies {
        for (service, set) in news {
            proxy.learn(*service, set);
        }
    }
}

fn set(service: u32, endpoints: u32, nodes: u32, version: u64) -> Rc<EndpointSet> {
    let endpoint = |i| Endpoint {
        pod: PodId(i),
        ip: IpAddr::V4(Ipv4Addr::from(i)),
        port: 80,
        node: Some(NodeId(i % nodes.max(1))),
        zone: None,
        conditions: Conditions { ready: true, serving: true, terminating: false },
        hints: Hints::default(),
    };
    let port = PortEndpoints::new((service * endpoints..(service + 1) * endpoints).map(endpoint).collect());
    Rc::new(EndpointSet { version, ports: vec![port], ..EndpointSet::default() })
}

fn proxy(node: u32) -> Proxy {
    let addresses = NodeAddresses {
        addresses: vec![IpAddr::V4(Ipv4Addr::from(node))],
        pod_cidr: None,
        node_port_addresses: NodePortAddresses::Default,
        localhost_node_ports: true,
    };
    let vantage = Vantage { node: NodeId::from_index(node as usize), zone: None, node_hints: true };
    Proxy::new(vantage, addresses, &ProxySpec::default(), &DataPlaneSpec::default(), Streams::new(0, 0).stream(0, 0))
}

fn report(what: &str, proxies: &[Proxy]) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kilobytes = status.lines().find_map(|l| l.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    let own: usize = proxies.iter().map(Proxy::own_views).sum();
    println!("{:>8.1} MB  {own:>8} views of their own  {what}", kilobytes.unwrap_or(0) as f64 / 1024.0);
}
