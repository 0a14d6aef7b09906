//! A run as it went: lost requests by cause, tail latency, endpoints and Nodes with an old view, with the events marked.

use super::axes::{self, Scale};
use super::canvas::{
    self, Anchor, BLUE, Canvas, Colour, DASHES, FRAME, GREEN, GRID, INK, MUTED, Mark, ORANGE, PALETTE, PAPER, Stroke, TINTS, Type,
    VERMILLION,
};
use super::{Figure, Key, WIDTH, first, heading, legend, note};
use crate::output::findings::words;
use crate::output::format;
use crate::output::tables::{EventRow, IncidentRow, TimelineRow};
use crate::output::view::{Case, View};
use std::collections::BTreeMap;

const NAME: &str = "timeline";
const TITLE: &str = "The run over time";
/// Cases shown at most: with more the figure would be longer than two pages.
const CASES: usize = 4;
/// Causes that have a colour of their own.
const CAUSES: usize = 6;
/// Colours of causes, most frequent first.
const CAUSE_COLOURS: [Colour; CAUSES] = [VERMILLION, PALETTE[3], PALETTE[5], PALETTE[6], ORANGE, GREEN];
/// What is lost to causes without a colour.
const OTHER: &str = "other causes";
/// Rows of names of events.
const NAME_ROWS: usize = 2;
const LEFT: f64 = 72.0;
const RIGHT: f64 = WIDTH - 24.0;
/// Heights of a case: its title, names of events and marks of Pods; the three panels; the space between two panels and below all.
const HEAD: f64 = 26.0;
const NAMES: f64 = 15.0;
const TICKS: f64 = 14.0;
const PANELS: [f64; 3] = [84.0, 64.0, 64.0];
const GAP: f64 = 12.0;
const FOOT: f64 = 20.0;

/// What is drawn of one case.
struct Story<'a> {
    case: Case,
    windows: Vec<TimelineRow>,
    /// Lost requests by start of the window (as bits, which order positive numbers), then by cause.
    lost: BTreeMap<u64, BTreeMap<&'a str, u64>>,
    events: Vec<&'a EventRow>,
    incidents: Vec<&'a IncidentRow>,
}

/// The scales that all cases share.
struct Scales {
    x: (f64, f64),
    lost: f64,
    p99: (f64, f64),
    count: f64,
}

pub(super) fn figure(view: &View<'_>) -> Figure {
    if view.results.timeline.is_empty() {
        return note(NAME, TITLE, "No timeline was recorded.");
    }
    let all: Vec<Story<'_>> = view.cases.iter().map(|c| Story::new(view, c)).filter(|s| !s.windows.is_empty()).collect();
    let (shown, remark) = first(&all.iter().map(|s| s.case.clone()).collect::<Vec<_>>(), CASES, "cases");
    let stories = &all[..shown.len()];
    let Some(scales) = Scales::of(stories) else { return note(NAME, TITLE, "The timeline holds nothing that can be drawn.") };
    let causes = causes(stories);
    let keys = keys(stories, &causes);
    let width = stories.iter().flat_map(|s| &s.windows).map(|w| w.width_s).fold(0.0, f64::max);
    let mut subtitle =
        format!("First replication of each case, in windows of {} s.", format!("{width:.3}").trim_end_matches('0').trim_end_matches('.'));
    if let Some(remark) = remark {
        subtitle = format!("{subtitle} {remark}");
    }
    let top = legend(None, &keys, 56.0) + 6.0;
    let x = Scale::linear(scales.x, (LEFT, RIGHT));
    let rows = stories.iter().flat_map(|s| s.names(&x)).map(|(row, ..)| row + 1).max().unwrap_or(0);
    let ticks = if stories.iter().any(|s| !s.incidents.is_empty()) { TICKS } else { 4.0 };
    let above = HEAD + NAMES * rows as f64 + ticks;
    let one = above + PANELS.iter().sum::<f64>() + 2.0 * GAP + FOOT;
    let alt = format!(
        "Lost requests by cause, p99 latency, endpoints and stale Nodes by time for {}, with events",
        format::plural(stories.len(), "case")
    );
    let svg = canvas::draw(WIDTH, top + one * stories.len() as f64 + 40.0, &alt, |canvas| {
        let y = heading(canvas, TITLE, &subtitle);
        legend(Some(canvas), &keys, y);
        for (i, story) in stories.iter().enumerate() {
            let top = top + one * i as f64;
            story.draw(canvas, &scales, &causes, (top, top + above, ticks), i + 1 == stories.len());
        }
    });
    Figure {
        name: NAME.to_owned(),
        title: TITLE.to_owned(),
        caption: "For each case, from above: requests lost per window, stacked by cause, and clients' retries where there are any; the 99th percentile of latency; endpoints that are ready or \
                  being deleted, and Nodes whose rules do not yet know the newest endpoints: while that number is above 0, requests can be sent to a \
                  Pod that is gone. Shaded bands are events of the experiment, from beginning to repair, or 30 s where nothing is repaired; marks above the panels are what happened to \
                  Pods. A request without an answer is lost when its client gives up, so such losses stand a timeout after their cause. All \
                  cases share their axes."
            .to_owned(),
        alt,
        svg,
    }
}

/// Causes that have a colour, most frequent first, then all others together where there are any.
fn causes<'a>(stories: &[Story<'a>]) -> Vec<&'a str> {
    let mut totals: BTreeMap<&str, u64> = BTreeMap::new();
    for (cause, n) in stories.iter().flat_map(|s| s.lost.values()).flatten() {
        let total = totals.entry(cause).or_default();
        *total = total.saturating_add(*n);
    }
    let mut causes: Vec<&str> = totals.keys().copied().filter(|c| *c != OTHER).collect();
    causes.sort_by_key(|c| std::cmp::Reverse(totals[c]));
    if causes.len() > CAUSES || totals.contains_key(OTHER) {
        causes.truncate(CAUSES);
        causes.push(OTHER);
    }
    causes
}

fn colour(causes: &[&str], i: usize) -> Colour {
    if causes[i] == OTHER { FRAME } else { CAUSE_COLOURS[i % CAUSES] }
}

fn stale() -> Stroke {
    Stroke { colour: ORANGE, width: 2.0, dash: DASHES[1] }
}

fn retries() -> Stroke {
    Stroke { colour: BLUE, width: 1.5, dash: DASHES[1] }
}

fn terminating() -> Stroke {
    Stroke { colour: MUTED, width: 1.5, dash: DASHES[2] }
}

fn keys(stories: &[Story<'_>], causes: &[&str]) -> Vec<Key> {
    let line = |text: &str, stroke| Key { text: text.to_owned(), stroke: Some(stroke), mark: None };
    let mark = |text: String, mark| Key { text, stroke: None, mark: Some(mark) };
    let lost = |(i, cause): (usize, &&str)| mark(format!("lost: {}", words(cause)), (Mark::Square, colour(causes, i)));
    let mut keys: Vec<Key> = causes.iter().enumerate().map(lost).collect();
    if stories.iter().flat_map(|s| &s.windows).any(|w| w.retries > 0) {
        keys.push(line("retries", retries()));
    }
    keys.push(line("p99", Stroke::new(INK, 1.5)));
    keys.push(line("ready", Stroke::new(BLUE, 2.0)));
    if stories.iter().flat_map(|s| &s.windows).any(|w| w.terminating_endpoints > 0) {
        keys.push(line("terminating", terminating()));
    }
    if stories.iter().flat_map(|s| &s.windows).any(|w| w.stale_nodes > 0) {
        keys.push(line("Nodes with an old view", stale()));
    }
    let mut kinds: Vec<&str> = stories.iter().flat_map(|s| &s.incidents).map(|i| i.event.as_str()).collect();
    kinds.sort_by_key(|k| (rank(k), *k));
    kinds.dedup();
    keys.extend(kinds.iter().take(6).map(|kind| mark(format!("Pod: {kind}"), incident_look(kind))));
    keys
}

impl Scales {
    fn of(stories: &[Story<'_>]) -> Option<Self> {
        let windows = || stories.iter().flat_map(|s| s.windows.iter());
        let start = windows().map(|w| w.time_s).fold(f64::INFINITY, f64::min);
        let end = windows().map(|w| w.time_s + w.width_s).fold(f64::NEG_INFINITY, f64::max);
        let p99s = || windows().filter_map(|w| w.latency_p99_ms).filter(|v| v.is_finite() && *v > 0.0);
        let count = |w: &TimelineRow| w.ready_endpoints.max(w.stale_nodes).max(w.terminating_endpoints);
        let p99 = (p99s().fold(f64::INFINITY, f64::min), p99s().fold(0.0, f64::max));
        (start < end).then(|| Self {
            x: (start, end),
            lost: windows().map(|w| w.errors.max(w.retries)).max().unwrap_or(0).max(4) as f64 * 1.08,
            p99: if p99.0 <= p99.1 { p99 } else { (1.0, 10.0) },
            count: f64::from(windows().map(count).max().unwrap_or(1).max(1)) * 1.1,
        })
    }

    /// Latencies of one magnitude from zero on, those of several on a logarithmic scale.
    fn latency(&self, span: (f64, f64)) -> Scale {
        let (low, high) = self.p99;
        if high > 5.0 * low { Scale::log((low / 1.3, high * 1.3), span) } else { Scale::linear((0.0, high * 1.1), span) }
    }
}

impl<'a> Story<'a> {
    fn new(view: &View<'a>, case: &Case) -> Self {
        let results = view.results;
        let mine = |point: u32, replication: u32| point == case.point && replication == 0;
        let windows = windows(view, case);
        let rows = || results.timeline_errors.iter().filter(|r| mine(r.point, r.replication) && r.time_s >= 0.0);
        let series = View::series_of(case, rows().map(|r| r.series.as_str()));
        let mut lost: BTreeMap<u64, BTreeMap<&str, u64>> = BTreeMap::new();
        for row in rows().filter(|r| series.contains(&r.series.as_str())) {
            let n = lost.entry(row.time_s.to_bits()).or_default().entry(&row.cause).or_default();
            *n = n.saturating_add(row.requests);
        }
        for window in windows.iter().filter(|w| w.time_s >= 0.0) {
            let by_cause = lost.entry(window.time_s.to_bits()).or_default();
            let known = by_cause.values().fold(0u64, |sum, n| sum.saturating_add(*n));
            if window.errors > known {
                by_cause.insert(OTHER, window.errors - known);
            }
        }
        let mut events: Vec<&EventRow> = results.events.iter().filter(|r| mine(r.point, r.replication) && r.began_s.is_finite()).collect();
        events.sort_by(|a, b| a.began_s.total_cmp(&b.began_s).then_with(|| a.event.cmp(&b.event)));
        events.dedup_by(|a, b| a.began_s == b.began_s && a.event == b.event);
        let incidents = results.incidents.iter().filter(|r| mine(r.point, r.replication)).collect();
        Self { case: case.clone(), windows, lost, events, incidents }
    }

    fn draw(&self, canvas: &mut Canvas<'_>, scales: &Scales, causes: &[&str], (top, first, ticks): (f64, f64, f64), is_last: bool) {
        let x = Scale::linear(scales.x, (LEFT, RIGHT));
        let total = self.windows.iter().fold(0u64, |sum, w| sum.saturating_add(w.errors));
        canvas.text((LEFT, top + 10.0), &Type::new(14.0).bold().fit(&self.case.label, 480.0), Type::new(14.0).bold());
        let lost = format!("{} lost", format::plural(total as usize, "request"));
        canvas.text((RIGHT, top + 10.0), &lost, Type::new(13.0).muted().anchor(Anchor::End));
        let bottom = first + PANELS.iter().sum::<f64>() + 2.0 * GAP;
        self.bands(canvas, &x, (first - ticks, first, bottom));
        self.ticks(canvas, &x, (first, bottom));

        let (a, b) = (first, first + PANELS[0]);
        let counts = Scale::linear((0.0, scales.lost), (b, a));
        axes::vertical(canvas, &counts, (LEFT, RIGHT), 4, ("lost / window", 18.0), whole);
        self.bars(canvas, causes, &x, &counts, b);
        pulses(canvas, &self.windows, &x, &counts, |w| w.retries, retries());
        canvas.line((LEFT, b), (RIGHT, b), Stroke::new(FRAME, 1.0));

        let (a, b) = (b + GAP, b + GAP + PANELS[1]);
        let latency = scales.latency((b, a));
        axes::vertical(canvas, &latency, (LEFT, RIGHT), 3, ("p99 (ms)", 18.0), |_, text| text);
        self.latency(canvas, &x, &latency);
        canvas.line((LEFT, b), (RIGHT, b), Stroke::new(FRAME, 1.0));

        let (a, b) = (b + GAP, b + GAP + PANELS[2]);
        let levels = Scale::linear((0.0, scales.count), (b, a));
        axes::vertical(canvas, &levels, (LEFT, RIGHT), 3, ("count", 18.0), whole);
        let rows = &self.windows;
        pulses(canvas, rows, &x, &levels, |w| w.terminating_endpoints.into(), terminating());
        steps(canvas, rows, &x, &levels, |w| w.ready_endpoints.into(), Stroke::new(BLUE, 2.0));
        pulses(canvas, rows, &x, &levels, |w| w.stale_nodes.into(), stale());
        canvas.line((LEFT, b), (RIGHT, b), Stroke::new(FRAME, 1.0));
        if is_last {
            for (value, text) in x.ticks(9) {
                canvas.line((x.at(value), b), (x.at(value), b + 4.0), Stroke::new(FRAME, 1.0));
                canvas.text((x.at(value), b + 13.0), &text, Type::new(12.0).muted().anchor(Anchor::Middle));
            }
            canvas.text(((LEFT + RIGHT) / 2.0, b + 33.0), "time (s)", Type::new(13.0).anchor(Anchor::Middle));
        }
    }

    /// Names of events with their row, the lowest first, and where they start; none where there is no room.
    fn names(&self, x: &Scale) -> Vec<(usize, f64, String)> {
        let style = Type::new(12.0);
        let mut free = [LEFT; NAME_ROWS];
        let mut names = Vec::new();
        for event in self.events.iter().filter(|e| x.holds(e.began_s)) {
            let text = style.fit(&event.event, 200.0);
            let start = x.at(event.began_s).min(RIGHT - style.width(&text));
            if let Some(row) = (0..NAME_ROWS).find(|row| free[*row] <= start) {
                free[row] = start + style.width(&text) + 10.0;
                names.push((row, start, text));
            }
        }
        names
    }

    /// Events as bands over all panels, with their names above.
    fn bands(&self, canvas: &mut Canvas<'_>, x: &Scale, (names, top, bottom): (f64, f64, f64)) {
        for event in self.events.iter().filter(|e| x.holds(e.began_s)).take(60) {
            let (a, b) = (x.at(event.began_s), x.at(event.ended_s));
            if b > a {
                canvas.rect(a, top, b - a, bottom - top, TINTS[4]);
            }
            canvas.line((a, names), (a, bottom), Stroke::new(ORANGE, 1.0));
        }
        for (row, start, text) in self.names(x) {
            canvas.label((start, names - NAMES * (row as f64 + 0.5)), &text, Type::new(12.0), PAPER);
        }
    }

    /// Marks of what happened to Pods, above the panels.
    fn ticks(&self, canvas: &mut Canvas<'_>, x: &Scale, (top, bottom): (f64, f64)) {
        for incident in self.incidents.iter().filter(|i| x.holds(i.time_s)).take(400) {
            let (mark, colour) = incident_look(&incident.event);
            let px = x.at(incident.time_s);
            if rank(&incident.event) == 0 {
                canvas.line((px, top), (px, bottom), Stroke { colour: GRID, width: 1.0, dash: DASHES[2] });
            }
            canvas.mark(mark, (px, top - 7.0), 3.5, colour);
        }
    }

    fn bars(&self, canvas: &mut Canvas<'_>, causes: &[&str], x: &Scale, y: &Scale, bottom: f64) {
        for row in &self.windows {
            let Some(lost) = self.lost.get(&row.time_s.to_bits()) else { continue };
            let (a, b) = (x.at(row.time_s), x.at(row.time_s + row.width_s));
            let gap = if b - a > 4.0 { 0.5 } else { 0.0 };
            let mut by_colour = vec![0u64; causes.len()];
            for (cause, n) in lost {
                if let Some(i) = causes.iter().position(|c| c == cause).or_else(|| causes.len().checked_sub(1)) {
                    by_colour[i] = by_colour[i].saturating_add(*n);
                }
            }
            let (mut sum, mut base) = (0.0, bottom);
            for (i, n) in by_colour.iter().enumerate().filter(|(_, n)| **n > 0) {
                sum += *n as f64;
                let top = y.at(sum).min(base - 0.75);
                canvas.rect(a + gap, top, (b - a - 2.0 * gap).max(0.75), base - top, colour(causes, i));
                base = top;
            }
        }
    }

    /// The p99 at the middle of each window; a gap where nothing completed.
    fn latency(&self, canvas: &mut Canvas<'_>, x: &Scale, y: &Scale) {
        let usable = |w: &TimelineRow| w.latency_p99_ms.filter(|v| v.is_finite() && *v > 0.0);
        for part in self.windows.split(|w| usable(w).is_none()).filter(|part| !part.is_empty()) {
            let point = |w: &TimelineRow| (x.at(w.time_s + w.width_s / 2.0), y.at(usable(w).unwrap_or(0.0)));
            match part {
                [one] => canvas.mark(Mark::Disc, point(one), 1.5, INK),
                _ => canvas.path(&part.iter().map(point).collect::<Vec<_>>(), Stroke::new(INK, 1.5)),
            }
        }
    }
}

/// The windows of the first replication of a case; those of its parts added up where there is no row for the whole.
fn windows(view: &View<'_>, case: &Case) -> Vec<TimelineRow> {
    let usable = |r: &&TimelineRow| r.point == case.point && r.replication == 0 && r.time_s.is_finite() && r.width_s.is_finite();
    let of_point: Vec<&TimelineRow> = view.results.timeline.iter().filter(usable).collect();
    let series = View::series_of(case, of_point.iter().map(|r| r.series.as_str()));
    let mut rows: Vec<TimelineRow> = of_point.into_iter().filter(|r| series.contains(&r.series.as_str())).cloned().collect();
    rows.sort_by(|a, b| a.time_s.total_cmp(&b.time_s));
    rows.dedup_by(|later, kept| {
        let same = later.time_s == kept.time_s;
        if same {
            kept.errors = kept.errors.saturating_add(later.errors);
            kept.retries = kept.retries.saturating_add(later.retries);
            // Parts may be ways to the same endpoints: the larger number, not the sum. The slowest part sets the tail.
            kept.ready_endpoints = kept.ready_endpoints.max(later.ready_endpoints);
            kept.terminating_endpoints = kept.terminating_endpoints.max(later.terminating_endpoints);
            kept.stale_nodes = kept.stale_nodes.max(later.stale_nodes);
            kept.latency_p99_ms = [kept.latency_p99_ms, later.latency_p99_ms].into_iter().flatten().reduce(f64::max);
        }
        same
    });
    rows
}

/// The text of a tick where it is a whole number: there is no half of a Pod.
fn whole(value: f64, _: String) -> String {
    if value.fract() == 0.0 { format!("{value}") } else { String::new() }
}

/// A level as steps from window to window.
fn steps(canvas: &mut Canvas<'_>, rows: &[TimelineRow], x: &Scale, y: &Scale, level: impl Fn(&TimelineRow) -> u64, stroke: Stroke) {
    canvas.path(&stairs(rows, x, y, level), stroke);
}

/// The same of a level that is mostly 0: drawn only where it is not.
fn pulses(canvas: &mut Canvas<'_>, rows: &[TimelineRow], x: &Scale, y: &Scale, level: impl Fn(&TimelineRow) -> u64, stroke: Stroke) {
    for part in rows.split(|w| level(w) == 0) {
        let mut path = stairs(part, x, y, &level);
        if let (Some(&(a, _)), Some(&(b, _))) = (path.first(), path.last()) {
            path.insert(0, (a, y.at(0.0)));
            path.push((b, y.at(0.0)));
            canvas.path(&path, stroke);
        }
    }
}

fn stairs(rows: &[TimelineRow], x: &Scale, y: &Scale, level: impl Fn(&TimelineRow) -> u64) -> Vec<(f64, f64)> {
    let mut path: Vec<(f64, f64)> = Vec::new();
    for row in rows {
        let height = y.at(level(row) as f64);
        let (a, b) = (x.at(row.time_s), x.at(row.time_s + row.width_s));
        match path.last_mut() {
            Some(last) if (last.1 - height).abs() < 0.01 => last.0 = b,
            _ => path.extend([(a, height), (b, height)]),
        }
    }
    path
}

/// Harm first.
fn rank(event: &str) -> usize {
    match event {
        "crash" | "oom" | "evict" | "pause" => 0,
        "terminate" | "sigterm" => 1,
        "gone" => 2,
        _ => 3,
    }
}

fn incident_look(event: &str) -> (Mark, Colour) {
    match (rank(event), event) {
        (0, _) => (Mark::Cross, PALETTE[6]),
        (1, "sigterm") => (Mark::Down, MUTED),
        (1, _) => (Mark::Down, PALETTE[3]),
        (2, _) => (Mark::Diamond, MUTED),
        (_, "ready" | "resume") => (Mark::Up, GREEN),
        (_, "unready") => (Mark::Ring, ORANGE),
        (_, "restart") => (Mark::Square, BLUE),
        _ => (Mark::Disc, PALETTE[5]),
    }
}
