use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use tokio::fs;

use super::address::ObjectAddress;
use super::content;
use super::context::Context;
use super::failure::{Exit, Failure};
use super::output::{self, Output, Printable};
use super::part_file::PartFile;
use super::progress::Progress;
use crate::error::Error;
use crate::object::{ByteRange, Object};
use crate::provider::StorageProvider;

const EXAMPLES: &str = "\
Examples:
  larder get documents/report.pdf report.pdf
  larder get documents/photos.tgz | tar xz
  larder get documents/log --range -1024               # the last 1024 bytes
";

/// Write an object to a file or to standard output
///
/// The file appears when it is whole and its checksum right: a get that fails leaves no file, and leaves the one that
/// was there as it was. On standard output there is nothing but the object's bytes, with --json too.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Get {
    /// The object: all behind the first slash is the key
    #[arg(value_name = "STORE/KEY")]
    object: ObjectAddress,
    /// Where it goes; `-` is standard output
    #[arg(default_value = "-")]
    file: PathBuf,
    /// Only some bytes, counted from 0: `0-99` the first hundred, `100-` from there on, `-5` the last five
    #[arg(long, value_name = "RANGE", allow_hyphen_values = true)]
    range: Option<Range>,
}

/// A range as in an HTTP header, without the unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range(ByteRange);

impl FromStr for Range {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let malformed =
            || Error::invalid_input(format!("a range is written 0-99 (both ends included), 100- or -5, not {text:?}"));
        let number = |digits: &str| match digits.bytes().all(|byte| byte.is_ascii_digit()) {
            true => digits.parse::<u64>().map_err(|_| malformed()),
            false => Err(malformed()),
        };
        match text.split_once('-').ok_or_else(malformed)? {
            ("", "") => Err(malformed()),
            ("", last) => ByteRange::last(number(last)?),
            (start, "") => Ok(ByteRange::starting_at(number(start)?)),
            (start, end) => ByteRange::between(number(start)?, number(end)?.checked_add(1).ok_or_else(malformed)?),
        }
        .map(Self)
    }
}

impl Get {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let data = context.data().await?;
        let provider = data.store(&self.object.store).await?;
        self.run_on(&*provider, context.output()).await
    }

    async fn run_on(self, provider: &dyn StorageProvider, output: &Output) -> Result<(), Failure> {
        let Self { object: address, file, range } = self;
        let object = provider.retrieve(&address.key, range.map(|Range(range)| range)).await.map_err(|error| {
            Failure::from(error)
                .hint_on(Exit::NotFound, || format!("larder ls -r {} lists what is there", address.store))
        })?;
        if file == Path::new("-") {
            let hidden = Progress::hidden();
            content::write(object, tokio::io::stdout(), Failure::stdio, &hidden).await?;
            return Ok(());
        }

        let metadata = object.metadata.clone();
        let progress = Progress::begin(output);
        progress.file_found(object.range.end - object.range.start);
        let written = write_to_file(object, &file, &progress).await;
        progress.end();
        let written = written?;
        if output.for_programs() {
            return output.document(&metadata);
        }
        let file = file.display().to_string();
        output.remark(format_args!("wrote {} to {}", output::size(written), Printable(&file)));
        Ok(())
    }
}

/// Writes an object to the file that the user named: what that leads to is replaced in one step if it is a plain file,
/// and written to if it is a device or a pipe.
async fn write_to_file(object: Object, file: &Path, progress: &Progress) -> Result<u64, Failure> {
    let cannot_write = |error: &std::io::Error| Failure::file("can not write", file, error);
    let target = match fs::metadata(file).await {
        Ok(there) if there.is_dir() => {
            return Err(Failure::usage(format!("{} is a folder: name the file to write", file.display())));
        }
        Ok(there) if there.is_file() => fs::canonicalize(file).await.map_err(|error| cannot_write(&error))?,
        Ok(_) => {
            let mut device =
                fs::OpenOptions::new().write(true).open(file).await.map_err(|error| cannot_write(&error))?;
            return content::write(object, &mut device, cannot_write, progress).await;
        }
        Err(_) => file.to_owned(),
    };
    let mut part = PartFile::create(target).await.map_err(|error| cannot_write(&error))?;
    let written = content::write(object, part.file(), cannot_write, progress).await?;
    part.commit().await.map_err(|error| cannot_write(&error))?;
    Ok(written)
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;
    use crate::object::{Body, Key};
    use crate::provider::StoreOptions;
    use crate::provider::memory::MemoryStorageProvider;

    #[test]
    fn ranges_are_written_as_in_http() {
        for (text, range) in [
            ("0-99", ByteRange::between(0, 100)),
            ("7-7", ByteRange::between(7, 8)),
            ("100-", Ok(ByteRange::starting_at(100))),
            ("-5", ByteRange::last(5)),
        ] {
            assert_eq!(text.parse::<Range>().unwrap().0, range.unwrap(), "{text}");
        }
        for text in ["", "-", "5", "9-8", "-0", "a-b", "+1-2", "1--2", "0-18446744073709551615", "0-99,200-"] {
            assert!(text.parse::<Range>().is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn a_get_that_fails_leaves_the_old_file_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        std::fs::write(&file, "old").unwrap();
        let provider = MemoryStorageProvider::new();
        let key = Key::new("a").unwrap();
        provider.store(&key, Body::from("new"), StoreOptions::default()).await.unwrap();

        let mut object = provider.retrieve(&key, None).await.unwrap();
        object.body = Body::from("nEw");
        let failure = write_to_file(object, &file, &Progress::hidden()).await.unwrap_err();
        assert_eq!(failure.report().unwrap().kind, "corrupt");
        let mut object = provider.retrieve(&key, None).await.unwrap();
        object.body = Body::stream(stream::iter([Ok("ne".into()), Err(Error::unavailable("gone"))]));
        assert!(write_to_file(object, &file, &Progress::hidden()).await.is_err());
        assert_eq!(std::fs::read(&file).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);

        let object = provider.retrieve(&key, None).await.unwrap();
        assert_eq!(write_to_file(object, &file, &Progress::hidden()).await.unwrap(), 3);
        assert_eq!(std::fs::read(&file).unwrap(), b"new");
    }
}
