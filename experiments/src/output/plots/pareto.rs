//! Which cases nobody beats in all of latency, losses and traffic between zones.

use super::axes::{self, Scale};
use super::canvas::{self, BLUE, FRAME, MUTED, Mark, Stroke, Type, VERMILLION};
use super::{Figure, Key, MANY, TOO_MANY_ROWS, WIDTH, heading, legend};
use crate::output::format::{list, percent, plural};
use crate::output::view::{Case, Estimate, View};

const NAME: &str = "pareto";
const TITLE: &str = "Latency against its price";
/// Fewer cases need no front.
const FEWEST: usize = 3;
/// Losses that are told beside a name.
const TOLD_LOSS: f64 = 1e-5;

/// Parts of the traffic and of the requests by which cases must differ for the figure to say something.
const SPREAD: [f64; 2] = [0.01, 0.001];

struct Place<'a> {
    case: &'a Case,
    p99: Estimate,
    cross_zone: Estimate,
    lost: Estimate,
    doubt: bool,
}

/// What of a case stands on the vertical axis.
type Price = fn(&Place<'_>) -> f64;

impl Place<'_> {
    /// Better in something and worse in nothing, as far as their intervals tell.
    fn beats(&self, other: &Self) -> bool {
        let pairs = [(self.p99, other.p99), (self.cross_zone, other.cross_zone), (self.lost, other.lost)];
        let less = |a: Estimate, b: Estimate| a.ends.map_or(a.mean, |e| e.1) < b.ends.map_or(b.mean, |e| e.0);
        !self.doubt && pairs.iter().any(|(a, b)| less(*a, *b)) && !pairs.iter().any(|(a, b)| less(*b, *a))
    }
}

/// None where there is no price to weigh latency against; or where points are a sample of what may be, or so many that they are
/// conditions rather than a choice.
pub(super) fn figure(view: &View<'_>) -> Option<Figure> {
    let place = |case| {
        let estimate = |metric| view.estimate(case, metric).unwrap_or(Estimate { mean: 0.0, ends: None });
        let p99 = view.estimate(case, "latency_p99").filter(|e| e.mean > 0.0)?;
        let doubt = view.doubt(case, "latency_p99").is_some();
        Some(Place { case, p99, cross_zone: estimate("cross_zone_share"), lost: estimate("error_rate"), doubt })
    };
    let places: Vec<Place<'_>> = view.cases.iter().filter_map(place).collect();
    let prices: [(Price, &str); 2] = [(|p| p.cross_zone.mean, "traffic between zones (%)"), (|p| p.lost.mean, "lost requests (%)")];
    let range = |price: Price| {
        let (low, high) = places.iter().map(price).fold((f64::INFINITY, 0.0), |(low, high), v| (v.min(low), v.max(high)));
        (high, high - low)
    };
    let ((price, what), _) = prices.into_iter().zip(SPREAD).find(|((price, _), least)| range(*price).1 > *least)?;
    if !(FEWEST..=TOO_MANY_ROWS).contains(&places.len()) || !view.results.sensitivity.is_empty() {
        return None;
    }
    let most = range(price).0;
    let on_front = |p: &Place<'_>| !p.doubt && !places.iter().any(|q| q.beats(p));
    let front: Vec<&Place<'_>> = places.iter().filter(|p| on_front(p)).collect();

    let ends = || places.iter().flat_map(|p| [Some(p.p99.mean), p.p99.ends.map(|e| e.0), p.p99.ends.map(|e| e.1)]).flatten();
    let ends = || ends().filter(|v| v.is_finite() && *v > 0.0);
    let (low, high) = (ends().fold(f64::INFINITY, f64::min), ends().fold(0.0, f64::max));
    let keys = [
        Key { text: "no other case is clearly better".to_owned(), stroke: None, mark: Some((Mark::Disc, BLUE)) },
        Key { text: "another case is".to_owned(), stroke: None, mark: Some((Mark::Ring, MUTED)) },
        Key { text: "must not be built on".to_owned(), stroke: None, mark: Some((Mark::Cross, VERMILLION)) },
    ];
    let keys = &keys[..if places.iter().any(|p| p.doubt) { 3 } else { 2 }];
    let top = legend(None, keys, 56.0) + 16.0;
    let (bottom, left, right) = (top + 300.0, 74.0, WIDTH - 24.0);
    let names: Vec<&str> = front.iter().take(MANY).map(|p| p.case.label.as_str()).collect();
    let alt = format!("{} of latency, traffic between zones and losses; on the front: {}", plural(places.len(), "case"), list(&names));
    let svg = canvas::draw(WIDTH, bottom + 52.0, &alt, |canvas| {
        let y = heading(canvas, TITLE, "Down and to the left is better");
        legend(Some(canvas), keys, y);
        let x = if high / low > 30.0 {
            Scale::log((low * 0.9, high * 1.1), (left, right))
        } else {
            Scale::linear(((low - (high - low) * 0.15).max(0.0), high + (high - low) * 0.15), (left, right))
        };
        let y = Scale::linear((0.0, most * 108.0), (bottom, top));
        axes::horizontal(canvas, &x, (top, bottom), 7, "99th percentile of latency (ms)");
        axes::vertical(canvas, &y, (left, right), 5, (what, 18.0), |_, text| text);
        let style = Type::new(12.0);
        let mut taken: Vec<(f64, f64, f64)> = Vec::new();
        // Those on the front are drawn and named first.
        let (first, second): (Vec<_>, Vec<_>) = places.iter().partition(|p| on_front(p));
        for place in first.into_iter().chain(second) {
            let (px, py) = (x.at(place.p99.mean), y.at(price(place) * 100.0));
            if let Some((from, to)) = place.p99.ends {
                canvas.line((x.at(from), py), (x.at(to), py), Stroke::new(FRAME, 1.5));
            }
            match (place.doubt, on_front(place)) {
                (true, _) => canvas.mark(Mark::Cross, (px, py), 5.0, VERMILLION),
                (false, true) => canvas.mark(Mark::Disc, (px, py), 6.0, BLUE),
                (false, false) => canvas.mark(Mark::Ring, (px, py), 5.0, MUTED),
            }
            if places.len() > MANY && !on_front(place) {
                continue;
            }
            let lost = if place.lost.mean > TOLD_LOSS { format!(" (loses {})", percent(place.lost.mean)) } else { String::new() };
            let text = style.fit(&format!("{}{lost}", place.case.label), 300.0);
            let width = style.width(&text);
            let start = if px + 10.0 + width > right { px - 10.0 - width } else { px + 10.0 };
            let free = |y: f64| taken.iter().all(|(from, to, at)| (at - y).abs() >= 13.0 || start > *to || start + width < *from);
            let near = [0.0, -13.0, 13.0, -26.0, 26.0, -39.0, 39.0].map(|d| py + d);
            if let Some(place) = near.into_iter().filter(|y| *y > top && *y < bottom - 4.0).find(|y| free(*y)) {
                taken.push((start, start + width, place));
                canvas.text((start, place), &text, style);
            }
        }
    });
    let caption =
        "Pareto front of three prices: the 99th percentile of latency, the part of the traffic that crosses zones, which clouds charge \
                   for, and the requests lost. On the front is whom no other case beats in one without being worse in another, as far as \
                   confidence intervals tell. Bars are those of the latency."
            .to_owned();
    Some(Figure { name: NAME.to_owned(), title: TITLE.to_owned(), caption, alt, svg })
}
