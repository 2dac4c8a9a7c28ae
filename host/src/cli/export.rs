use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use futures::{StreamExt, stream};
use serde::Serialize;
use tokio::io::AsyncWriteExt;

use super::content;
use super::context::Context;
use super::copy::{Folder, Overlap, path_of};
use super::failure::{Exit, Failure};
use super::output::{self, Output};
use super::part_file::PartFile;
use super::progress::Progress;
use crate::error::Error;
use crate::host::Host;
use crate::object::{StorageMetadata, StoreName};
use crate::provider::layers::{Layers, missing_layer};
use crate::provider::{ListQuery, StorageProvider};

const EXAMPLES: &str = "\
Examples:
  larder export documents out
  jq -r 'select(.tags.kind == \"invoice\") | .path' out/objects.jsonl

FOLDER/files holds a file for each object whose key can be its path; FOLDER/unnamed the others, by
number. FOLDER/objects.jsonl has a line of JSON for each object, in order of the keys: its path, its
key, and all that is known of it.
";

/// Write a store out as plain files, whole and as of one moment
///
/// Nothing of larder is needed to read them: what is compressed or encrypted in the store is not so there. The files are
/// as they should be when objects.jsonl is there. `larder cp` brings files back; `larder backup` keeps all that an object
/// has, in less room.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Export {
    /// The store
    #[arg(value_name = "STORE")]
    store: StoreName,
    /// Where the files go: a folder that is empty, or not there yet
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// Only objects whose keys begin so
    #[arg(long, value_name = "PREFIX", default_value = "")]
    prefix: String,
}

/// How many files are written at a time.
const CONCURRENT: usize = 16;

/// A line of the list of objects.
#[derive(Serialize)]
struct Line<'a> {
    path: &'a str,
    #[serde(flatten)]
    metadata: &'a StorageMetadata,
}

#[derive(Debug, Default, Serialize)]
struct Exported {
    objects: u64,
    bytes: u64,
    /// How many are in `unnamed`.
    unnamed: u64,
    failed: u64,
    seconds: f64,
}

impl Export {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let Self { store, folder, prefix } = self;
        if fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(Failure::usage(format!("{} is not empty", folder.display()))
                .with_hint("name a folder that is empty, or not there yet"));
        }
        let provider = context.data().await?.store(&store).await?;
        let source = match provider.snapshot().await {
            Ok(snapshot) => {
                let encryption = Host::encryption_of(&context.config()?, &store)
                    .map_err(|error| Failure::new(Exit::Failed, "configuration", error.to_string()))?;
                Layers { max_size: None, compression: Some(1), encryption }.around(snapshot)
            }
            Err(Error::Unsupported { .. }) => {
                context
                    .output()
                    .remark("the objects are not of one moment: the store\u{2019}s provider can not show them so");
                provider
            }
            Err(error) => return Err(error.into()),
        };
        export(&*source, &prefix, folder, context.output()).await
    }
}

async fn export(source: &dyn StorageProvider, prefix: &str, root: PathBuf, output: &Output) -> Result<(), Failure> {
    let folder = Folder::new(root.clone());
    let cannot_write = |error: io::Error| Failure::file("can not write", &root, &error);
    let list = folder.ready(Path::new("objects.jsonl")).await.map_err(cannot_write)?;
    let mut list = PartFile::create(list).await.map_err(cannot_write)?;
    let (progress, mut exported) = (Progress::begin(output), Exported::default());
    let mut overlap = Overlap::default();
    let mut query = ListQuery::with_prefix(prefix);
    loop {
        let page = source.list(&query).await?;
        progress.files_found(page.objects.len() as u64, page.objects.iter().map(|object| object.size).sum());
        query.start_after = page.next().map(|last| last.as_str().to_owned());
        let placed: Vec<_> = page
            .objects
            .into_iter()
            .map(|object| {
                let named = path_of(object.key.as_str()).ok().filter(|_| overlap.with(&object.key).is_none());
                let path = match named {
                    Some(path) => Path::new("files").join(path),
                    None => {
                        exported.unnamed += 1;
                        Path::new("unnamed").join(format!("{:08}", exported.unnamed))
                    }
                };
                (object, path)
            })
            .collect();
        let written = placed.into_iter().map(|(object, path)| {
            let (folder, progress) = (&folder, &progress);
            async move {
                let written = write(source, &object, folder, &path, progress).await;
                progress.file_done();
                (object, path, written)
            }
        });
        let (mut written, mut lines) = (stream::iter(written).buffered(CONCURRENT), Vec::new());
        while let Some((object, path, written)) = written.next().await {
            match written {
                Ok(metadata) => {
                    exported.objects += 1;
                    exported.bytes += metadata.size;
                    let line = Line { path: &path.to_string_lossy(), metadata: &metadata };
                    serde_json::to_writer(&mut lines, &line).map_err(|error| cannot_write(error.into()))?;
                    lines.push(b'\n');
                }
                Err(failure) if failure.exit() == Exit::Unavailable => return Err(failure),
                Err(failure) => {
                    exported.failed += 1;
                    let failure = failure.about(&format!("can not export \u{2018}{}\u{2019}", object.key));
                    progress.pause(|| output.failure(&failure));
                }
            }
        }
        list.file().write_all(&lines).await.map_err(cannot_write)?;
        if query.start_after.is_none() {
            break;
        }
    }
    list.commit().await.map_err(cannot_write)?;
    exported.seconds = (progress.end().as_secs_f64() * 1000.0).round() / 1000.0;
    exported.tell(output)
}

/// Writes an object to its file, and returns what it is.
async fn write(
    source: &dyn StorageProvider,
    listed: &StorageMetadata,
    folder: &Folder,
    path: &Path,
    progress: &Progress,
) -> Result<StorageMetadata, Failure> {
    let shown = folder.root().join(path);
    let cannot_write = |error: &io::Error| Failure::file("can not write", &shown, error);
    let object = source.retrieve(&listed.key, None).await?;
    if let Some(layer) = missing_layer(&object.metadata) {
        return Err(
            Error::permission_denied(format!("it was stored with `{layer}`, which the store has no more")).into()
        );
    }
    let metadata = StorageMetadata::clone(&object.metadata);
    let target = folder.ready(path).await.map_err(|error| cannot_write(&error))?;
    let mut part = PartFile::create(target).await.map_err(|error| cannot_write(&error))?;
    content::write(object, part.file(), cannot_write, progress).await?;
    part.commit().await.map_err(|error| cannot_write(&error))?;
    Ok(metadata)
}

impl Exported {
    fn tell(&self, output: &Output) -> Result<(), Failure> {
        let Self { objects, bytes, unnamed, failed, seconds } = self;
        if output.for_programs() {
            output.document(self)?;
        } else {
            output.line(format_args!("exported {objects} objects, {} in {seconds:.1} s", output::size(*bytes)))?;
            if *unnamed > 0 {
                output.remark(format_args!("{unnamed} of them have keys that are no paths: objects.jsonl tells which"));
            }
        }
        if *failed == 0 { Ok(()) } else { Err(Failure::silent(Exit::Failed)) }
    }
}
