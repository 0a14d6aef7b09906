//! Median and 99th percentile of latency of each case, with confidence intervals.

use super::axes::{self, Scale};
use super::canvas::{self, BAND, BLUE, FRAME, Mark, PALETTE, Stroke, Type};
use super::{DOUBTFUL, Figure, Key, TOO_MANY_ROWS, WIDTH, first, heading, legend, note};
use crate::output::format;
use crate::output::view::{DOUBT, View};

const NAME: &str = "p99_by_entry";
const TITLE: &str = "Latency of the typical and of the slow request";
const LIGHT: canvas::Colour = PALETTE[5];

pub(super) fn figure(view: &View<'_>) -> Figure {
    let measured: Vec<_> = view.cases.iter().filter(|c| view.estimate(c, "latency_p99").is_some()).cloned().collect();
    let (cases, remark) = first(&measured, TOO_MANY_ROWS, "cases");
    if cases.is_empty() {
        return note(NAME, TITLE, "No 99th percentile of latency was recorded.");
    }
    let ends = |metric: &'static str| {
        cases
            .iter()
            .filter_map(move |c| view.estimate(c, metric))
            .flat_map(|e| [Some(e.mean), e.ends.map(|x| x.0), e.ends.map(|x| x.1)])
            .flatten()
    };
    let values = || ends("latency_p99").chain(ends("latency_p50")).filter(|v| v.is_finite() && *v > 0.0);
    let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max));
    let log = low.is_finite() && high / low > 30.0;

    let name_style = Type::new(13.0);
    let names = cases.iter().map(|c| name_style.width(&c.label)).fold(40.0, f64::max).min(250.0);
    let numbers: Vec<String> = cases
        .iter()
        .map(|c| {
            let shown = view.estimate(c, "latency_p99").map_or_else(String::new, |e| format::interval(e.mean, e.ends, "ms"));
            if view.doubt(c, "latency_p99").is_some() { shown + DOUBT } else { shown }
        })
        .collect();
    let numbers_width = numbers.iter().map(|n| Type::new(13.0).width(n)).fold(100.0, f64::max);
    let (left, right) = (16.0 + names + 14.0, WIDTH - 24.0 - numbers_width - 14.0);
    let row = if cases.len() > 16 { 22.0 } else { 34.0 };
    let confidence = view.row(&cases[0], "latency_p99").map_or(0.95, |r| r.confidence);
    let percent = format!("{}%", (confidence * 1000.0).round() / 10.0);
    let keys = [
        Key { text: "p50 (median)".to_owned(), stroke: None, mark: Some((Mark::Ring, LIGHT)) },
        Key {
            text: format!("p99 with {percent} confidence interval"),
            stroke: Some(Stroke::new(BLUE, 2.0)),
            mark: Some((Mark::Disc, BLUE)),
        },
    ];
    let subtitle = remark.unwrap_or_default();
    let head = if subtitle.is_empty() { 38.0 } else { 56.0 };
    let top = legend(None, &keys, head) + 26.0;
    let bottom = top + row * cases.len() as f64;
    let alt = format!("Median and 99th percentile of latency of {}", format::plural(cases.len(), "case"));
    let svg = canvas::draw(WIDTH, bottom + 52.0, &alt, |canvas| {
        let y = heading(canvas, TITLE, &subtitle);
        legend(Some(canvas), &keys, y);
        for i in (0..cases.len()).step_by(2) {
            canvas.rect(16.0, top + row * i as f64, WIDTH - 32.0, row, BAND);
        }
        let x = if log { Scale::log((low * 0.9, high * 1.1), (left, right)) } else { Scale::linear((0.0, high * 1.05), (left, right)) };
        axes::horizontal(canvas, &x, (top, bottom), 6, if log { "latency (ms, logarithmic)" } else { "latency (ms)" });
        canvas.text((right + 14.0, top - 12.0), &format!("p99 [{percent} interval]"), Type::new(12.0).muted());
        for (i, case) in cases.iter().enumerate() {
            let y = top + row * (i as f64 + 0.5);
            canvas.text((16.0 + 6.0, y), &name_style.fit(&case.label, names), name_style);
            let p50 = view.estimate(case, "latency_p50");
            let p99 = view.estimate(case, "latency_p99");
            if let (Some(p50), Some(p99)) = (p50, p99) {
                canvas.line((x.at(p50.mean), y), (x.at(p99.mean), y), Stroke::new(FRAME, 1.0));
            }
            for (estimate, colour, width) in [(p50, LIGHT, 1.5), (p99, BLUE, 2.0)] {
                let Some((low, high)) = estimate.and_then(|e| e.ends) else { continue };
                canvas.line((x.at(low), y), (x.at(high), y), Stroke::new(colour, width));
                for end in [low, high] {
                    canvas.line((x.at(end), y - 6.0), (x.at(end), y + 6.0), Stroke::new(colour, width));
                }
            }
            if let Some(p50) = p50 {
                canvas.mark(Mark::Ring, (x.at(p50.mean), y), 5.0, LIGHT);
            }
            if let Some(p99) = p99 {
                canvas.mark(Mark::Disc, (x.at(p99.mean), y), 4.5, BLUE);
            }
            canvas.text((right + 14.0, y), &numbers[i], Type::new(13.0));
        }
    });
    Figure {
        name: NAME.to_owned(),
        title: TITLE.to_owned(),
        caption: format!(
            "The median (p50) is the latency that half of the requests stay below, the 99th percentile (p99) the one that 99 in 100 stay below. \
             Bars are {percent} confidence intervals of the mean over replications; for small differences trust the paired comparison in the \
             findings rather than the overlap of bars.{}",
            if numbers.iter().any(|n| n.ends_with(DOUBT)) { DOUBTFUL } else { "" }
        ),
        alt,
        svg,
    }
}
