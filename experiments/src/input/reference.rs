//! The reference page of the experiment file: every key of its JSON Schema, in Markdown.

use schemars::Schema;
use serde_json::{Map, Value};

/// The page.
#[must_use]
pub fn page(schema: &Schema) -> String {
    let mut page = "# Reference of the experiment file\n\nEvery key, its type, its default and what it means, made from the types that read the file by \
                    `svcsim schema --reference`. A key with neither a default nor the word *required* may be left out. \
                    [experiment-file.md](experiment-file.md) explains the file with examples.\n"
        .to_owned();
    section(&mut page, "Experiment", schema.as_value());
    if let Some(definitions) = schema.get("$defs").and_then(Value::as_object) {
        let mut definitions: Vec<_> = definitions.iter().collect();
        definitions.sort_by_key(|(name, _)| *name);
        for (name, definition) in definitions {
            section(&mut page, name, definition);
        }
    }
    page
}

/// One type: what it is, and a table of its keys or of its forms.
fn section(page: &mut String, name: &str, schema: &Value) {
    page.push_str(&format!("\n## {name}\n"));
    if let Some(meaning) = text(schema, "description") {
        page.push_str(&format!("\n{}\n", meaning.trim()));
    }
    if let Some(examples) = schema.get("examples").and_then(Value::as_array) {
        let examples: Vec<_> = examples.iter().map(code).collect();
        page.push_str(&format!("\nExamples: {}.\n", examples.join(", ")));
    }
    if let Some(properties) = schema.get("properties").and_then(Value::as_object).filter(|properties| !properties.is_empty()) {
        keys(page, properties, schema);
    }
    let forms: Vec<_> = forms(schema).collect();
    if !forms.is_empty() {
        page.push_str("\n| form | meaning |\n|---|---|\n");
        forms.iter().for_each(|form| page.push_str(&format!("| {} | {} |\n", form_of(form), cell(form))));
    }
}

fn keys(page: &mut String, properties: &Map<String, Value>, schema: &Value) {
    // What only a file that builds on no other must have is required too.
    let named =
        |names: Option<&Value>, key: &str| names.and_then(Value::as_array).is_some_and(|names| names.iter().any(|name| name == key));
    let required = |key: &str| named(schema.get("required"), key) || named(schema.pointer("/else/required"), key);
    page.push_str("\n| key | type | default | meaning |\n|---|---|---|---|\n");
    for (key, property) in properties {
        let default = match property.get("default") {
            Some(default) if !default.is_null() => code(default),
            _ if required(key) => "*required*".to_owned(),
            _ => String::new(),
        };
        page.push_str(&format!("| `{key}` | {} | {default} | {} |\n", type_of(property), cell(property)));
    }
}

/// What a value may be, where it may be several things.
fn forms(schema: &Value) -> impl Iterator<Item = &Value> {
    ["oneOf", "anyOf"].iter().filter_map(|key| schema.get(key)?.as_array()).flatten().filter(|form| !is_null(form))
}

/// A form as it is written: a word, a map with one key, or a type.
fn form_of(schema: &Value) -> String {
    match schema.get("properties").and_then(Value::as_object) {
        Some(properties) if properties.len() == 1 && schema.get("required").is_some() => {
            properties.iter().map(|(key, value)| format!("`{key}:` {}", type_of(value))).collect()
        }
        _ => type_of(schema),
    }
}

/// A type in words, with links to types that have sections.
fn type_of(schema: &Value) -> String {
    if let Some(name) = text(schema, "$ref").and_then(|path| path.rsplit('/').next()) {
        return format!("[{name}](#{})", name.to_lowercase());
    }
    if let Some(word) = schema.get("const") {
        return code(word);
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        return words.iter().filter(|word| !word.is_null()).map(code).collect::<Vec<_>>().join(" or ");
    }
    let several: Vec<_> = forms(schema).map(form_of).collect();
    if !several.is_empty() {
        return several.join(" or ");
    }
    let kind = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null"),
        kind => kind.and_then(Value::as_str),
    };
    match kind {
        Some("array") => match schema.get("items") {
            Some(items) => format!("list of {}", type_of(items)),
            None => "list".to_owned(),
        },
        Some("object") => map_type(schema),
        Some("string") => "text".to_owned(),
        Some("integer") => "whole number".to_owned(),
        Some("boolean") => "true or false".to_owned(),
        Some(other) => other.to_owned(),
        None => "anything".to_owned(),
    }
}

fn map_type(schema: &Value) -> String {
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        let fields = properties.iter().map(|(key, value)| format!("`{key}`: {}", type_of(value))).collect::<Vec<_>>();
        return if fields.is_empty() { "`{}`".to_owned() } else { format!("map with {}", fields.join(", ")) };
    }
    match schema.get("additionalProperties") {
        Some(values @ Value::Object(_)) => format!("map from names to {}", type_of(values)),
        _ => "map".to_owned(),
    }
}

fn is_null(schema: &Value) -> bool {
    text(schema, "type") == Some("null")
}

fn text<'a>(schema: &'a Value, key: &str) -> Option<&'a str> {
    schema.get(key)?.as_str()
}

/// A description in one line of a table.
fn cell(schema: &Value) -> String {
    text(schema, "description").unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

fn code(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    format!("`{}`", if text.is_empty() { "\"\"" } else { &text })
}
