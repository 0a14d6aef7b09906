//! Which factors matter, and how much: the indices of a sampled design in sentences and tables.

use super::format::{interval, list, number, percent, unit_of};
use super::tables::{Results, SensitivityRow};
use super::view::ALL;

/// Metrics that are shown; `sensitivity.csv` has all.
pub(crate) const METRICS: [&str; 4] = ["latency_p99", "latency_mean", "error_rate", "throughput"];
/// Metrics told in sentences.
const TOLD: [&str; 2] = ["latency_p99", "error_rate"];
/// Indices by which factors are ordered: the first that the results have.
const LEADING: [&str; 4] = ["total", "mu_star", "rank_correlation", "difference"];
/// Factors told one by one.
const NAMED: usize = 3;

/// The factors for one metric, the one that matters most first.
pub(crate) struct Importance<'a> {
    /// The metric.
    pub(crate) metric: &'a str,
    /// The index that orders them.
    pub(crate) leading: &'static str,
    /// Each with its rows; of these the first has the largest leading index.
    pub(crate) factors: Vec<(&'a str, Vec<&'a SensitivityRow>)>,
}

/// Those of the metrics that are shown, as far as they vary.
pub(crate) fn importances(results: &Results) -> Vec<Importance<'_>> {
    METRICS.iter().filter_map(|metric| importance(results, metric)).collect()
}

fn importance<'a>(results: &'a Results, metric: &'a str) -> Option<Importance<'a>> {
    let rows: Vec<&SensitivityRow> = results.sensitivity.iter().filter(|r| r.series == ALL && r.metric == metric).collect();
    let leading = LEADING.into_iter().find(|index| rows.iter().any(|r| r.index == *index))?;
    let size = |row: &SensitivityRow| if row.index == leading { row.value.abs() } else { -1.0 };
    let mut factors: Vec<(&str, Vec<&SensitivityRow>)> = Vec::new();
    for row in rows {
        match factors.iter_mut().find(|(factor, _)| *factor == row.factor) {
            Some((_, rows)) => rows.push(row),
            None => factors.push((&row.factor, vec![row])),
        }
    }
    factors.iter_mut().for_each(|(_, rows)| rows.sort_by(|a, b| size(b).total_cmp(&size(a))));
    factors.sort_by(|a, b| size(b.1[0]).total_cmp(&size(a.1[0])));
    Some(Importance { metric, leading, factors })
}

impl Importance<'_> {
    /// The names of all indices, the leading one first.
    pub(crate) fn indices(&self) -> Vec<&str> {
        let mut names = vec![self.leading];
        for row in self.factors.iter().flat_map(|(_, rows)| rows) {
            if !names.contains(&row.index.as_str()) {
                names.push(&row.index);
            }
        }
        names
    }

    /// What is to be said of it.
    fn sentence(&self) -> String {
        let told: Vec<String> = self.factors.iter().take(NAMED).map(|(factor, rows)| format!("{factor} ({})", self.words(rows))).collect();
        let Some((first, others)) = told.split_first() else { return String::new() };
        let (verb, with) = match self.leading {
            "total" => ("varies", "with"),
            "rank_correlation" => ("goes", "with"),
            _ => ("depends", "on"),
        };
        let mut text = format!("{} {verb} most {with} {first}", self.metric);
        if !others.is_empty() {
            text.push_str(&format!(", then {with} {}", list(others)));
        }
        if let Some((factor, rows)) = self.factors.last().filter(|_| self.factors.len() > NAMED) {
            text.push_str(&format!("; it {verb} least {with} {factor} ({})", self.words(rows)));
        }
        text + "."
    }

    /// What the rows of a factor say of it.
    fn words(&self, rows: &[&SensitivityRow]) -> String {
        let Some(row) = rows.first() else { return String::new() };
        let shown = shown(row);
        match self.leading {
            "total" => {
                let alone = rows.iter().find(|r| r.index == "first_order").map_or(0.0, |r| r.value);
                format!("{} of the variance alone, {} together with others", percent(alone.max(0.0)), percent(row.value))
            }
            "mu_star" => format!("{shown} over its range"),
            "rank_correlation" => format!("rank correlation {}", number(row.value)),
            _ => format!("{shown} at {}", row.level),
        }
    }
}

/// The value of an index in its unit, with its interval.
pub(crate) fn shown(row: &SensitivityRow) -> String {
    let unit = if row.unit == "1" { "1" } else { unit_of(&row.metric, &row.unit) };
    interval(row.value, row.ci_low.zip(row.ci_high), unit)
}

/// What is to be said of the factors, most important metric first.
pub(crate) fn sentences(results: &Results) -> Vec<String> {
    TOLD.iter().filter_map(|metric| importance(results, metric)).map(|found| found.sentence()).collect()
}

/// How to read the indices of a table.
pub(crate) fn how_to_read(leading: &str) -> &'static str {
    match leading {
        "total" => {
            "Parts of the variance over the whole space of factors. first_order: by how much it would shrink if this factor were known; total: \
             what would be left if all others were known. The difference between the two is what the factor does together with others. Bootstrap \
             intervals (95%)."
        }
        "mu_star" => {
            "Elementary effects of random walks, as changes over a factor's whole range. mu_star: their mean size, whichever way; mu: their mean; \
             sigma: their standard deviation, large where the effect depends on other factors or is no straight line. Student-t intervals (95%) \
             over walks."
        }
        "rank_correlation" => {
            "Spearman's rank correlation over all points, from -1 (always down with the factor) to 1 (always up); near 0 for a factor that does \
             not matter or goes both ways."
        }
        _ => {
            "Differences to the experiment as it is when one factor alone is changed: paired by replication, with Student-t intervals (95%). What \
             factors do together is not seen."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(factor: &str, level: &str, index: &str, value: f64) -> SensitivityRow {
        SensitivityRow {
            factor: factor.into(),
            level: level.into(),
            series: ALL.into(),
            metric: "latency_p99".into(),
            index: index.into(),
            unit: if index == "mu_star" || index == "difference" { "ms".into() } else { "1".into() },
            value,
            ci_low: None,
            ci_high: None,
        }
    }

    fn said(rows: Vec<SensitivityRow>) -> Vec<String> {
        sentences(&Results { sensitivity: rows, ..Results::default() })
    }

    #[test]
    fn the_factor_that_matters_most_is_named_first() {
        let walks = [("link", 0.5), ("load", 9.0), ("cv", 3.0), ("retries", 0.1)].map(|(f, v)| row(f, "", "mu_star", v));
        assert_eq!(
            said(walks.to_vec()),
            ["latency_p99 depends most on load (9.00 ms over its range), then on cv (3.00 ms over its range) and \
              link (0.500 ms over its range); it depends least on retries (0.100 ms over its range)."]
        );
        let parts = vec![row("cv", "", "first_order", 0.1), row("cv", "", "total", 0.2), row("load", "", "total", 0.8)];
        assert_eq!(
            said(parts),
            [
                "latency_p99 varies most with load (0% of the variance alone, 80.0% together with others), then with cv (10.0% of the variance \
              alone, 20.0% together with others)."
            ]
        );
    }

    #[test]
    fn the_level_that_changes_most_speaks_for_its_factor() {
        let rows =
            vec![row("load", "10/s", "difference", -1.0), row("load", "90/s", "difference", 5.0), row("cv", "2", "difference", -7.0)];
        assert_eq!(said(rows), ["latency_p99 depends most on cv (\u{2212}7.00 ms at 2), then on load (5.00 ms at 90/s)."]);
    }
}
