//! Numbers as a reader wants them: three significant digits, units, intervals.

/// Decimals that show `digits` significant digits of a number.
fn decimals(value: f64, digits: i32) -> usize {
    if value == 0.0 || !value.is_finite() {
        return 0;
    }
    let mut magnitude = 0;
    let mut rest = value.abs();
    while rest >= 10.0 && magnitude < 300 {
        rest /= 10.0;
        magnitude += 1;
    }
    while rest < 1.0 && magnitude > -300 {
        rest *= 10.0;
        magnitude -= 1;
    }
    (digits - 1 - magnitude).clamp(0, 12) as usize
}

/// A number with commas between thousands where it is long.
fn grouped(text: String) -> String {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |rest| ("\u{2212}", rest));
    let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(w, f)| (w, Some(f)));
    let mut out = String::from(sign);
    for (i, c) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) && whole.len() > 4 {
            out.push(',');
        }
        out.push(c);
    }
    if let Some(fraction) = fraction {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

fn fixed(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return "n/a".to_owned();
    }
    if value.abs() >= 1e12 {
        return format!("{value:.2e}");
    }
    let text = format!("{value:.decimals$}");
    let zero = !text.chars().any(|c| c.is_ascii_digit() && c != '0');
    grouped(if zero { text.trim_start_matches('-').to_owned() } else { text })
}

/// Three significant digits.
pub(crate) fn number(value: f64) -> String {
    fixed(value, decimals(value, 3))
}

/// A count or another whole number.
pub(crate) fn count(value: u64) -> String {
    grouped(value.to_string())
}

/// A fraction as a percentage: `0.0123` is "1.23%".
pub(crate) fn percent(fraction: f64) -> String {
    format!("{}%", percent_digits(fraction))
}

fn percent_digits(fraction: f64) -> String {
    let value = fraction * 100.0;
    if value != 0.0 && value.abs() < 0.001 { "<0.001".to_owned() } else { fixed(value, decimals(value, 3).min(3)) }
}

/// Whether values of this unit are fractions of 1 that read best as percentages.
fn is_share(unit: &str) -> bool {
    matches!(unit, "share" | "fraction")
}

/// The unit to show a metric in: fractions of 1 become percentages, indices have none.
pub(crate) fn unit_of<'a>(metric: &str, unit: &'a str) -> &'a str {
    if unit == "%" {
        return unit;
    }
    match metric {
        "error_rate" | "error_budget_burned" => "share",
        _ if metric.ends_with("_share") || metric.ends_with("utilisation") => "share",
        _ if metric.starts_with("jain_") || metric.starts_with("cv_") || metric.contains("_over_") => "",
        _ => unit,
    }
}

/// Decimals for an estimate and the ends of its interval: three significant digits of the estimate, more if the interval is narrow.
fn interval_decimals(mean: f64, low: f64, high: f64) -> usize {
    let usual = decimals(mean, 3);
    let half = (high - low) / 2.0;
    if half > 0.0 && half.is_finite() { usual.max(decimals(half, 1)).min(usual + 2) } else { usual }
}

/// "1.23 [1.20, 1.26]", or only the number where there is no interval; the unit stands after.
pub(crate) fn interval(mean: f64, ends: Option<(f64, f64)>, unit: &str) -> String {
    let scale = if is_share(unit) { 100.0 } else { 1.0 };
    let unit = match unit {
        _ if is_share(unit) => "%".to_owned(),
        "" | "1" | "count" => String::new(),
        _ => format!(" {unit}"),
    };
    match ends {
        Some((low, high)) if low.is_finite() && high.is_finite() => {
            let (mean, low, high) = (mean * scale, low * scale, high * scale);
            let d = interval_decimals(mean, low, high);
            if (high - low).abs() <= 1e-9 * mean.abs() {
                return format!("{}{unit}", fixed(mean, decimals(mean, 3)));
            }
            format!("{}{unit} [{}, {}]", fixed(mean, d), fixed(low, d), fixed(high, d))
        }
        _ => format!("{}{unit}", fixed(mean * scale, decimals(mean * scale, 3))),
    }
}

/// "1.23 ± 0.04", or only the number where there is no interval.
pub(crate) fn plus_minus(mean: f64, ends: Option<(f64, f64)>) -> String {
    match ends {
        Some((low, high)) if high - low > 1e-9 * mean.abs() && (high - low).is_finite() => {
            let d = interval_decimals(mean, low, high);
            format!("{} ± {}", fixed(mean, d), fixed((high - low) / 2.0, d))
        }
        _ => number(mean),
    }
}

/// A number of bytes in decimal multiples.
pub(crate) fn bytes(value: f64) -> String {
    let mut value = value;
    for unit in ["B", "kB", "MB", "GB", "TB"] {
        if value.abs() < 1000.0 || !value.is_finite() {
            return format!("{} {unit}", fixed(value, decimals(value, 2).min(1)));
        }
        value /= 1000.0;
    }
    format!("{} PB", fixed(value, 1))
}

/// "a", "a and b", "a, b and c".
pub(crate) fn list<S: AsRef<str>>(items: &[S]) -> String {
    match items {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [start @ .., last] => {
            let start: Vec<&str> = start.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", start.join(", "), last.as_ref())
        }
    }
}

/// "1 Pod", "2 Pods".
pub(crate) fn plural(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{} {noun}s", count(n as u64)) }
}

/// Breaks text into lines of at most `width` characters, between words where it can.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > width {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        if used > 0 {
            line.push(' ');
            used += 1;
        }
        line.push_str(word);
        used += length;
    }
    if used > 0 || lines.is_empty() {
        lines.push(line);
    }
    lines
}

/// At most `width` characters, ending in an ellipsis where something was cut.
pub(crate) fn shorten(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(std::iter::once('…')).collect()
}

/// Text as it has to stand in HTML and XML, between tags and in attributes; what these cannot hold becomes a space.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' => out.push(c),
            _ => out.push(printable(c)),
        }
    }
    out
}

/// The character, or a space in place of one that no document can hold.
pub(crate) fn printable(c: char) -> char {
    if c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}') { ' ' } else { c }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_significant_digits() {
        for (value, text) in [
            (0.0, "0"),
            (1.0, "1.00"),
            (1.2345, "1.23"),
            (12.345, "12.3"),
            (1234.5, "1234"),
            (123_456.0, "123,456"),
            (0.001_234, "0.00123"),
            (-0.5, "\u{2212}0.500"),
            (f64::NAN, "n/a"),
        ] {
            assert_eq!(number(value), text);
        }
        assert_eq!(percent(0.0123), "1.23%");
        assert_eq!(percent(1.0), "100%");
        assert_eq!(percent(0.000_001), "<0.001%");
        assert_eq!(percent(0.0), "0%");
    }

    #[test]
    fn intervals_show_what_they_can_tell() {
        assert_eq!(interval(12.345, Some((12.305, 12.385)), "ms"), "12.35 ms [12.30, 12.38]");
        assert_eq!(interval(12.345, None, "ms"), "12.3 ms");
        assert_eq!(interval(0.831, Some((0.82, 0.84)), "share"), "83.1% [82.0, 84.0]");
        assert_eq!(plus_minus(12.345, Some((12.305, 12.385))), "12.35 ± 0.04");
    }

    #[test]
    fn text_is_wrapped_between_words() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("", 7), [""]);
        assert_eq!(shorten("abcdef", 4), "abc…");
        assert_eq!(list(&["a", "b", "c"]), "a, b and c");
    }
}
