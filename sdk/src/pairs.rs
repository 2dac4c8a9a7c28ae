use std::fmt;

/// Names and values, each name once, in byte order of the names: tags, or user metadata.
///
/// ```
/// use larder_sdk::Pairs;
///
/// let mut tags = Pairs::from([("team", "red"), ("class", "temporary")]);
/// tags.set("team", "blue");
/// assert_eq!(tags.get("team"), Some("blue"));
/// assert_eq!(tags.iter().next(), Some(("class", "temporary")));
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Pairs(Vec<(String, String)>);

impl Pairs {
    /// No names.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The value under a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.position(name).ok().map(|index| self.0[index].1.as_str())
    }

    /// Sets the value under a name, replacing the one that is there.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let (name, value) = (name.into(), value.into());
        match self.position(&name) {
            Ok(index) => self.0[index].1 = value,
            Err(index) => self.0.insert(index, (name, value)),
        }
    }

    /// Removes a name and returns its value.
    pub fn remove(&mut self, name: &str) -> Option<String> {
        self.position(name).ok().map(|index| self.0.remove(index).1)
    }

    /// Names and values in byte order of the names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn position(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(found, _)| found.as_str().cmp(name))
    }
}

/// Of a name that comes twice, the last value counts.
impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Pairs {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut all = Self::new();
        for (name, value) in pairs {
            all.set(name, value);
        }
        all
    }
}

impl<N: Into<String>, V: Into<String>, const COUNT: usize> From<[(N, V); COUNT]> for Pairs {
    fn from(pairs: [(N, V); COUNT]) -> Self {
        pairs.into_iter().collect()
    }
}

impl From<Vec<(String, String)>> for Pairs {
    fn from(pairs: Vec<(String, String)>) -> Self {
        // What comes from the host is in order, and then stays where it is.
        if pairs.is_sorted_by(|(left, _), (right, _)| left < right) {
            return Self(pairs);
        }
        pairs.into_iter().collect()
    }
}

impl From<Pairs> for Vec<(String, String)> {
    fn from(pairs: Pairs) -> Self {
        pairs.0
    }
}

impl fmt::Debug for Pairs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_in_byte_order() {
        let mut pairs = Pairs::from([("z", "1"), ("a", "2"), ("é", "3"), ("a", "4")]);
        assert_eq!(pairs.iter().collect::<Vec<_>>(), [("a", "4"), ("z", "1"), ("é", "3")]);
        assert_eq!(pairs.remove("z").as_deref(), Some("1"));
        assert_eq!(pairs.remove("z"), None);
        assert_eq!(pairs.get("é"), Some("3"));
        assert_eq!(pairs.len(), 2);
    }
}
