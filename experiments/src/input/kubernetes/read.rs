//! From text to [`Object`]s.

use super::schema::{self, Unread};
use super::{Body, Object, Origin, Source, join, segment};
use crate::input::error::{InputError, Span};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;
use std::path::Path;
use std::sync::Arc;

/// Bytes of an input that are read at most; check a file's size before reading it. A Pod of a dump is about 5 kB.
pub const LARGEST_INPUT: usize = 64 << 20;

/// Lists in lists that are looked into.
const DEEPEST_LIST: usize = 8;
/// Errors that are reported at once.
const MOST_ERRORS: usize = 20;
/// Unread fields of one object that are listed; no real object has as many.
const MOST_UNREAD: usize = 1_000;

/// The kinds that are modelled, with the API that defines them.
const KINDS: [(&str, &str); 9] = [
    ("Node", "v1"),
    ("Pod", "v1"),
    ("Service", "v1"),
    ("Deployment", "apps/v1"),
    ("ReplicaSet", "apps/v1"),
    ("StatefulSet", "apps/v1"),
    ("DaemonSet", "apps/v1"),
    ("HorizontalPodAutoscaler", "autoscaling/v2"),
    ("PodDisruptionBudget", "policy/v1"),
];

/// A field that svcsim did not read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ignored {
    /// Its path in the object.
    pub(super) path: String,
    /// Its value, shortened.
    pub(super) value_short: String,
    /// Whether Kubernetes has no such field either.
    pub(super) unknown: bool,
}

/// Reads the Kubernetes objects of a text: YAML of any number of documents, JSON, `List`s.
///
/// # Errors
///
/// Everything that is wrong with the text as such and with the types of its fields; what the API server would say to
/// the objects is found by [`super::to_specs`].
pub fn read(file: &Path, text: &str) -> Result<Vec<Object>, Vec<InputError>> {
    let source = Source::new(file, text.strip_prefix('\u{feff}').unwrap_or(text));
    let documents = parse(&source).map_err(|e| vec![e])?;
    let mut reading = Reading { source: &source, objects: Vec::new(), errors: Vec::new() };
    for (document, value) in documents.into_iter().enumerate() {
        reading.add(document, String::new(), value, None, 0);
    }
    if reading.objects.is_empty() && reading.errors.is_empty() {
        let fix = "give manifests, or the output of `kubectl get nodes,deployments,services,pods -o yaml`";
        reading.errors.push(whole(&source, "there is no Kubernetes object in it", fix));
    }
    reading.end()
}

/// Reads one object, or a list of them, that stands inside another document, such as an experiment file, at `prefix`.
///
/// # Errors
///
/// As those of [`read`].
pub fn from_value(source: &Arc<Source>, document: usize, prefix: &str, value: Value) -> Result<Vec<Object>, Vec<InputError>> {
    let mut reading = Reading { source, objects: Vec::new(), errors: Vec::new() };
    reading.add(document, prefix.to_owned(), value, None, 0);
    reading.end()
}

/// The documents of a text that hold something.
pub(in crate::input) fn parse(source: &Source) -> Result<Vec<Value>, InputError> {
    let text = &*source.text;
    if text.len() > LARGEST_INPUT {
        let problem = format!("{} MB of text; expected at most {}", text.len() >> 20, LARGEST_INPUT >> 20);
        return Err(whole(source, &problem, "import one namespace at a time, or leave out managed fields and events"));
    }
    if text.trim().is_empty() {
        return Err(whole(source, "the file is empty", "give at least one Kubernetes object"));
    }
    // kubectl, too, takes what starts with a brace for JSON. It may be a YAML flow mapping all the same.
    if text.trim_start().starts_with('{')
        && let Ok(value) = serde_json::from_str(text)
    {
        return Ok(vec![value]);
    }
    serde_saphyr::from_multiple_with_options(text, options()).map_err(|e| syntax(source, e.without_snippet()))
}

/// YAML as kubectl reads it (see the module's documentation), within bounds that a dump of ten thousand Pods keeps and an
/// alias bomb does not. The default bounds refuse dumps of more than about two thousand Pods.
fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 20_000_000,
            max_nodes: 8_000_000,
            max_documents: 100_000,
            max_depth: 100,
            max_aliases: 10_000,
            max_anchors: 10_000,
            max_recorded_anchor_events: 1_000_000,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 200_000 },
        strict_booleans: false,
        legacy_octal_numbers: true,
        emit_comments: false,
        non_finite_float_policy: serde_saphyr::options::NonFiniteFloatPolicy::AsString,
        with_snippet: false,
    }
}

/// An error of the text as YAML.
fn syntax(source: &Source, error: &serde_saphyr::Error) -> InputError {
    use serde_saphyr::Error::{AliasReplayLimitExceeded, AliasReplayStackDepthExceeded, Budget, DuplicateMappingKey};
    let span = |line: usize, column: usize| Span { line: line.max(1), column: column.max(1), length: 1 };
    let complain = |at, problem: String, fix: &str| place(source, at, InputError::new("", problem, fix));
    if source.text.trim_start().starts_with('{')
        && let Err(json) = serde_json::from_str::<serde::de::IgnoredAny>(&source.text)
    {
        let problem = format!("not JSON: {}", without_place(&json.to_string()));
        return complain(Some(span(json.line(), json.column())), problem, "see that commas, brackets and quotes are where JSON wants them");
    }
    let at = error.location().filter(|l| l.line() > 0).map(|l| span(l.line() as usize, l.column() as usize));
    if let Some(tab) = at.and_then(|at| tab_near(&source.text, at.line)) {
        return complain(Some(tab), "YAML does not allow tabs for indentation: use spaces".to_owned(), "replace the tab by spaces");
    }
    let problem = error.to_string();
    let unbounded = matches!(error, Budget { .. } | AliasReplayLimitExceeded { .. } | AliasReplayStackDepthExceeded { .. });
    if unbounded || ["alias replay", "recursion limit", "anchor event"].iter().any(|limit| problem.contains(limit)) {
        let problem = "more YAML than is read: nested too deep, too many values, or aliases that stand for more than a file could hold";
        return complain(at, problem.to_owned(), "write the objects out instead of using anchors and aliases, or split the file");
    }
    if let DuplicateMappingKey { key, .. } = error {
        let problem = key.as_ref().map_or("a key is given twice".to_owned(), |key| format!("the key `{key}` is given twice"));
        return complain(at, problem, "give every key once");
    }
    let fix = "see that lists and maps are indented evenly, and that brackets and quotes are closed";
    complain(at, format!("not YAML: {}", without_place(&problem)), fix)
}

/// A parser's message without the line and column at its end: they are shown beside it.
fn without_place(message: &str) -> &str {
    message.rfind(" at line ").map_or(message, |i| &message[..i])
}

/// A tab in the indentation of a line or of one of its neighbours.
fn tab_near(text: &str, line: usize) -> Option<Span> {
    let first = line.saturating_sub(2);
    let mut near = text.lines().enumerate().skip(first).take(3);
    near.find_map(|(i, l)| {
        let column = l.chars().take_while(|c| c.is_whitespace()).position(|c| c == '\t')?;
        Some(Span { line: i + 1, column: column + 1, length: 1 })
    })
}

/// An error of the text as a whole.
fn whole(source: &Source, problem: &str, fix: &str) -> InputError {
    place(source, None, InputError::new("", problem, fix))
}

fn place(source: &Source, at: Option<Span>, error: InputError) -> InputError {
    match source.path() {
        Some(file) => error.in_file(file, source.text.clone(), at),
        None => error,
    }
}

/// Objects and errors so far.
struct Reading<'a> {
    source: &'a Arc<Source>,
    objects: Vec<Object>,
    errors: Vec<InputError>,
}

/// What the items of a `PodList` and its like leave out.
type Implied<'a> = Option<(&'a str, &'a str)>;

impl Reading<'_> {
    fn end(self) -> Result<Vec<Object>, Vec<InputError>> {
        if self.errors.is_empty() { Ok(self.objects) } else { Err(few(self.errors)) }
    }

    /// Adds an object, or all items of a list.
    fn add(&mut self, document: usize, prefix: String, mut value: Value, implied: Implied<'_>, depth: usize) {
        if value.is_null() {
            return;
        }
        let origin = Origin { source: self.source.clone(), document, prefix };
        let (kind, api_version) = match identity(&value, implied) {
            Ok(found) => found,
            Err((path, problem, fix)) => {
                let at = origin.find(path);
                let error = InputError::new(join(&origin.prefix, path), problem, fix);
                return self.errors.push(place(self.source, at, error));
            }
        };
        if let (Some(of), Some(items)) = (kind.strip_suffix("List"), value.get_mut("items").filter(|i| i.is_array())) {
            let items = items.as_array_mut().map(std::mem::take).unwrap_or_default();
            if depth >= DEEPEST_LIST {
                let error = InputError::new(origin.prefix.clone(), "lists in lists in lists", "give the objects in one list");
                return self.errors.push(place(self.source, origin.find(""), error));
            }
            for (i, item) in items.into_iter().enumerate() {
                let prefix = format!("{}[{i}]", join(&origin.prefix, "items"));
                let implied = if of.is_empty() { None } else { Some((of, api_version.as_str())) };
                self.add(document, prefix, item, implied, depth + 1);
            }
            return;
        }
        if implied.is_some()
            && let Some(map) = value.as_object_mut()
        {
            map.insert("kind".to_owned(), kind.clone().into());
            map.insert("apiVersion".to_owned(), api_version.clone().into());
        }
        match object(origin, kind, &api_version, &value) {
            Ok(object) => self.objects.push(object),
            Err(errors) => self.errors.extend(errors),
        }
    }
}

/// The first errors, and how many more there are.
pub(super) fn few(mut errors: Vec<InputError>) -> Vec<InputError> {
    let more = errors.len().saturating_sub(MOST_ERRORS);
    errors.truncate(MOST_ERRORS);
    if more > 0 {
        errors.push(InputError::new("", format!("{more} more errors"), "correct the ones above first"));
    }
    errors
}

/// A path, a problem and a fix.
type Complaint = (&'static str, String, String);

/// `kind` and `apiVersion` of a value.
fn identity(value: &Value, implied: Implied<'_>) -> Result<(String, String), Complaint> {
    let Value::Object(map) = value else {
        let problem = format!("expected a Kubernetes object, found {}", kind_of(value));
        return Err(("", problem, "an object starts with `apiVersion:` and `kind:`".to_owned()));
    };
    let word = |name: &'static str, implied: Option<&str>, example: &str| match (map.get(name), implied) {
        (Some(Value::String(s)), _) if !s.is_empty() => Ok(s.clone()),
        (None, Some(implied)) => Ok(implied.to_owned()),
        (None, None) => {
            let problem = format!("expected a Kubernetes object, but `{name}` is missing");
            Err(("", problem, format!("add `{name}:`, such as `{name}: {example}`")))
        }
        (Some(found), _) => Err((name, format!("expected a word, found {}", kind_of(found)), format!("write such as `{name}: {example}`"))),
    };
    let kind = word("kind", implied.map(|i| i.0), "Service")?;
    let api_version = word("apiVersion", implied.map(|i| i.1), "v1")?;
    Ok((kind, api_version))
}

/// One object that is no list.
fn object(origin: Origin, kind: String, api_version: &str, value: &Value) -> Result<Object, Vec<InputError>> {
    let text = |path: &str| value.pointer(path).and_then(Value::as_str).map(str::to_owned);
    let mut object = Object {
        name: text("/metadata/name").unwrap_or_default(),
        namespace: text("/metadata/namespace").filter(|n| !n.is_empty()),
        kind,
        origin,
        body: Body::Other(String::new()),
        ignored: Vec::new(),
        changed: Vec::new(),
    };
    let wanted = KINDS.iter().find(|(k, _)| *k == object.kind).map(|(_, api)| *api);
    match wanted {
        Some(wanted) if wanted == api_version => {}
        Some(wanted) if matches!(api_version, "v1" | "apps/v1") => {
            let problem = format!("`{api_version}` has no kind {}; expected `{wanted}`", object.kind);
            return Err(vec![object.error("apiVersion", problem, format!("write `apiVersion: {wanted}`"))]);
        }
        Some(wanted) => {
            object.body = Body::Other(format!("{api_version} is another {} than that of {wanted}, and not modelled", object.kind));
            return Ok(object);
        }
        None => {
            if let Some(meant) = misspelt(&object.kind, api_version) {
                let problem = format!("Kubernetes has no kind `{}`", object.kind);
                return Err(vec![object.error("kind", problem, format!("did you mean `{meant}`?"))]);
            }
            object.body = Body::Other(match object.kind.as_str() {
                "EndpointSlice" => "not modelled yet: endpoints are those of the Pods that the selector of a Service finds".to_owned(),
                _ => "kind not modelled".to_owned(),
            });
            return Ok(object);
        }
    }
    match typed(&object.kind, value) {
        Ok(_) if object.name.is_empty() => {
            let at = object.origin.find("metadata.name");
            let field = join(&object.origin.prefix, "metadata.name");
            let problem = format!("the {} has no name", object.kind);
            let error = InputError::new(field, problem, "give it one under `metadata.name`");
            Err(vec![place(&object.origin.source, at, error)])
        }
        Ok((body, unread)) => {
            object.body = body;
            object.judge(unread, value)?;
            Ok(object)
        }
        Err((path, problem, fix)) => Err(vec![object.error(&path, problem, fix)]),
    }
}

/// A modelled kind that `kind` probably means. Only those of the same API: other APIs have kinds of any name.
fn misspelt(kind: &str, api_version: &str) -> Option<&'static str> {
    const OTHERS: [&str; 6] = ["ControllerRevision", "Endpoints", "PodTemplate", "Secret", "Event", "Scale"];
    if OTHERS.contains(&kind) {
        return None;
    }
    schema::nearest(kind, KINDS.iter().filter(|(_, api)| *api == api_version).map(|(k, _)| *k))
}

/// The path of a field that was not read, as its parts.
type Unseen = Vec<Part>;

/// A part of a path.
#[derive(Clone, Debug)]
pub(super) enum Part {
    Key(String),
    Index(usize),
}

/// Reads a value as a modelled kind; returns the paths that were not read.
pub(super) fn typed(kind: &str, value: &Value) -> Result<(Body, Vec<Unseen>), (String, String, String)> {
    Ok(match kind {
        "Node" => subset(value).map(|(o, u)| (Body::Node(o), u))?,
        "Pod" => subset(value).map(|(o, u)| (Body::Pod(o), u))?,
        "Service" => subset(value).map(|(o, u)| (Body::Service(o), u))?,
        "Deployment" => subset(value).map(|(o, u)| (Body::Deployment(o), u))?,
        "ReplicaSet" => subset(value).map(|(o, u)| (Body::ReplicaSet(o), u))?,
        "StatefulSet" => subset(value).map(|(o, u)| (Body::StatefulSet(o), u))?,
        "DaemonSet" => subset(value).map(|(o, u)| (Body::DaemonSet(o), u))?,
        "HorizontalPodAutoscaler" => subset(value).map(|(o, u)| (Body::HorizontalPodAutoscaler(o), u))?,
        "PodDisruptionBudget" => subset(value).map(|(o, u)| (Body::PodDisruptionBudget(o), u))?,
        _ => (Body::Other("kind not modelled".to_owned()), Vec::new()),
    })
}

fn subset<T: DeserializeOwned>(value: &Value) -> Result<(T, Vec<Unseen>), (String, String, String)> {
    let mut unread = Vec::new();
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(value, &mut track);
    let result = serde_ignored::deserialize(tracked, |path: serde_ignored::Path<'_>| unread.push(parts(&path)));
    match result {
        Ok(object) => Ok((object, unread)),
        Err(error) => {
            let path = track.path().iter().fold(String::new(), |path, s| match s {
                Segment::Seq { index } => format!("{path}[{index}]"),
                Segment::Map { key } => segment(&path, key),
                Segment::Enum { .. } | Segment::Unknown => path,
            });
            let (problem, fix) = mismatch(&error.to_string());
            Err((path, problem, fix))
        }
    }
}

/// What serde says of a value of the wrong type, in our words.
fn mismatch(error: &str) -> (String, String) {
    if let Some(name) = error.strip_prefix("missing field `").and_then(|e| e.strip_suffix('`')) {
        return (format!("`{name}` is missing"), format!("add `{name}:`"));
    }
    let Some((found, expected)) = error.strip_prefix("invalid type: ").and_then(|e| e.split_once(", expected ")) else {
        return (error.to_owned(), "see the Kubernetes API reference for what goes there".to_owned());
    };
    let quotable = found.starts_with("boolean") || found.starts_with("integer") || found.starts_with("floating");
    match expected {
        "a string" if quotable => (
            format!("expected a string, found the {found}"),
            "put quotes around it: like kubectl, svcsim reads a bare `no`, `on`, `1.10` or `0755` as a boolean or a number".to_owned(),
        ),
        "a boolean" => (format!("expected true or false, found {found}"), "write `true` or `false`".to_owned()),
        "i64" => (format!("expected a whole number, found {found}"), "write a whole number, without quotes".to_owned()),
        e if e.starts_with("struct ") => (format!("expected a map of fields, found {found}"), "indent its fields below it".to_owned()),
        e => (format!("expected {e}, found {found}"), "see the Kubernetes API reference for what goes there".to_owned()),
    }
}

fn parts(path: &serde_ignored::Path<'_>) -> Unseen {
    use serde_ignored::Path;
    let (parent, part) = match path {
        Path::Root => return Vec::new(),
        Path::Seq { parent, index } => (parent, Some(Part::Index(*index))),
        Path::Map { parent, key } => (parent, Some(Part::Key(key.clone()))),
        Path::Some { parent } | Path::NewtypeStruct { parent } | Path::NewtypeVariant { parent } => (parent, None),
    };
    let mut all = parts(parent);
    all.extend(part);
    all
}

/// The parts as a path.
pub(super) fn path_of(parts: &[Part]) -> String {
    parts.iter().fold(String::new(), |path, part| match part {
        Part::Key(key) => segment(&path, key),
        Part::Index(i) => format!("{path}[{i}]"),
    })
}

/// The keys of a path, without indices.
pub(super) fn keys_of(parts: &[Part]) -> Vec<&str> {
    parts.iter().filter_map(|p| if let Part::Key(k) = p { Some(k.as_str()) } else { None }).collect()
}

impl Object {
    /// Lists what was not read, and refuses what is probably misspelt.
    fn judge(&mut self, unread: Vec<Unseen>, value: &Value) -> Result<(), Vec<InputError>> {
        let mut errors = Vec::new();
        for parts in unread {
            let keys = keys_of(&parts);
            let Some((name, parent)) = keys.split_last() else { continue };
            let path = path_of(&parts);
            let verdict = schema::judge(&self.kind, parent, name);
            if errors.len() > MOST_ERRORS || self.ignored.len() >= MOST_UNREAD {
                break;
            }
            if let Unread::Typo(meant) = verdict {
                let problem = format!("unknown field `{name}`, did you mean `{meant}`?");
                let fix = format!("write `{meant}`: a field that nobody reads would silently change the results");
                errors.push(self.error_at_key(&path, problem, fix));
                continue;
            }
            let found = parts.iter().try_fold(value, |v, part| match part {
                Part::Key(key) => v.get(key.as_str()),
                Part::Index(i) => v.get(*i),
            });
            let value_short = found.map(shorten).unwrap_or_default();
            self.ignored.push(Ignored { path, value_short, unknown: verdict == Unread::Unknown });
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

/// A value in at most 60 characters.
pub(super) fn shorten(value: &Value) -> String {
    const MOST: usize = 60;
    let text = match value {
        Value::String(s) => s.clone(),
        Value::Array(items) if items.len() > 20 => format!("[{} items]", items.len()),
        Value::Object(fields) if fields.len() > 20 => format!("{{{} fields}}", fields.len()),
        other => other.to_string(),
    };
    let line: String = text.chars().take(MOST + 1).map(|c| if c.is_control() { ' ' } else { c }).collect();
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// What a value is, for people.
pub(super) fn kind_of(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(b) => format!("the boolean {b}"),
        Value::Number(n) => format!("the number {n}"),
        Value::String(_) => format!("the text `{}`", shorten(value)),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a map".to_owned(),
    }
}
