//! Kubernetes quantities: `4`, `3920m`, `1.5`, `2e3`, `1Ki` (`k8s.io/apimachinery/pkg/api/resource/quantity.go`).

use super::types::Quantity;

/// Decimal places of suffixes that are powers of ten.
const DECIMAL: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];
/// Suffixes that are powers of 1024.
const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/// Thousandths, rounded up (`MilliValue`); none if it is no quantity, is negative, or is more than a u64 holds.
pub(super) fn millis(quantity: &Quantity) -> Option<u64> {
    let text = quantity.to_string();
    let text = text.strip_prefix('+').unwrap_or(&text);
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || fraction.len() > 18 {
        return None;
    }
    let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
    let (factor, exponent) = match BINARY.iter().position(|s| *s == suffix) {
        Some(power) => (1u128 << (10 * (power + 1)), 0),
        None => (1, exponent(suffix)?),
    };
    let places = exponent + 3 - fraction.len() as i32;
    let scale = 10u128.checked_pow(places.unsigned_abs())?;
    let product = digits.checked_mul(factor)?;
    let millis = if places >= 0 { product.checked_mul(scale)? } else { product.div_ceil(scale) };
    u64::try_from(millis).ok()
}

fn exponent(suffix: &str) -> Option<i32> {
    if let Some((_, exponent)) = DECIMAL.iter().find(|(s, _)| *s == suffix) {
        return Some(*exponent);
    }
    let exponent = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    (-30..=30).contains(&exponent).then_some(exponent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn quantities() {
        for (value, expected) in [
            (json!(4), Some(4_000)),
            (json!("3920m"), Some(3_920)),
            (json!(0.5), Some(500)),
            (json!("1.5"), Some(1_500)),
            (json!(".5"), Some(500)),
            (json!("2e3"), Some(2_000_000)),
            (json!("1Ki"), Some(1_024_000)),
            (json!("1500u"), Some(2)),
            (json!("1n"), Some(1)),
            (json!("0"), Some(0)),
            (json!("2k"), Some(2_000_000)),
            (json!(""), None),
            (json!("-1"), None),
            (json!("1.2.3"), None),
            (json!("4 cores"), None),
            (json!("1e99"), None),
            (json!("9".repeat(60)), None),
            (json!(format!("{}E", "9".repeat(30))), None),
        ] {
            assert_eq!(millis(&Quantity(value.clone())), expected, "{value}");
        }
    }
}
