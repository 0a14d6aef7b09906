//! Recorded events: a CSV file with a line for each becomes entries of `events:`, as if they had been written there.
//!
//! Columns are `at`, perhaps `for`, perhaps `do` with the name of what happens, and fields of that. Times without a unit are
//! seconds; an empty cell says nothing.

use super::error::{InputError, Span};
use super::files::Files;
use super::reader::{Cells, Reader};
use super::tree;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Most lines of a trace: bounds what a wrong file can ask for.
const MOST: usize = 100_000;

/// Puts recorded events in the place of the files that `events:` refers to.
pub(super) fn resolve(tree: &mut Value, dir: &Path, files: &mut Files, reader: &mut Reader) -> Result<(), InputError> {
    let Some(Value::Object(events)) = tree.get_mut("events") else { return Ok(()) };
    let traces: Vec<String> = events.iter().filter(|(_, e)| e.get("trace").is_some()).map(|(name, _)| name.clone()).collect();
    for name in traces {
        let Some(spec) = events.shift_remove(&name) else { continue };
        for (recorded, event) in read(&name, &spec, dir, files, reader)? {
            if events.contains_key(&recorded) {
                let field = format!("events.{recorded}");
                let problem = format!("the trace `{name}` has an event of this name too");
                return Err(reader.place(InputError::new(field, problem, "rename one of them")));
            }
            events.insert(recorded, event);
        }
    }
    Ok(())
}

/// The recorded events of one file, by name.
fn read(name: &str, spec: &Value, dir: &Path, files: &mut Files, reader: &mut Reader) -> Result<Vec<(String, Value)>, InputError> {
    let field = format!("events.{name}");
    let refused = |reader: &Reader, below: &str, problem: &str, fix: &str| {
        Err(reader.place(InputError::new(format!("{field}{below}"), problem, fix)))
    };
    if let Some(other) = spec.as_object().and_then(|map| map.keys().find(|key| !["trace", "do"].contains(&key.as_str()))) {
        return refused(
            reader,
            &format!(".{other}"),
            "the trace says when; expected only `trace` and `do`",
            "make it a column of the trace",
        );
    }
    let Some(path) = spec["trace"].as_str() else {
        return refused(reader, ".trace", "expected the name of a CSV file", "write trace: outages.csv");
    };
    let same = match spec.get("do").map(|action| action.as_object().map(|map| map.iter().collect::<Vec<_>>())) {
        None => None,
        Some(Some(map)) if map.len() == 1 => map.first().map(|(action, fields)| ((*action).clone(), (*fields).clone())),
        Some(_) => return refused(reader, ".do", "expected a map with one key, which says what happens", "write do: {nodeCrash: {}}"),
    };
    let file = dir.join(path);
    let text: Arc<str> = files.read(&file, &format!("{field}.trace")).map_err(|e| reader.place(e))?.into();
    let lines = Lines::read(&text).map_err(|wrong| wrong.in_file(&field, &file, &text))?;
    let columns = |name: &str| lines.header.iter().any(|(column, _)| column == name);
    let wrong = |at: Option<Span>, problem: &str, fix: &str| {
        Err(InputError::new(field.clone(), problem, fix).in_file(&file, Arc::clone(&text), at))
    };
    if !columns("at") {
        return wrong(Some(START), "no column is called `at`", "the first line names the columns, such as at,for,node");
    }
    match (columns("do"), &same) {
        (true, Some(_)) => return wrong(Some(START), "both the column `do` and the experiment say what happens", "leave one of them out"),
        (false, None) => {
            return refused(
                reader,
                "",
                "nothing says what happens: neither a column `do` nor the experiment",
                "add e.g. do: {nodeCrash: {}}",
            );
        }
        _ => {}
    }
    if lines.rows.is_empty() || lines.rows.len() > MOST {
        let problem = format!("{} recorded events; expected 1 to {MOST}", lines.rows.len());
        return wrong(None, &problem, "a line for each event follows the names of the columns");
    }
    let digits = lines.rows.len().to_string().len();
    let mut cells = Cells { file: file.clone(), text: Arc::clone(&text), places: BTreeMap::new() };
    let mut recorded = Vec::with_capacity(lines.rows.len());
    for (i, row) in lines.rows.iter().enumerate() {
        let entry = format!("{name}-{:0digits$}", i + 1);
        recorded.push((entry.clone(), event(&format!("events.{entry}"), &lines.header, row, same.as_ref(), &mut cells)));
    }
    reader.copied(cells);
    Ok(recorded)
}

/// One line as an entry of `events:`; `field` is its place in the tree.
fn event(field: &str, header: &[Cell], row: &[Cell], same: Option<&(String, Value)>, cells: &mut Cells) -> Value {
    let (mut at, mut rest) = (Map::new(), Map::new());
    let named = header.iter().zip(row).find(|((column, _), _)| column == "do").map(|(_, (action, _))| action.clone());
    let (action, fields) = same.cloned().unwrap_or_else(|| (named.unwrap_or_default(), json!({})));
    cells.places.insert(field.to_owned(), Span { length: 1, ..row.first().map_or(START, |(_, span)| *span) });
    for ((column, _), (cell, span)) in header.iter().zip(row).filter(|(_, (cell, _))| !cell.is_empty()) {
        let path = match column.as_str() {
            "at" | "for" => {
                let unit = if cell.parse::<f64>().is_ok() { "s" } else { "" };
                at.insert(column.clone(), json!(format!("{cell}{unit}")));
                format!("{field}.{column}")
            }
            "do" => format!("{field}.do"),
            _ => {
                rest.insert(column.clone(), scalar(cell));
                format!("{field}.do.{action}.{column}")
            }
        };
        cells.places.insert(path, *span);
    }
    let mut all = fields.as_object().cloned().unwrap_or_default();
    all.extend(rest);
    at.insert("do".to_owned(), json!({ action: all }));
    Value::Object(at)
}

/// A cell as it would be read in an experiment file.
fn scalar(cell: &str) -> Value {
    match serde_json::from_str(cell) {
        Ok(value @ (Value::Number(_) | Value::Bool(_))) => value,
        _ => json!(cell),
    }
}

/// A value and where it stands.
type Cell = (String, Span);

const START: Span = Span { line: 1, column: 1, length: 1 };

/// A CSV file whose first line names the columns. Lines that are empty or begin with # do not count.
struct Lines {
    header: Vec<Cell>,
    rows: Vec<Vec<Cell>>,
}

/// What is wrong with a file, and where.
struct Wrong {
    at: Option<Span>,
    problem: String,
}

impl Wrong {
    fn in_file(self, field: &str, file: &Path, text: &Arc<str>) -> InputError {
        let fix = "give each line as many cells as the first, separated by commas";
        InputError::new(field, self.problem, fix).in_file(file, Arc::clone(text), self.at)
    }
}

impl Lines {
    fn read(text: &str) -> Result<Self, Wrong> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut csv = csv::ReaderBuilder::new().has_headers(false).flexible(true).comment(Some(b'#')).from_reader(text.as_bytes());
        let mut rows: Vec<Vec<Cell>> = Vec::new();
        for record in csv.records() {
            let record = record.map_err(|e| Wrong { at: None, problem: tree::shown(&json!(e.to_string())) })?;
            let line = record.position().map_or(1, |p| p.line() as usize);
            let starts = columns(text.lines().nth(line - 1).unwrap_or_default());
            let cell = |(i, cell): (usize, &str)| {
                let span = Span { line, column: starts.get(i).copied().unwrap_or(1), length: cell.chars().count().max(1) };
                (cell.trim().to_owned(), span)
            };
            let row: Vec<Cell> = record.iter().enumerate().map(cell).collect();
            if let Some(header) = rows.first().filter(|header| header.len() != row.len()) {
                let problem = format!("{} cells, where the first line has {}", row.len(), header.len());
                return Err(Wrong { at: Some(Span { line, column: 1, length: 1 }), problem });
            }
            rows.push(row);
        }
        let header = if rows.is_empty() { Vec::new() } else { rows.remove(0) };
        for (i, (name, span)) in header.iter().enumerate() {
            if name.is_empty() || header[..i].iter().any(|(other, _)| other == name) {
                return Err(Wrong { at: Some(*span), problem: format!("two columns are called `{name}`, or one has no name") });
            }
        }
        Ok(Self { header, rows })
    }
}

/// The column, counted from 1, at which each cell of a line starts.
fn columns(line: &str) -> Vec<usize> {
    let mut quoted = false;
    let mut starts = vec![1];
    for (i, c) in line.chars().enumerate() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => starts.push(i + 2),
            _ => {}
        }
    }
    starts
}
