use std::fmt;
use std::str::FromStr;

/// Which columns of a CSV file hold what. What is absent is found by the names in the header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    /// The column of the keys.
    pub key: Option<Column>,
    /// The column of the sizes in bytes.
    pub size: Option<Column>,
}

/// A column of a CSV file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Column {
    /// By its name in the header, in letters of any case.
    Name(String),
    /// By its place: the first one is 1.
    Number(usize),
}

impl FromStr for Columns {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} names no columns; write key=NAME or key=NUMBER, such as key=url,size=3");
        let mut columns = Self::default();
        for part in text.split(',') {
            let (what, which) = part.split_once('=').ok_or_else(wrong)?;
            let place = match what {
                "key" => &mut columns.key,
                "size" => &mut columns.size,
                _ => return Err(wrong()),
            };
            let column = match which.parse() {
                Ok(0) => return Err(format!("{part:?}: the first column is 1")),
                Ok(number) => Column::Number(number),
                Err(_) if which.is_empty() => return Err(wrong()),
                Err(_) => Column::Name(which.to_owned()),
            };
            if place.replace(column).is_some() {
                return Err(format!("{text:?} names the column of the {what} twice"));
            }
        }
        Ok(columns)
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "{name:?}"),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_a_name_or_a_number() {
        let columns: Columns = "key=url,size=3".parse().unwrap();
        assert_eq!(columns, Columns { key: Some(Column::Name("url".into())), size: Some(Column::Number(3)) });
        for (wrong, says) in [
            ("", "key=NAME"),
            ("url", "key=NAME"),
            ("time=1", "key=NAME"),
            ("key=", "key=NAME"),
            ("key=0", "the first column is 1"),
            ("key=1,key=2", "twice"),
        ] {
            assert!(wrong.parse::<Columns>().unwrap_err().contains(says), "{wrong}");
        }
    }
}
