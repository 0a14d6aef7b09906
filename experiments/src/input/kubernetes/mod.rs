//! Kubernetes manifests: what they say to svcsim, and what they say that svcsim does not model.
//!
//! [`read`] turns a file into [`Object`]s, [`to_specs`] objects into the plain facts that models take; [`set`] changes one
//! field, [`settle`] does to changed objects what the API server does, and [`to_yaml_values`] writes back what was understood, so
//! that an experiment can stand by itself. Numbers that the API server gives out are not written: they follow from names.
//!
//! # Why own types
//!
//! The types here are the *modelled subset* of Kubernetes' API, not the API: they hold the fields that change a simulation,
//! under the names they have in Kubernetes. A crate with the whole API (`k8s-openapi`) costs over a minute of building, and it
//! cannot answer the question that users of a simulator have: which of the fields in my manifest does it *not* model? A subset
//! read through `serde_ignored` gives exactly that list ([`NotModelled`]). Fields whose default is what svcsim models
//! (`protocol: TCP`) are read as well, and listed where they differ. The price is a list of the names that Kubernetes
//! knows and svcsim does not read, in `schema.rs`: it tells a field that is not modelled from a typing error.
//!
//! # Scalars mean what they mean to kubectl
//!
//! kubectl reads YAML 1.1 and hands the API server JSON. So a bare `no`, `on` or `y` is a boolean here, `0755` is octal (493)
//! and `1.10` is a number; where the API wants a string (a label's value, `env`) such a value is refused with the advice to
//! quote it, as the API server refuses it, and is never turned into a string silently. Reading by the type of the field
//! instead, or by YAML 1.2, would accept files that a cluster refuses and would match labels that a cluster does not match.
//! Keys given twice are refused, as by kubectl's strict validation.

pub(crate) mod api_server;
mod calls;
mod patch;
mod placement;
mod pods;
mod policies;
mod quantity;
mod read;
mod report;
mod schema;
pub(crate) mod services;
mod specs;
#[cfg(test)]
mod tests;
pub(crate) mod types;

pub use calls::{Reached, reached};
pub use patch::{set, settle, to_yaml_values};
pub(in crate::input) use read::parse;
pub use read::{LARGEST_INPUT, from_value, read};
pub use report::{KeptOut, NotModelled, by_field};
pub use specs::{KubernetesSpecs, WorkloadFacts, to_specs};
use types::{DaemonSet, Deployment, HorizontalPodAutoscaler, Node, Pod, PodDisruptionBudget, ReplicaSet, Service, StatefulSet};

use super::error::{InputError, Span, Warning};
use super::locate::Locations;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

/// A text and where it came from.
#[derive(Debug, Default)]
pub struct Source {
    /// Its file; empty for text that is in none.
    pub file: PathBuf,
    /// All of it.
    pub text: Arc<str>,
    locations: OnceLock<Locations>,
}

impl Source {
    /// A text of a file.
    #[must_use]
    pub fn new(file: impl Into<PathBuf>, text: &str) -> Arc<Self> {
        Arc::new(Self { file: file.into(), text: text.into(), locations: OnceLock::new() })
    }

    /// Where each field stands; found out when first asked for.
    pub fn locations(&self) -> &Locations {
        self.locations.get_or_init(|| Locations::of(&self.text))
    }

    /// The file, unless the text is in none.
    #[must_use]
    pub fn path(&self) -> Option<PathBuf> {
        (!self.file.as_os_str().is_empty()).then(|| self.file.clone())
    }
}

/// Where an object stands.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The text it was read from.
    pub source: Arc<Source>,
    /// Which document of it, from 0, counting those that hold something.
    pub document: usize,
    /// Path within the document; empty, or such as `items[3]`.
    pub prefix: String,
}

impl Origin {
    /// The place of a field of the object, or of its nearest ancestor.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<Span> {
        self.source.locations().find(self.document, &self.full(path))
    }

    /// The place of a field's key, or of its nearest ancestor's.
    #[must_use]
    pub fn find_key(&self, path: &str) -> Option<Span> {
        self.source.locations().find_key(self.document, &self.full(path))
    }

    fn full(&self, path: &str) -> String {
        join(&self.prefix, path)
    }
}

/// A Kubernetes object of the input.
#[derive(Clone, Debug)]
pub struct Object {
    /// `kind`.
    pub kind: String,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`, where the input gives one.
    pub namespace: Option<String>,
    /// Where it stands.
    pub origin: Origin,
    /// What svcsim reads of it.
    pub body: Body,
    /// What svcsim does not read of it.
    ignored: Vec<read::Ignored>,
    /// Paths that were changed after reading: the text no longer says what they hold.
    changed: Vec<String>,
}

/// The modelled subset of an object.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant)] // There is one a manifest, and nearly all are large.
pub enum Body {
    /// v1 Node.
    Node(Node),
    /// v1 Pod.
    Pod(Pod),
    /// v1 Service.
    Service(Service),
    /// apps/v1 Deployment.
    Deployment(Deployment),
    /// apps/v1 ReplicaSet.
    ReplicaSet(ReplicaSet),
    /// apps/v1 StatefulSet.
    StatefulSet(StatefulSet),
    /// apps/v1 DaemonSet.
    DaemonSet(DaemonSet),
    /// autoscaling/v2 HorizontalPodAutoscaler.
    HorizontalPodAutoscaler(HorizontalPodAutoscaler),
    /// policy/v1 PodDisruptionBudget.
    PodDisruptionBudget(PodDisruptionBudget),
    /// Any other kind, with the reason why it has no part in the simulation.
    Other(String),
}

impl Object {
    /// `Deployment/frontend`.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{}/{}", self.kind, self.name)
    }

    /// Where errors say it stands: `deployments.frontend`.
    #[must_use]
    pub fn field(&self) -> String {
        let plural = plural(&self.body).map_or_else(|| format!("{}s", self.kind.to_lowercase()), str::to_owned);
        join(&plural, &self.name)
    }

    /// An error at a Kubernetes path of this object, with its place.
    #[must_use]
    pub fn error(&self, path: &str, problem: impl Into<String>, fix: impl Into<String>) -> InputError {
        let at = self.origin.find(path);
        self.error_at(at, path, problem, fix)
    }

    /// The same, where the key is at fault and not the value.
    fn error_at_key(&self, path: &str, problem: impl Into<String>, fix: impl Into<String>) -> InputError {
        let at = self.origin.find_key(path);
        self.error_at(at, path, problem, fix)
    }

    fn error_at(&self, at: Option<Span>, path: &str, problem: impl Into<String>, fix: impl Into<String>) -> InputError {
        let error = InputError::new(join(&self.field(), path), problem, fix);
        match self.origin.source.path() {
            // A changed field is not what the text says: quoting the text would mislead.
            Some(file) if !self.is_changed(path) => error.in_file(file, self.origin.source.text.clone(), at),
            _ => error,
        }
    }

    /// A warning at a Kubernetes path of this object, with its place.
    #[must_use]
    pub fn warning(&self, path: &str, problem: impl Into<String>, why: impl Into<String>) -> Warning {
        let line = if self.is_changed(path) { None } else { self.line(path) };
        Warning { file: self.origin.source.path(), line, field: join(&self.field(), path), problem: problem.into(), why: why.into() }
    }

    fn line(&self, path: &str) -> Option<usize> {
        self.origin.find_key(path).map(|span| span.line)
    }

    fn is_changed(&self, path: &str) -> bool {
        self.changed.iter().any(|c| path.strip_prefix(c.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '['])))
    }
}

/// Maps an error at a field such as `services.web.spec.ports[0].nodePort`, found by whoever took the specs, to its place in
/// the input. An error at anything else comes back as it is, without a place.
#[must_use]
pub fn locate(objects: &[Object], field: &str, problem: &str, fix: &str) -> InputError {
    match object_at(objects, field) {
        Some((i, path)) => objects[i].error(path, problem, fix),
        None => InputError::new(field, problem, fix),
    }
}

/// The object that `field` starts with, and the rest of the path. Names may have dots in them: the longest wins.
fn object_at<'p>(objects: &[Object], field: &'p str) -> Option<(usize, &'p str)> {
    let after = |o: &Object| {
        let rest = field.strip_prefix(o.field().as_str())?;
        if rest.is_empty() || rest.starts_with('[') { Some(rest) } else { rest.strip_prefix('.') }
    };
    let fits = objects.iter().enumerate().filter(|(_, o)| plural(&o.body).is_some_and(|p| field.starts_with(p)));
    let (i, rest, _) =
        fits.filter_map(|(i, o)| after(o).map(|rest| (i, rest, o.name.len()))).max_by_key(|(i, _, length)| (*length, usize::MAX - i))?;
    Some((i, rest))
}

/// The first part of the paths of errors.
fn plural(body: &Body) -> Option<&'static str> {
    match body {
        Body::Node(_) => Some("nodes"),
        Body::Pod(_) => Some("pods"),
        Body::Service(_) => Some("services"),
        Body::Deployment(_) => Some("deployments"),
        Body::ReplicaSet(_) => Some("replicasets"),
        Body::StatefulSet(_) => Some("statefulsets"),
        Body::DaemonSet(_) => Some("daemonsets"),
        Body::HorizontalPodAutoscaler(_) => Some("horizontalpodautoscalers"),
        Body::PodDisruptionBudget(_) => Some("poddisruptionbudgets"),
        Body::Other(_) => None,
    }
}

/// `a` and `b` as one path.
fn join(a: &str, b: &str) -> String {
    match (a.is_empty(), b.is_empty()) {
        (true, _) => b.to_owned(),
        (_, true) => a.to_owned(),
        _ if b.starts_with('[') => format!("{a}{b}"),
        _ => format!("{a}.{b}"),
    }
}

/// A key as part of a path: in brackets if it holds what paths are made of.
fn segment(path: &str, key: &str) -> String {
    match key.contains(['.', '[', ']', '"']) {
        true => format!("{path}[\"{key}\"]"),
        false => join(path, key),
    }
}
