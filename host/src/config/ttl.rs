use std::fmt;
use std::str::FromStr;

use super::period::Period;
use super::scalar::{Scalar, scalar_serde};

/// How long an entry of a cache is used: a span of time, or `forever`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ttl {
    /// Until something else ends it.
    Forever,
    /// For so long after it came in.
    For(Period),
}

impl FromStr for Ttl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "forever" {
            return Ok(Self::Forever);
        }
        text.parse().map(Self::For).map_err(|what| format!("{what}; or `forever`"))
    }
}

impl fmt::Display for Ttl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forever => f.write_str("forever"),
            Self::For(period) => period.fmt(f),
        }
    }
}

impl Scalar for Ttl {
    const EXPECTED: &'static str = "a span of time, such as 90s or 10m, or forever";
    const PATTERN: &'static str = r"^(forever|\s*[0-9].*)$";
}

scalar_serde!(Ttl);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_span_of_time_or_forever() {
        for text in ["forever", "10m", "1h 30m"] {
            assert_eq!(text.parse::<Ttl>().unwrap().to_string(), text);
        }
        let refused = "never".parse::<Ttl>().unwrap_err();
        assert!(refused.contains("10m") && refused.contains("forever"), "{refused}");
    }
}
