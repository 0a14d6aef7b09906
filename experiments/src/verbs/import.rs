//! `svcsim import`: manifests in, an experiment out that runs unedited. What manifests cannot say it fills with
//! defaults that stand in the file, each with a comment; what svcsim does not model it lists, field by field.

use super::Failure;
use crate::input::error::InputError;
use crate::input::files::Files;
use crate::input::kubernetes::{self, KubernetesSpecs, Object, Reached, WorkloadFacts};
use std::fmt::Write as _;
use std::io::Read;
use std::path::{Path, PathBuf};
use svcsim_engine::SimDuration;
use svcsim_models::spec::{ServiceSpec, ServiceType};

/// Service time assumed for Pods, in milliseconds.
const SERVICE_TIME_MS: u32 = 10;
/// Requests a Pod is assumed to serve at once.
const CONCURRENCY: u32 = 8;
/// Share of the Pods' capacity that the assumed traffic asks for.
const LOAD: f64 = 0.6;
/// Assumed time to pull, start and pass a first probe, beyond what the readiness probe says.
const START_S: u64 = 5;

/// Writes the experiment to `out` or standard output, and the list of what is not modelled to standard error.
pub(crate) fn import(paths: &[PathBuf], out: Option<&Path>) -> Result<(), Failure> {
    if let Some(out) = out.filter(|o| o.exists()) {
        let problem = format!("{} is there already", out.display());
        return Err(InputError::new("--out", problem, "name another file, or remove this one").into());
    }
    let mut files = Files::default();
    let mut objects: Vec<Object> = Vec::new();
    let from_stdin = paths.iter().any(|p| p == Path::new("-"));
    for path in paths {
        let text = if path == Path::new("-") { standard_input()? } else { files.read(path, "")? };
        objects.extend(kubernetes::read(path, &text)?);
    }
    let specs = kubernetes::to_specs(&objects)?;
    let folder = out.and_then(Path::parent).unwrap_or(Path::new(""));
    let source = if from_stdin {
        inline(&objects)?
    } else {
        let listed = paths.iter().map(|p| serde_json::Value::from(relative(p, folder).to_string_lossy()).to_string());
        format!("  manifests: [{}]\n", listed.collect::<Vec<_>>().join(", "))
    };
    let name = if from_stdin { "imported".to_owned() } else { experiment_name(paths) };
    let experiment = experiment(&name, &source, &specs, from_stdin)?;
    match out {
        Some(path) => std::fs::write(path, &experiment).map_err(|e| Failure::Failed(format!("{}: {e}", path.display())))?,
        None => print!("{experiment}"),
    }
    say_what_is_missing(&specs);
    Ok(())
}

fn standard_input() -> Result<String, Failure> {
    let mut text = String::new();
    let limit = kubernetes::LARGEST_INPUT as u64 + 1;
    let read = std::io::stdin().take(limit).read_to_string(&mut text);
    read.map_err(|e| InputError::new("-", format!("standard input: {e}"), "pipe the output of `kubectl get ... -o yaml` in"))?;
    Ok(text)
}

/// The modelled part of all objects, to stand in the experiment.
fn inline(objects: &[Object]) -> Result<String, Failure> {
    let yaml = serde_saphyr::to_string(&kubernetes::to_yaml_values(objects)).map_err(|e| Failure::Failed(e.to_string()))?;
    let indented: String = yaml.lines().map(|line| format!("    {line}\n")).collect();
    Ok(format!("  objects:\n{indented}"))
}

/// `path` as seen from `folder`, where both are relative and `folder` is below here; else as it is, absolute.
fn relative(path: &Path, folder: &Path) -> PathBuf {
    let (Ok(path), Ok(folder)) = (std::path::absolute(path), std::path::absolute(folder)) else { return path.to_owned() };
    let shared = path.components().zip(folder.components()).take_while(|(a, b)| a == b).count();
    let up = folder.components().skip(shared).map(|_| "..");
    up.map(PathBuf::from).chain([path.components().skip(shared).collect()]).collect()
}

fn experiment_name(paths: &[PathBuf]) -> String {
    let stem = paths.first().and_then(|p| p.file_stem()).map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    let plain: String = stem.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' }).take(60).collect();
    if plain.trim_matches('-').is_empty() { "imported".to_owned() } else { plain }
}

/// The Service that the outside calls: the first LoadBalancer with Pods, else the first NodePort, else the first
/// that no workload's environment names.
fn entry(specs: &KubernetesSpecs) -> Option<(&ServiceSpec, &WorkloadFacts)> {
    let backend = |s: &ServiceSpec| {
        let selects = |w: &&WorkloadFacts| !s.selector.is_empty() && s.selector.iter().all(|(k, v)| w.spec.labels.get(k) == Some(v));
        specs.workloads.iter().find(selects)
    };
    let served: Vec<(&ServiceSpec, &WorkloadFacts)> =
        specs.services.iter().filter(|s| s.cluster_ip.is_some()).filter_map(|s| Some((s, backend(s)?))).collect();
    let of_type = |t: ServiceType| served.iter().find(|(s, _)| s.service_type == t).copied();
    let named = |s: &ServiceSpec| {
        let names = |value: &str| value.split([':', '/', '.']).any(|part| part == s.name);
        specs.workloads.iter().any(|w| w.env.iter().any(|(_, value)| names(value)))
    };
    of_type(ServiceType::LoadBalancer)
        .or_else(|| of_type(ServiceType::NodePort))
        .or_else(|| served.iter().find(|(s, _)| !named(s)).copied())
        .or_else(|| served.first().copied())
}

fn experiment(name: &str, source: &str, specs: &KubernetesSpecs, from_stdin: bool) -> Result<String, Failure> {
    let Some((service, workload)) = entry(specs) else {
        let problem = "no Service selects the Pods of any workload: there is nothing to send requests to";
        return Err(InputError::new("", problem, "give the manifests of Deployments together with those of their Services").into());
    };
    let reached = kubernetes::reached(workload, &specs.workloads, &specs.services);
    let calls: usize = reached.iter().map(|r| r.calls.len()).sum();
    let (rate, fullest) = rate(&reached);
    let startup = SimDuration::from_secs(START_S);
    let has_nodes = !specs.nodes.is_empty();
    let zoned = !has_nodes || specs.nodes.iter().all(|n| !n.zone.is_empty());
    let mut assumptions = vec![
        format!(
            "Service times are not in manifests: {SERVICE_TIME_MS} ms on average (lognormal, coefficient of variation 1), {CONCURRENCY} requests at once."
        ),
        format!(
            "Traffic is not in manifests: {rate} requests/s to Service {}, {:.0} % of what the Pods of {fullest} can serve.",
            service.name,
            100.0 * LOAD
        ),
        format!(
            "Containers of {} listen {startup} after they start; their probes decide when they are Ready.",
            workload.spec.name
        ),
        format!("Pods of {} crash, and are deleted, once in five minutes on average.", workload.spec.name),
        "Link delays are typical of one cloud region: about 0.1 ms within a zone, 0.5 ms between zones; clients outside are in the same region."
            .to_owned(),
    ];
    assumptions.push(if calls == 0 {
        "No environment variable names a Service: calls from one Service to another are part of the service time.".to_owned()
    } else {
        format!(
            "Who calls whom is taken from environment variables that name Services ({calls} calls between {} workloads): each once a \
             request, one after the other, by Pods that serve others meanwhile.",
            reached.len()
        )
    });
    if !has_nodes {
        assumptions.push("The manifests have no Nodes: 6 Nodes in 3 zones.".to_owned());
    }
    let mut not_modelled = Vec::new();
    if from_stdin {
        // The manifests will not be there to ask again.
        not_modelled.extend(specs.kept_out.iter().map(ToString::to_string));
        not_modelled.extend(kubernetes::by_field(&specs.not_modelled).iter().map(ToString::to_string));
    }
    let quoted = |list: &[String]| list.iter().map(|l| format!("    - {}\n", serde_json::Value::from(l.as_str()))).collect::<String>();
    let mut y = String::new();
    let _ = write!(
        y,
        "# Written by `svcsim import`. It runs as it is; what the manifests do not say was filled in, and every such\n\
         # line carries the word ASSUMED: put your own figures there.\n\
         apiVersion: svcsim/v1alpha1\n\
         kind: Experiment\n\
         metadata:\n  name: {name}\n  question: {question}\n  assumptions:\n{assumptions}",
        question = serde_json::Value::from(question(service)),
        assumptions = quoted(&assumptions),
    );
    if !not_modelled.is_empty() {
        let _ = write!(y, "  notModelled:\n{}", quoted(&not_modelled));
    }
    let _ = write!(y, "kubernetes:\n{source}");
    if !has_nodes {
        y.push_str("  nodes: {zones: [zone-a, zone-b, zone-c], perZone: 2}  # ASSUMED: no Nodes in the manifests\n");
    }
    y.push_str(if zoned { ZONES } else { ONE_SWITCH });
    y.push_str(SITES);
    let _ = write!(
        y,
        "pods:\n  # ASSUMED: what Pods do with requests.\n\
         \x20 default: {{serviceTime: {{lognormal: {{mean: {SERVICE_TIME_MS}ms, cv: 1}}}}, concurrency: {CONCURRENCY}, queueLimit: 100}}\n\
         {pods}traffic:\n  clients:\n    from: {from}\n    to: {to}\n    via: {via:?}\n    arrivals: {{poisson: {{rate: {rate}/s}}}}  # ASSUMED\n\
         \x20   clients: 100  # ASSUMED\n    connections: perRequest  # or keepAlive: {{maxIdle: 10}}\n    requestSize: 1KiB  # ASSUMED\n    responseSize: 20KiB  # ASSUMED\n    timeout: 10s  # ASSUMED\n\
         events:  # ASSUMED: leave it out for Pods that never change.\n  crashes: {{every: {{exponential: {{mean: 5min}}}}, do: {{podCrash: {{workload: {workload}}}}}}}\n  deletions: {{every: {{exponential: {{mean: 5min}}}}, do: {{podDelete: {{workload: {workload}}}}}}}\n\
         run: {{duration: 65s, warmUp: 5s}}\n\
         design:\n  seed: 1\n  replications: 10\n",
        pods = reached.iter().map(|r| pod(r, r.workload.spec.name == workload.spec.name, startup)).collect::<String>(),
        workload = quote(&workload.spec.name),
        to = quote(&service.name),
        from = if service.service_type == ServiceType::ClusterIP { "cluster" } else { "{site: region}" },
        via = service.service_type,
    );
    y.push_str(&factors(service));
    Ok(y)
}

/// Requests per second that fill the workload which is filled first, to the share that is assumed; and its name.
fn rate(reached: &[Reached<'_>]) -> (f64, String) {
    let capacity = |r: &Reached<'_>| {
        let pods = r.workload.spec.replicas.max(1);
        f64::from(pods * CONCURRENCY) * 1e3 / f64::from(SERVICE_TIME_MS) / f64::from(r.visits.max(1))
    };
    let fullest = reached.iter().min_by(|a, b| capacity(a).total_cmp(&capacity(b)));
    fullest.map_or((1.0, String::new()), |r| ((LOAD * capacity(r)).round().max(1.0), r.workload.spec.name.clone()))
}

/// What the Pods of a workload do that requests reach; the first of them, and those that call others, say it all.
fn pod(reached: &Reached<'_>, first: bool, startup: SimDuration) -> String {
    if !first && reached.calls.is_empty() {
        return String::new();
    }
    let mut y = format!(
        "  {name}:\n    serviceTime: {{lognormal: {{mean: {SERVICE_TIME_MS}ms, cv: 1}}}}\n    concurrency: {CONCURRENCY}\n    queueLimit: 100\n    startup: {startup}\n",
        name = quote(&reached.workload.spec.name),
    );
    if !reached.calls.is_empty() {
        y.push_str(
            "    async: true\n    calls:  # ASSUMED: each once a request, in this order; several in one list would be made at once\n",
        );
    }
    for call in &reached.calls {
        let port = call.port.map_or_else(String::new, |p| format!(", port: \"{p}\""));
        let _ =
            writeln!(y, "      - {{to: {}{port}, connections: {{keepAlive: {{maxIdle: 100}}}}}}  # {}", quote(call.service), call.variable);
    }
    y
}

fn question(service: &ServiceSpec) -> String {
    match service.service_type {
        ServiceType::ClusterIP | ServiceType::ExternalName => {
            format!("What do clients of Service {} see while its Pods come and go?", service.name)
        }
        ServiceType::NodePort | ServiceType::LoadBalancer => {
            format!("Which way into Service {} is fast, even and loses least while its Pods come and go?", service.name)
        }
    }
}

/// A name as a YAML scalar that no reader takes for anything else.
fn quote(name: &str) -> String {
    serde_json::Value::from(name).to_string()
}

const ZONES: &str = "\
network:
  # ASSUMED: one-way delays of a region with several zones.
  shape:
    zones:
      node: {delay: {shifted: {by: 20us, dist: {exponential: {mean: 15us}}}}}
      zone: {delay: {shifted: {by: 80us, dist: {exponential: {mean: 20us}}}}}
      interZone: {delay: {shifted: {by: 300us, dist: {exponential: {mean: 100us}}}}}
";

const ONE_SWITCH: &str = "\
network:
  # ASSUMED: one-way delays; the Nodes carry no zone labels.
  shape:
    oneSwitch:
      node: {delay: {shifted: {by: 20us, dist: {exponential: {mean: 15us}}}}}
";

const SITES: &str = "  sites:
    region:  # ASSUMED: callers in the same region, outside the cluster; for the internet put e.g. 10ms
      link: {delay: {shifted: {by: 80us, dist: {exponential: {mean: 20us}}}}, bandwidth: 1Gbit/s, queue: 16MiB}
";

/// Every way in that the Service offers.
fn factors(service: &ServiceSpec) -> String {
    if service.service_type == ServiceType::ClusterIP {
        return String::new();
    }
    let policy = quote(&format!("services.{}.spec.externalTrafficPolicy", service.name));
    let mut text = "  factors:\n    - name: entry\n      levels:\n        ClusterIP: {traffic.clients.from: cluster, traffic.clients.via: ClusterIP}\n".to_owned();
    let balanced = service.service_type == ServiceType::LoadBalancer;
    for via in ["NodePort", "LoadBalancer"].iter().take(if balanced { 2 } else { 1 }) {
        for choice in ["Cluster", "Local"] {
            let _ = writeln!(text, "        {}: {{traffic.clients.via: {via}, {policy}: {choice}}}", quote(&format!("{via}, {choice}")));
        }
    }
    text
}

fn say_what_is_missing(specs: &KubernetesSpecs) {
    for warning in &specs.warnings {
        eprintln!("warning: {warning}");
    }
    let fields = kubernetes::by_field(&specs.not_modelled);
    if !specs.kept_out.is_empty() {
        eprintln!("Objects that have no part in the simulation:");
        specs.kept_out.iter().for_each(|k| eprintln!("  {k}"));
    }
    if !fields.is_empty() {
        eprintln!("Fields that are not modelled and change nothing:");
        fields.iter().for_each(|f| eprintln!("  {f}"));
    }
}
