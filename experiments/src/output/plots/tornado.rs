//! What each factor does to the slow request, the one that matters most on top.

use super::axes::{self, Scale};
use super::canvas::{self, Anchor, BLUE, FRAME, INK, ORANGE, Stroke, Type};
use super::{Figure, TOO_MANY_ROWS, WIDTH, heading};
use crate::output::format::{plural, unit_of};
use crate::output::sensitivity::{how_to_read, importances, shown};
use crate::output::tables::SensitivityRow;
use crate::output::view::View;

const NAME: &str = "tornado";
const TITLE: &str = "Which factors matter";
const ROW: f64 = 34.0;

/// None for designs that tell nothing of single factors.
pub(super) fn figure(view: &View<'_>) -> Option<Figure> {
    let all = importances(view.results);
    let importance = all.first()?;
    let (metric, by_level) = (importance.metric, importance.leading == "difference");
    // Of differences a factor has one for each level, of indices one.
    let is_bar = |r: &&SensitivityRow| r.index == importance.leading && r.value.is_finite() && r.value != 0.0;
    let bars = importance.factors.iter().map(|(f, rows)| (*f, rows.iter().copied().filter(is_bar).collect::<Vec<_>>()));
    let factors: Vec<(&str, Vec<&SensitivityRow>)> = bars.filter(|(_, rows)| !rows.is_empty()).take(TOO_MANY_ROWS).collect();
    let values = || factors.iter().flat_map(|(_, rows)| rows).flat_map(|r| [Some(r.value), r.ci_low, r.ci_high]).flatten();
    let (low, high) = (values().fold(0.0, f64::min), values().fold(0.0, f64::max));
    if factors.is_empty() || low >= high {
        return None;
    }
    let name = Type::new(13.0);
    let left = 16.0 + factors.iter().map(|(f, _)| name.width(f)).fold(60.0, f64::max).min(230.0) + 14.0;
    // What stands at the end of a bar.
    let text = |row: &SensitivityRow| if by_level { row.level.clone() } else { shown(row) };
    let small = Type::new(11.0);
    let room = factors.iter().flat_map(|(_, rows)| rows).map(|r| small.width(&text(r))).fold(0.0, f64::max).min(180.0) + 8.0;
    let (from, to) = (left + if low < 0.0 { room } else { 0.0 }, WIDTH - 24.0 - if high > 0.0 { room } else { 0.0 });
    let top = 70.0;
    let bottom = top + ROW * factors.len() as f64;
    let row = factors[0].1[0];
    let unit = if row.unit == "1" { "1" } else { unit_of(metric, &row.unit) };
    // Shares are shown as percentages.
    let (times, unit) = match unit {
        "share" | "fraction" => (100.0, " (%)".to_owned()),
        "" | "1" | "count" => (1.0, String::new()),
        unit => (1.0, format!(" ({unit})")),
    };
    let index = if by_level { "change" } else { importance.leading };
    let subtitle = format!("{metric}: {index} by factor");
    let alt = format!("What {} do to {metric}: {} most", plural(factors.len(), "factor"), factors[0].0);
    let svg = canvas::draw(WIDTH, bottom + 52.0, &alt, |canvas| {
        heading(canvas, TITLE, &subtitle);
        let x = Scale::linear((low * times, high * times), (from, to));
        axes::horizontal(canvas, &x, (top, bottom), 7, &format!("{index} of {metric}{unit}"));
        for (i, (factor, rows)) in factors.iter().enumerate() {
            let y = top + ROW * (i as f64 + 0.5);
            canvas.text((16.0, y), &name.fit(factor, left - 28.0), name);
            // The longest bar comes first, so that shorter ones of the same side are seen; it alone is named.
            let mut told = [false; 2];
            for row in rows {
                let (zero, end) = (x.at(0.0), x.at(row.value * times));
                canvas.rect(zero.min(end), y - 9.0, (end - zero).abs(), 18.0, if row.value < 0.0 { ORANGE } else { BLUE });
                let ends = row.ci_low.zip(row.ci_high).map_or((end, end), |(from, to)| (x.at(from * times), x.at(to * times)));
                canvas.line((ends.0, y), (ends.1, y), Stroke::new(INK, 1.5));
                let side = usize::from(row.value < 0.0);
                if !std::mem::replace(&mut told[side], true) {
                    let (at, anchor) =
                        if side == 0 { (end.max(ends.1) + 5.0, Anchor::Start) } else { (end.min(ends.0) - 5.0, Anchor::End) };
                    canvas.text((at, y), &small.fit(&text(row), room), small.anchor(anchor));
                }
            }
        }
        canvas.line((x.at(0.0), top), (x.at(0.0), bottom), Stroke::new(FRAME, 1.0));
    });
    let levels = if by_level { " What a factor was set to stands at the end of its longest bars." } else { "" };
    let caption = format!("{} Lines on the bars are their intervals.{levels}", how_to_read(importance.leading));
    Some(Figure { name: NAME.to_owned(), title: TITLE.to_owned(), caption, alt, svg })
}
