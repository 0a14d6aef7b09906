//! Lost requests over time, with what happened to Pods, ready endpoints and nodes with an old view.

use super::axes::{self, Scale};
use super::canvas::{self, Anchor, BLUE, Canvas, Colour, DASHES, FRAME, GREEN, MUTED, Mark, ORANGE, PALETTE, Stroke, Type, VERMILLION};
use super::{Figure, Key, WIDTH, first, heading, legend, note};
use crate::output::format;
use crate::output::tables::{IncidentRow, TimelineRow};
use crate::output::view::{Case, View};

const NAME: &str = "errors_timeline";
const TITLE: &str = "Lost requests over time";
const PANELS: usize = 6;

pub(super) fn figure(view: &View<'_>) -> Figure {
    let results = view.results;
    let lost = results.timeline.iter().any(|r| r.errors > 0);
    if results.timeline.is_empty() {
        return note(NAME, TITLE, "No timeline was recorded.");
    }
    if !lost {
        let happened = match results.incidents.len() {
            0 => String::new(),
            n => format!(" Over all replications, {} of Pods and Nodes did not change that.", format::plural(n, "event")),
        };
        return note(NAME, TITLE, &format!("No request was lost in any window of any replication.{happened}"));
    }
    let panels: Vec<(Case, Vec<TimelineRow>)> =
        view.cases.iter().map(|c| (c.clone(), windows(view, c))).filter(|p| !p.1.is_empty()).collect();
    let all: Vec<Case> = panels.iter().map(|p| p.0.clone()).collect();
    let (shown, remark) = first(&all, PANELS, "cases");
    let panels = &panels[..shown.len()];
    let windows = || panels.iter().flat_map(|p| p.1.iter());
    let start = windows().map(|w| w.time_s).fold(f64::INFINITY, f64::min);
    let end = windows().map(|w| w.time_s + w.width_s).fold(f64::NEG_INFINITY, f64::max);
    let most_errors = windows().map(|w| w.errors).max().unwrap_or(0);
    if panels.is_empty() || most_errors == 0 || start >= end {
        return note(NAME, TITLE, "No request was lost in the first replication; others did lose some, as the tables show.");
    }
    let most_level = windows().map(|w| w.ready_endpoints.max(w.stale_nodes)).max().unwrap_or(1).max(1);

    let mut kinds: Vec<&str> = results.incidents.iter().filter(|i| i.replication == 0).map(|i| i.event.as_str()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds.sort_by_key(|k| (rank(k), *k));
    kinds.truncate(6);
    let mut keys = vec![
        Key { text: "lost requests".to_owned(), stroke: None, mark: Some((Mark::Square, VERMILLION)) },
        Key { text: "ready endpoints".to_owned(), stroke: Some(Stroke::new(BLUE, 2.0)), mark: None },
        Key { text: "Nodes with an old view".to_owned(), stroke: Some(Stroke { colour: ORANGE, width: 2.0, dash: DASHES[1] }), mark: None },
    ];
    keys.extend(kinds.iter().map(|k| {
        let (mark, colour) = incident_look(k);
        Key { text: format!("Pod: {k}"), stroke: None, mark: Some((mark, colour)) }
    }));
    let width_s = windows().map(|w| w.width_s).fold(0.0, f64::max);
    let mut subtitle = format!(
        "First replication of each case, in windows of {} s.",
        format!("{:.3}", width_s).trim_end_matches('0').trim_end_matches('.')
    );
    if let Some(remark) = remark {
        subtitle = format!("{subtitle} {remark}");
    }
    let top = legend(None, &keys, 56.0) + 6.0;
    let (title_height, upper, gap, lower) = (36.0, 80.0, 12.0, 42.0);
    let panel = title_height + upper + gap + lower + 16.0;
    let height = top + panel * panels.len() as f64 + 46.0;
    let (left, right) = (72.0, WIDTH - 24.0);
    let alt =
        format!("Lost requests by time for {}, with incidents, ready endpoints and stale Nodes", format::plural(panels.len(), "case"));
    let svg = canvas::draw(WIDTH, height, &alt, |canvas| {
        let y = heading(canvas, TITLE, &subtitle);
        legend(Some(canvas), &keys, y);
        let x = Scale::linear((start, end), (left, right));
        for (i, (case, rows)) in panels.iter().enumerate() {
            let y = top + panel * i as f64;
            let last = i + 1 == panels.len();
            let total = rows.iter().fold(0u64, |sum, w| sum.saturating_add(w.errors));
            canvas.text((left, y + 10.0), &Type::new(14.0).bold().fit(&case.label, 480.0), Type::new(14.0).bold());
            canvas.text(
                (right, y + 10.0),
                &format!("{} lost", format::plural(total as usize, "request")),
                Type::new(13.0).muted().anchor(Anchor::End),
            );
            let (a, b) = (y + title_height, y + title_height + upper);
            let counts = Scale::linear((0.0, most_errors as f64 * 1.08), (b, a));
            axes::vertical(canvas, &counts, (left, right), 4, ("lost / window", 18.0), |_, text| text);
            bars(canvas, rows, &x, &counts, b);
            let incidents = results.incidents.iter().filter(|r| r.point == case.point && r.replication == 0 && x.holds(r.time_s));
            marks(canvas, incidents, &x, (a, b));
            canvas.line((left, b), (right, b), Stroke::new(FRAME, 1.0));
            let (a, b) = (b + gap, b + gap + lower);
            let levels = Scale::linear((0.0, f64::from(most_level) * 1.1), (b, a));
            axes::vertical(canvas, &levels, (left, right), 2, ("count", 18.0), |_, text| text);
            steps(canvas, rows, &x, &levels, |w| w.ready_endpoints, Stroke::new(BLUE, 2.0));
            steps(canvas, rows, &x, &levels, |w| w.stale_nodes, Stroke { colour: ORANGE, width: 2.0, dash: DASHES[1] });
            if last {
                for (value, text) in x.ticks(9) {
                    canvas.line((x.at(value), b), (x.at(value), b + 4.0), Stroke::new(FRAME, 1.0));
                    canvas.text((x.at(value), b + 13.0), &text, Type::new(12.0).muted().anchor(Anchor::Middle));
                }
                canvas.text(((left + right) / 2.0, b + 33.0), "time (s)", Type::new(13.0).anchor(Anchor::Middle));
            }
            canvas.line((left, b), (right, b), Stroke::new(FRAME, 1.0));
        }
    });
    Figure {
        name: NAME.to_owned(),
        title: TITLE.to_owned(),
        caption: "Upper panels: requests lost per window of time; marks along the top are what happened to Pods. Lower panels: endpoints that are ready, \
                  and Nodes whose rules do not yet know the newest endpoints: while that number is above 0, requests can be sent to a Pod that is gone. \
                  A request without an answer is lost when its client gives up, so such losses stand a timeout after their cause. All panels share their axes."
            .to_owned(),
        alt,
        svg,
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
            // Parts may be ways to the same endpoints: the larger number, not the sum.
            kept.ready_endpoints = kept.ready_endpoints.max(later.ready_endpoints);
            kept.stale_nodes = kept.stale_nodes.max(later.stale_nodes);
        }
        same
    });
    rows
}

fn bars(canvas: &mut Canvas<'_>, rows: &[TimelineRow], x: &Scale, y: &Scale, bottom: f64) {
    for row in rows.iter().filter(|w| w.errors > 0) {
        let (a, b) = (x.at(row.time_s), x.at(row.time_s + row.width_s));
        let top = y.at(row.errors as f64).min(bottom - 1.0);
        let gap = if b - a > 4.0 { 0.5 } else { 0.0 };
        canvas.rect(a + gap, top, (b - a - 2.0 * gap).max(0.75), bottom - top, VERMILLION);
    }
}

fn steps(canvas: &mut Canvas<'_>, rows: &[TimelineRow], x: &Scale, y: &Scale, level: impl Fn(&TimelineRow) -> u32, stroke: Stroke) {
    let mut path: Vec<(f64, f64)> = Vec::new();
    for row in rows {
        let height = y.at(f64::from(level(row)));
        let (a, b) = (x.at(row.time_s), x.at(row.time_s + row.width_s));
        match path.last_mut() {
            Some(last) if (last.1 - height).abs() < 0.01 => last.0 = b,
            _ => path.extend([(a, height), (b, height)]),
        }
    }
    canvas.path(&path, stroke);
}

fn marks<'a>(canvas: &mut Canvas<'_>, incidents: impl Iterator<Item = &'a IncidentRow>, x: &Scale, (top, bottom): (f64, f64)) {
    for incident in incidents.take(400) {
        let (mark, colour) = incident_look(&incident.event);
        let px = x.at(incident.time_s);
        if rank(&incident.event) < 2 {
            canvas.line((px, top), (px, bottom), Stroke { colour, width: 1.0, dash: DASHES[2] });
        }
        canvas.mark(mark, (px, top - 6.0), 4.0, colour);
    }
}

/// Harm first.
fn rank(event: &str) -> usize {
    match event {
        "crash" | "node_crash" | "fail" | "evict" => 0,
        "terminate" | "delete" | "drain" => 1,
        "gone" => 2,
        _ => 3,
    }
}

fn incident_look(event: &str) -> (Mark, Colour) {
    match (rank(event), event) {
        (0, _) => (Mark::Cross, PALETTE[6]),
        (1, _) => (Mark::Down, PALETTE[3]),
        (2, _) => (Mark::Diamond, MUTED),
        (_, "ready" | "start") => (Mark::Up, GREEN),
        _ => (Mark::Disc, PALETTE[5]),
    }
}
