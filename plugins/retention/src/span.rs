use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error};

/// A span of time as people write it: a whole number and a unit, `500ms`, `90s`, `15m`, `12h`, `30d`, `2w`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

const UNITS: [(&str, u64); 6] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000)];

impl std::str::FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
        let millis = UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .and_then(|(_, millis)| number.parse::<u64>().ok()?.checked_mul(*millis));
        match millis {
            Some(millis) => Ok(Self(Duration::from_millis(millis))),
            None => {
                Err(format!("{text:?} is no span of time: write a whole number and ms, s, m, h, d or w, as in 30d"))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_a_number_and_a_unit() {
        for (text, millis) in
            [("500ms", 500), ("90s", 90_000), ("15m", 900_000), ("12h", 43_200_000), ("30d", 2_592_000_000)]
        {
            assert_eq!(text.parse(), Ok(Span(Duration::from_millis(millis))), "{text}");
        }
        assert_eq!("2w".parse::<Span>(), "14d".parse());
    }

    #[test]
    fn anything_else_is_refused_with_the_units() {
        for text in ["", "30", "d", "30 d", "-1d", "1.5h", "1y", "1d12h", "99999999999999999999d", "99999999999999999w"]
        {
            let error = text.parse::<Span>().unwrap_err();
            assert!(error.contains(text) && error.contains("ms, s, m, h, d or w"), "{error}");
        }
    }
}
