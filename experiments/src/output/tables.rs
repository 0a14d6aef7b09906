//! The data of a results directory: rows in memory, CSV files on disk, and back again.
//!
//! Everything that is shown of an experiment (figures, findings, report) is computed from a [`Results`], and a `Results` can be read
//! back from the files that [`Results::write`] left behind; so a report can be rebuilt years later without a simulation.
//!
//! Rows of one design point carry its number; its factor levels are written beside it as columns for those who open the file
//! elsewhere, and are ignored when reading (they are known from `about.json`). Floats are written in the shortest form that reads
//! back as the same number.

use super::requests::{self, RequestRow};
use crate::input::experiment::RankingSection;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// The file that holds [`About`]; written last, so that a directory without it is known to be incomplete.
const ABOUT_FILE: &str = "about.json";

/// What a results directory is about: everything that is not a number measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct About {
    /// The experiment's name.
    pub(crate) name: String,
    /// The question that the experiment asks, in a sentence.
    pub(crate) question: String,
    /// The version of svcsim that made the results.
    pub(crate) version: String,
    /// The seed of all random streams.
    pub(crate) seed: u64,
    /// Replications per design point.
    pub(crate) replications: u32,
    /// Simulated seconds per run, without the warm-up.
    pub(crate) duration_s: f64,
    /// Simulated seconds that were discarded at the start of each run.
    pub(crate) warm_up_s: f64,
    /// How that was found out, where the experiment does not say how long it is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) warm_up_how: String,
    /// SHA-256 of the resolved experiment file, in hexadecimal.
    pub(crate) experiment_sha256: String,
    /// Commands that make these results again.
    pub(crate) rebuild: Vec<String>,
    /// Names of the factors; columns of every table.
    pub(crate) factors: Vec<String>,
    /// The design points, in order.
    pub(crate) points: Vec<Point>,
    /// The set-up in lines, such as "6 Nodes in 3 zones".
    pub(crate) setup: Vec<String>,
    /// What was assumed where the input said nothing.
    pub(crate) assumptions: Vec<String>,
    /// What the input said that is not modelled.
    pub(crate) not_modelled: Vec<String>,
    /// What a reader has to know before believing a number.
    pub(crate) warnings: Vec<String>,
    /// How many replications there are, where the experiment says how well it wants to know something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) precision: Option<Precision>,
    /// What is ranked, if anything is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ranking: Option<RankingSection>,
    /// Whether the results are as the experiment said that they would be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) expectations: Vec<Verdict>,
}

/// How many replications a pilot asked for, and why.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Precision {
    /// What is to be known.
    pub(crate) metrics: Vec<String>,
    /// How well: half the width of an interval over the mean.
    pub(crate) relative_half_width: f64,
    /// Replications of the pilot.
    pub(crate) pilot: u32,
    /// How many may be run.
    pub(crate) most: u32,
    /// How many it would take.
    pub(crate) needed: u64,
    /// How many were run.
    pub(crate) replications: u32,
    /// What took most: a metric and a point.
    pub(crate) decisive: String,
    /// Points that are saturated and decided nothing.
    pub(crate) saturated: Vec<String>,
}

/// A claim of the experiment about its results, judged.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Verdict {
    /// The claim in a sentence.
    pub(crate) claim: String,
    /// What must hold, such as "requests_lost: above 0 requests".
    pub(crate) expected: String,
    /// What was found; where the claim failed, only what it failed by.
    pub(crate) found: String,
    /// Whether it holds.
    pub(crate) met: bool,
}

/// One design point: its name and the level of each factor.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Point {
    /// What a reader calls it, such as "NodePort, Cluster".
    pub(crate) label: String,
    /// One level per factor of [`About::factors`].
    pub(crate) levels: Vec<String>,
}

impl About {
    /// The label of a design point, or its number where it has none.
    pub(crate) fn label(&self, point: u32) -> String {
        match self.points.get(point as usize) {
            Some(p) if !p.label.trim().is_empty() => p.label.clone(),
            _ => format!("point {point}"),
        }
    }

    fn level(&self, point: u32, factor: usize) -> &str {
        self.points.get(point as usize).and_then(|p| p.levels.get(factor)).map_or("", String::as_str)
    }
}

/// Declares a row type, with its file, its key columns (before the factors) and its other columns (after them).
macro_rules! rows {
    ($($(#[$doc:meta])* $name:ident in $file:literal {
        keys { $($key:ident: $key_type:ty,)* }
        $($(#[$field_doc:meta])* $field:ident: $field_type:ty,)*
    })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq)]
        pub(crate) struct $name {
            $(#[doc = concat!("Number of the ", stringify!($key), ", from 0.")] pub(crate) $key: $key_type,)*
            $($(#[$field_doc])* pub(crate) $field: $field_type,)*
        }

        impl Row for $name {
            const FILE: &'static str = $file;
            const KEYS: &'static [&'static str] = &[$(stringify!($key)),*];
            const COLUMNS: &'static [&'static str] = &[$(stringify!($field)),*];
            #[cfg(feature = "parquet")]
            const KINDS: &'static [crate::parquet::Kind] = &[$(<$field_type as Cell>::PARQUET),*];

            fn keys(&self) -> Vec<u32> {
                vec![$(self.$key),*]
            }

            fn cells(&self) -> Vec<String> {
                vec![$(self.$field.show()),*]
            }

            fn parse(mut cells: Cells<'_>, columns_at: usize) -> Result<Self, String> {
                $(let $key = cells.next(stringify!($key))?;)*
                cells.at = columns_at;
                Ok(Self { $($key,)* $($field: cells.next(stringify!($field))?,)* })
            }
        }
    )*};
}

rows! {
    /// One metric of one run (design point and replication).
    RunRow in "runs.csv" {
        keys { point: u32, replication: u32, }
        /// What is compared inside a point; `all` for the whole.
        series: String,
        /// Stable name, such as `latency_p99`.
        metric: String,
        /// Unit of the value.
        unit: String,
        /// The value.
        value: f64,
    }

    /// One metric of one design point over its replications.
    SummaryRow in "summary.csv" {
        keys { point: u32, }
        /// What is compared inside a point; `all` for the whole.
        series: String,
        /// Stable name, such as `latency_p99`.
        metric: String,
        /// Unit of the values.
        unit: String,
        /// Mean over replications.
        mean: f64,
        /// Lower end of the confidence interval, where one can be computed.
        ci_low: Option<f64>,
        /// Upper end of the confidence interval, where one can be computed.
        ci_high: Option<f64>,
        /// Confidence of the interval, such as 0.95.
        confidence: f64,
        /// Replications that the mean is over.
        replications: u32,
        /// What to know about this number; mostly empty.
        warning: String,
    }

    /// What one backend Pod of a Service did in one run.
    BalanceRow in "balance.csv" {
        keys { point: u32, replication: u32, }
        /// The Service or entry path.
        series: String,
        /// Name of the replica, such as `frontend-0`.
        pod: String,
        /// The Node it ran on.
        node: String,
        /// The zone of that Node.
        zone: String,
        /// Requests it was given.
        requests: u64,
        /// Connections opened to it.
        connections: u64,
        /// Its part of all requests of the series.
        share_requests: f64,
        /// Its part of all connections of the series.
        share_connections: f64,
        /// Its part of all busy time of the series.
        busy_share: f64,
        /// Part of its time (per server) in which it was busy.
        utilisation: f64,
    }

    /// Requests lost to one cause in one run.
    ErrorRow in "errors.csv" {
        keys { point: u32, replication: u32, }
        /// The Service or entry path.
        series: String,
        /// Why they were lost.
        cause: String,
        /// Where: a Node, a replica, or what else stands on the way.
        place: String,
        /// How many.
        requests: u64,
        /// Part of all requests of the series.
        share: f64,
    }

    /// One window of time of one run.
    TimelineRow in "timeline.csv" {
        keys { point: u32, replication: u32, }
        /// The Service or entry path.
        series: String,
        /// Start of the window.
        time_s: f64,
        /// Its width.
        width_s: f64,
        /// Requests that started in it.
        arrivals: u64,
        /// Requests that ended well in it.
        completed: u64,
        /// Requests that were lost in it.
        errors: u64,
        /// Median latency of those that ended well.
        latency_p50_ms: Option<f64>,
        /// 99th percentile of the same.
        latency_p99_ms: Option<f64>,
        /// Endpoints ready, at their fewest in the window.
        ready_endpoints: u32,
        /// Nodes whose view of the endpoints was out of date, at their most in the window.
        stale_nodes: u32,
        /// Endpoints that served at the end of the window: ready, whether being deleted or not.
        serving_endpoints: u32,
        /// Endpoints that were being deleted at the end of the window.
        terminating_endpoints: u32,
        /// Requests that the ready endpoints could serve at once, at the fewest.
        capacity: u32,
        /// Requests that the Pod took in that took in the most.
        hottest_pod_requests: u32,
        /// Times that clients tried requests again in it.
        retries: u64,
    }

    /// Requests lost to one cause in one window of time of one run; only where there are any.
    TimelineErrorRow in "timeline_errors.csv" {
        keys { point: u32, replication: u32, }
        /// The source.
        series: String,
        /// Start of the window in which they ended.
        time_s: f64,
        /// Why they were lost.
        cause: String,
        /// How many.
        requests: u64,
    }

    /// One metric of one run in one phase around an event.
    EventRow in "events.csv" {
        keys { point: u32, replication: u32, }
        /// The event's name in the experiment.
        event: String,
        /// What happened, and to what.
        what: String,
        /// When it began.
        began_s: f64,
        /// When it was repaired, or counts as over.
        ended_s: f64,
        /// What is compared inside a point; `all` for the whole.
        series: String,
        /// `before`, `during`, `after`, or `whole` for all three.
        phase: String,
        /// Stable name, such as `latency_p99`.
        metric: String,
        /// Unit of the value.
        unit: String,
        /// The value.
        value: f64,
    }

    /// Something that happened to a Pod or Node in one run.
    IncidentRow in "incidents.csv" {
        keys { point: u32, replication: u32, }
        /// When.
        time_s: f64,
        /// What: `crash`, `terminate`, `ready`, `gone` and so on.
        event: String,
        /// The Pod, if it was one.
        pod: String,
        /// The Node.
        node: String,
    }

    /// A step of the distribution of latency of one design point, pooled over its replications.
    LatencyRow in "latency.csv" {
        keys { point: u32, }
        /// The Service or entry path.
        series: String,
        /// A latency.
        latency_ms: f64,
        /// Part of all requests that took longer.
        fraction_above: f64,
    }

    /// An index of how much a factor of a sampled design matters to a metric.
    SensitivityRow in "sensitivity.csv" {
        keys { }
        /// The factor.
        factor: String,
        /// Its level, for an index of a single one.
        level: String,
        /// What is compared inside a point; `all` for the whole.
        series: String,
        /// Stable name, such as `latency_p99`.
        metric: String,
        /// `difference`, `mu_star`, `mu`, `sigma`, `first_order`, `total` or `rank_correlation`.
        index: String,
        /// Unit of the value.
        unit: String,
        /// The value.
        value: f64,
        /// Lower end of the confidence interval, where one can be computed.
        ci_low: Option<f64>,
        /// Upper end of the confidence interval, where one can be computed.
        ci_high: Option<f64>,
    }

    /// A vertex of the network.
    VertexRow in "vertices.csv" {
        keys { }
        /// Its name.
        name: String,
        /// `site`, `switch`, `zone`, `region` or `node`.
        kind: String,
        /// The zone it is in, or nothing.
        zone: String,
        /// Longitude, if known.
        x: Option<f64>,
        /// Latitude, if known.
        y: Option<f64>,
        /// Ready Pods of interest on it at the start.
        pods: u32,
    }

    /// A directed link of the network at one design point, as means over replications.
    LinkRow in "links.csv" {
        keys { point: u32, }
        /// The vertex it leaves.
        from: String,
        /// The vertex it enters.
        to: String,
        /// Messages that crossed it.
        messages: f64,
        /// Bytes that crossed it.
        bytes: f64,
        /// Messages that it dropped.
        dropped: f64,
        /// Part of its bandwidth in use; 0 where bandwidth is not limited.
        utilisation: f64,
    }
}

/// All the data of a results directory.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Results {
    /// What it is about.
    pub(crate) about: About,
    /// Metrics per run.
    pub(crate) runs: Vec<RunRow>,
    /// Metrics per design point.
    pub(crate) summary: Vec<SummaryRow>,
    /// Backend Pods per run.
    pub(crate) balance: Vec<BalanceRow>,
    /// Lost requests per run.
    pub(crate) errors: Vec<ErrorRow>,
    /// Windows of time per run.
    pub(crate) timeline: Vec<TimelineRow>,
    /// Lost requests by window and cause, per run.
    pub(crate) timeline_errors: Vec<TimelineErrorRow>,
    /// Metrics around events, per run.
    pub(crate) events: Vec<EventRow>,
    /// What happened to Pods and Nodes, per run.
    pub(crate) incidents: Vec<IncidentRow>,
    /// Distribution of latency per design point.
    pub(crate) latency: Vec<LatencyRow>,
    /// How much factors matter; empty but for sampled designs, and then without a file.
    pub(crate) sensitivity: Vec<SensitivityRow>,
    /// A sample of the requests; no report needs it, so that it is not read back.
    pub(crate) requests: Vec<RequestRow>,
    /// The network.
    pub(crate) vertices: Vec<VertexRow>,
    /// Its traffic per design point.
    pub(crate) links: Vec<LinkRow>,
}

impl Results {
    /// Writes every table and `about.json` into a directory, which is made if it is not there.
    pub(crate) fn write(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)?;
        let mut rows = BTreeMap::new();
        self.write_table(dir, &self.runs, &mut rows)?;
        self.write_table(dir, &self.summary, &mut rows)?;
        self.write_table(dir, &self.balance, &mut rows)?;
        self.write_table(dir, &self.errors, &mut rows)?;
        self.write_table(dir, &self.timeline, &mut rows)?;
        self.write_table(dir, &self.timeline_errors, &mut rows)?;
        self.write_table(dir, &self.events, &mut rows)?;
        self.write_table(dir, &self.incidents, &mut rows)?;
        self.write_table(dir, &self.latency, &mut rows)?;
        if !self.sensitivity.is_empty() {
            self.write_table(dir, &self.sensitivity, &mut rows)?;
        }
        requests::write(dir, &self.requests)?;
        self.write_table(dir, &self.vertices, &mut rows)?;
        self.write_table(dir, &self.links, &mut rows)?;
        let stored = Stored { about: self.about.clone(), rows };
        let mut text = serde_json::to_string_pretty(&stored)?;
        text.push('\n');
        fs::write(dir.join(ABOUT_FILE), text)
    }

    /// Reads back what [`Results::write`] wrote; the message of an error names the file, and the line and column where it can.
    pub(crate) fn read(dir: &Path) -> Result<Self, String> {
        if !dir.is_dir() {
            return Err(format!("{}: no such directory", dir.display()));
        }
        let path = dir.join(ABOUT_FILE);
        let text = fs::read_to_string(&path).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => {
                format!("{}: not a results directory, or one whose run did not finish ({ABOUT_FILE} is missing)", dir.display())
            }
            _ => format!("{}: {e}", path.display()),
        })?;
        let Stored { about, rows } = serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(Self {
            runs: read_table(dir, &about, &rows)?,
            summary: read_table(dir, &about, &rows)?,
            balance: read_table(dir, &about, &rows)?,
            errors: read_table(dir, &about, &rows)?,
            timeline: read_table(dir, &about, &rows)?,
            timeline_errors: read_table(dir, &about, &rows)?,
            events: read_table(dir, &about, &rows)?,
            incidents: read_table(dir, &about, &rows)?,
            latency: read_table(dir, &about, &rows)?,
            sensitivity: if rows.contains_key(SensitivityRow::FILE) { read_table(dir, &about, &rows)? } else { Vec::new() },
            requests: Vec::new(),
            vertices: read_table(dir, &about, &rows)?,
            links: read_table(dir, &about, &rows)?,
            about,
        })
    }

    /// Writes the tables of `dir` once more, as Parquet.
    #[cfg(feature = "parquet")]
    pub(crate) fn write_parquet(&self, dir: &Path) -> io::Result<()> {
        fn table<R: Row>(about: &About, dir: &Path) -> io::Result<()> {
            use crate::parquet::{Kind, write};
            let factors = if R::KEYS.is_empty() { 0 } else { about.factors.len() };
            let kinds = R::KEYS.iter().map(|_| Kind::Whole).chain((0..factors).map(|_| Kind::Text)).chain(R::KINDS.iter().copied());
            let columns: Vec<(String, Kind)> = header::<R>(about).into_iter().zip(kinds).collect();
            write(&dir.join(R::FILE), &dir.join("parquet").join(R::FILE).with_extension("parquet"), &columns)
        }
        fs::create_dir_all(dir.join("parquet"))?;
        let about = &self.about;
        table::<RunRow>(about, dir)?;
        table::<SummaryRow>(about, dir)?;
        table::<BalanceRow>(about, dir)?;
        table::<ErrorRow>(about, dir)?;
        table::<TimelineRow>(about, dir)?;
        table::<TimelineErrorRow>(about, dir)?;
        table::<EventRow>(about, dir)?;
        table::<IncidentRow>(about, dir)?;
        table::<LatencyRow>(about, dir)?;
        table::<VertexRow>(about, dir)?;
        table::<LinkRow>(about, dir)
    }

    /// This build knows no Parquet.
    #[cfg(not(feature = "parquet"))]
    pub(crate) fn write_parquet(&self, _: &Path) -> io::Result<()> {
        Err(io::Error::other("this svcsim was built without Parquet: build it with `--features parquet`"))
    }

    fn write_table<R: Row>(&self, dir: &Path, table: &[R], rows: &mut BTreeMap<String, usize>) -> io::Result<()> {
        let mut writer = csv::Writer::from_writer(io::BufWriter::new(fs::File::create(dir.join(R::FILE))?));
        writer.write_record(header::<R>(&self.about))?;
        for row in table {
            let keys = row.keys();
            for key in &keys {
                writer.write_field(key.to_string())?;
            }
            if let Some(&point) = keys.first() {
                for factor in 0..self.about.factors.len() {
                    writer.write_field(self.about.level(point, factor))?;
                }
            }
            writer.write_record(row.cells())?;
        }
        writer.into_inner().map_err(|e| io::Error::other(e.to_string()))?.flush()?;
        rows.insert(R::FILE.to_owned(), table.len());
        Ok(())
    }
}

/// `about.json`: the header and how many rows each table has, by which a truncated file is found.
#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(flatten)]
    about: About,
    rows: BTreeMap<String, usize>,
}

/// A row of a table with a file of its own.
trait Row: Sized {
    const FILE: &'static str;
    const KEYS: &'static [&'static str];
    const COLUMNS: &'static [&'static str];
    #[cfg(feature = "parquet")]
    const KINDS: &'static [crate::parquet::Kind];
    fn keys(&self) -> Vec<u32>;
    fn cells(&self) -> Vec<String>;
    fn parse(cells: Cells<'_>, columns_at: usize) -> Result<Self, String>;
}

fn header<R: Row>(about: &About) -> Vec<String> {
    let factors = if R::KEYS.is_empty() { &[][..] } else { &about.factors[..] };
    R::KEYS.iter().map(|k| (*k).to_owned()).chain(factors.iter().cloned()).chain(R::COLUMNS.iter().map(|c| (*c).to_owned())).collect()
}

fn read_table<R: Row>(dir: &Path, about: &About, rows: &BTreeMap<String, usize>) -> Result<Vec<R>, String> {
    let path = dir.join(R::FILE);
    let file = fs::File::open(&path).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => format!("{}: missing", path.display()),
        _ => format!("{}: {e}", path.display()),
    })?;
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(file);
    let wanted = header::<R>(about);
    let mut table = Vec::new();
    let mut seen_header = false;
    for record in reader.records() {
        let record = record.map_err(|e| format!("{}: {e}", path.display()))?;
        let line = record.position().map_or(0, csv::Position::line);
        if !seen_header {
            if !record.iter().eq(wanted.iter().map(String::as_str)) {
                let found = record.iter().collect::<Vec<_>>().join(",");
                return Err(format!("{}: its columns are `{found}`, not `{}`", path.display(), wanted.join(",")));
            }
            seen_header = true;
            continue;
        }
        let parsed = R::parse(Cells { record: &record, at: 0 }, wanted.len() - R::COLUMNS.len());
        table.push(parsed.map_err(|e| format!("{}, line {line}: {e}", path.display()))?);
    }
    if !seen_header {
        return Err(format!("{}: empty, not even a header", path.display()));
    }
    match rows.get(R::FILE) {
        Some(&n) if n != table.len() => {
            Err(format!("{}: has {} rows where {ABOUT_FILE} counts {n}; it was truncated or edited", path.display(), table.len()))
        }
        _ => Ok(table),
    }
}

/// The cells of a record, taken from left to right.
struct Cells<'a> {
    record: &'a csv::StringRecord,
    at: usize,
}

impl Cells<'_> {
    fn next<C: Cell>(&mut self, column: &str) -> Result<C, String> {
        let text = self.record.get(self.at).ok_or_else(|| format!("no column `{column}`"))?;
        self.at += 1;
        C::read(text).ok_or_else(|| format!("`{text}` in column `{column}` is not {}", C::KIND))
    }
}

/// A value that has a form in a CSV file.
trait Cell: Sized {
    const KIND: &'static str;
    #[cfg(feature = "parquet")]
    const PARQUET: crate::parquet::Kind;
    fn show(&self) -> String;
    fn read(text: &str) -> Option<Self>;
}

impl Cell for String {
    const KIND: &'static str = "text";
    #[cfg(feature = "parquet")]
    const PARQUET: crate::parquet::Kind = crate::parquet::Kind::Text;
    fn show(&self) -> String {
        self.clone()
    }
    fn read(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl Cell for u32 {
    const KIND: &'static str = "a whole number below 2^32";
    #[cfg(feature = "parquet")]
    const PARQUET: crate::parquet::Kind = crate::parquet::Kind::Whole;
    fn show(&self) -> String {
        self.to_string()
    }
    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Cell for u64 {
    const KIND: &'static str = "a whole number";
    #[cfg(feature = "parquet")]
    const PARQUET: crate::parquet::Kind = crate::parquet::Kind::Whole;
    fn show(&self) -> String {
        self.to_string()
    }
    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Cell for f64 {
    const KIND: &'static str = "a number";
    #[cfg(feature = "parquet")]
    const PARQUET: crate::parquet::Kind = crate::parquet::Kind::Number;
    fn show(&self) -> String {
        let mut text = format!("{self:?}");
        if text.ends_with(".0") {
            text.truncate(text.len() - 2);
        }
        text
    }
    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Cell for Option<f64> {
    const KIND: &'static str = "a number or nothing";
    #[cfg(feature = "parquet")]
    const PARQUET: crate::parquet::Kind = crate::parquet::Kind::Number;
    fn show(&self) -> String {
        self.as_ref().map_or_else(String::new, Cell::show)
    }
    fn read(text: &str) -> Option<Self> {
        if text.is_empty() { Some(None) } else { text.parse().ok().map(Some) }
    }
}
