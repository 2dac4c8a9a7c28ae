use std::fmt;

use super::locate::YamlPath;

/// A configuration that can not be used: everything wrong with it, each where it stands and with what would mend it.
///
/// `Display` writes one problem a line, `FILE:LINE:COLUMN: message`, the form that editors and terminals make links of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file, or what stands for it.
    pub origin: String,
    /// What is wrong, at least one thing, in the order in which it stands in the file.
    pub problems: Vec<Problem>,
}

/// One thing wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands, if that is known.
    pub position: Option<Position>,
    /// What was found and what would mend it, in one line.
    pub message: String,
}

/// A place in a file. Both count from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl ConfigError {
    /// One problem with the file as a whole.
    pub(super) fn whole(origin: &str, message: String) -> Self {
        Self { origin: origin.to_owned(), problems: vec![Problem { position: None, message }] }
    }

    /// What the YAML reader said.
    pub(super) fn parse(origin: &str, error: &serde_yaml::Error) -> Self {
        let position = error.location().map(|at| Position { line: at.line(), column: at.column() });
        let mut message = error.to_string();
        if let Some(Position { line, column }) = position {
            // The position leads the line; the reader says it at the end, or within, when it tells of two places.
            let suffix = format!(" at line {line} column {column}");
            message = message.replacen(&suffix, "", 1);
        }
        if let Some(better) = unknown_key(&message) {
            message = better;
        }
        if let Some((found, _)) = message.split_once("expected struct ") {
            message = format!("{found}expected a mapping of keys to values");
        }
        Self { origin: origin.to_owned(), problems: vec![Problem { position, message: withheld(message) }] }
    }

    /// What a check across the file found.
    pub(super) fn checks(origin: &str, text: &str, found: Vec<(YamlPath, String)>) -> Self {
        let problem = |(path, message): (YamlPath, String)| Problem {
            position: path.locate(text),
            message: format!("{path}: {message}"),
        };
        let mut problems: Vec<_> = found.into_iter().map(problem).collect();
        problems.sort_by_key(|problem| problem.position);
        Self { origin: origin.to_owned(), problems }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Problem { position, message }) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&self.origin)?;
            if let Some(Position { line, column }) = position {
                write!(f, ":{line}:{column}")?;
            }
            write!(f, ": {message}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// The nearest of `known` to a word that is none of them, if it is near enough to be meant: at most a third of its letters
/// differ.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |candidate: &&str| strsim::damerau_levenshtein(word, candidate);
    let near = known.into_iter().min_by_key(distance)?;
    (distance(&near) <= word.chars().count().max(3) / 3).then_some(near)
}

/// Says serde's message about an unknown field in the words of this file's readers.
fn unknown_key(message: &str) -> Option<String> {
    let (place, rest) = message.split_once("unknown field `")?;
    let (key, expected) = rest.split_once('`')?;
    let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    let hint = match nearest(key, known.iter().copied()) {
        Some(near) => format!("; did you mean `{near}`?"),
        None => ";".to_owned(),
    };
    Some(format!("{place}unknown key `{key}`{hint} known here: {}", known.join(", ")))
}

/// Takes what was found out of a complaint about credentials: a wrong type quotes it, and it may be a secret.
fn withheld(message: String) -> String {
    let about_credentials = message.split(": ").next().is_some_and(|path| path.contains("credentials"));
    match message.rsplit_once("expected ") {
        Some((before, expected)) if about_credentials && before.contains("invalid type") => {
            format!("server.s3.credentials: wrong type, expected {expected}")
        }
        _ => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_near() {
        let known = ["size_limit", "ttl", "eviction_policy"];
        assert_eq!(nearest("size_limt", known), Some("size_limit"));
        assert_eq!(nearest("tll", known), Some("ttl"));
        assert_eq!(nearest("compression", known), None);
    }
}
