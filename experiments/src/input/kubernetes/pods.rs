//! Pods of a dump: which workload each belongs to, and where it runs.
//!
//! In a dump a Deployment is there three times: as itself, as ReplicaSets and as Pods. Pods of a workload that is in the
//! input only say where its replicas run. Where the owner is not in the input, its Pods together are the workload.

use super::specs::{Found, Import, same_namespace};
use super::types::{Metadata, OwnerReference, Pod};
use super::{Body, KeptOut, Object};
use std::collections::{BTreeMap, BTreeSet};

/// Whose part an object is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Owner<'a> {
    /// Nobody's: it stands for itself.
    None,
    /// Of the object of the input with this index.
    Object(usize),
    /// Of something that is not in the input, by kind and name.
    Absent(&'a str, &'a str),
}

/// The owner of each object.
pub(super) fn owners(objects: &[Object]) -> Vec<Owner<'_>> {
    let mut index: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
    for (i, object) in objects.iter().enumerate() {
        if !matches!(object.body, Body::Other(_) | Body::Pod(_)) {
            index.entry((&object.kind, &object.name)).or_default().push(i);
        }
    }
    let lookup = |of: &Object, kind: &str, name: &str| {
        let all = index.get(&(kind, name))?;
        all.iter().copied().find(|i| objects.get(*i).is_some_and(|o| same_namespace(o, of)))
    };
    let selectors: Vec<(usize, &BTreeMap<String, String>)> =
        objects.iter().enumerate().filter_map(|(i, o)| Some((i, selector(&o.body)?))).filter(|(_, s)| !s.is_empty()).collect();
    let by_labels = |of: &Object, labels: &BTreeMap<String, String>, kind: Option<&str>| {
        let fits = |(i, selector): &&(usize, &BTreeMap<String, String>)| {
            let object = objects.get(*i);
            object.is_some_and(|o| same_namespace(o, of) && kind.is_none_or(|k| o.kind == k))
                && selector.iter().all(|(k, v)| labels.get(k) == Some(v))
        };
        selectors.iter().find(fits).map(|(i, _)| *i)
    };
    let owner = |object| owner_of(object, lookup, by_labels);
    let direct: Vec<Owner<'_>> = objects.iter().map(owner).collect();
    // A ReplicaSet stands between a Deployment and its Pods.
    let top = |owner: &Owner<'_>| match owner {
        Owner::Object(i) => match direct.get(*i) {
            Some(Owner::Object(above)) => Some(*above),
            _ => None,
        },
        _ => None,
    };
    let tops: Vec<Option<usize>> = direct.iter().map(top).collect();
    direct.into_iter().zip(tops).map(|(owner, top)| top.map_or(owner, Owner::Object)).collect()
}

fn owner_of<'a>(
    object: &'a Object,
    lookup: impl Fn(&Object, &str, &str) -> Option<usize>,
    by_labels: impl Fn(&Object, &BTreeMap<String, String>, Option<&str>) -> Option<usize>,
) -> Owner<'a> {
    match &object.body {
        Body::ReplicaSet(set) => {
            let of = controller(&set.metadata).filter(|of| of.kind == "Deployment");
            of.and_then(|of| lookup(object, &of.kind, &of.name)).map_or(Owner::None, Owner::Object)
        }
        Body::Pod(pod) => {
            let labels = &pod.metadata.labels;
            let Some(of) = controller(&pod.metadata) else {
                return by_labels(object, labels, None).map_or(Owner::None, Owner::Object);
            };
            if let Some(i) = lookup(object, &of.kind, &of.name) {
                return Owner::Object(i);
            }
            if of.kind != "ReplicaSet" {
                return Owner::Absent(&of.kind, &of.name);
            }
            // ReplicaSets are seldom in a dump; the Deployment's name is the ReplicaSet's without the hash of the template.
            let hash = labels.get("pod-template-hash").map(String::as_str).unwrap_or_default();
            let name = of.name.strip_suffix(hash).and_then(|n| n.strip_suffix('-')).filter(|n| !n.is_empty());
            let named = name.and_then(|n| lookup(object, "Deployment", n));
            match named.or_else(|| by_labels(object, labels, Some("Deployment"))) {
                Some(i) => Owner::Object(i),
                None => name.map_or(Owner::Absent(&of.kind, &of.name), |n| Owner::Absent("Deployment", n)),
            }
        }
        _ => Owner::None,
    }
}

fn controller(metadata: &Metadata) -> Option<&OwnerReference> {
    let all = &metadata.owner_references;
    all.iter().find(|o| o.controller == Some(true)).or(if all.len() == 1 { all.first() } else { None })
}

fn selector(body: &Body) -> Option<&BTreeMap<String, String>> {
    let selector = match body {
        Body::Deployment(o) => &o.spec.selector,
        Body::ReplicaSet(o) => &o.spec.selector,
        Body::StatefulSet(o) => &o.spec.selector,
        Body::DaemonSet(o) => &o.spec.selector,
        _ => return None,
    };
    selector.as_ref().map(|s| &s.match_labels)
}

/// The Pods of the input that take part, by owner.
pub(super) struct Placing<'a> {
    /// By index of the workload.
    of_objects: BTreeMap<usize, Vec<(&'a Object, &'a Pod)>>,
    /// By kind and name of an owner that is not in the input; taken by the first of the Pods.
    of_absent: BTreeMap<Owners<'a>, Vec<(&'a Object, &'a Pod)>>,
    /// The first Pod of each of those, by index.
    first: BTreeMap<usize, Owners<'a>>,
    bare: BTreeSet<usize>,
}

/// Namespace, kind and name.
type Owners<'a> = (&'a str, &'a str, &'a str);

impl<'a> Placing<'a> {
    pub(super) fn new(import: &mut Import<'a>, owners: &[Owner<'a>]) -> Self {
        let mut this = Self { of_objects: BTreeMap::new(), of_absent: BTreeMap::new(), first: BTreeMap::new(), bare: BTreeSet::new() };
        for (i, (object, owner)) in import.objects.iter().zip(owners).enumerate() {
            let Body::Pod(pod) = &object.body else { continue };
            let phase = pod.status.phase.as_deref().unwrap_or_default();
            if pod.metadata.deletion_timestamp.is_some() {
                import.kept_out.push(KeptOut::new(object, "terminating: the simulation starts without it"));
                continue;
            }
            if matches!(phase, "Succeeded" | "Failed") {
                import.kept_out.push(KeptOut::new(object, format!("in phase {phase}: it serves no requests")));
                continue;
            }
            if pod.status.conditions.iter().any(|c| c.r#type == "Ready" && c.status != "True") {
                let problem = "this Pod was not Ready when the input was written";
                import.warnings.push(object.warning("status", problem, "the simulation starts with all Pods placed and Ready"));
            }
            match owner {
                Owner::None => {
                    this.bare.insert(i);
                }
                Owner::Object(of) => this.of_objects.entry(*of).or_default().push((object, pod)),
                Owner::Absent(kind, name) => {
                    let key = (object.namespace.as_deref().unwrap_or_default(), *kind, *name);
                    let pods = this.of_absent.entry(key).or_default();
                    if pods.is_empty() {
                        this.first.insert(i, key);
                    }
                    pods.push((object, pod));
                }
            }
        }
        for pods in this.of_objects.values_mut().chain(this.of_absent.values_mut()) {
            pods.sort_by(|a, b| by_name(a.0, b.0));
        }
        this
    }

    /// Puts the replicas of a workload where its Pods run.
    pub(super) fn place(&self, import: &mut Import<'a>, of: usize, found: &mut Found<'a>) {
        let Some(pods) = self.of_objects.get(&of) else { return };
        let placed = nodes_of(import, pods.iter().copied());
        if found.facts.spec.is_daemon() {
            return;
        }
        let replicas = found.facts.spec.replicas as usize;
        if pods.len() > replicas {
            let problem = format!("{} Pods run, but only {replicas} are asked for", pods.len());
            let why = "the simulation starts with as many as are asked for, first those whose names come first";
            import.warnings.push(found.object.warning("spec.replicas", problem, why));
        }
        if !placed.is_empty() {
            found.facts.spec.placed_on = placed;
            found.facts.spec.placed_on.truncate(replicas);
        }
    }

    /// The workload that a Pod stands for: itself, or, if it is the first of its owner's, all of them.
    pub(super) fn pod(&mut self, import: &mut Import<'a>, index: usize, object: &'a Object, pod: &'a Pod) -> Option<Found<'a>> {
        if self.bare.contains(&index) {
            let mut found = import.workload(object, "", &pod.metadata.labels, &pod.spec);
            found.facts.spec.placed_on = nodes_of(import, [(object, pod)].into_iter());
            return Some(found);
        }
        let key = self.first.remove(&index)?;
        let pods = self.of_absent.remove(&key)?;
        let mut labels = pod.metadata.labels.clone();
        labels.retain(|k, v| pods.iter().all(|(_, p)| p.metadata.labels.get(k) == Some(v)));
        labels.remove("pod-template-hash");
        let mut found = import.workload(object, "", &labels, &pod.spec);
        let (_, kind, name) = key;
        found.facts.spec.name = name.to_owned();
        found.facts.spec.field = format!("pods.{name}");
        found.facts.spec.replicas = pods.len() as u32;
        found.facts.spec.placed_on = nodes_of(import, pods.iter().copied());
        if let Some(other) = import.workloads.iter().find(|w| w.facts.spec.name == name) {
            let problem = format!("the Pods of {kind}/{name} form a workload named {name}, and so does {}", other.object.title());
            import.errors.push(object.error(
                "metadata.ownerReferences",
                problem,
                "import one namespace at a time, or add the owner to the input",
            ));
        }
        Some(found)
    }
}

/// The Nodes that Pods run on, as far as they are in the input.
fn nodes_of<'a>(import: &mut Import<'a>, pods: impl Iterator<Item = (&'a Object, &'a Pod)>) -> Vec<String> {
    let mut placed = Vec::new();
    for (object, pod) in pods {
        match pod.spec.node_name.as_ref().filter(|n| !n.is_empty()) {
            Some(node) if import.nodes.iter().any(|n| n.name == *node) => placed.push(node.clone()),
            Some(node) if !import.nodes.is_empty() => {
                let problem = format!("this Pod runs on Node `{node}`, which is not in the input");
                import.warnings.push(object.warning("spec.nodeName", problem, "it is placed on another Node"));
            }
            Some(_) => {}
            None => {
                let problem = "this Pod is on no Node yet";
                import.warnings.push(object.warning("spec.nodeName", problem, "the simulation starts with it placed and Ready"));
            }
        }
    }
    placed
}

/// By name; `web-2` before `web-10`, as a StatefulSet counts them.
fn by_name(a: &Object, b: &Object) -> std::cmp::Ordering {
    let split = |name: &str| {
        let (base, number) = name.rsplit_once('-')?;
        Some((base.to_owned(), number.parse::<u64>().ok().filter(|_| !number.starts_with('0') || number == "0")?))
    };
    match (split(&a.name), split(&b.name)) {
        (Some(x), Some(y)) if x.0 == y.0 => x.1.cmp(&y.1),
        _ => a.name.cmp(&b.name),
    }
}
