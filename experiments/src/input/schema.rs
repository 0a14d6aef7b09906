//! The JSON Schema of the experiment file (draft 2020-12), made from the types that read it.
//!
//! A file may name other files, whose content stands in their place before the types read it ([`super::experiment`]). Those forms are
//! added here. What the types check beyond their form, such as ranges and names that must exist, `svcsim check` finds.

use super::experiment::Experiment;
use super::replay;
use schemars::generate::SchemaSettings;
use schemars::transform::transform_subschemas;
use schemars::{Schema, json_schema};
use serde_json::{Value, json};

/// The schema.
#[must_use]
pub fn schema() -> Schema {
    let mut generator = SchemaSettings::draft2020_12().for_deserialize().into_generator();
    let file = generator.subschema_for::<replay::FileSpec>();
    let mut schema = generator.into_root_schema_for::<Experiment>();
    schema.insert("title".to_owned(), "svcsim experiment".into());
    or_else(&mut schema, "ReplayArrivals", &file);
    or_else(&mut schema, "EventSpec", &recorded_events());
    may_build_on_another(&mut schema);
    transform_subschemas(&mut without_links, &mut schema);
    schema
}

/// `base: other.yaml`, which has what is missing.
fn may_build_on_another(schema: &mut Schema) {
    let base = json!({
        "type": "string",
        "description": "Another experiment beside this file, of which this one says only how it differs: maps are merged, all else is replaced, \
                        null removes."
    });
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert(super::variant::BASE.to_owned(), base);
    }
    if let Some(required) = schema.insert("required".to_owned(), json!(["apiVersion", "kind"])) {
        schema.insert("if".to_owned(), json!({ "required": [super::variant::BASE] }));
        schema.insert("else".to_owned(), json!({ "required": required }));
    }
}

/// Descriptions come from Rust's documentation, whose links to items lead nowhere elsewhere.
fn without_links(schema: &mut Schema) {
    if let Some(Value::String(description)) = schema.get_mut("description") {
        *description = description.replace("[`", "`").replace("`]", "`");
    }
    transform_subschemas(&mut without_links, schema);
}

/// `events: {outages: {trace: outages.csv, do: {nodeCrash: {}}}}`
fn recorded_events() -> Schema {
    json_schema!({
        "description": "Recorded events: a CSV file with a line for each.",
        "type": "object",
        "properties": {
            "trace": { "type": "string", "description": "The CSV file, relative to the experiment file; its first line names the columns." },
            "do": {
                "type": "object",
                "minProperties": 1,
                "maxProperties": 1,
                "description": "What happens at each; the columns give the fields that are missing. Absent: the column `do` says it."
            }
        },
        "required": ["trace"],
        "additionalProperties": false
    })
}

/// What goes by `name` may have another form too.
fn or_else(schema: &mut Schema, name: &str, other: &Schema) {
    if let Some(definition) = schema.pointer_mut(&format!("/$defs/{name}")) {
        let mut usual = definition.take();
        let description = usual.as_object_mut().and_then(|usual| usual.shift_remove("description")).unwrap_or(Value::Null);
        *definition = json!({ "description": description, "anyOf": [usual, other] });
    }
}
