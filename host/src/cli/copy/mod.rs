//! `larder cp`: files into a store, objects out of one, or from one store to another.

mod folder;
mod path;
mod source;
mod target;

use std::num::NonZeroUsize;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;
use tokio::task::JoinSet;

pub(super) use self::folder::Folder;
pub(super) use self::path::{Overlap, path_of};
use self::source::Source;
use self::target::Target;
use super::address::Side;
use super::context::Context;
use super::failure::{Exit, Failure};
use super::output::{self, Output, Printable};
use super::progress::Progress;

const EXAMPLES: &str = "\
Examples:
  larder cp -r photos larder://documents/photos   # a.jpg is then documents/photos/a.jpg
  larder cp -r larder://documents/photos out      # and comes back as out/a.jpg
  larder cp -r larder://documents larder://copy   # every object, with tags and metadata
  larder cp report.pdf larder://documents/        # one file, which keeps its name
  larder cp -r larder://documents . --dry-run

Files below a folder and keys that begin with PREFIX/ stand for each other. A key that
can not be a file below the target (one with \u{2018}..\u{2019} or \u{2018}//\u{2019}, or \u{2018}a/b\u{2019} beside an object
\u{2018}a\u{2019}) is reported and left out; the exit code is then not 0.
";

/// Copy files into a store, objects out of one, or between stores
///
/// A side that begins with larder:// is in a store, any other is a local path. Each file and each object is replaced
/// whole or not at all; the others go on if one fails. Symbolic links are left out, and neither are they followed in the
/// target folder.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Copy {
    /// What to copy: a path or larder://STORE/KEY; with -r a folder or larder://STORE[/PREFIX]
    #[arg(value_name = "SRC")]
    from: Side,
    /// Where to: a path or larder://STORE[/PREFIX]
    #[arg(value_name = "DST")]
    to: Side,
    /// Copy a folder with all that is in it
    #[arg(short, long)]
    recursive: bool,
    /// Copy what symbolic links lead to
    #[arg(long, requires = "recursive")]
    follow_symlinks: bool,
    /// Say what would be copied, and change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// How many files are copied at a time
    #[arg(short, long, value_name = "N", default_value = "16")]
    jobs: NonZeroUsize,
}

impl Copy {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        self.check()?;
        let data = context.data().await?;
        let source = Source::open(&self, &data).await?;
        let target = Target::open(&self.to, &data, self.recursive).await?;
        if self.dry_run {
            list(source, target, context.output()).await
        } else {
            copy(source, target, self.jobs, context.output()).await
        }
    }

    fn check(&self) -> Result<(), Failure> {
        match (&self.from, &self.to) {
            (Side::Local(_), Side::Local(_)) => Err(Failure::usage("both sides are local paths")
                .with_hint("a side in a store is written larder://STORE/PREFIX")),
            (Side::Store(from), Side::Store(to))
                if self.recursive && from.store == to.store && to.folder().starts_with(&from.folder()) =>
            {
                Err(Failure::usage(format!("{} is inside of {}", self.to, self.from)))
            }
            _ => Ok(()),
        }
    }
}

/// Says what would be copied where.
async fn list(mut source: Source, mut target: Target, output: &Output) -> Result<(), Failure> {
    let mut tally = Tally::default();
    while let Some(found) = source.next().await {
        match found.and_then(|item| target.place(&item).map(|place| (item, place))) {
            Ok((item, place)) => {
                let (from, to) = (item.to_string(), place.to_string());
                if output.for_programs() {
                    output.json_line(&serde_json::json!({ "from": from, "to": to, "size": item.size() }))?;
                } else {
                    output.line(format_args!("{} -> {}", Printable(&from), Printable(&to)))?;
                }
            }
            Err(failure) => tally.failed(&failure, output),
        }
    }
    tally.outcome()
}

/// Copies `jobs` things at a time, and reports each that fails.
async fn copy(mut source: Source, mut target: Target, jobs: NonZeroUsize, output: &Output) -> Result<(), Failure> {
    let progress = Arc::new(Progress::begin(output));
    let mut tally = Tally::default();
    let mut tasks: JoinSet<Result<u64, Failure>> = JoinSet::new();
    let mut more = true;
    while more || !tasks.is_empty() {
        let done = tokio::select! {
            found = source.next(), if more && tasks.len() < jobs.get() => match found {
                Some(found) => match found.and_then(|item| target.place(&item).map(|place| (item, place))) {
                    Ok((item, place)) => {
                        progress.file_found(item.size());
                        let progress = progress.clone();
                        tasks.spawn(async move { place.take(item, &progress).await });
                        continue;
                    }
                    Err(failure) => Err(failure),
                },
                None => {
                    more = false;
                    continue;
                }
            },
            Some(joined) = tasks.join_next(), if !tasks.is_empty() => {
                progress.file_done();
                joined.unwrap_or_else(|error| {
                    Err(Failure::new(Exit::Failed, "internal", format!("a copy ended in the middle: {error}")))
                })
            }
        };
        match done {
            Ok(bytes) => tally.copied(bytes),
            Err(failure) => {
                progress.pause(|| tally.failed(&failure, output));
                // What fails for want of the host fails for every other file too.
                more &= failure.exit() != Exit::Unavailable;
            }
        }
    }
    tally.skipped = source.skipped();
    tally.seconds = (progress.end().as_secs_f64() * 1000.0).round() / 1000.0;
    if output.for_programs() {
        output.document(&tally)?;
    } else if !output.is_quiet() {
        output.line(&tally)?;
    }
    tally.outcome()
}

/// What became of the files.
#[derive(Debug, Default, Serialize)]
struct Tally {
    copied: u64,
    bytes: u64,
    failed: u64,
    /// Symbolic links and special files, which are not copied.
    skipped: u64,
    seconds: f64,
    #[serde(skip)]
    exit: Option<Exit>,
}

impl Tally {
    fn copied(&mut self, bytes: u64) {
        self.copied += 1;
        self.bytes += bytes;
    }

    fn failed(&mut self, failure: &Failure, output: &Output) {
        self.failed += 1;
        output.failure(failure);
        self.exit = match self.exit {
            Some(exit) if exit != failure.exit() => Some(Exit::Failed),
            _ => Some(failure.exit()),
        };
    }

    /// The exit code that all failures share, or that of a failure as such.
    fn outcome(self) -> Result<(), Failure> {
        match self {
            Self { exit: Some(exit), .. } => Err(Failure::silent(exit)),
            _ => Ok(()),
        }
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let files = |count: u64| if count == 1 { "file" } else { "files" };
        write!(f, "copied {} {}, {}", self.copied, files(self.copied), output::size(self.bytes))?;
        #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)]
        let rate = (self.bytes as f64 / self.seconds.max(0.001)) as u64;
        write!(f, " in {:.1} s ({}/s)", self.seconds, output::size(rate))?;
        if self.failed > 0 {
            write!(f, "; {} failed", self.failed)?;
        }
        if self.skipped > 0 {
            write!(f, "; {} symbolic links or special files left out", self.skipped)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::address::PrefixAddress;
    use super::super::output::Audience;
    use super::*;
    use crate::object::{Attributes, Body, Key};
    use crate::provider::memory::MemoryStorageProvider;
    use crate::provider::{ListQuery, StorageProvider, StoreOptions};

    fn address(text: &str) -> PrefixAddress {
        text.parse().unwrap()
    }

    fn write(folder: &Path, files: &[(&str, &[u8])]) {
        for (name, bytes) in files {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
    }

    async fn keys(provider: &dyn StorageProvider) -> Vec<String> {
        provider
            .list(&ListQuery::all())
            .await
            .unwrap()
            .objects
            .into_iter()
            .map(|object| object.key.to_string())
            .collect()
    }

    async fn fill(provider: &dyn StorageProvider, keys: &[&str]) {
        for key in keys {
            provider
                .store(&Key::new(*key).unwrap(), Body::from((*key).to_owned()), StoreOptions::default())
                .await
                .unwrap();
        }
    }

    /// Copies and returns what standard error said.
    async fn run(source: Result<Source, Failure>, target: Target) -> (Result<(), Failure>, String) {
        let (output, _, remarks) = Output::kept(Audience::People);
        let jobs = NonZeroUsize::new(4).unwrap();
        let outcome = copy(source.unwrap(), target, jobs, &output).await;
        (outcome, remarks.take())
    }

    #[tokio::test]
    async fn a_folder_goes_in_and_comes_back_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        let large = vec![7; 3 << 20];
        write(&from, &[("a", b"1"), ("b/c/d", b""), ("b/\u{e9} x", &large), (".hidden", b"h")]);
        let provider: Arc<dyn StorageProvider> = Arc::new(MemoryStorageProvider::new());

        let target = Target::store(address("docs/in"), provider.clone(), true);
        run(Source::local(from.clone(), true, false), target).await.0.unwrap();
        assert_eq!(keys(&*provider).await, ["in/.hidden", "in/a", "in/b/c/d", "in/b/\u{e9} x"]);

        let source = Source::store(address("docs/in"), provider, true).await;
        run(source, Target::local(to.clone(), true)).await.0.unwrap();
        for name in ["a", "b/c/d", "b/\u{e9} x", ".hidden"] {
            assert_eq!(std::fs::read(to.join(name)).unwrap(), std::fs::read(from.join(name)).unwrap(), "{name}");
        }
        let files =
            walkdir::WalkDir::new(&to).into_iter().filter(|entry| entry.as_ref().unwrap().file_type().is_file());
        assert_eq!(files.count(), 4);
    }

    #[tokio::test]
    async fn keys_that_are_no_files_are_reported_and_the_others_copied() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let provider: Arc<dyn StorageProvider> = Arc::new(MemoryStorageProvider::new());
        fill(&*provider, &["../x", "/etc", "a", "a/b", "ok/1", "ok//2", "ok/../../y", "z/"]).await;

        let source = Source::store(address("docs"), provider, true).await;
        let (outcome, said) = run(source, Target::local(out.clone(), true)).await;
        assert_eq!(outcome.unwrap_err().exit(), Exit::Failed);
        assert_eq!(said.lines().filter(|line| line.starts_with("error: ")).count(), 6, "{said}");
        assert!(said.contains("larder://docs/a/b is not copied: \u{2018}a\u{2019} is a file"), "{said}");
        assert_eq!(std::fs::read(out.join("a")).unwrap(), b"a");
        assert_eq!(std::fs::read(out.join("ok/1")).unwrap(), b"ok/1");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing beside the target");
        assert_eq!(walkdir::WalkDir::new(&out).into_iter().count(), 4, "out, a, ok and ok/1");
    }

    #[tokio::test]
    async fn a_copy_between_stores_keeps_attributes() {
        let (from, to): (Arc<dyn StorageProvider>, Arc<dyn StorageProvider>) =
            (Arc::new(MemoryStorageProvider::new()), Arc::new(MemoryStorageProvider::new()));
        let attributes = Attributes { content_type: Some("text/plain".into()), ..Attributes::default() };
        let options = StoreOptions { attributes: attributes.clone(), ..StoreOptions::default() };
        from.store(&Key::new("a//..").unwrap(), Body::from("x"), options).await.unwrap();

        let source = Source::store(address("docs"), from, true).await;
        run(source, Target::store(address("copy/b"), to.clone(), true)).await.0.unwrap();
        let copied = to.metadata(&Key::new("b/a//..").unwrap()).await.unwrap();
        assert_eq!(copied.attributes, attributes);
    }

    #[tokio::test]
    async fn one_file_gets_the_name_that_it_is_given() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &[("a", b"1")]);
        let provider: Arc<dyn StorageProvider> = Arc::new(MemoryStorageProvider::new());
        for place in ["docs", "docs/b", "docs/c/"] {
            let source = Source::local(folder.path().join("a"), false, false);
            run(source, Target::store(address(place), provider.clone(), false)).await.0.unwrap();
        }
        assert_eq!(keys(&*provider).await, ["a", "b", "c/a"]);

        let (named, below) = (folder.path().join("x"), folder.path().to_owned());
        for path in [named, below] {
            let source = Source::store(address("docs/b"), provider.clone(), false).await;
            run(source, Target::local(path, false)).await.0.unwrap();
        }
        assert!(folder.path().join("x").is_file() && folder.path().join("b").is_file());
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn symbolic_links_are_left_out_unless_followed() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &[("in/a", b"1"), ("secret", b"2")]);
        std::os::unix::fs::symlink("../secret", folder.path().join("in/link")).unwrap();
        for (follow, expected) in [(false, &["a"][..]), (true, &["a", "link"])] {
            let provider: Arc<dyn StorageProvider> = Arc::new(MemoryStorageProvider::new());
            let source = Source::local(folder.path().join("in"), true, follow);
            run(source, Target::store(address("docs"), provider.clone(), true)).await.0.unwrap();
            assert_eq!(keys(&*provider).await, expected);
        }
    }

    #[tokio::test]
    async fn nothing_there_is_not_found() {
        let folder = tempfile::tempdir().unwrap();
        let missing = Source::local(folder.path().join("none"), true, false).unwrap_err();
        assert_eq!(missing.exit(), Exit::NotFound);
        let provider: Arc<dyn StorageProvider> = Arc::new(MemoryStorageProvider::new());
        assert_eq!(Source::store(address("docs/a"), provider.clone(), false).await.unwrap_err().exit(), Exit::NotFound);
        let source = Source::store(address("docs/a"), provider, true).await;
        let (outcome, _) = run(source, Target::local(folder.path().join("out"), true)).await;
        assert_eq!(outcome.unwrap_err().exit(), Exit::NotFound);
        assert!(!folder.path().join("out").exists());
    }

    #[test]
    fn a_copy_into_itself_is_refused() {
        let copy = |from: &str, to: &str| Copy {
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            recursive: true,
            follow_symlinks: false,
            dry_run: false,
            jobs: NonZeroUsize::MIN,
        };
        for (from, to) in [("a", "b"), ("larder://docs/a", "larder://docs/a/b"), ("larder://docs", "larder://docs/x")] {
            assert_eq!(copy(from, to).check().unwrap_err().exit(), Exit::Usage, "{from} {to}");
        }
        for (from, to) in
            [("a", "larder://docs"), ("larder://docs/a", "larder://docs/ab"), ("larder://docs", "larder://two")]
        {
            assert!(copy(from, to).check().is_ok(), "{from} {to}");
        }
    }
}
