//! The part of requests that took longer than each latency, on logarithmic axes.

use std::collections::BTreeMap;

use super::axes::{self, Scale};
use super::canvas::{self, Anchor, FRAME, MUTED, Stroke, Type};
use super::{Figure, Key, MANY, WIDTH, first, heading, legend, look, note};
use crate::output::format;
use crate::output::view::View;

const NAME: &str = "latency_ccdf";
const TITLE: &str = "How many requests are slower than a given latency";

pub(super) fn figure(view: &View<'_>) -> Figure {
    let mut curves: BTreeMap<(u32, &str), Vec<(f64, f64)>> = BTreeMap::new();
    for row in &view.results.latency {
        if row.latency_ms.is_finite() && row.fraction_above.is_finite() && row.latency_ms > 0.0 {
            curves.entry((row.point, row.series.as_str())).or_default().push((row.latency_ms, row.fraction_above));
        }
    }
    for curve in curves.values_mut() {
        curve.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)));
    }
    let drawn: Vec<_> = view.cases.iter().filter(|c| curves.contains_key(&(c.point, c.series.as_str()))).cloned().collect();
    let (cases, remark) = first(&drawn, MANY, "curves");
    let curves: Vec<&Vec<(f64, f64)>> = cases.iter().map(|c| &curves[&(c.point, c.series.as_str())]).collect();
    let points = || curves.iter().flat_map(|c| c.iter());
    // Where all requests are still slower there is nothing to see: the axis starts where curves begin to fall.
    let low = curves.iter().filter_map(|c| start_of_fall(c)).fold(f64::INFINITY, f64::min);
    let high = points().map(|p| p.0).fold(0.0, f64::max);
    let least = points().map(|p| p.1).filter(|f| *f > 0.0).fold(1.0, f64::min);
    if cases.is_empty() || !low.is_finite() {
        return note(NAME, TITLE, "No distribution of latency was recorded.");
    }
    let bottom_decade = (1..=7).map(|d| 1.0 / libm::pow(10.0, f64::from(d))).find(|d| *d <= least * 1.0001).unwrap_or(1e-7);

    let keys: Vec<Key> =
        cases.iter().enumerate().map(|(i, c)| Key { text: c.label.clone(), stroke: Some(look(i).0), mark: None }).collect();
    let subtitle = remark.unwrap_or_default();
    let head = if subtitle.is_empty() { 38.0 } else { 56.0 };
    let top = legend(None, &keys, head) + 10.0;
    let (left, right, bottom) = (84.0, WIDTH - 64.0, top + 360.0);
    let alt = format!("Complementary distribution of latency of {} on logarithmic axes", format::plural(cases.len(), "case"));
    let svg = canvas::draw(WIDTH, bottom + 52.0, &alt, |canvas| {
        let y = heading(canvas, TITLE, &subtitle);
        legend(Some(canvas), &keys, y);
        let x = Scale::log((low * 0.95, high * 1.05), (left, right));
        let y = Scale::log((bottom_decade, 1.0), (bottom, top));
        axes::horizontal(canvas, &x, (top, bottom), 9, "latency (ms, logarithmic)");
        axes::vertical(canvas, &y, (left, right), 8, ("slower requests (%, logarithmic)", 18.0), |v, _| {
            let percent = (v * 100.0 * 1e9).round() / 1e9;
            format!("{percent}%")
        });
        for (above, text) in [(0.5, "p50"), (0.1, "p90"), (0.01, "p99"), (0.001, "p99.9"), (0.0001, "p99.99")] {
            if y.holds(above) {
                canvas.line((right, y.at(above)), (right + 4.0, y.at(above)), Stroke::new(FRAME, 1.0));
                canvas.text((right + 8.0, y.at(above)), text, Type::new(12.0).colour(MUTED).anchor(Anchor::Start));
            }
        }
        for (i, curve) in curves.iter().enumerate() {
            canvas.path(&trace(curve, &x, &y, bottom_decade), look(i).0);
        }
    });
    Figure {
        name: NAME.to_owned(),
        title: TITLE.to_owned(),
        caption: "Each curve is a complementary cumulative distribution (CCDF) of latency over all replications: at a latency on the horizontal \
                  axis it shows which part of the requests took longer. A curve further to the left is faster; where it crosses the line marked \
                  p99 it has its 99th percentile. Both axes are logarithmic, and the last few requests of a curve, at its lower end, are chance."
            .to_owned(),
        alt,
        svg,
    }
}

/// The latency at which a curve leaves the top.
fn start_of_fall(curve: &[(f64, f64)]) -> Option<f64> {
    curve.iter().find(|p| p.1 < 0.999).or(curve.first()).map(|p| p.0)
}

/// A curve in pixels, without the points that would fall on one another.
fn trace(curve: &[(f64, f64)], x: &Scale, y: &Scale, least: f64) -> Vec<(f64, f64)> {
    let mut path: Vec<(f64, f64)> = Vec::new();
    for &(latency, above) in curve {
        let p = (x.at(latency), y.at(above.max(least)));
        match path.last() {
            Some(last) if (last.0 - p.0).abs() < 0.5 && (last.1 - p.1).abs() < 0.5 => {}
            _ => path.push(p),
        }
        if above <= 0.0 {
            break;
        }
    }
    path
}
