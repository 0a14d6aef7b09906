//! What svcsim leaves out: fields ([`NotModelled`]) and whole objects ([`KeptOut`]).

use super::read::shorten;
use super::{Body, Object};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// A field of a modelled object that has no effect on the simulation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NotModelled {
    /// The file it stands in.
    pub file: PathBuf,
    /// The object it belongs to, e.g. `Deployment/frontend`.
    pub object: String,
    /// Its path, e.g. `spec.template.spec.containers[0].resources`; `[*]` where several items have it.
    pub field: String,
    /// The line, from 1; where several items have it, of the first.
    pub line: Option<usize>,
    /// Its value, shortened; where several have it with different values, of the first, with dots.
    pub value_short: String,
    /// Further objects of the kind that have the field ([`by_field`]).
    pub more: usize,
}

impl fmt::Display for NotModelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.object)?;
        if self.more > 0 {
            write!(f, " and {} more", self.more)?;
        }
        write!(f, ": {}: {}", self.field, self.value_short)
    }
}

/// An object that has no part in the simulation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeptOut {
    /// The file it stands in.
    pub file: PathBuf,
    /// The object, e.g. `Service/db`.
    pub object: String,
    /// The line it starts on, from 1.
    pub line: Option<usize>,
    /// Why.
    pub reason: String,
}

impl fmt::Display for KeptOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.object, self.reason)
    }
}

impl KeptOut {
    pub(super) fn new(object: &Object, reason: impl Into<String>) -> Self {
        let line = object.line("");
        Self { file: object.origin.source.file.clone(), object: object.title(), line, reason: reason.into() }
    }
}

/// Every field of modelled objects that is not modelled, one entry an object and field, sorted by object and field.
///
/// Objects of other kinds are not taken apart here: they are [`KeptOut`] as a whole.
#[must_use]
pub fn not_modelled(objects: &[Object]) -> Vec<NotModelled> {
    let mut all: Vec<NotModelled> = objects.iter().flat_map(of_object).collect();
    all.sort();
    all
}

/// The same, one entry a kind and field: what a dump of a thousand Pods needs.
#[must_use]
pub fn by_field(list: &[NotModelled]) -> Vec<NotModelled> {
    let mut fields: BTreeMap<(&str, &str), NotModelled> = BTreeMap::new();
    for entry in list {
        let kind = entry.object.split('/').next().unwrap_or_default();
        match fields.get_mut(&(kind, entry.field.as_str())) {
            Some(first) => {
                first.more += 1 + entry.more;
                differ(&mut first.value_short, &entry.value_short);
            }
            None => {
                fields.insert((kind, &entry.field), entry.clone());
            }
        }
    }
    fields.into_values().collect()
}

/// Says so if another value is not the same.
fn differ(shown: &mut String, other: &str) {
    if shown.trim_end_matches(" …") != other && !shown.ends_with(" …") {
        shown.push_str(" …");
    }
}

fn of_object(object: &Object) -> Vec<NotModelled> {
    let defaults = not_default(object);
    let read = object.ignored.iter().map(|i| (i.path.as_str(), i.value_short.as_str()));
    let mut fields: BTreeMap<String, (&str, String, bool)> = BTreeMap::new();
    for (path, value) in read.chain(defaults.iter().map(|(p, v)| (p.as_str(), v.as_str()))) {
        match fields.get_mut(&any_index(path)) {
            Some((_, shown, several)) => {
                *several = true;
                differ(shown, value);
            }
            None => {
                fields.insert(any_index(path), (path, value.to_owned(), false));
            }
        }
    }
    let entry = |(any, (first, value_short, several)): (String, (&str, String, bool))| NotModelled {
        file: object.origin.source.file.clone(),
        object: object.title(),
        line: object.line(first),
        field: if several { any } else { first.to_owned() },
        value_short,
        more: 0,
    };
    fields.into_iter().map(entry).collect()
}

/// `a[0].b[12]` as `a[*].b[*]`.
fn any_index(path: &str) -> String {
    let mut any = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('[') {
        any.push_str(before);
        match after.split_once(']') {
            Some((index, after)) if !index.is_empty() && index.bytes().all(|b| b.is_ascii_digit()) => {
                any.push_str("[*]");
                rest = after;
            }
            _ => {
                any.push('[');
                rest = after;
            }
        }
    }
    any + rest
}

/// Fields whose default is what svcsim models, and which say something else.
pub(super) fn not_default(object: &Object) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let Body::Service(service) = &object.body else { return found };
    let spec = &service.spec;
    let mut list = |name: &str, value: String| found.push((format!("spec.{name}"), value));
    if spec.cluster_ips.len() > 1 {
        list("clusterIPs", shorten(&spec.cluster_ips.as_slice().into()));
    }
    if spec.ip_families.len() > 1 {
        list("ipFamilies", shorten(&spec.ip_families.as_slice().into()));
    }
    if let Some(policy) = spec.ip_family_policy.as_ref().filter(|p| *p != "SingleStack") {
        list("ipFamilyPolicy", policy.clone());
    }
    if let Some(class) = &spec.load_balancer_class {
        list("loadBalancerClass", class.clone());
    }
    found
}
