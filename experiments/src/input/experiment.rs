//! The experiment file: what a user writes, resolved once into what runs.
//!
//! The file becomes a tree of values, in which factors and `--set` change fields by path; the tree is read typed,
//! and an error's path finds its line and column in the file. Manifests, topologies and samples that the file
//! refers to are put in their place, so that a resolved experiment needs no other file.

use super::error::{InputError, Span, Warning};
use super::files::Files;
use super::kubernetes::{self, KubernetesSpecs, Object, Source};
use super::reader::{Change, Reader, Samples};
use super::sampling::{SamplingSection, Scale, Selection};
use super::topology;
use super::trace;
use super::tree;
use super::variant;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use svcsim_engine::SimDuration;
use svcsim_models::dataplane::{ConntrackSpec, DataPlaneSpec, ProxySpec};
use svcsim_models::load_balancer::LoadBalancerSpec;
use svcsim_models::network::{FileSpec, NetworkSpec};
use svcsim_models::spec::{
    AutoscalingSpec, ClusterSpec, EndpointSlicesSpec, EventSpec, NodeLifecycleSpec, NodeSpec, PodBehaviour, PropagationSpec, RunSpec,
    SpecError, TrafficSpec,
};

/// The `apiVersion` of the files this version reads.
pub const API_VERSION: &str = "svcsim/v1alpha1";

/// An experiment file. Unknown keys are refused, quantities carry their units.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Experiment {
    /// `svcsim/v1alpha1`.
    #[schemars(extend("const" = API_VERSION))]
    pub api_version: String,
    /// `Experiment`.
    #[schemars(extend("const" = "Experiment"))]
    pub kind: String,
    /// What it is called and what it asks.
    pub metadata: Metadata,
    /// The cluster's objects.
    pub kubernetes: KubernetesSection,
    /// The network that joins client sites and Nodes.
    pub network: NetworkSpec,
    /// How Nodes realise Services.
    #[serde(default)]
    pub data_plane: DataPlaneSpec,
    /// What of kube-proxy's configuration all data planes share.
    #[serde(default)]
    pub proxy: ProxySpec,
    /// Limits and time-outs of Nodes' connection tracking.
    #[serde(default)]
    pub conntrack: ConntrackSpec,
    /// What stands in front of Services of type LoadBalancer.
    #[serde(default)]
    pub load_balancer: LoadBalancerSpec,
    /// How long the control plane takes to tell Nodes.
    #[serde(default)]
    pub propagation: PropagationSpec,
    /// How the EndpointSlice controller writes.
    #[serde(default)]
    pub endpoint_slices: EndpointSlicesSpec,
    /// What Pods do with requests, by workload; `default` for all others.
    pub pods: BTreeMap<String, PodBehaviour>,
    /// Who calls which Service.
    pub traffic: BTreeMap<String, TrafficSpec>,
    /// When the control plane takes a Node for lost.
    #[serde(default)]
    pub node_lifecycle: NodeLifecycleSpec,
    /// What all autoscalers have in common.
    #[serde(default)]
    pub autoscaling: AutoscalingSpec,
    /// What happens to the cluster, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub events: BTreeMap<String, EventSpec>,
    /// How long a run lasts.
    pub run: RunSection,
    /// What clients were promised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slo: Option<SloSection>,
    /// Which factor's levels the report ranks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranking: Option<RankingSection>,
    /// What is varied and how often it is repeated.
    #[serde(default)]
    pub design: DesignSection,
    /// What the results must show; `run` fails if they do not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect: Vec<ExpectSection>,
}

/// `ranking: {factor: policy, metric: latency_p99, controls: [leastWork, busiest]}`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RankingSection {
    /// The factor whose levels are ranked, in each combination of the others' levels.
    pub factor: String,
    /// By which metric; less is better.
    #[serde(default = "latency_p99")]
    pub metric: String,
    /// Levels that are there only to compare with: oracles, and what nobody would do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub controls: Vec<String>,
}

fn latency_p99() -> String {
    "latency_p99".to_owned()
}

/// A service level objective.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SloSection {
    /// Part of all requests that must succeed, such as `99.9%`.
    pub availability: Percentage,
}

impl SloSection {
    /// The part of all requests that may be lost.
    #[must_use]
    pub fn error_budget(&self) -> f64 {
        (100.0 - self.availability.0) / 100.0
    }
}

/// A percentage from 0 to below 100, written with its sign.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = r"^[0-9.]+\s*%$", "examples" = ["99.9%"]))]
pub struct Percentage(pub f64);

impl TryFrom<String> for Percentage {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let number = text.strip_suffix('%').and_then(|n| n.trim().parse().ok());
        number
            .filter(|n| (0.0..100.0).contains(n))
            .map(Self)
            .ok_or_else(|| format!("`{text}` is no percentage below 100: write e.g. 99.9%"))
    }
}

impl From<Percentage> for String {
    fn from(percentage: Percentage) -> Self {
        format!("{}%", percentage.0)
    }
}

/// A claim about the results. Numbers are in the metric's unit, or carry their own: `5ms`, `0.1%`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExpectSection {
    /// The claim in a sentence.
    pub claim: String,
    /// The metric it is about.
    pub metric: String,
    /// The series; by default all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<String>,
    /// Levels of factors: the claim is about every design point that has them.
    #[serde(default, rename = "where", skip_serializing_if = "BTreeMap::is_empty")]
    pub at: BTreeMap<String, Value>,
    /// Levels in which the points that these are compared with differ.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub of: BTreeMap<String, Value>,
    /// The value, or with `of` the difference, is above this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<Value>,
    /// It is below this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<Value>,
    /// It lies between these two, or is one of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<[Value; 2]>,
    /// It is this in every replication.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equals: Option<Value>,
    /// The ratio of the two means is above this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio_above: Option<f64>,
    /// It is below this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio_below: Option<f64>,
    /// It lies between these two, or is one of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio_within: Option<[f64; 2]>,
}

/// What an experiment is called and what it asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MadeNodes {
    /// Names of the zones.
    pub zones: Vec<String>,
    /// Nodes in each zone, named `<zone>-<n>`.
    pub per_zone: u32,
}

impl MadeNodes {
    /// Most Nodes that are made: bounds what a slip of the keyboard can ask for.
    const MOST: u64 = 100_000;

    fn check(&self) -> Result<(), SpecError> {
        let nodes = self.zones.len() as u64 * u64::from(self.per_zone);
        if (1..=Self::MOST).contains(&nodes) {
            return Ok(());
        }
        let (field, problem) = match (self.zones.is_empty(), nodes) {
            (true, _) => ("kubernetes.nodes.zones", "no zones; expected at least one".to_owned()),
            (_, 0) => ("kubernetes.nodes.perZone", "no Nodes; expected at least one in a zone".to_owned()),
            _ => ("kubernetes.nodes.perZone", format!("{nodes} Nodes, which are too many; expected at most {}", Self::MOST)),
        };
        Err(SpecError::new(field, problem, "give zones and a number per zone, e.g. {zones: [a, b, c], perZone: 2}"))
    }
}

/// What is varied and how often it is repeated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DesignSection {
    /// Keys every random stream.
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// Independent runs of each design point.
    #[serde(default = "default_replications")]
    pub replications: u32,
    /// What is varied; all combinations are run unless one of the fields below says otherwise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub factors: Vec<FactorSection>,
    /// Lists of factors whose levels advance together: the first with the first, the second with the second.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paired: Vec<Vec<String>>,
    /// Only combinations that have the levels of one of these are run.
    #[serde(default, rename = "where", skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<Selection>,
    /// Combinations that have the levels of one of these are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<Selection>,
    /// Parts of the design, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub subsets: BTreeMap<String, Selection>,
    /// The part that is run; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subset: Option<String>,
    /// How well something is to be known: then the replications are a pilot, and more follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<PrecisionSection>,
    /// Which points are run instead of all combinations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampling: Option<SamplingSection>,
}

/// How long a run is, and what of it counts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RunSection {
    /// Requests are sent until then, and all followed to their end.
    pub duration: SimDuration,
    /// How long the start is that does not count.
    #[serde(default)]
    pub warm_up: WarmUpSection,
    /// Width of a window of the timeline.
    #[serde(default = "second")]
    pub window: SimDuration,
    /// About one request in so many is written to `requests.jsonl`, the same ones of all points that meet the same arrivals; 0: none, 1: all.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sample: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks for a reference.
const fn is_zero(n: &u32) -> bool {
    *n == 0
}

const fn second() -> SimDuration {
    SimDuration::from_secs(1)
}

impl RunSection {
    /// As models have it: what is to be found out is 0 at first.
    fn spec(self) -> RunSpec {
        let warm_up = match self.warm_up {
            WarmUpSection::Fixed(time) => time,
            WarmUpSection::Mser5 => SimDuration::ZERO,
        };
        RunSpec { duration: self.duration, warm_up, window: self.window }
    }
}

/// The start of a run that does not count: `5s`, or `mser5`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "String")]
pub enum WarmUpSection {
    /// So long.
    Fixed(SimDuration),
    /// As long as MSER-5 finds, in a few runs before the others.
    Mser5,
}

impl Default for WarmUpSection {
    fn default() -> Self {
        Self::Fixed(SimDuration::ZERO)
    }
}

/// What MSER-5 goes by in files.
const MSER5: &str = "mser5";

impl TryFrom<Value> for WarmUpSection {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        if value == MSER5 {
            return Ok(Self::Mser5);
        }
        SimDuration::deserialize(value).map(Self::Fixed).map_err(|e| format!("{e}; or `{MSER5}`"))
    }
}

impl JsonSchema for WarmUpSection {
    fn schema_name() -> Cow<'static, str> {
        "RunWarmUp".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let time = generator.subschema_for::<SimDuration>();
        json_schema!({ "description": "The start of a run that does not count.", "anyOf": [time, { "const": MSER5, "description": "As MSER-5 finds it in pilot runs." }] })
    }
}

impl From<WarmUpSection> for String {
    fn from(warm_up: WarmUpSection) -> Self {
        match warm_up {
            WarmUpSection::Fixed(time) => time.to_string(),
            WarmUpSection::Mser5 => MSER5.to_owned(),
        }
    }
}

/// How narrow intervals are to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PrecisionSection {
    /// Of which metrics of the whole, at every design point.
    pub metrics: Vec<String>,
    /// Half the width of a 95 % interval, as a part of the mean.
    pub relative_half_width: Percentage,
    /// The most replications of a point.
    #[serde(default = "most_replications")]
    pub most: u32,
}

const fn most_replications() -> u32 {
    1_000
}

impl Default for DesignSection {
    fn default() -> Self {
        Self {
            seed: default_seed(),
            replications: default_replications(),
            factors: Vec::new(),
            precision: None,
            paired: Vec::new(),
            only: Vec::new(),
            exclude: Vec::new(),
            subsets: BTreeMap::new(),
            subset: None,
            sampling: None,
        }
    }
}

fn default_seed() -> u64 {
    1
}

fn default_replications() -> u32 {
    10
}

/// One factor: either `path` with `levels` that are values of it, or a `name` with `levels` that each set some fields, or `path` with
/// a range `from` one value `to` another, for `design.sampling`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FactorSection {
    /// The factor's column in results; by default the last part of the path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The field that is varied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Values of `path`, as a list or each with a name; or, without a path, a map from a level's name to the fields that it sets.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub levels: Value,
    /// The smallest value of a range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Value>,
    /// The largest, in the same unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Value>,
    /// How values are spread between them.
    #[serde(default, skip_serializing_if = "Scale::is_linear")]
    pub scale: Scale,
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
    reader: Reader,
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
        Self::resolve(path, &text, sets, files)
    }

    /// The same of a text that is in no file.
    ///
    /// # Errors
    /// As those of [`Self::read`].
    pub fn parse(name: &Path, text: &str, sets: &[(String, Value)]) -> Result<Self, Vec<InputError>> {
        Self::resolve(name, text, sets, Files::default())
    }

    fn resolve(path: &Path, text: &str, sets: &[(String, Value)], mut files: Files) -> Result<Self, Vec<InputError>> {
        let source = Source::new(path, text.strip_prefix('\u{feff}').unwrap_or(text));
        let mut reader = Reader::new(&source);
        let mut tree = reader.tree(API_VERSION).map_err(|e| vec![e])?;
        let dir = path.parent().unwrap_or(Path::new("")).to_owned();
        variant::resolve(&mut tree, &dir, &mut files, &mut reader, API_VERSION).map_err(|e| vec![e])?;
        let mut object_sets = Vec::new();
        for (field, value) in sets {
            let change = Change::by_command_line(field, value, if is_kubernetes(field) { None } else { Some(&tree) });
            if is_kubernetes(field) {
                object_sets.push((change.clone(), field.clone(), value.clone()));
            } else {
                tree::set(&mut tree, field, value.clone()).map_err(|problem| {
                    let fix = "name a field of the experiment, e.g. --set run.duration=30s";
                    vec![reader.refused(InputError::new(field, problem, fix), &change)]
                })?;
            }
            reader.changed(change);
        }
        let mut warnings = Vec::new();
        resolve_files(&mut tree, &dir, &mut files, &mut reader, &mut warnings).map_err(|e| vec![e])?;
        trace::resolve(&mut tree, &dir, &mut files, &mut reader).map_err(|e| vec![e])?;
        let mut experiment: Experiment = reader.typed(&tree, "").map_err(|e| vec![e])?;
        check_name(&reader, &experiment.metadata.name).map_err(|e| vec![e])?;
        let patches = experiment.kubernetes.patches.iter().map(|(field, value)| {
            let place = format!("kubernetes.patches.{field}");
            (Change::by_file(field, place.clone(), place, None), field.clone(), value.clone())
        });
        // Two updates, one after the other: what `--set` does not name it takes as the file left it.
        let updates = [patches.collect(), object_sets];
        for (change, ..) in updates.iter().flatten() {
            reader.changed(change.clone());
        }
        let placed = |errors: Vec<InputError>| errors.into_iter().map(|e| reader.place(e)).collect::<Vec<_>>();
        let objects = read_objects(&experiment.kubernetes, &updates, &dir, &reader, &mut files).map_err(placed)?;
        let specs = kubernetes::to_specs(&objects).map_err(placed)?;
        warnings.extend(specs.warnings.iter().cloned());
        let mut not_modelled = experiment.metadata.not_modelled.clone();
        not_modelled.extend(specs.kept_out.iter().map(ToString::to_string));
        not_modelled.extend(kubernetes::by_field(&specs.not_modelled).iter().map(ToString::to_string));
        experiment.kubernetes = KubernetesSection {
            objects: kubernetes::to_yaml_values(&objects),
            nodes: experiment.kubernetes.nodes.take(),
            ..KubernetesSection::default()
        };
        Ok(Self { experiment, files, warnings, not_modelled, reader, tree, objects })
    }

    /// The spec of the design point that sets `fields`.
    ///
    /// # Errors
    /// A field that cannot be set so.
    pub fn spec(&self, fields: &[(String, Value)]) -> Result<ClusterSpec, InputError> {
        let mut tree = self.tree.clone();
        let mut objects = self.objects.clone();
        for (field, value) in fields {
            let refused = |error: InputError| self.reader.refused(error, &self.factor_of(field, value));
            if is_kubernetes(field) {
                patch(&mut objects, field, value.clone()).map_err(refused)?;
            } else {
                tree::set(&mut tree, field, value.clone())
                    .map_err(|problem| refused(InputError::new(field, problem, "correct the factor's path")))?;
            }
        }
        kubernetes::settle(&self.objects, &mut objects);
        // Where a change was asked for is only looked up for an error: designs may have many points.
        let experiment = Experiment::deserialize(&tree).or_else(|_| {
            let context = fields.iter().map(|(field, value)| format!("{field} = {}", tree::shown(value))).collect::<Vec<_>>().join(", ");
            self.at_point(fields).typed(&tree, &context)
        })?;
        let specs = kubernetes::to_specs(&objects).map_err(|mut errors| self.at_point(fields).place(errors.remove(0)))?;
        to_cluster_spec(experiment, specs).map_err(|e| self.locate(&e, fields))
    }

    /// A reader that knows what the design point that sets `fields` changes.
    fn at_point(&self, fields: &[(String, Value)]) -> Reader {
        let mut reader = self.reader.clone();
        fields.iter().for_each(|(field, value)| reader.changed(self.factor_of(field, value)));
        reader
    }

    /// The level of a factor that sets `field` to `value`.
    fn factor_of(&self, field: &str, value: &Value) -> Change {
        let places = self.experiment.design.factors.iter().enumerate().find_map(|(i, factor)| {
            let at = format!("design.factors[{i}]");
            match (&factor.path, &factor.levels) {
                (Some(path), Value::Null) if path == field => Some((format!("{at}.path"), format!("{at}.from"))),
                (Some(path), Value::Array(levels)) if path == field => {
                    let level = levels.iter().position(|level| level == value)?;
                    Some((format!("{at}.path"), format!("{at}.levels[{level}]")))
                }
                (Some(path), Value::Object(levels)) if path == field => {
                    let (label, _) = levels.iter().find(|(_, level)| *level == value)?;
                    Some((format!("{at}.path"), format!("{at}.levels.{label}")))
                }
                (None, Value::Object(levels)) => {
                    let (label, _) = levels.iter().find(|(_, fields)| fields.get(field) == Some(value))?;
                    let place = format!("{at}.levels.{label}.{field}");
                    Some((place.clone(), place))
                }
                _ => None,
            }
        });
        let (name, value) = places.unwrap_or_else(|| ("design.factors".to_owned(), "design.factors".to_owned()));
        Change::by_file(field, name, value, if is_kubernetes(field) { None } else { Some(&self.tree) })
    }

    /// An error of the spec of the design point that sets `fields`, with its place in the experiment file or a manifest.
    #[must_use]
    pub fn locate(&self, error: &SpecError, fields: &[(String, Value)]) -> InputError {
        let found = match is_kubernetes(&error.field) && !fields.iter().any(|(field, _)| error.field.starts_with(field.as_str())) {
            true => kubernetes::locate(&self.objects, &error.field, &error.problem, &error.fix),
            false => InputError::new(&error.field, &error.problem, &error.fix),
        };
        self.at_point(fields).place(found)
    }

    /// An error with the place of its field in the experiment file.
    #[must_use]
    pub fn placed(&self, error: InputError) -> InputError {
        self.reader.place(error)
    }

    /// The experiment file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.reader.source().file
    }

    /// The line of a field in the experiment file.
    #[must_use]
    pub fn line(&self, field: &str) -> Option<usize> {
        if is_kubernetes(field) {
            return kubernetes::locate(&self.objects, field, "", "").at.map(|s| s.line);
        }
        self.reader.home(field).locations().find_key(0, field).map(|span| span.line)
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
    ["services.", "deployments.", "statefulsets.", "daemonsets.", "horizontalpodautoscalers.", "poddisruptionbudgets.", "nodes."]
        .iter()
        .any(|prefix| field.starts_with(prefix))
}

/// Names a results directory, so it must be fit for one.
fn check_name(reader: &Reader, name: &str) -> Result<(), InputError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.is_empty() && name.len() <= 100 && name.chars().all(plain) {
        return Ok(());
    }
    let problem = format!("`{}` cannot name a folder; expected 1 to 100 letters, digits, `-` and `_`", tree::shown(&json!(name)));
    Err(reader.place(InputError::new("metadata.name", problem, "rename the experiment")))
}

/// Puts the content of the files that the tree refers to in their place: topologies as graphs, samples as values.
fn resolve_files(
    tree: &mut Value,
    dir: &Path,
    files: &mut Files,
    reader: &mut Reader,
    warnings: &mut Vec<Warning>,
) -> Result<(), InputError> {
    tree::each_map(tree, "", &mut |map, path| {
        let only = |map: &Value, key: &str| map.as_object().is_some_and(|m| m.len() == 1 && m.contains_key(key));
        if only(map, "empirical") && map["empirical"].get("file").is_some_and(Value::is_string) {
            let field = format!("{path}.empirical.file");
            let name = map["empirical"]["file"].as_str().unwrap_or_default().to_owned();
            let file = dir.join(&name);
            let text: Arc<str> = files.read(&file, &field).map_err(|e| reader.place(e))?.into();
            let lines = text.lines().enumerate().map(|(i, line)| (i + 1, line, line.trim()));
            let lines: Vec<_> = lines.filter(|(.., value)| !value.is_empty() && !value.starts_with('#')).collect();
            if lines.is_empty() {
                let problem = format!("{}: the file holds no values", file.display());
                return Err(reader.place(InputError::new(field, problem, "give one value a line, such as 5ms")));
            }
            let place = |(line, whole, value): &(usize, &str, &str)| Span {
                line: *line,
                column: whole.chars().take_while(|c| c.is_whitespace()).count() + 1,
                length: value.chars().count(),
            };
            map["empirical"] = json!({ "values": lines.iter().map(|(.., value)| *value).collect::<Vec<_>>() });
            let places = lines.iter().map(place).collect();
            reader.sampled(Samples { field: format!("{path}.empirical.values"), file, text: Arc::clone(&text), places });
        } else if only(map, "replay") && map["replay"].get("file").is_some() {
            let field = format!("{path}.replay");
            let recorded = super::replay::resolve(&map["replay"], &field, dir, files, reader)?;
            *map = json!({ "replay": recorded });
        } else if only(map, "file") && map["file"].get("path").is_some() {
            let field = format!("{path}.file");
            let spec: FileSpec = reader.typed_at(&map["file"], &field, "")?;
            let file = dir.join(&spec.path);
            let text = files.read(&file, &format!("{field}.path")).map_err(|e| reader.place(e))?;
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

/// Reads all objects of the experiment and applies `updates` to them, each settled before the next.
fn read_objects(
    section: &KubernetesSection,
    updates: &[Vec<(Change, String, Value)>],
    dir: &Path,
    reader: &Reader,
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
        let place = format!("kubernetes.objects[{i}]");
        objects.extend(kubernetes::from_value(reader.home(&place), 0, &place, value.clone())?);
    }
    let has_nodes = objects.iter().any(|o| o.kind == "Node");
    match &section.nodes {
        Some(_) if has_nodes => {
            let fix = "leave `kubernetes.nodes` out to use those of the manifests";
            return Err(one(InputError::new("kubernetes.nodes", "the manifests have Nodes already", fix)));
        }
        Some(made) => made.check().map_err(|e| one(InputError::new(e.field, e.problem, e.fix)))?,
        None if !has_nodes => {
            let problem = "there are no Nodes: manifests of an application do not have them";
            let fix = "add e.g. `nodes: {zones: [a, b, c], perZone: 2}`, or a manifest from `kubectl get nodes -o yaml`";
            return Err(one(InputError::new("kubernetes.nodes", problem, fix)));
        }
        None => {}
    }
    for update in updates.iter().filter(|update| !update.is_empty()) {
        let before = objects.clone();
        for (change, field, value) in update {
            patch(&mut objects, field, value.clone()).map_err(|e| one(reader.refused(e, change)))?;
        }
        kubernetes::settle(&before, &mut objects);
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
        made.check()?;
        nodes.extend(made.zones.iter().flat_map(|zone| (0..made.per_zone).map(move |i| made_node(zone, i))));
    }
    let mut workloads = Vec::new();
    for facts in kubernetes.workloads {
        let pod = experiment.pods.get(&facts.spec.name).or_else(|| experiment.pods.get("default")).ok_or_else(|| {
            let problem = format!("nothing says what the Pods of {} do with requests", facts.spec.name);
            SpecError::new(
                "pods",
                problem,
                format!("add `pods.{}` or `pods.default` with a serviceTime and a concurrency", facts.spec.name),
            )
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
        proxy: experiment.proxy,
        conntrack: experiment.conntrack,
        load_balancer: experiment.load_balancer,
        propagation: experiment.propagation,
        endpoint_slices: experiment.endpoint_slices,
        traffic: experiment.traffic,
        node_lifecycle: experiment.node_lifecycle,
        autoscaling: experiment.autoscaling,
        events: experiment.events,
        run: experiment.run.spec(),
        sample: experiment.run.sample,
    })
}

fn made_node(zone: &str, i: u32) -> NodeSpec {
    let name = format!("{zone}-{i}");
    let labels =
        BTreeMap::from([("kubernetes.io/hostname".to_owned(), name.clone()), ("topology.kubernetes.io/zone".to_owned(), zone.to_owned())]);
    NodeSpec { name, zone: zone.to_owned(), labels, ..NodeSpec::default() }
}

/// A level of a factor: its label, and the fields that it sets.
pub type Level = (String, Vec<(String, Value)>);

/// The levels of a factor: each a label and the fields it sets.
///
/// # Errors
/// A factor without levels, of neither form, or of a field that no run depends on.
pub fn levels(factor: &FactorSection, field: &str) -> Result<Vec<Level>, InputError> {
    let error = |below: &str, problem: &str, fix: &str| InputError::new(format!("{field}{below}"), problem, fix);
    let sets = |fields: &Map<String, Value>| fields.iter().map(|(path, value)| (path.clone(), value.clone())).collect::<Vec<_>>();
    match (&factor.path, &factor.levels) {
        (_, Value::Null) => Err(error("", "`levels` is missing", "give `levels`, or a range: `from` and `to`")),
        (Some(path), Value::Array(list)) if !list.is_empty() => {
            can_vary(path).map_err(|(problem, fix)| error(".path", &problem, &fix))?;
            let levels: Vec<_> = list.iter().map(|value| (tree::shown(value), vec![(path.clone(), value.clone())])).collect();
            let mut labels = BTreeSet::new();
            match levels.iter().position(|(label, _)| !labels.insert(label.as_str())) {
                Some(i) => {
                    let problem = format!("the level `{}` is there twice", levels[i].0);
                    Err(error(&format!(".levels[{i}]"), &problem, "leave one of them out, or give the levels names"))
                }
                None => Ok(levels),
            }
        }
        (Some(path), Value::Object(map)) if !map.is_empty() => {
            can_vary(path).map_err(|(problem, fix)| error(".path", &problem, &fix))?;
            Ok(map.iter().map(|(label, value)| (label.clone(), vec![(path.clone(), value.clone())])).collect())
        }
        (Some(_), _) => Err(error(
            ".levels",
            "expected values for the `path`, one at least",
            "write e.g. `levels: [10ms, 20ms]`, or `levels: {fast: 10ms, slow: 20ms}`",
        )),
        (None, Value::Object(map)) if !map.is_empty() => {
            let level = |(label, fields): (&String, &Value)| {
                let at = format!(".levels.{label}");
                let fix = "write e.g. `small: {traffic.shop.clients: 5}`";
                let fields = fields.as_object().ok_or_else(|| error(&at, "expected a map from paths to values", fix))?;
                for path in fields.keys() {
                    can_vary(path).map_err(|(problem, fix)| error(&format!("{at}.{path}"), &problem, &fix))?;
                }
                Ok((label.clone(), sets(fields)))
            };
            map.iter().map(level).collect()
        }
        (None, _) => {
            let problem = "a factor has either a `path` and a list of `levels`, or a `name` and a map of `levels`";
            Err(error("", problem, "add the path of the field to vary"))
        }
    }
}

/// The path of a factor that is a range.
///
/// # Errors
/// No path, or that of a field that no run depends on.
pub fn path_of_range(factor: &FactorSection, field: &str) -> Result<String, InputError> {
    let Some(path) = &factor.path else {
        return Err(InputError::new(field, "a range without a `path`", "add the path of the field to vary"));
    };
    can_vary(path).map_err(|(problem, fix)| InputError::new(format!("{field}.path"), problem, fix))?;
    Ok(path.clone())
}

/// Whether a run depends on the field at `path`; else a problem and a fix.
fn can_vary(path: &str) -> Result<(), (String, String)> {
    let head = path.split(['.', '[']).next().unwrap_or(path);
    match head {
        "apiVersion" | "kind" | "metadata" | "slo" | "design" | "expect" | "ranking" => {
            let problem = format!("`{path}` cannot be varied: no run depends on it");
            Err((problem, "name a field under network, pods, traffic, ..., or of a Kubernetes object".to_owned()))
        }
        "kubernetes" if !path.starts_with("kubernetes.nodes") => {
            let problem = format!("`{path}` cannot be varied: the objects are read once, for all design points");
            Err((problem, "name the object's field, e.g. deployments.web.spec.replicas".to_owned()))
        }
        _ if path.split(['.', '[']).skip(1).any(|part| part == "file") => {
            let problem = format!("`{path}` cannot be varied: files are read once, for all design points");
            Err((problem, "vary what the file stands for, e.g. `levels: {small: {network.shape: {file: ...}}, ...}`".to_owned()))
        }
        _ => Ok(()),
    }
}
