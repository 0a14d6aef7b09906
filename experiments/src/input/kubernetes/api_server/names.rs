//! Which words Kubernetes takes for names (`k8s.io/apimachinery/pkg/util/validation/validation.go`).

/// A DNS-1123 label: at most 63 lower-case letters, digits and `-`, which stands neither first nor last.
pub(super) fn is_dns_label(name: &str) -> bool {
    (1..=63).contains(&name.len()) && is_lower_case_word(name)
}

/// A DNS-1123 subdomain: such words, of any length, with dots between them; at most 253 characters.
pub(super) fn is_dns_subdomain(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(is_lower_case_word)
}

/// An IANA service name: at most 15 characters, at least one letter, no `--`.
pub(super) fn is_port_name(name: &str) -> bool {
    name.len() <= 15 && is_lower_case_word(name) && name.bytes().any(|b| b.is_ascii_lowercase()) && !name.contains("--")
}

/// A name of at most 63 characters, which may have a DNS subdomain and a `/` before it: keys of labels, classes.
pub(super) fn is_qualified_name(name: &str) -> bool {
    match name.split_once('/') {
        Some((prefix, name)) => is_dns_subdomain(prefix) && !name.is_empty() && is_label_value(name),
        None => !name.is_empty() && is_label_value(name),
    }
}

/// Nothing, or at most 63 letters, digits, `-`, `_` and `.`, beginning and ending with a letter or digit.
pub(super) fn is_label_value(value: &str) -> bool {
    let at_ends = |b: Option<&u8>| b.is_none_or(u8::is_ascii_alphanumeric);
    let bytes = value.as_bytes();
    bytes.len() <= 63
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && at_ends(bytes.first())
        && at_ends(bytes.last())
}

fn is_lower_case_word(word: &str) -> bool {
    !word.is_empty()
        && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !word.starts_with('-')
        && !word.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let long = "a".repeat(64);
        for (name, label, subdomain, port, qualified) in [
            ("web", true, true, true, true),
            ("8080", true, true, false, true),
            ("a.b", false, true, false, true),
            ("a..b", false, false, false, true),
            ("-a", false, false, false, false),
            ("a-", false, false, false, false),
            ("a--b", true, true, false, true),
            ("A", false, false, false, true),
            ("", false, false, false, false),
            (long.as_str(), false, true, false, false),
            ("longer-than-fifteen", true, true, false, true),
            ("example.com/lb", false, false, false, true),
            ("example.com/", false, false, false, false),
            ("a/b/c", false, false, false, false),
            ("é", false, false, false, false),
        ] {
            assert_eq!((is_dns_label(name), is_dns_subdomain(name)), (label, subdomain), "{name}");
            assert_eq!((is_port_name(name), is_qualified_name(name)), (port, qualified), "{name}");
        }
        assert!(is_label_value("") && is_label_value("A_b.9") && !is_label_value("a b"));
    }
}
