//! The report: one list of blocks, written as HTML for people and as Markdown for repositories.

mod html;
mod markdown;

use std::path::Path;
use std::{fs, io};

use super::around_events::{self, Around};
use super::findings::{self, Finding, causes, words};
use super::format::{count, interval, number, percent, plural, unit_of};
use super::plots::Figure;
use super::ranking::{self, Ranked};
use super::safe_level::{SafeLevels, by_cause, per_run, safe_levels};
use super::sensitivity::{self, Importance};
use super::tables::{Results, SensitivityRow, Verdict};
use super::view::{Case, DOUBT, Estimate, View};

/// Cases whose events are told in sentences; the table has all.
const CASES_TOLD: usize = 4;

/// Points of a sample that tables show one by one: what they say together is in the tables of factors.
const SAMPLED_SHOWN: usize = 100;

/// Writes `report.html` and `report.md` into the results directory; the second refers to `plots/*.png`.
pub(crate) fn write(results: &Results, figures: &[Figure], dir: &Path) -> io::Result<()> {
    fs::write(dir.join("report.html"), html(results, figures))?;
    fs::write(dir.join("report.md"), markdown(results, figures))
}

/// The report as one HTML file without anything from outside.
pub(crate) fn html(results: &Results, figures: &[Figure]) -> String {
    html::render(&title(results), &blocks(results, figures))
}

/// The report as Markdown.
pub(crate) fn markdown(results: &Results, figures: &[Figure]) -> String {
    markdown::render(&title(results), &blocks(results, figures))
}

/// A piece of the report. Texts are plain; whoever renders them escapes them.
enum Block {
    Lead(String),
    Meta(Vec<(String, String)>),
    Heading(String),
    Paragraph(String),
    Bullets(Vec<String>),
    Warnings(Vec<String>),
    Findings(Vec<Finding>),
    Figure(Figure),
    Folded(String, Vec<Figure>),
    Table(Table),
    Code(Vec<String>),
}

/// A table whose first column names the row.
struct Table {
    caption: String,
    head: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

/// A cell: what is shown, a smaller second part (the interval), and the number to sort by.
struct Cell {
    text: String,
    small: String,
    key: Option<f64>,
}

impl Cell {
    fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), small: String::new(), key: None }
    }

    fn number(text: impl Into<String>, key: f64) -> Self {
        Self { text: text.into(), small: String::new(), key: Some(key) }
    }
}

fn title(results: &Results) -> String {
    if results.about.name.trim().is_empty() { "Experiment".to_owned() } else { results.about.name.clone() }
}

fn blocks(results: &Results, figures: &[Figure]) -> Vec<Block> {
    let mut view = View::new(results);
    let about = &results.about;
    let mut blocks = Vec::new();
    if !about.question.trim().is_empty() {
        blocks.push(Block::Lead(about.question.trim().to_owned()));
    }
    blocks.push(Block::Heading("Answer".to_owned()));
    blocks.push(Block::Findings(findings::findings(results)));
    blocks.push(Block::Meta(vec![
        ("design points".to_owned(), count(about.points.len() as u64)),
        ("replications".to_owned(), count(u64::from(about.replications))),
        ("seed".to_owned(), about.seed.to_string()),
        ("svcsim".to_owned(), about.version.clone()),
    ]));
    if let Some(ranked) = ranking::ranked(&view) {
        blocks.push(Block::Heading(format!("{} ranked by {}", ranked.factor, ranked.metric)));
        blocks.push(Block::Table(overall_table(&ranked)));
        blocks.push(Block::Table(ranking_table(&ranked)));
    }
    let importances = sensitivity::importances(results);
    if let Some(first) = importances.first() {
        blocks.push(Block::Heading("Which factors matter".to_owned()));
        blocks.push(Block::Paragraph(format!("{} All metrics are in sensitivity.csv.", sensitivity::how_to_read(first.leading))));
        blocks.extend(importances.iter().map(|importance| Block::Table(importance_table(importance))));
        if view.cases.len() > SAMPLED_SHOWN {
            blocks.push(Block::Paragraph(format!(
                "Tables by case below have the first {SAMPLED_SHOWN} of {}; all are in summary.csv, and their levels too.",
                plural(view.cases.len(), "sampled point")
            )));
            view.cases.truncate(SAMPLED_SHOWN);
        }
    }
    blocks.push(Block::Heading("Figures".to_owned()));
    let maps = figures.iter().filter(|f| f.name.starts_with("topology_map_")).count();
    blocks.extend(figures[..figures.len() - maps].iter().cloned().map(Block::Figure));
    if maps > 0 {
        blocks.push(Block::Folded("The same network at the other design points".to_owned(), figures[figures.len() - maps..].to_vec()));
    }
    blocks.push(Block::Heading("Numbers".to_owned()));
    let confidence = results.summary.first().map_or(0.95, |r| r.confidence);
    blocks.push(Block::Paragraph(format!(
        "Means over replications with {} confidence intervals in brackets. Those with an exclamation mark must not be built on: see the \
         warnings. All metrics of all series are in summary.csv, every single run is in runs.csv.",
        percent_plain(confidence)
    )));
    for (caption, metrics) in [
        (
            "Latency, throughput and losses",
            &["latency_mean", "latency_p50", "latency_p99", "latency_p999", "throughput", "error_rate", "error_budget_burned"][..],
        ),
        (
            "Balance and way of the requests",
            &["jain_requests", "max_over_mean_requests", "utilisation", "extra_hop_share", "cross_zone_share", "snat_share"][..],
        ),
        (
            "Nodes' views of the endpoints",
            &[
                "stale_decision_share",
                "staleness_p99",
                "network_programming_p50",
                "network_programming_p99",
                "convergence_mean",
                "convergence_max",
            ][..],
        ),
    ] {
        blocks.extend(metric_table(&view, caption, metrics).map(Block::Table));
    }
    for case in view.cases.iter().take(CASES_TOLD) {
        if let Some(table) = critical_table(&view, case) {
            blocks.push(Block::Table(table));
        }
    }
    for found in safe_levels(&view) {
        blocks.push(Block::Heading(format!("Shortest safe {}", found.factor)));
        blocks.push(Block::Table(safe_table(&found, about.replications)));
    }
    let around = around_events::by_case(&view);
    if !around.is_empty() {
        blocks.push(Block::Heading("Around events".to_owned()));
        for (case, events) in around.iter().take(CASES_TOLD) {
            blocks.push(Block::Paragraph(format!("{}:", case.label)));
            blocks.push(Block::Bullets(events.iter().map(|e| e.sentence(about.replications)).collect()));
        }
        blocks.push(Block::Table(events_table(&around)));
    }
    blocks.push(Block::Heading("Lost requests by cause".to_owned()));
    blocks.push(match losses_table(&view) {
        Some(table) => Block::Table(table),
        None => Block::Paragraph("No request was lost.".to_owned()),
    });
    if !about.expectations.is_empty() {
        blocks.push(Block::Heading("Expectations".to_owned()));
        blocks.push(Block::Table(expectations_table(&about.expectations)));
    }
    let warnings = findings::warnings(results);
    blocks.push(Block::Heading("Warnings".to_owned()));
    blocks.push(if warnings.is_empty() { Block::Paragraph("None.".to_owned()) } else { Block::Warnings(warnings) });
    blocks.push(Block::Heading("Set-up and assumptions".to_owned()));
    blocks.push(bullets(&about.setup, "The set-up is in experiment.yaml."));
    if !about.assumptions.is_empty() {
        blocks.push(Block::Paragraph("Assumed where the input said nothing:".to_owned()));
        blocks.push(Block::Bullets(about.assumptions.clone()));
    }
    if !about.factors.is_empty() && !about.points.is_empty() {
        blocks.push(Block::Table(design_table(results, view.cases.len().max(SAMPLED_SHOWN))));
    }
    blocks.push(Block::Heading("In the input but not modelled".to_owned()));
    blocks.push(bullets(&about.not_modelled, "Nothing that was recognised."));
    blocks.push(Block::Heading("Method and limits".to_owned()));
    blocks.push(Block::Bullets(method(results)));
    blocks.push(Block::Heading("How to make it again".to_owned()));
    if !about.rebuild.is_empty() {
        blocks.push(Block::Code(about.rebuild.clone()));
    }
    let mut origin = format!("Seed {}, svcsim {}.", about.seed, about.version);
    if !about.experiment_sha256.is_empty() {
        origin.push_str(&format!(" SHA-256 of the resolved experiment: {}.", about.experiment_sha256));
    }
    origin.push_str(" The digests of all data files are in provenance.json; the same experiment, seed and version give the same bytes.");
    blocks.push(Block::Paragraph(origin));
    blocks
}

fn bullets(lines: &[String], otherwise: &str) -> Block {
    if lines.is_empty() { Block::Paragraph(otherwise.to_owned()) } else { Block::Bullets(lines.to_vec()) }
}

fn percent_plain(fraction: f64) -> String {
    format!("{}%", (fraction * 1000.0).round() / 10.0)
}

fn metric_table(view: &View<'_>, caption: &str, metrics: &[&str]) -> Option<Table> {
    let present: Vec<&str> = metrics.iter().copied().filter(|m| view.cases.iter().any(|c| view.row(c, m).is_some())).collect();
    if present.is_empty() {
        return None;
    }
    let unit = |metric: &str| view.cases.iter().find_map(|c| view.row(c, metric)).map_or("", |r| unit_of(metric, &r.unit));
    let head = std::iter::once("case".to_owned()).chain(present.iter().map(|m| match unit(m) {
        "" | "1" | "count" => (*m).to_owned(),
        "share" | "fraction" => format!("{m} (%)"),
        unit => format!("{m} ({unit})"),
    }));
    let row = |case: &Case| {
        let cells = present.iter().map(|m| match view.estimate(case, m) {
            None => Cell::text("n/a"),
            Some(e) => {
                let cell = estimate_cell(e, unit(m));
                if view.doubt(case, m).is_some() { Cell { text: cell.text + DOUBT, ..cell } } else { cell }
            }
        });
        std::iter::once(Cell::text(case.label.clone())).chain(cells).collect()
    };
    Some(Table { caption: caption.to_owned(), head: head.collect(), rows: view.cases.iter().map(row).collect() })
}

/// Where the time of requests goes that call others: series by series, those on which most of it is spent first.
fn critical_table(view: &View<'_>, case: &Case) -> Option<Table> {
    let rows = view.results.summary.iter().filter(|r| r.point == case.point && r.metric == "time_critical" && r.series != "all");
    let mut spent: Vec<(&str, f64)> = rows.map(|r| (r.series.as_str(), r.mean)).collect();
    if spent.len() < 2 {
        return None;
    }
    spent.sort_by(|a, b| b.1.total_cmp(&a.1));
    let total: f64 = spent.iter().map(|(_, ms)| ms).sum();
    let metrics = ["latency_mean", "latency_p99", "time_wait", "time_service", "time_network"];
    let row = |(series, ms): &(&str, f64)| {
        let own = Case { series: (*series).to_owned(), ..case.clone() };
        let mut cells = vec![Cell::text(*series), Cell::number(number(*ms), *ms), Cell::number(percent(ms / total), ms / total)];
        cells.extend(metrics.iter().map(|m| view.mean(&own, m).map_or_else(|| Cell::text("-"), |v| Cell::number(number(v), v))));
        cells
    };
    let head = [
        "requests of",
        "on the critical path (ms)",
        "part",
        "latency_mean (ms)",
        "latency_p99 (ms)",
        "time_wait (ms)",
        "time_service (ms)",
        "time_network (ms)",
    ];
    let caption = format!(
        "Where the time of a request from outside goes, {}: {} ms in the mean, of which each series has the time of its own requests but what \
         these spend on others",
        case.label,
        number(total)
    );
    Some(Table { caption, head: head.map(str::to_owned).to_vec(), rows: spent.iter().map(row).collect() })
}

fn overall_table(ranked: &Ranked) -> Table {
    let all = ranked.conditions.len();
    let head = ["", "best, or not told apart from it, in", "times the best (geometric mean)", "at worst", "where", "breaks in"];
    let row = |o: &ranking::Overall| {
        let name = if o.control { format!("{} (control)", o.level) } else { o.level.clone() };
        vec![
            Cell::text(name),
            Cell::number(format!("{} of {all}", o.best_in), o.best_in as f64),
            Cell::number(number(o.times), o.times),
            Cell::number(number(o.worst.0), o.worst.0),
            Cell::text(o.worst.1.clone()),
            Cell::number(format!("{} of {all}", o.breaks_in.len()), o.breaks_in.len() as f64),
        ]
    };
    let caption = format!(
        "{} over all {all} conditions. It breaks where its {} is more than twice the best one's, or it loses 1 % of the requests more than \
         who loses least.",
        ranked.factor, ranked.metric
    );
    Table { caption, head: head.map(str::to_owned).to_vec(), rows: ranked.overall.iter().map(row).collect() }
}

fn ranking_table(ranked: &Ranked) -> Table {
    let head = ["condition", "rank", ranked.factor.as_str(), ranked.metric.as_str(), "times the best", "lost", ""];
    let row = |label: &str, rank: usize, p: &ranking::Place| {
        let (times, ends) = ranking::shown(p.ratio);
        let remark = match (p.control, p.breaks) {
            (true, _) => "control",
            (false, true) => "breaks",
            (false, false) => "",
        };
        vec![
            Cell::text(label),
            Cell::number(rank.to_string(), rank as f64),
            Cell::text(p.level.clone()),
            Cell::number(number(p.mean), p.mean),
            Cell { text: times, small: ends, key: Some(p.ratio.map_or(1.0, |(times, _)| times)) },
            Cell::number(ranking::lost(p), p.lost),
            Cell::text(remark),
        ]
    };
    let rows = ranked.conditions.iter().flat_map(|c| c.places.iter().enumerate().map(|(i, p)| row(&c.label, i + 1, p))).collect();
    let caption = "Condition by condition: paired ratios to the best, with intervals that hold together in each condition".to_owned();
    Table { caption, head: head.map(str::to_owned).to_vec(), rows }
}

/// A row for each factor, or for each of its levels, the one that matters most first.
fn importance_table(importance: &Importance<'_>) -> Table {
    let indices = importance.indices();
    let by_level = importance.leading == "difference";
    let cell = |row: &SensitivityRow| {
        let text = sensitivity::shown(row);
        let (value, small) = text.split_once(" [").map_or((text.as_str(), String::new()), |(v, rest)| (v, format!("[{rest}")));
        Cell { text: value.to_owned(), small, key: Some(row.value) }
    };
    let mut rows = Vec::new();
    for (factor, of_factor) in &importance.factors {
        if by_level {
            rows.extend(of_factor.iter().map(|row| vec![Cell::text(*factor), Cell::text(row.level.clone()), cell(row)]));
        } else {
            let index = |name: &&str| of_factor.iter().find(|r| r.index == **name).map_or_else(|| Cell::text("n/a"), |row| cell(row));
            rows.push(std::iter::once(Cell::text(*factor)).chain(indices.iter().map(index)).collect());
        }
    }
    let level = by_level.then_some("level");
    let head = std::iter::once("factor").chain(level).chain(indices).map(str::to_owned).collect();
    Table { caption: format!("Factors by what they do to {}", importance.metric), head, rows }
}

fn losses_table(view: &View<'_>) -> Option<Table> {
    let replications = f64::from(view.results.about.replications.max(1));
    let mut rows = Vec::new();
    for case in &view.cases {
        for loss in causes(view, case) {
            rows.push(vec![
                Cell::text(case.label.clone()),
                Cell::text(words(&loss.cause)),
                Cell::number(number(loss.requests as f64 / replications), loss.requests as f64),
                Cell::number(percent(loss.of_requests / replications), loss.of_requests),
                Cell::number(percent(loss.share), loss.share),
            ]);
        }
    }
    if rows.is_empty() {
        return None;
    }
    let head = ["case", "cause", "requests per run", "part of all requests", "part of all losses"].map(str::to_owned).to_vec();
    Some(Table { caption: "Requests that did not end well, by what ended them".to_owned(), head, rows })
}

/// Levels up to the shortest safe one, with what the shorter ones lose.
fn safe_table(found: &SafeLevels, runs: u32) -> Table {
    let others = found.groups.iter().any(|g| !g.label.is_empty());
    let mut rows = Vec::new();
    for group in &found.groups {
        for level in group.shorter().iter().chain(group.safe()) {
            let is_safe = group.safe().is_some_and(|safe| safe.label == level.label);
            let verdict = if is_safe { "shortest safe" } else { "" };
            let mut row = if others { vec![Cell::text(group.label.clone())] } else { Vec::new() };
            row.push(Cell::text(level.label.clone()));
            row.push(Cell::number(per_run(level.lost, runs), level.lost));
            row.push(Cell::text(by_cause(level, runs)));
            row.push(Cell::text(verdict));
            rows.push(row);
        }
    }
    let mut head = if others { vec!["with".to_owned()] } else { Vec::new() };
    head.extend([&found.factor, "lost per run", "by cause", ""].map(str::to_owned));
    let caption =
        format!("The smallest {} from which on no request was lost in any replication, and what every shorter one lost", found.factor);
    Table { caption, head, rows }
}

/// A mean without its unit, which heads the column, and its interval beside it.
fn estimate_cell(e: Estimate, unit: &str) -> Cell {
    let text = interval(e.mean, e.ends, unit);
    let (value, small) = text.split_once(" [").map_or((text.as_str(), String::new()), |(v, rest)| (v, format!("[{rest}")));
    let value = value.split(' ').next().unwrap_or(value);
    Cell { text: value.to_owned(), small, key: Some(e.mean) }
}

/// A row for each case, event and phase.
fn events_table(around: &[(&Case, Vec<Around>)]) -> Table {
    let metrics = [("latency_p99", "ms"), ("error_rate", "ratio"), ("requests_lost", "requests"), ("error_budget_burned", "ratio")];
    let mut rows = Vec::new();
    for (case, events) in around {
        for (event, phase) in events.iter().flat_map(|e| ["before", "during", "after"].map(|phase| (e, phase))) {
            if event.estimate(phase, "requests").is_none() {
                continue;
            }
            let mut row = vec![Cell::text(case.label.clone()), Cell::text(event.event.clone()), Cell::text(phase)];
            row.extend(metrics.map(|(metric, unit)| match event.estimate(phase, metric) {
                Some(e) => estimate_cell(e, unit_of(metric, unit)),
                None => Cell::text(""),
            }));
            rows.push(row);
        }
    }
    let head = ["case", "event", "phase", "p99 (ms)", "lost (%)", "lost per run", "error budget (%)"].map(str::to_owned).to_vec();
    let caption = "Before, during and after each event, by when requests were sent".to_owned();
    Table { caption, head, rows }
}

fn expectations_table(verdicts: &[Verdict]) -> Table {
    let row = |v: &Verdict| {
        let met = if v.met { "met" } else { "FAILED" };
        Vec::from([v.claim.as_str(), met, &v.expected, &v.found].map(Cell::text))
    };
    let head = ["claim", "verdict", "expected", "found"].map(str::to_owned).to_vec();
    let caption = "What the experiment said that it would find, judged by the means over replications with their intervals".to_owned();
    Table { caption, head, rows: verdicts.iter().map(row).collect() }
}

fn design_table(results: &Results, most: usize) -> Table {
    let about = &results.about;
    let row = |(i, point): (usize, &super::tables::Point)| {
        let levels = (0..about.factors.len()).map(|f| Cell::text(point.levels.get(f).cloned().unwrap_or_default()));
        [Cell::text(i.to_string()), Cell::text(about.label(i as u32))].into_iter().chain(levels).collect()
    };
    Table {
        caption: "Design points and levels of their factors".to_owned(),
        head: ["point".to_owned(), "case".to_owned()].into_iter().chain(about.factors.iter().cloned()).collect(),
        rows: about.points.iter().enumerate().take(most).map(row).collect(),
    }
}

fn method(results: &Results) -> Vec<String> {
    let about = &results.about;
    let mut method = vec![
        format!(
            "{} of {}; each run simulates {} s that are measured, after a warm-up of {} s that is discarded so that the empty start does not count.",
            plural(about.replications as usize, "replication"),
            plural(about.points.len(), "design point"),
            number(about.duration_s),
            number(about.warm_up_s)
        ),
        "Common random numbers: replication i of every design point meets the same random arrivals and demands, so points are compared by the \
         differences within replications."
            .to_owned(),
        "Intervals are Student-t intervals over replications (95% unless stated); a difference is named only where its interval excludes 0. Where \
         several cases are compared with the best, their intervals are widened (Bonferroni) so that all hold together."
            .to_owned(),
        "The choice among cases goes by losses first (differences below 0.001% of requests do not count), then by p99 latency (differences below 1% \
         do not count), then by whether the client's address is kept."
            .to_owned(),
        "Latency is what the client sees, from the intended start of a request to its end, so a stalled client omits nothing. Quantiles are taken \
         within each replication from a histogram of all requests, then averaged over replications; the curves of the first figure pool the \
         replications."
            .to_owned(),
        "Intervals speak of the randomness of the simulation, not of errors of the model: results hold for the set-up and the assumptions above, and \
         what is not modelled can change them."
            .to_owned(),
    ];
    if !about.warm_up_how.is_empty() {
        method.insert(1, about.warm_up_how.clone());
    }
    if let Some(precision) = &about.precision {
        method.insert(1, precision.sentence());
    }
    method
}
