//! Changing one field of one object, and writing objects back.

use super::api_server::update::drop_type_dependent_fields;
use super::read::{Part, keys_of, kind_of, path_of, typed};
use super::report::not_default;
use super::schema::{self, Unread};
use super::{Body, Object, join, object_at, plural};
use serde_json::{Map, Value};
use svcsim_models::spec::SpecError;

/// First parts of paths, for suggestions.
const PLURALS: [&str; 7] = ["deployments", "services", "nodes", "statefulsets", "daemonsets", "replicasets", "pods"];

/// Sets one field of one object, e.g. `services.frontend.spec.externalTrafficPolicy` or `deployments.frontend.spec.replicas`;
/// null takes the field away. The object is read anew, so that whatever `read` would refuse is refused here.
///
/// # Errors
///
/// An object or a field that is not there, with the one that was probably meant; a value of the wrong type; a field that
/// Kubernetes has but svcsim does not model, since it would change nothing.
pub fn set(objects: &mut [Object], path: &str, value: Value) -> Result<(), SpecError> {
    let (index, field) = object_at(objects, path).ok_or_else(|| no_object(objects, path))?;
    let Some(object) = objects.get_mut(index) else { return Err(no_object(&[], path)) };
    if matches!(field, "" | "apiVersion" | "kind" | "metadata" | "metadata.name") {
        let problem = "this is what the object is, and cannot be changed";
        return Err(SpecError::new(path, problem, "set a field of its `spec`, or change the manifest"));
    }
    let parts = parse(&object.kind, field)
        .ok_or_else(|| SpecError::new(path, format!("`{field}` is no path to a field"), "write such as `spec.ports[0].nodePort`"))?;
    let mut whole = to_value(&object.body).ok_or_else(|| SpecError::new(path, "this object is not modelled", "set a field of another"))?;
    put(&mut whole, &parts, value.clone())
        .map_err(|(at, problem)| SpecError::new(join(&object.field(), &path_of(&at)), problem, "see the manifest for what is there"))?;
    let (body, unread) =
        typed(&object.kind, &whole).map_err(|(at, problem, fix)| SpecError::new(join(&object.field(), &at), problem, fix))?;
    if let Some(parts) = unread.first() {
        return Err(no_field(object, parts));
    }
    let before = not_default(object);
    let changed = Object { body, ..object.clone() };
    if let Some((at, to)) = not_default(&changed).into_iter().find(|found| !before.contains(found)) {
        let problem = format!("{at} `{to}` is not modelled: it would change nothing");
        return Err(SpecError::new(path, problem, "vary another field"));
    }
    *object = changed;
    object.changed.push(path_of(&parts));
    Ok(())
}

/// Ends a change: does to each changed Service what the API server does on an update, such as taking the node ports away from
/// one that has become a ClusterIP Service. `before` is what the objects were before the change, in the same order.
pub fn settle(before: &[Object], objects: &mut [Object]) {
    for (old, new) in before.iter().zip(objects) {
        if let (Body::Service(old), Body::Service(new)) = (&old.body, &mut new.body)
            && old != new
        {
            drop_type_dependent_fields(old, new);
        }
    }
}

/// The modelled subset of each modelled object, as a Kubernetes object: read back, it gives equal specs.
#[must_use]
pub fn to_yaml_values(objects: &[Object]) -> Vec<Value> {
    objects.iter().filter_map(|o| to_value(&o.body)).collect()
}

fn to_value(body: &Body) -> Option<Value> {
    match body {
        Body::Node(o) => serde_json::to_value(o),
        Body::Pod(o) => serde_json::to_value(o),
        Body::Service(o) => serde_json::to_value(o),
        Body::Deployment(o) => serde_json::to_value(o),
        Body::ReplicaSet(o) => serde_json::to_value(o),
        Body::StatefulSet(o) => serde_json::to_value(o),
        Body::DaemonSet(o) => serde_json::to_value(o),
        Body::HorizontalPodAutoscaler(o) => serde_json::to_value(o),
        Body::PodDisruptionBudget(o) => serde_json::to_value(o),
        Body::Other(_) => return None,
    }
    .ok()
}

/// The parts of a path; after a map of labels, all that is left is one key.
fn parse(kind: &str, path: &str) -> Option<Vec<Part>> {
    let mut parts: Vec<Part> = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(quoted) = rest.strip_prefix("[\"") {
            let (key, after) = quoted.split_once("\"]")?;
            parts.push(Part::Key(key.to_owned()));
            rest = after;
        } else if let Some(index) = rest.strip_prefix('[') {
            let (index, after) = index.split_once(']')?;
            parts.push(Part::Index(index.parse().ok()?));
            rest = after;
        } else {
            rest = rest.strip_prefix('.').unwrap_or(rest);
            let labels = match keys_of(&parts).as_slice() {
                [.., "labels" | "annotations" | "matchLabels" | "nodeSelector"] => true,
                ["spec", "selector"] => kind == "Service",
                _ => false,
            };
            let end = if labels { rest.len() } else { rest.find(['.', '[']).unwrap_or(rest.len()) };
            let (key, after) = rest.split_at(end);
            if key.is_empty() {
                return None;
            }
            parts.push(Part::Key(key.to_owned()));
            rest = after;
        }
    }
    (!parts.is_empty()).then_some(parts)
}

/// Puts a value in place; maps on the way that are not there yet are made.
fn put(whole: &mut Value, parts: &[Part], value: Value) -> Result<(), (Vec<Part>, String)> {
    let mut at = whole;
    for (i, part) in parts.iter().enumerate() {
        let here = || parts.iter().take(i).cloned().collect::<Vec<_>>();
        at = match part {
            Part::Key(key) => {
                if at.is_null() {
                    *at = Value::Object(Map::new());
                }
                let found = kind_of(at);
                let Value::Object(map) = at else { return Err((here(), format!("expected a map with `{key}` in it, found {found}"))) };
                map.entry(key.clone()).or_insert(Value::Null)
            }
            Part::Index(index) => {
                let items = at.as_array_mut().ok_or_else(|| (here(), "there is no list here".to_owned()))?;
                let length = items.len();
                items.get_mut(*index).ok_or_else(|| (here(), format!("no item [{index}]; expected [0] to [{}]", length.max(1) - 1)))?
            }
        };
    }
    *at = value;
    Ok(())
}

fn no_object(objects: &[Object], path: &str) -> SpecError {
    let (head, rest) = path.split_once('.').unwrap_or((path, ""));
    if !PLURALS.contains(&head) {
        let fix = match schema::nearest(head, PLURALS) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("start with one of {}", PLURALS.join(", ")),
        };
        return SpecError::new(path, format!("there are no Kubernetes objects called `{head}`"), fix);
    }
    let names: Vec<&str> = objects.iter().filter(|o| plural(&o.body) == Some(head)).map(|o| o.name.as_str()).collect();
    let name = rest.split(['.', '[']).next().unwrap_or_default();
    let problem = format!("there is no `{name}` among the {head}");
    let fix = match schema::nearest(name, names.iter().copied()) {
        Some(meant) => format!("did you mean `{head}.{meant}`?"),
        None if names.is_empty() => format!("the input has no {head}"),
        None => format!(
            "name one of {}{}",
            names.iter().take(12).copied().collect::<Vec<_>>().join(", "),
            if names.len() > 12 { ", …" } else { "" }
        ),
    };
    SpecError::new(path, problem, fix)
}

fn no_field(object: &Object, parts: &[Part]) -> SpecError {
    let keys = keys_of(parts);
    let (name, parent) = keys.split_last().map_or(("", &[][..]), |(n, p)| (*n, p));
    let field = join(&object.field(), &path_of(parts));
    match schema::judge(&object.kind, parent, name) {
        Unread::Typo(meant) => SpecError::new(field, format!("unknown field `{name}`"), format!("did you mean `{meant}`?")),
        Unread::Known => SpecError::new(field, format!("`{name}` is not modelled: it would change nothing"), "vary another field"),
        Unread::Unknown => {
            let fix = format!("name one of {}", schema::modelled(&object.kind, parent).join(", "));
            SpecError::new(field, format!("unknown field `{name}`"), fix)
        }
    }
}
