//! Recorded requests: a CSV or Parquet file with a line for each request, or for each period with how many there were, becomes the columns of
//! `replay: {recorded: …}`. The file is read line by line, never as a whole; a byte-order mark and CRLF are no matter.

use super::error::InputError;
use super::files::Files;
use super::reader::Reader;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use std::io::Read;
use std::path::Path;
use std::time::UNIX_EPOCH;
use svcsim_engine::SimDuration;
use svcsim_models::units::Bytes;

/// Most lines of a file: bounds memory, at 8 to 32 bytes each.
const MOST: usize = 50_000_000;

/// What an experiment says of the file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "ReplayFile")]
pub(super) struct FileSpec {
    /// Relative to the experiment.
    file: String,
    /// The column with times: numbers, or dates with times of day.
    #[serde(default = "time")]
    time: String,
    /// What a number in it means.
    #[serde(default = "second")]
    time_unit: SimDuration,
    /// The column that says how many requests the period has which begins then.
    count: Option<String>,
    /// The column with the demand of each request; absent: drawn.
    service_time: Option<Column<SimDuration>>,
    /// The column with the size of each request; absent: drawn.
    request_size: Option<Column<Bytes>>,
    /// The column with the size of each response; absent: drawn.
    response_size: Option<Column<Bytes>>,
    /// How many times as fast as it was; by default 1.
    speed: Option<f64>,
    /// The part of the requests that is sent; by default 1.
    keep: Option<f64>,
    /// How often each is sent, at once; by default 1.
    clones: Option<u32>,
    /// Whether it begins anew after its end; by default not.
    repeat: Option<bool>,
}

/// A column whose numbers mean so much each.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "ColumnOf{Q}")]
struct Column<Q> {
    /// Its name in the first line.
    column: String,
    /// What one of its units is.
    each: Q,
}

fn time() -> String {
    "time".to_owned()
}

const fn second() -> SimDuration {
    SimDuration::from_secs(1)
}

/// Puts what was recorded in the place of `spec`, a `replay` that names a file at `field`.
pub(super) fn resolve(spec: &Value, field: &str, dir: &Path, files: &mut Files, reader: &Reader) -> Result<Value, InputError> {
    let spec: FileSpec = reader.typed_at(spec, field, "")?;
    let path = dir.join(&spec.file);
    let recorded = Recorded::read(&spec, &path, field, files).map_err(|e| reader.place(e))?;
    let mut replay = json!({ "recorded": recorded });
    for (name, value) in [
        ("speed", spec.speed.map(Value::from)),
        ("keep", spec.keep.map(Value::from)),
        ("clones", spec.clones.map(Value::from)),
        ("repeat", spec.repeat.map(Value::from)),
    ] {
        if let Some(value) = value {
            replay[name] = value;
        }
    }
    Ok(replay)
}

struct Recorded;

impl Recorded {
    /// The columns of a file, as models read them.
    fn read(spec: &FileSpec, path: &Path, field: &str, files: &mut Files) -> Result<Value, InputError> {
        let mut content = files.stream(path, &format!("{field}.file"))?;
        let rows: Box<dyn Read + '_> = if path.extension().is_some_and(|e| e == "parquet") {
            as_csv(path).map_err(|e| {
                let problem = format!("{}: {e}", path.display());
                InputError::new(format!("{field}.file"), problem, "give a Parquet file that is not compressed, or a CSV file")
            })?
        } else {
            Box::new(&mut content)
        };
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(rows);
        let shown = path.display();
        let broken = |e: csv::Error| {
            let line = e.position().map_or_else(String::new, |p| format!(" line {}:", p.line()));
            let problem = match e.kind() {
                csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                    format!("{len} fields; expected {expected_len}, as the first line has")
                }
                csv::ErrorKind::Utf8 { .. } => "not UTF-8 text".to_owned(),
                _ => e.to_string(),
            };
            InputError::new(format!("{field}.file"), format!("{shown}:{line} {problem}"), "fill the gap, or remove the line")
        };
        let header = reader.headers().map_err(broken)?.clone();
        let place = |name: &str, key: &str| {
            header.iter().position(|h| h == name).ok_or_else(|| {
                let names = header.iter().collect::<Vec<_>>().join(", ");
                let problem = format!("{shown} has no column `{name}`; its first line names {names}");
                InputError::new(format!("{field}.{key}"), problem, format!("name one of these, or `{name}` in the first line"))
            })
        };
        let time = place(&spec.time, "time")?;
        let count = spec.count.as_deref().map(|c| place(c, "count")).transpose()?;
        let mut columns: Vec<(usize, &str, f64, Vec<u64>)> = Vec::new();
        if let Some(c) = &spec.service_time {
            columns.push((place(&c.column, "serviceTime.column")?, "serviceTimes", c.each.as_nanos() as f64, Vec::new()));
        }
        for (c, key, name) in [(&spec.request_size, "requestSize", "requestSizes"), (&spec.response_size, "responseSize", "responseSizes")]
        {
            if let Some(c) = c {
                columns.push((place(&c.column, &format!("{key}.column"))?, name, c.each.0 as f64, Vec::new()));
            }
        }
        let (mut gaps, mut counts): (Vec<u64>, Vec<u64>) = (Vec::new(), Vec::new());
        let mut last: Option<u64> = None;
        let mut row = csv::StringRecord::new();
        while reader.read_record(&mut row).map_err(broken)? {
            let line = row.position().map_or(0, csv::Position::line);
            let wrong = |column: usize, problem: &str, fix: &str| {
                let found = format!("{shown}: line {line}: {} `{}`: {problem}", &header[column], &row[column]);
                Err(InputError::new(format!("{field}.file"), found, fix))
            };
            let Some(at) = nanoseconds(&row[time], spec.time_unit) else {
                let problem = "expected a number that is not negative, or a time such as 2023-11-16 18:17:03.98";
                return wrong(time, problem, "mend the line, or name another column as `time`");
            };
            match last {
                Some(last) if at < last => {
                    return wrong(time, "before the line above it", "sort the file by time");
                }
                Some(last) => gaps.push(at - last),
                // The record begins with its first request.
                None => gaps.push(0),
            }
            last = Some(at);
            if let Some(count) = count {
                match row[count].parse::<u64>() {
                    Ok(n) => counts.push(n),
                    Err(_) => return wrong(count, "expected a whole number that is not negative", "mend the line"),
                }
            }
            for (place, _, each, values) in &mut columns {
                match row[*place].parse::<f64>().ok().filter(|n| *n >= 0.0 && n.is_finite()) {
                    Some(n) => values.push((n * *each).round() as u64),
                    None => return wrong(*place, "expected a number that is not negative", "fill the gap, or remove the line"),
                }
            }
            if gaps.len() > MOST {
                let problem = format!("{shown}: more than {MOST} lines");
                return Err(InputError::new(format!("{field}.file"), problem, "cut the file into parts"));
            }
        }
        drop(reader);
        content.finish(files);
        if gaps.is_empty() {
            let problem = format!("{shown} holds no requests");
            return Err(InputError::new(format!("{field}.file"), problem, "a line for each follows the names of the columns"));
        }
        let mut recorded = json!({ "gaps": text(&gaps) });
        if count.is_some() {
            recorded["counts"] = text(&counts).into();
        }
        for (_, name, _, values) in columns {
            recorded[name] = text(&values).into();
        }
        Ok(recorded)
    }
}

/// The rows of a Parquet file.
#[cfg(feature = "parquet")]
fn as_csv(path: &Path) -> std::io::Result<Box<dyn Read>> {
    Ok(Box::new(crate::parquet::AsCsv::open(path)?))
}

#[cfg(not(feature = "parquet"))]
fn as_csv(_: &Path) -> std::io::Result<Box<dyn Read>> {
    Err(std::io::Error::other("this svcsim was built without Parquet: build it with `--features parquet`"))
}

/// Numbers with spaces between them.
fn text(numbers: &[u64]) -> String {
    let mut text = String::with_capacity(numbers.len() * 8);
    for n in numbers {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&n.to_string());
    }
    text
}

/// A time of a record: a number of units, or a date and a time of day, since 1970.
fn nanoseconds(text: &str, unit: SimDuration) -> Option<u64> {
    if let Ok(number) = text.parse::<f64>() {
        return (0.0..1e18)
            .contains(&number)
            .then(|| whole_and_part(text, unit).unwrap_or((number * unit.as_nanos() as f64).round() as u64));
    }
    let time = humantime::parse_rfc3339_weak(text).ok()?;
    u64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_nanos()).ok()
}

/// Whole units and the digits behind the point apart: seconds since 1970 with nine digits do not fit into a float.
fn whole_and_part(text: &str, unit: SimDuration) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let whole: u64 = whole.parse().ok()?;
    let part: f64 = if part.is_empty() { 0.0 } else { format!("0.{part}").parse().ok()? };
    whole.checked_mul(unit.as_nanos())?.checked_add((part * unit.as_nanos() as f64).round() as u64)
}

/// A file that is read bit by bit, and its digest.
pub struct Streamed {
    file: std::io::BufReader<std::fs::File>,
    path: std::path::PathBuf,
    digest: sha2::Sha256,
}

impl Streamed {
    /// A file that is open.
    pub fn new(file: std::fs::File, path: &Path) -> Self {
        Self { file: std::io::BufReader::new(file), path: path.to_owned(), digest: sha2::Digest::new() }
    }

    /// It has been read to its end: its digest is known.
    fn finish(mut self, files: &mut Files) {
        let _ = std::io::copy(&mut self, &mut std::io::sink());
        let digest = sha2::Digest::finalize(self.digest);
        files.remember(&self.path, digest.iter().map(|b| format!("{b:02x}")).collect());
    }
}

impl Read for Streamed {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.file.read(buffer)?;
        sha2::Digest::update(&mut self.digest, &buffer[..n]);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_to_the_nanosecond() {
        let s = SimDuration::from_secs(1);
        assert_eq!(nanoseconds("1.5", s), Some(1_500_000_000));
        assert_eq!(nanoseconds("1700000000.123456789", s), Some(1_700_000_000_123_456_789));
        assert_eq!(nanoseconds("250", SimDuration::from_millis(1)), Some(250_000_000));
        assert_eq!(nanoseconds("1e3", s), Some(1_000_000_000_000));
        assert_eq!(nanoseconds("1970-01-02 00:00:00.9799600", s), Some(86_400_979_960_000));
        assert_eq!(nanoseconds("1970-01-01T00:01:00Z", s), Some(60_000_000_000));
        assert_eq!(
            [nanoseconds("-1", s), nanoseconds("soon", s), nanoseconds("", s), nanoseconds("NaN", s), nanoseconds("inf", s)],
            [None; 5]
        );
    }
}
