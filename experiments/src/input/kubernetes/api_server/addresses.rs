//! Addresses and CIDRs as the API server reads them (`k8s.io/utils/net`, `ParseIPSloppy` and `ParseCIDRSloppy`).

use ipnet::IpNet;
use std::net::IpAddr;

/// An address. Zeros before a decimal number are ignored, as they always were: `010.0.0.1` is 10.0.0.1.
pub(crate) fn parse_ip(text: &str) -> Option<IpAddr> {
    if let Ok(ip) = text.parse() {
        return Some(ip);
    }
    let plain = |part: &str| match part.trim_start_matches('0') {
        "" if !part.is_empty() => "0".to_owned(),
        rest => rest.to_owned(),
    };
    text.split('.').map(plain).collect::<Vec<_>>().join(".").parse().ok()
}

/// A CIDR; it may say more of the address than the prefix covers.
pub(crate) fn parse_cidr(text: &str) -> Option<IpNet> {
    let (ip, length) = text.split_once('/')?;
    let length = if length.bytes().all(|b| b.is_ascii_digit()) { length.parse().ok()? } else { return None };
    IpNet::new(parse_ip(ip)?, length).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sloppy_as_upstream() {
        for (text, expected) in [
            ("10.0.0.1", Some("10.0.0.1")),
            ("010.000.00.01", Some("10.0.0.1")),
            ("fd00::1", Some("fd00::1")),
            ("10.0.0", None),
            ("10.0.0.256", None),
            ("10..0.1", None),
            ("", None),
            ("None", None),
            (" 10.0.0.1", None),
        ] {
            assert_eq!(parse_ip(text), expected.and_then(|e| e.parse().ok()), "{text}");
        }
        assert_eq!(parse_cidr("10.1.2.3/8").map(|n| n.trunc().to_string()).as_deref(), Some("10.0.0.0/8"));
        for text in ["10.0.0.1", "10.0.0.0/33", "10.0.0.0/+8", "fd00::/129", "/8", "10.0.0.0/"] {
            assert_eq!(parse_cidr(text), None, "{text}");
        }
    }
}
