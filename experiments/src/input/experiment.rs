//! The experiment file: what a user writes, resolved once into what runs.
//!
//! The file becomes a tree of values, in which factors and `--set` change fields by path; the tree is read typed,
//! and an error's path finds its line and column in the file. Manifests, topologies and samples that the file
//! refers to are put in their place, so that a resolved experiment needs no other file.

use super::error::{InputError, Span, Warning};
use super::files::Files;
use super::kubernetes::{self, KubernetesSpecs, Object, Source};
use super::topology;
use super::tree;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use svcsim_models::dataplane::DataPlaneSpec;
use svcsim_models::load_balancer::LoadBalancerSpec;
use svcsim_models::network::{FileSpec, NetworkSpec};
use svcsim_models::spec::{ChurnSpec, ClusterSpec, NodeSpec, PodBehaviour, PropagationSpec, RunSpec, SpecError, TrafficSpec};

/// The `apiVersion` of the files this version reads.
pub const API_VERSION: &str = "svcsim/v1alpha1";

/// An experiment file. Unknown keys are refused, quantities carry their units.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Experiment {
    /// `svcsim/v1alpha1`.
    pub api_version: String,
    /// `Experiment`.
    pub kind: String,
    /// What it is called and what it asks.
    pub metadata: Metadata,
    /// The cluster's objects.
    pub kubernetes: KubernetesSection,
    /// The network that joins client sites and Nodes.
    pub network: NetworkSpec,
    /// How Nodes realise Services.
    #[serde(default = "default_data_plane")]
    pub data_plane: DataPlaneSpec,
    /// What stands in front of Services of type LoadBalancer.
    #[serde(default)]
    pub load_balancer: LoadBalancerSpec,
    /// How long the control plane takes to tell Nodes.
    #[serde(default)]
    pub propagation: PropagationSpec,
    /// What Pods do with requests, by workload; `default` for all others.
    pub pods: BTreeMap<String, PodBehaviour>,
    /// Who calls which Service.
    pub traffic: BTreeMap<String, TrafficSpec>,
    /// What goes wrong at random, by workload.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub churn: BTreeMap<String, ChurnSpec>,
    /// How long a run lasts.
    pub run: RunSpec,
    /// What is varied and how often it is repeated.
    #[serde(default)]
    pub design: DesignSection,
}

fn default_data_plane() -> DataPlaneSpec {
    DataPlaneSpec::Iptables
}

/// What an experiment is called and what it asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// Names the results directory.
    pub name: String,
    /// The question, in a sentence; the report opens with it.
    #[serde(default)]
    pub question: String,
    /// What was assumed where nobody knew; the report lists it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assumptions: Vec<String>,
    /// What was asked for and is not modelled; the report lists it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_modelled: Vec<String>,
}

/// Where the cluster's objects come from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KubernetesSection {
    /// Files or globs, relative to the experiment file: YAML (many documents), JSON, `List`s.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub manifests: Vec<String>,
    /// Objects written here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<Value>,
    /// Nodes to make where the objects have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<MadeNodes>,
    /// Fields of objects to change, e.g. `deployments.frontend.spec.replicas: 6`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub patches: BTreeMap<String, Value>,
}

/// Nodes that no manifest knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MadeNodes {
    /// Names of the zones.
    pub zones: Vec<String>,
    /// Nodes in each zone, named `<zone>-<n>`.
    pub per_zone: u32,
}

/// What is varied and how often it is repeated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DesignSection {
    /// Keys every random stream.
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// Independent runs of each design point.
    #[serde(default = "default_replications")]
    pub replications: u32,
    /// What is varied; all combinations are run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub factors: Vec<FactorSection>,
}

impl Default for DesignSection {
    fn default() -> Self {
        Self { seed: default_seed(), replications: default_replications(), factors: Vec::new() }
    }
}

fn default_seed() -> u64 {
    1
}

fn default_replications() -> u32 {
    10
}

/// One factor: either `path` with a list of `levels`, or a `name` with `levels` that each set some fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FactorSection {
    /// The factor's column in results; by default the last part of the path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The field that is varied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// A list of values for `path`; or a map from a level's name to the fields that it sets.
    pub levels: Value,
}

/// An experiment with everything it refers to, ready to become the spec of any design point.
pub struct Loaded {
    /// The resolved experiment: no files, no patches, all defaults filled in.
    pub experiment: Experiment,
    /// Every file read, with its digest.
    pub files: Files,
    /// What is legal but odd in the input.
    pub warnings: Vec<Warning>,
    /// What the manifests say that is not modelled.
    pub not_modelled: Vec<String>,
    source: Arc<Source>,
    /// The resolved experiment as a tree, without its objects.
    tree: Value,
    objects: Vec<Object>,
}

impl Loaded {
    /// Reads and resolves the experiment at `path`, with fields changed by `sets`.
    ///
    /// # Errors
    /// Everything that is wrong with it, as far as it can be told at once.
    pub fn read(path: &Path, sets: &[(String, Value)]) -> Result<Self, Vec<InputError>> {
        let mut files = Files::default();
        let text = files.read(path, "").map_err(|e| vec![e])?;
        let source = Source::new(path, text.strip_prefix('\u{feff}').unwrap_or(&text));
        let reader = Reader(&source);
        let mut tree = reader.tree().map_err(|e| vec![e])?;
        let mut object_sets = Vec::new();
        for (field, value) in sets {
            if is_kubernetes(field) {
                object_sets.push((field.clone(), value.clone()));
            } else {
                tree::set(&mut tree, field, value.clone()).map_err(|problem| {
                    vec![InputError::new(field, problem, "name a field of the experiment, e.g. --set run.duration=30s")]
                })?;
            }
        }
        let dir = path.parent().unwrap_or(Path::new("")).to_owned();
        let mut warnings = Vec::new();
        resolve_files(&mut tree, &dir, &mut files, &mut warnings).map_err(|e| vec![reader.place(e)])?;
        let mut experiment = reader.typed(&tree, "").map_err(|e| vec![e])?;
        reader.check_header(&experiment).map_err(|e| vec![e])?;
        let placed = |errors: Vec<InputError>| errors.into_iter().map(|e| reader.place(e)).collect::<Vec<_>>();
        let objects = read_objects(&experiment.kubernetes, &object_sets, &dir, &source, &mut files).map_err(placed)?;
        let specs = kubernetes::to_specs(&objects)?;
        warnings.extend(specs.warnings.iter().cloned());
        let mut not_modelled = experiment.metadata.not_modelled.clone();
        not_modelled.extend(specs.kept_out.iter().map(ToString::to_string));
        not_modelled.extend(kubernetes::by_field(&specs.not_modelled).iter().map(ToString::to_string));
        experiment.kubernetes = KubernetesSection {
            objects: kubernetes::to_yaml_values(&objects),
            nodes: experiment.kubernetes.nodes.take(),
            ..KubernetesSection::default()
        };
        Ok(Self { experiment, files, warnings, not_modelled, source, tree, objects })
    }

    /// The spec of the design point that sets `fields`.
    ///
    /// # Errors
    /// A field that cannot be set so.
    pub fn spec(&self, fields: &[(String, Value)]) -> Result<ClusterSpec, InputError> {
        let reader = Reader(&self.source);
        let mut tree = self.tree.clone();
        let mut objects = self.objects.clone();
        for (field, value) in fields {
            if is_kubernetes(field) {
                patch(&mut objects, field, value.clone()).map_err(|e| reader.place(e))?;
            } else {
                let set = tree::set(&mut tree, field, value.clone());
                set.map_err(|problem| reader.place(InputError::new("design.factors", problem, "correct the factor's path")))?;
            }
        }
        let context = fields.iter().map(|(field, value)| format!("{field} = {}", tree::shown(value))).collect::<Vec<_>>().join(", ");
        let experiment = reader.typed(&tree, &context)?;
        let specs = kubernetes::to_specs(&objects).map_err(|mut errors| errors.remove(0))?;
        to_cluster_spec(experiment, specs).map_err(|e| self.locate(&e))
    }

    /// An error of a spec, with its place in the experiment file or a manifest.
    #[must_use]
    pub fn locate(&self, error: &SpecError) -> InputError {
        if is_kubernetes(&error.field) {
            return kubernetes::locate(&self.objects, &error.field, &error.problem, &error.fix);
        }
        let reader = Reader(&self.source);
        reader.place(InputError::new(&error.field, &error.problem, &error.fix))
    }

    /// An error with the place of its field in the experiment file.
    #[must_use]
    pub fn placed(&self, error: InputError) -> InputError {
        Reader(&self.source).place(error)
    }

    /// The line of a field in the experiment file.
    #[must_use]
    pub fn line(&self, field: &str) -> Option<usize> {
        if is_kubernetes(field) {
            return kubernetes::locate(&self.objects, field, "", "").at.map(|s| s.line);
        }
        self.source.locations().find_key(0, field).map(|span| span.line)
    }

    /// The resolved experiment as YAML, runnable by itself.
    ///
    /// # Panics
    /// Never: an experiment that was read can be written.
    #[must_use]
    pub fn resolved_yaml(&self) -> String {
        let head = "# Resolved by svcsim: every default filled in, every file it referred to put in its place.\n";
        let body = serde_saphyr::to_string(&self.experiment).expect("an experiment that was read can be written");
        format!("{head}{body}")
    }
}

/// Whether a path names a field of a Kubernetes object.
fn is_kubernetes(field: &str) -> bool {
    ["services.", "deployments.", "statefulsets.", "daemonsets.", "nodes."].iter().any(|prefix| field.starts_with(prefix))
}

/// Reads one experiment file and places errors in it.
struct Reader<'a>(&'a Arc<Source>);

impl Reader<'_> {
    /// The file as a tree.
    fn tree(&self) -> Result<Value, InputError> {
        let fix = "start from a shipped experiment, or let `svcsim import` write one from your manifests";
        let error = |problem: &str| Err(self.place(InputError::new("", problem, fix)));
        if self.0.text.trim().is_empty() {
            return error("the file is empty; expected an experiment");
        }
        let mut documents = kubernetes::parse(self.0)?;
        match (documents.pop(), documents.is_empty()) {
            (Some(tree @ Value::Object(_)), true) => Ok(tree),
            (Some(_), false) => {
                error("several documents in one file; an experiment is one (Kubernetes manifests go through `svcsim import`)")
            }
            _ => error("this is no experiment; expected a map with apiVersion, kind, metadata, ..."),
        }
    }

    /// The tree as an experiment; `context` says which fields were set, for errors.
    fn typed(&self, tree: &Value, context: &str) -> Result<Experiment, InputError> {
        serde_path_to_error::deserialize(tree).map_err(|e| {
            let field = e.path().to_string();
            let found = e.inner().to_string();
            let fix = suggestion(&found).unwrap_or_else(|| "docs/experiment-file.md has the form of every field".to_owned());
            let fix = if context.is_empty() { fix } else { format!("{fix} (at the design point with {context})") };
            // The list of all names is in the advice, if it helps.
            let problem = found.split(", expected").next().unwrap_or(&found).to_owned();
            let problem = if problem.contains('`') { problem } else { found };
            self.place(InputError::new(field, problem, fix))
        })
    }

    /// An error with the place of its field in the file.
    fn place(&self, error: InputError) -> InputError {
        if error.file.is_some() {
            return error;
        }
        let locations = self.0.locations();
        let at =
            if error.problem.starts_with("unknown field") { locations.find_key(0, &error.field) } else { locations.find(0, &error.field) };
        error.in_file(&self.0.file, Arc::clone(&self.0.text), at)
    }

    fn check_header(&self, experiment: &Experiment) -> Result<(), InputError> {
        let error = |field: &str, problem: String, fix: &str| Err(self.place(InputError::new(field, problem, fix)));
        if experiment.kind != "Experiment" {
            return error("kind", format!("`{}`; expected Experiment", experiment.kind), "Kubernetes manifests go through `svcsim import`");
        }
        if experiment.api_version != API_VERSION {
            return error(
                "apiVersion",
                format!("`{}`; this version reads {API_VERSION}", experiment.api_version),
                "correct the apiVersion",
            );
        }
        let name = &experiment.metadata.name;
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || name.len() > 100 || !name.chars().all(plain) {
            let problem = format!("`{}` cannot name a folder; expected letters, digits, `-` and `_`", tree::shown(&json!(name)));
            return error("metadata.name", problem, "rename the experiment");
        }
        Ok(())
    }
}

/// What serde expected, turned into advice: `unknown field `x`, expected one of `a`, `b`` names the nearest.
fn suggestion(problem: &str) -> Option<String> {
    let (found, expected) = problem.split_once("expected ")?;
    let quoted = |text: &str| -> Vec<String> { text.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    let wrong = quoted(found).pop()?;
    let names = quoted(expected);
    let best = names.iter().max_by(|a, b| strsim::jaro_winkler(a, &wrong).total_cmp(&strsim::jaro_winkler(b, &wrong)))?;
    if strsim::jaro_winkler(best, &wrong) > 0.8 {
        return Some(format!("did you mean `{best}`?"));
    }
    Some(format!("expected one of {}", names.join(", ")))
}

/// Puts the content of the files that the tree refers to in their place: topologies as graphs, samples as values.
fn resolve_files(tree: &mut Value, dir: &Path, files: &mut Files, warnings: &mut Vec<Warning>) -> Result<(), InputError> {
    tree::each_map(tree, "", &mut |map, path| {
        let only = |map: &Value, key: &str| map.as_object().is_some_and(|m| m.len() == 1 && m.contains_key(key));
        if only(map, "empirical") && map["empirical"].get("file").is_some() {
            let field = format!("{path}.empirical.file");
            let name = map["empirical"]["file"].as_str().unwrap_or_default().to_owned();
            let text = files.read(&dir.join(&name), &field)?;
            let values: Vec<Value> =
                text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')).map(|l| json!(l)).collect();
            map["empirical"] = json!({ "values": values });
        } else if only(map, "file") && map["file"].get("path").is_some() {
            let field = format!("{path}.file");
            let spec: FileSpec = serde_path_to_error::deserialize(&map["file"]).map_err(|e| {
                let below = e.path().to_string();
                let fix = suggestion(&e.inner().to_string()).unwrap_or_else(|| "see docs/experiment-file.md".to_owned());
                InputError::new(format!("{field}.{below}"), e.inner().to_string(), fix)
            })?;
            let file = dir.join(&spec.path);
            let text = files.read(&file, &format!("{field}.path"))?;
            let graph = topology::read_graph(&text, &spec.path).and_then(|g| topology::to_shape(&g, &spec));
            let (shape, notes) = graph.map_err(|e| {
                let at = e.line.map(|line| Span { line, column: 1, length: 1 });
                InputError::new(format!("{field}.path"), e.problem, e.fix).in_file(&file, text.as_str().into(), at)
            })?;
            warnings.extend(notes.into_iter().map(|problem| Warning {
                file: Some(file.clone()),
                line: None,
                field: field.clone(),
                problem,
                why: "the topology is used without it".to_owned(),
            }));
            *map = serde_json::to_value(shape).unwrap_or(Value::Null);
        }
        Ok(())
    })
}

/// Reads all objects of the experiment and applies its patches and `sets`.
fn read_objects(
    section: &KubernetesSection,
    sets: &[(String, Value)],
    dir: &Path,
    source: &Arc<Source>,
    files: &mut Files,
) -> Result<Vec<Object>, Vec<InputError>> {
    let one = |e: InputError| vec![e];
    let mut objects = Vec::new();
    for (i, pattern) in section.manifests.iter().enumerate() {
        for file in expand(pattern, dir, &format!("kubernetes.manifests[{i}]")).map_err(one)? {
            let text = files.read(&file, &format!("kubernetes.manifests[{i}]")).map_err(one)?;
            objects.extend(kubernetes::read(&file, &text)?);
        }
    }
    for (i, value) in section.objects.iter().enumerate() {
        objects.extend(kubernetes::from_value(source, 0, &format!("kubernetes.objects[{i}]"), value.clone())?);
    }
    let has_nodes = objects.iter().any(|o| o.kind == "Node");
    match &section.nodes {
        Some(_) if has_nodes => {
            let fix = "leave `kubernetes.nodes` out to use those of the manifests";
            return Err(one(InputError::new("kubernetes.nodes", "the manifests have Nodes already", fix)));
        }
        Some(made) if made.zones.is_empty() || made.per_zone == 0 || made.per_zone > 100_000 => {
            let fix = "give zones and a number per zone, e.g. {zones: [a, b, c], perZone: 2}";
            return Err(one(InputError::new(
                "kubernetes.nodes",
                "no Nodes, or too many; expected at least one zone and one Node in it",
                fix,
            )));
        }
        None if !has_nodes => {
            let problem = "there are no Nodes: manifests of an application do not have them";
            let fix = "add e.g. `nodes: {zones: [a, b, c], perZone: 2}`, or a manifest from `kubectl get nodes -o yaml`";
            return Err(one(InputError::new("kubernetes.nodes", problem, fix)));
        }
        _ => {}
    }
    for (field, value) in section.patches.iter().chain(sets.iter().map(|(f, v)| (f, v))) {
        patch(&mut objects, field, value.clone()).map_err(one)?;
    }
    Ok(objects)
}

fn patch(objects: &mut [Object], field: &str, value: Value) -> Result<(), InputError> {
    kubernetes::set(objects, field, value).map_err(|e| InputError::new(e.field, e.problem, e.fix))
}

/// The files that a pattern names, in order of their names.
fn expand(pattern: &str, dir: &Path, field: &str) -> Result<Vec<PathBuf>, InputError> {
    let error =
        |problem: String| InputError::new(field, problem, "give a file or a glob such as manifests/*.yaml, relative to the experiment");
    let full = dir.join(pattern);
    if !pattern.contains(['*', '?', '[']) {
        return Ok(vec![full]);
    }
    let paths = glob::glob(&full.to_string_lossy()).map_err(|e| error(format!("`{pattern}` is no glob: {e}")))?;
    let mut files: Vec<PathBuf> = paths.filter_map(Result::ok).filter(|p| p.is_file()).collect();
    files.sort();
    if files.is_empty() { Err(error(format!("`{pattern}` matches no file"))) } else { Ok(files) }
}

/// Puts experiment and Kubernetes facts together.
fn to_cluster_spec(experiment: Experiment, kubernetes: KubernetesSpecs) -> Result<ClusterSpec, SpecError> {
    let mut nodes = kubernetes.nodes;
    if let Some(made) = &experiment.kubernetes.nodes {
        nodes.extend(made.zones.iter().flat_map(|zone| (0..made.per_zone).map(move |i| made_node(zone, i))));
    }
    let mut workloads = Vec::new();
    for facts in kubernetes.workloads {
        let pod = experiment.pods.get(&facts.name).or_else(|| experiment.pods.get("default")).ok_or_else(|| {
            let problem = format!("nothing says what the Pods of {} do with requests", facts.name);
            SpecError::new("pods", problem, format!("add `pods.{}` or `pods.default` with a serviceTime and a concurrency", facts.name))
        })?;
        let pod = pod.clone();
        workloads.push(facts.into_spec(pod));
    }
    if let Some(name) = experiment.pods.keys().find(|name| *name != "default" && !workloads.iter().any(|w| w.name == **name)) {
        let names = workloads.iter().map(|w| w.name.as_str()).collect::<Vec<_>>().join(", ");
        let problem = format!("there is no workload `{name}`");
        return Err(SpecError::new(format!("pods.{name}"), problem, format!("name `default` or one of {names}")));
    }
    Ok(ClusterSpec {
        nodes,
        workloads,
        services: kubernetes.services,
        network: experiment.network,
        data_plane: experiment.data_plane,
        load_balancer: experiment.load_balancer,
        propagation: experiment.propagation,
        traffic: experiment.traffic,
        churn: experiment.churn,
        run: experiment.run,
    })
}

fn made_node(zone: &str, i: u32) -> NodeSpec {
    let name = format!("{zone}-{i}");
    let labels =
        BTreeMap::from([("kubernetes.io/hostname".to_owned(), name.clone()), ("topology.kubernetes.io/zone".to_owned(), zone.to_owned())]);
    NodeSpec { name, zone: zone.to_owned(), region: String::new(), labels, schedulable: true }
}

/// A level of a factor: its label, and the fields that it sets.
pub type Level = (String, Vec<(String, Value)>);

/// The levels of a factor: each a label and the fields it sets.
///
/// # Errors
/// A factor without levels, or of neither form.
pub fn levels(factor: &FactorSection, field: &str) -> Result<Vec<Level>, InputError> {
    let error = |problem: &str, fix: &str| Err(InputError::new(field, problem, fix));
    let sets = |fields: &Map<String, Value>| fields.iter().map(|(path, value)| (path.clone(), value.clone())).collect::<Vec<_>>();
    match (&factor.path, &factor.levels) {
        (Some(path), Value::Array(list)) if !list.is_empty() => {
            Ok(list.iter().map(|value| (tree::shown(value), vec![(path.clone(), value.clone())])).collect())
        }
        (Some(_), _) => error("a factor with a `path` has a list of values as `levels`", "write e.g. `levels: [10ms, 20ms]`"),
        (None, Value::Object(map)) if !map.is_empty() => {
            let level = |(label, fields): (&String, &Value)| Some((label.clone(), sets(fields.as_object()?)));
            let levels: Option<Vec<_>> = map.iter().map(level).collect();
            levels.map_or_else(|| error("each level is a map from paths to values", "write e.g. `small: {traffic.shop.clients: 5}`"), Ok)
        }
        (None, _) => error(
            "a factor has either a `path` and a list of `levels`, or a `name` and a map of `levels`",
            "add the path of the field to vary",
        ),
    }
}
