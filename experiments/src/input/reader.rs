//! Reads an experiment's tree typed, and gives every error its place and plain words.
//!
//! A field may hold what a factor, a patch or `--set` put there: then the file's own line would mislead, and the error is shown
//! where the change was asked for. Samples and events that were read from a file are shown in that file.

use super::error::{InputError, Span};
use super::kubernetes::{self, Source};
use super::tree;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Where to look when nothing better can be said.
const LOOK_UP: &str = "docs/experiment-file.md has the form of every field";

/// One experiment file, and what changed its fields after it was read.
#[derive(Clone)]
pub(super) struct Reader {
    source: Arc<Source>,
    /// The file and those it builds on, each with what stands in it, the nearest first; nothing if it builds on none.
    layers: Vec<(Arc<Source>, Arc<Value>)>,
    changes: Vec<Change>,
    samples: Vec<Samples>,
    copied: Vec<Cells>,
}

/// A field that was changed after the file was read.
#[derive(Clone)]
pub(super) struct Change {
    field: String,
    by: By,
    /// The first part of the path that was not there before.
    made: Option<String>,
}

/// What changed a field.
#[derive(Clone)]
enum By {
    /// Something in the experiment file: where it names the field, and where it gives the value.
    File { name: String, value: String },
    /// `--set`, with the value.
    CommandLine(Value),
}

impl Change {
    /// By `--set`; `before` is the tree that the field is in, if it is in one.
    pub(super) fn by_command_line(field: &str, value: &Value, before: Option<&Value>) -> Self {
        Self { field: field.to_owned(), by: By::CommandLine(value.clone()), made: before.and_then(|tree| tree::missing(tree, field)) }
    }

    /// By what stands in the experiment file at `name`, with the value at `value`.
    pub(super) fn by_file(field: &str, name: String, value: String, before: Option<&Value>) -> Self {
        Self { field: field.to_owned(), by: By::File { name, value }, made: before.and_then(|tree| tree::missing(tree, field)) }
    }

    /// Whether an error at `field` is this change's.
    fn concerns(&self, field: &str) -> bool {
        is_at_or_below(field, &self.field) || self.made.as_ref().is_some_and(|made| is_at_or_below(field, made))
    }
}

fn is_at_or_below(field: &str, ancestor: &str) -> bool {
    field.strip_prefix(ancestor).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Values that were read from a file.
#[derive(Clone)]
pub(super) struct Samples {
    /// The list in the tree.
    pub(super) field: String,
    /// The file.
    pub(super) file: PathBuf,
    /// Its text.
    pub(super) text: Arc<str>,
    /// Where each value stands.
    pub(super) places: Vec<Span>,
}

/// Fields that stand in a file of their own.
#[derive(Clone)]
pub(super) struct Cells {
    /// The file.
    pub(super) file: PathBuf,
    /// Its text.
    pub(super) text: Arc<str>,
    /// Where each field stands, by its path in the tree.
    pub(super) places: BTreeMap<String, Span>,
}

impl Cells {
    /// Where a field stands, or what it is in.
    fn find(&self, path: &str) -> Option<Span> {
        let parents = path.rmatch_indices(['.', '[']).map(|(end, _)| &path[..end]);
        std::iter::once(path).chain(parents).find_map(|path| self.places.get(path)).copied()
    }
}

impl Reader {
    /// Of a file that nothing has changed.
    pub(super) fn new(source: &Arc<Source>) -> Self {
        Self { source: Arc::clone(source), layers: Vec::new(), changes: Vec::new(), samples: Vec::new(), copied: Vec::new() }
    }

    /// The file.
    pub(super) fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// Remembers what the experiment builds on, where `own` is what of it was read so far.
    pub(super) fn builds_on(&mut self, base: Arc<Source>, tree: Value, own: &Value) {
        if self.layers.is_empty() {
            self.layers.push((Arc::clone(&self.source), Arc::new(own.clone())));
        }
        self.layers.push((base, Arc::new(tree)));
    }

    /// The file in which a field stands, or the nearest that has most of what leads to it.
    pub(super) fn home(&self, field: &str) -> &Arc<Source> {
        let depth = |tree: &Value| tree::missing(tree, field).map_or(usize::MAX, |missing| missing.len());
        let deepest = self.layers.iter().rev().max_by_key(|(_, tree)| depth(tree));
        deepest.map_or(&self.source, |(source, _)| source)
    }

    /// Remembers that a field was changed.
    pub(super) fn changed(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// Remembers where samples came from.
    pub(super) fn sampled(&mut self, samples: Samples) {
        self.samples.push(samples);
    }

    /// Remembers where fields came from.
    pub(super) fn copied(&mut self, cells: Cells) {
        self.copied.push(cells);
    }

    /// The file as a tree that says it is an experiment of a version this program reads.
    pub(super) fn tree(&self, api_version: &str) -> Result<Value, InputError> {
        let fix = "start from a shipped experiment, or let `svcsim import` write one from your manifests";
        let error = |problem: &str| Err(self.place(InputError::new("", problem, fix)));
        if self.source.text.trim().is_empty() {
            return error("the file is empty; expected an experiment");
        }
        let mut documents = kubernetes::parse(&self.source)?;
        if let Some(manifest) = documents.iter().position(is_manifest) {
            let kind = documents[manifest].get("kind").and_then(Value::as_str).unwrap_or("object");
            let problem = format!("this is a Kubernetes {kind}; expected an experiment");
            let fix = format!("`svcsim import {}` turns manifests into an experiment", self.source.file.display());
            let at = self.source.locations().find(manifest, "kind");
            return Err(InputError::new("", problem, fix).in_file(&self.source.file, Arc::clone(&self.source.text), at));
        }
        let tree = match (documents.len(), documents.pop()) {
            (1, Some(tree @ Value::Object(_))) => tree,
            (2.., _) => {
                let at = self.source.locations().find(1, "");
                let error = InputError::new("", "a second document; an experiment is one", "put the experiments into files of their own");
                return Err(error.in_file(&self.source.file, Arc::clone(&self.source.text), at));
            }
            _ => return error("this is no experiment; expected a map with apiVersion, kind, metadata, ..."),
        };
        self.check_header(&tree, api_version)?;
        Ok(tree)
    }

    fn check_header(&self, tree: &Value, api_version: &str) -> Result<(), InputError> {
        for (field, wanted) in [("kind", "Experiment"), ("apiVersion", api_version)] {
            let fix = format!("write `{field}: {wanted}`");
            match tree.get(field) {
                Some(Value::String(found)) if found == wanted => {}
                Some(found) => {
                    let problem = format!("{}; expected {wanted}", shown(found));
                    return Err(self.place(InputError::new(field, problem, fix)));
                }
                None => {
                    let error = InputError::new("", format!("`{field}` is missing"), fix);
                    return Err(error.in_file(&self.source.file, Arc::clone(&self.source.text), None));
                }
            }
        }
        Ok(())
    }

    /// The tree as what it should be; `context` says which fields were set, for errors.
    pub(super) fn typed<T: DeserializeOwned>(&self, tree: &Value, context: &str) -> Result<T, InputError> {
        self.typed_at(tree, "", context)
    }

    /// The same of a part of the tree, which stands at `prefix`.
    pub(super) fn typed_at<T: DeserializeOwned>(&self, part: &Value, prefix: &str, context: &str) -> Result<T, InputError> {
        serde_path_to_error::deserialize(part).map_err(|e| {
            let below = e.path().to_string();
            let mut field = match (prefix, below.as_str()) {
                (_, ".") => prefix.to_owned(),
                ("", _) => below,
                _ if below.starts_with('[') => format!("{prefix}{below}"),
                _ => format!("{prefix}.{below}"),
            };
            let (problem, mut fix) = in_words(&e.inner().to_string());
            if let Some(name) = unknown_name(&problem) {
                let full = format!("{field}.{name}");
                let locations = self.home(&full).locations();
                let copied = self.copied.iter().any(|cells| cells.places.contains_key(&full));
                if copied || (!field.ends_with(name) && locations.find_key(0, &full) != locations.find_key(0, &field)) {
                    field = full;
                }
            }
            let change = self.change_of(&field);
            if let Some(made) = change.and_then(|c| c.made.as_ref()).filter(|made| **made == field && problem.ends_with("is missing")) {
                fix = format!("there was no `{made}` before: correct the path");
            }
            if change.is_none() && !context.is_empty() {
                fix = format!("{fix} (at the design point with {context})");
            }
            let error = InputError::new(field, problem, fix);
            if error.field.is_empty() { error.in_file(&self.source.file, Arc::clone(&self.source.text), None) } else { self.place(error) }
        })
    }

    /// An error with the place of its field.
    pub(super) fn place(&self, error: InputError) -> InputError {
        if error.file.is_some() {
            return error;
        }
        match self.change_of(&error.field).cloned() {
            Some(change) => {
                let name = is_key(&error) && error.field == change.field;
                self.place_in_change(error, &change, name)
            }
            None => {
                let path = error.field.clone();
                self.place_in_file(error, &path)
            }
        }
    }

    /// The error of a change that could not be made.
    pub(super) fn refused(&self, error: InputError, change: &Change) -> InputError {
        let of_path =
            ["there is no ", "there are no ", " no path", " lies below ", " asks for a list", "cannot be changed", "not modelled"];
        let name = is_key(&error) || of_path.iter().any(|part| error.problem.contains(part));
        self.place_in_change(error, change, name)
    }

    /// The error in what changed its field: at the name of the field if `name`, else at the value.
    fn place_in_change(&self, mut error: InputError, change: &Change, name: bool) -> InputError {
        match &change.by {
            By::CommandLine(value) => {
                if !is_at_or_below(&change.field, &error.field) {
                    error.problem = format!("{}: {}", error.field, error.problem).into();
                }
                error.field = format!("--set {}={}", change.field, tree::shown(value));
                error
            }
            By::File { name: named, value } => match error.field.strip_prefix(change.field.as_str()) {
                Some(rest) if !name => {
                    let path = format!("{value}{rest}");
                    self.place_in_file(error, &path)
                }
                _ => {
                    let home = self.home(named);
                    let locations = home.locations();
                    let at = if named == value { locations.find_key(0, named) } else { locations.find(0, named) };
                    error.in_file(&home.file, Arc::clone(&home.text), at)
                }
            },
        }
    }

    fn place_in_file(&self, error: InputError, path: &str) -> InputError {
        for samples in &self.samples {
            let index = path.strip_prefix(samples.field.as_str()).and_then(|rest| rest.strip_prefix('[')?.split_once(']')?.0.parse().ok());
            if let Some(at) = index.and_then(|i: usize| samples.places.get(i)) {
                return error.in_file(&samples.file, Arc::clone(&samples.text), Some(*at));
            }
        }
        if let Some((cells, at)) = self.copied.iter().find_map(|cells| Some((cells, cells.find(path)?))) {
            return error.in_file(&cells.file, Arc::clone(&cells.text), Some(at));
        }
        let home = self.home(path);
        let locations = home.locations();
        let at = if is_key(&error) { locations.find_key(0, path) } else { locations.find(0, path) };
        error.in_file(&home.file, Arc::clone(&home.text), at)
    }

    /// The last change that an error at `field` is about.
    fn change_of(&self, field: &str) -> Option<&Change> {
        self.changes.iter().rev().find(|change| change.concerns(field))
    }
}

/// Whether the key is at fault, not the value.
fn is_key(error: &InputError) -> bool {
    error.problem.starts_with("unknown field")
}

/// Whether a document is an object of Kubernetes' API rather than a misspelt experiment.
fn is_manifest(document: &Value) -> bool {
    let text = |key: &str| document.get(key).and_then(Value::as_str);
    let (Some(api), Some(kind)) = (text("apiVersion"), text("kind")) else { return false };
    !api.starts_with("svcsim") && strsim::jaro_winkler(kind, "Experiment") < 0.8
}

/// A value for people.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a map".to_owned(),
        scalar => format!("`{}`", tree::shown(scalar)),
    }
}

/// What serde says, as a problem and a fix.
pub(super) fn in_words(message: &str) -> (String, String) {
    if let Some(name) = message.strip_prefix("missing field `").and_then(|m| m.strip_suffix('`')) {
        return (format!("`{name}` is missing"), format!("add `{name}:`; {LOOK_UP}"));
    }
    if message.starts_with("unknown field ") || message.starts_with("unknown variant ") {
        let problem = message.split(", expected ").next().unwrap_or(message).split(", there are no ").next().unwrap_or(message);
        let problem = problem.strip_prefix("unknown variant ").map_or_else(|| problem.to_owned(), |name| format!("{name} is unknown"));
        return (problem, suggestion(message).unwrap_or_else(|| LOOK_UP.to_owned()));
    }
    if message.ends_with("expected map with a single key") {
        return ("expected a map with one key, which says of what kind it is".to_owned(), "leave one of its keys".to_owned());
    }
    for kind in ["invalid type: ", "invalid value: "] {
        if let Some((found, expected)) = message.strip_prefix(kind).and_then(|m| m.rsplit_once(", expected ")) {
            let is_text = found.starts_with("string ");
            let fix = match expected {
                "a string" => "put quotes around it".to_owned(),
                "f64" if is_text => "write a number such as 0.5, without quotes or unit".to_owned(),
                e if is_integer(e) && is_text => "write a number such as 5, without quotes or unit".to_owned(),
                e if is_integer(e) => "write a number of that range".to_owned(),
                e if e.starts_with("struct ") || e == "a map" => format!("indent its fields below it; {LOOK_UP}"),
                _ => LOOK_UP.to_owned(),
            };
            return (format!("expected {}, found {}", expected_in_words(expected), found_in_words(found)), fix);
        }
    }
    match message.split_once(": write ") {
        Some((problem, form)) if problem.starts_with("`-") => (format!("{problem}: it must not be negative"), format!("write {form}")),
        Some((problem, form)) => (problem.to_owned(), format!("write {form}")),
        None => (message.to_owned(), LOOK_UP.to_owned()),
    }
}

fn is_integer(expected: &str) -> bool {
    matches!(expected, "u8" | "u16" | "u32" | "u64" | "usize" | "i32" | "i64")
}

fn expected_in_words(expected: &str) -> String {
    match expected {
        "f64" => "a finite number".to_owned(),
        "u16" => format!("a whole number from 0 to {}", u16::MAX),
        "u32" => format!("a whole number from 0 to {}", u32::MAX),
        "u64" | "usize" => "a whole number, 0 or more".to_owned(),
        "a string" => "a text".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a boolean" => "true or false".to_owned(),
        e if e.starts_with("struct ") => "a map of fields".to_owned(),
        e => e.to_owned(),
    }
}

fn found_in_words(found: &str) -> String {
    let quoted = |kind: &str| found.strip_prefix(kind).map(|value| value.trim_matches(['`', '"']).to_owned());
    let number = || quoted("integer ").or_else(|| quoted("floating point "));
    match found {
        "null" | "unit value" => "nothing".to_owned(),
        "sequence" => "a list".to_owned(),
        "map" => "a map".to_owned(),
        "unit variant" => "a word alone".to_owned(),
        _ => match (quoted("string "), number(), quoted("boolean ")) {
            (Some(text), ..) if text.trim_start_matches(['.', '+', '-']).parse().is_ok_and(|n: f64| !n.is_finite()) => format!("`{text}`"),
            (Some(text), ..) => format!("the text `{text}`"),
            (_, Some(number), _) => format!("the number {number}"),
            (.., Some(boolean)) => boolean,
            _ => found.to_owned(),
        },
    }
}

/// The name in "`name` is unknown".
fn unknown_name(problem: &str) -> Option<&str> {
    problem.strip_suffix("` is unknown")?.strip_prefix('`')
}

/// What serde expected, turned into advice: `unknown field `x`, expected one of `a`, `b`` names the nearest.
fn suggestion(message: &str) -> Option<String> {
    let (found, expected) = message.split_once("expected ")?;
    let quoted = |text: &str| -> Vec<String> { text.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    let wrong = quoted(found).pop()?;
    let names = quoted(expected);
    let best = names.iter().max_by(|a, b| strsim::jaro_winkler(a, &wrong).total_cmp(&strsim::jaro_winkler(b, &wrong)))?;
    if strsim::jaro_winkler(best, &wrong) > 0.8 {
        return Some(format!("did you mean `{best}`?"));
    }
    Some(if names.len() == 1 { format!("only `{best}` is known here") } else { format!("expected one of {}", names.join(", ")) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serde_is_put_in_plain_words() {
        for (message, problem, fix) in [
            ("missing field `to`", "`to` is missing", "add `to:`"),
            ("unknown field `cleints`, expected one of `to`, `clients`", "unknown field `cleints`", "did you mean `clients`?"),
            ("unknown field `cv`, expected `mean`", "unknown field `cv`", "only `mean` is known here"),
            ("unknown variant `x`, expected one of `a`, `b`", "`x` is unknown", "expected one of a, b"),
            ("invalid type: string \"many\", expected u32", "expected a whole number from 0 to 4294967295, found the text `many`", "write"),
            ("invalid value: integer `-2`, expected u32", "expected a whole number from 0 to 4294967295, found the number -2", "write"),
            ("invalid type: floating point `2.5`, expected u32", "expected a whole number from 0 to 4294967295, found the number 2.5", ""),
            ("invalid type: unit variant, expected struct variant", "expected a map of fields, found a word alone", "indent"),
            ("invalid type: null, expected a map", "expected a map, found nothing", "indent"),
            ("invalid type: integer `5`, expected a string", "expected a text, found the number 5", "put quotes around it"),
            ("`5 x` is not a duration: write a number", "`5 x` is not a duration", "write a number"),
            ("`-5ms` is not a duration: write a number", "`-5ms` is not a duration: it must not be negative", "write a number"),
            ("invalid value: map, expected map with a single key", "expected a map with one key, which says of what kind it is", "leave"),
            ("whatever", "whatever", LOOK_UP),
        ] {
            let (found_problem, found_fix) = in_words(message);
            assert_eq!(found_problem, problem);
            assert!(found_fix.starts_with(fix), "{message}: {found_fix}");
        }
    }

    #[test]
    fn a_change_concerns_its_field_and_what_it_made() {
        let tree = serde_json::json!({"pods": {"web": {"concurrency": 2}}});
        let change = Change::by_command_line("pods.wbe.concurrency", &Value::Null, Some(&tree));
        for (field, is) in [
            ("pods.wbe.concurrency", true),
            ("pods.wbe.concurrency.x", true),
            ("pods.wbe", true),
            ("pods.wbe2", false),
            ("pods", false),
            ("pods.web", false),
        ] {
            assert_eq!(change.concerns(field), is, "{field}");
        }
        let change = Change::by_command_line("pods.web.concurrency", &Value::Null, Some(&tree));
        assert!(!change.concerns("pods.web"));
    }
}
