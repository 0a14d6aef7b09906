//! How evenly requests fall on the Pods of a Service.

use std::collections::BTreeMap;

use super::axes::{self, Scale};
use super::canvas::{self, Anchor, BAND, INK, MARKS, MUTED, PALETTE, Stroke, Type};
use super::{Figure, Key, TOO_MANY_ROWS, WIDTH, heading, legend, note};
use crate::output::format;
use crate::output::view::View;

const NAME: &str = "pod_load";
const TITLE: &str = "Requests per Pod, relative to an equal share";
/// Lanes on either side of the middle into which marks move.
const LANES: i32 = 6;

/// The load of the Pods of one Service in one case, as means over replications.
pub(crate) struct Load {
    /// The case, and the Service where there are several.
    pub(crate) label: String,
    /// Jain's index: the mean over runs where it was measured, or else that of the Pods' means.
    pub(crate) jain: f64,
    /// Requests of the busiest Pod relative to an equal share.
    pub(crate) max_over_mean: f64,
    /// Pods with their part of requests times the number of Pods.
    pub(crate) pods: Vec<PodLoad>,
}

/// One Pod of a [`Load`].
pub(crate) struct PodLoad {
    /// Its name.
    pub(crate) pod: String,
    /// Its Node.
    pub(crate) node: String,
    /// The zone of it.
    pub(crate) zone: String,
    /// Requests relative to an equal share.
    pub(crate) relative: f64,
}

/// The loads of every case, by Service.
pub(crate) fn loads(view: &View<'_>) -> Vec<Load> {
    type Sum<'a> = BTreeMap<&'a str, (f64, &'a str, &'a str)>;
    // A replica keeps its name through the replications but may run on another Node; the last one seen names it.
    let mut sums: BTreeMap<(u32, &str), (Sum<'_>, std::collections::BTreeSet<u32>)> = BTreeMap::new();
    for row in &view.results.balance {
        let (sum, replications) = sums.entry((row.point, row.series.as_str())).or_default();
        replications.insert(row.replication);
        let entry = sum.entry(row.pod.as_str()).or_insert((0.0, "", ""));
        *entry = (entry.0 + if row.share_requests.is_finite() { row.share_requests } else { 0.0 }, &row.node, &row.zone);
    }
    let mut loads = Vec::new();
    for case in &view.cases {
        let present = sums.keys().filter(|k| k.0 == case.point).map(|k| k.1);
        let series = View::series_of(case, present);
        for name in &series {
            let (sum, replications) = &sums[&(case.point, *name)];
            let scale = sum.len() as f64 / replications.len().max(1) as f64;
            let pods: Vec<PodLoad> = sum
                .iter()
                .map(|(pod, (share, node, zone))| PodLoad {
                    pod: (*pod).to_owned(),
                    node: (*node).to_owned(),
                    zone: (*zone).to_owned(),
                    relative: share * scale,
                })
                .collect();
            let (total, squares) = pods.iter().fold((0.0, 0.0), |(t, s), p| (t + p.relative, s + p.relative * p.relative));
            let pooled = if squares > 0.0 { total * total / (squares * pods.len() as f64) } else { 1.0 };
            let jain = view.mean(case, "jain_requests").filter(|_| series.len() == 1).unwrap_or(pooled);
            let label = if series.len() == 1 { case.label.clone() } else { format!("{}: {name}", case.label) };
            let pooled = pods.iter().map(|p| p.relative).fold(0.0, f64::max);
            let max_over_mean = view.mean(case, "max_over_mean_requests").filter(|_| series.len() == 1).unwrap_or(pooled);
            loads.push(Load { label, jain, max_over_mean, pods });
        }
    }
    loads
}

pub(super) fn figure(view: &View<'_>) -> Figure {
    let mut loads = loads(view);
    if loads.is_empty() || loads.iter().all(|l| l.pods.iter().all(|p| p.relative == 0.0)) {
        return note(NAME, TITLE, "No request reached a Pod.");
    }
    let subtitle =
        if loads.len() > TOO_MANY_ROWS { format!("The first {TOO_MANY_ROWS} of {} rows are shown.", loads.len()) } else { String::new() };
    loads.truncate(TOO_MANY_ROWS);
    let mut zones: Vec<&str> = loads.iter().flat_map(|l| l.pods.iter().map(|p| p.zone.as_str())).filter(|z| !z.is_empty()).collect();
    zones.sort_unstable();
    zones.dedup();
    let by_zone = !zones.is_empty() && zones.len() <= MARKS.len();
    let look =
        |zone: &str| zones.iter().position(|z| *z == zone).filter(|_| by_zone).map_or((MARKS[0], PALETTE[0]), |i| (MARKS[i], PALETTE[i]));
    let keys: Vec<Key> = if by_zone && zones.len() > 1 {
        zones.iter().map(|z| Key { text: format!("Pod in {z}"), stroke: None, mark: Some(look(z)) }).collect()
    } else {
        vec![Key { text: "one Pod".to_owned(), stroke: None, mark: Some(look("")) }]
    };
    // The axis reaches as far on both sides of 1 as the Pods do, and never below 0.
    let far = loads.iter().flat_map(|l| l.pods.iter().map(|p| (p.relative - 1.0).abs())).fold(0.1, f64::max) * 1.12;
    let style = Type::new(13.0);
    let names = loads.iter().map(|l| style.width(&l.label)).fold(40.0, f64::max).min(250.0);
    let (left, right) = (16.0 + names + 20.0, WIDTH - 16.0 - 130.0);
    let x = Scale::linear(((1.0 - far).max(0.0), 1.0 + far), (left, right));
    let most_pods = loads.iter().map(|l| l.pods.len()).max().unwrap_or(0);
    let radius = if most_pods > 40 { 3.0 } else { 4.5 };
    let lanes = if loads.len() > 12 { 1 } else { LANES };
    let swarms: Vec<Vec<(f64, f64)>> = loads.iter().map(|l| swarm(&l.pods, &x, lanes, radius)).collect();
    let least = if loads.len() > 12 { 24.0 } else { 48.0 };
    let row = swarms.iter().flatten().map(|p| p.1.abs() * 2.0 + 22.0).fold(least, f64::max);
    let head = if subtitle.is_empty() { 38.0 } else { 56.0 };
    let top = legend(None, &keys, head) + 26.0;
    let bottom = top + row * loads.len() as f64;
    let alt = format!("Requests per Pod relative to an equal share, for {}", format::plural(loads.len(), "row"));
    let svg = canvas::draw(WIDTH, bottom + 52.0, &alt, |canvas| {
        let y = heading(canvas, TITLE, &subtitle);
        legend(Some(canvas), &keys, y);
        for i in (0..loads.len()).step_by(2) {
            canvas.rect(16.0, top + row * i as f64, WIDTH - 32.0, row, BAND);
        }
        axes::horizontal(canvas, &x, (top, bottom), 6, "requests of a Pod / equal share");
        canvas.line((x.at(1.0), top), (x.at(1.0), bottom), Stroke { colour: INK, width: 1.25, dash: canvas::DASHES[1] });
        canvas.text((x.at(1.0), top - 10.0), "equal", Type::new(12.0).colour(MUTED).anchor(Anchor::Middle));
        canvas.text((right + 14.0, top - 10.0), "Jain", Type::new(12.0).muted());
        canvas.text((right + 66.0, top - 10.0), "max/mean", Type::new(12.0).muted());
        for (i, (load, swarm)) in loads.iter().zip(&swarms).enumerate() {
            let middle = top + row * (i as f64 + 0.5);
            canvas.text((22.0, middle), &style.fit(&load.label, names), style);
            for (pod, (px, dy)) in load.pods.iter().zip(swarm) {
                let (mark, colour) = look(&pod.zone);
                canvas.mark(mark, (*px, middle + dy), radius, colour);
            }
            let busiest = load.pods.iter().zip(swarm).max_by(|a, b| a.0.relative.total_cmp(&b.0.relative));
            let Some((hottest, (px, dy))) = busiest else { continue };
            if hottest.relative >= 1.15 && row >= 40.0 {
                let anchor = if px + 60.0 > right { Anchor::End } else { Anchor::Middle };
                canvas.text(
                    (px + if anchor == Anchor::End { radius } else { 0.0 }, middle + dy - 13.0),
                    &hottest.pod,
                    Type::new(11.0).muted().anchor(anchor),
                );
            }
            canvas.text((right + 14.0, middle), &format!("{:.3}", load.jain), style);
            canvas.text((right + 66.0, middle), &format!("{:.2}", load.max_over_mean), style);
        }
    });
    Figure {
        name: NAME.to_owned(),
        title: TITLE.to_owned(),
        caption: "Each mark is one Pod; at 1 it got exactly its share, at 2 twice as much (means over replications). Jain's fairness index is 1 when \
                  all Pods get the same and 1/n when one of n Pods gets everything; max/mean is the load of the busiest Pod. Both are computed in each run and then averaged, so they also show what the marks average out."
            .to_owned(),
        alt,
        svg,
    }
}

/// Places of marks along the axis, moved up and down where they would cover one another.
fn swarm(pods: &[PodLoad], x: &Scale, lanes: i32, radius: f64) -> Vec<(f64, f64)> {
    let mut order: Vec<usize> = (0..pods.len()).collect();
    order.sort_by(|a, b| pods[*a].relative.total_cmp(&pods[*b].relative).then(a.cmp(b)));
    let mut places = vec![(0.0, 0.0); pods.len()];
    let mut taken: BTreeMap<i32, f64> = BTreeMap::new();
    for i in order {
        let px = x.at(pods[i].relative);
        let lane = (0..=2 * lanes)
            .map(|k| if k % 2 == 0 { k / 2 } else { -(k + 1) / 2 })
            .find(|lane| taken.get(lane).is_none_or(|last| px - last >= 2.2 * radius))
            .unwrap_or(0);
        taken.insert(lane, px);
        places[i] = (px, f64::from(lane) * 2.2 * radius);
    }
    places
}
