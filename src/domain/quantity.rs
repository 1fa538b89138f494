//! Amounts of a resource as Kubernetes writes them: `500m`, `2`, `1Gi` (k8s.io/apimachinery/pkg/api/resource). The API server writes one
//! and the same amount in its own way, so texts are not compared.

/// What each suffix multiplies by, as factor and how often.
const SUFFIXES: [(&str, i128, u32); 14] = [
    ("Ki", 1024, 1),
    ("Mi", 1024, 2),
    ("Gi", 1024, 3),
    ("Ti", 1024, 4),
    ("Pi", 1024, 5),
    ("Ei", 1024, 6),
    ("k", 1000, 1),
    ("M", 1000, 2),
    ("G", 1000, 3),
    ("T", 1000, 4),
    ("P", 1000, 5),
    ("E", 1000, 6),
    ("m", 1, 0),
    ("", 1, 0),
];
/// Thousandths of thousandths of thousandths: no amount is smaller.
const NANO: i128 = 1_000_000_000;

/// The amount in billionths; nothing if it is none, or none that anybody has.
#[must_use]
pub fn billionths(text: &str) -> Option<i128> {
    let (suffix, factor, times) = SUFFIXES.into_iter().find(|(suffix, ..)| text.ends_with(suffix))?;
    let digits = text.strip_suffix(suffix)?;
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(part) || whole.len() + part.len() == 0 || part.len() > 9 {
        return None;
    }
    let scale = 10_i128.checked_pow(u32::try_from(part.len()).ok()?)?;
    let unit = if suffix == "m" { NANO / 1000 } else { NANO.checked_mul(factor.checked_pow(times)?)? };
    format!("{whole}{part}").parse::<i128>().ok()?.checked_mul(unit)?.checked_div(scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_amount_can_be_written_in_many_ways() {
        for (one, other) in [
            ("1", "1000m"),
            ("0.5", "500m"),
            ("1.5", "1500m"),
            ("1Gi", "1024Mi"),
            ("1.5Gi", "1536Mi"),
            ("1k", "1000"),
            ("2E", "2000P"),
            ("1Ei", "1024Pi"),
            (".5", "0.500"),
            ("10M", "10000k"),
        ] {
            assert!(billionths(one).is_some(), "{one}");
            assert_eq!(billionths(one), billionths(other), "{one} {other}");
        }
        assert_ne!(billionths("1G"), billionths("1Gi"));
        assert_ne!(billionths("1m"), billionths("1M"));
    }

    #[test]
    fn what_is_no_amount_is_none() {
        for text in ["", "m", ".", "-1", "1e3", "1 Gi", "1KiB", "x", "1.2.3", "٣", "9999999999999999999999999999999E"]
        {
            assert_eq!(billionths(text), None, "{text}");
        }
    }
}
