use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::oneshot;
use tokio::task::{block_in_place, spawn_blocking};

use super::schema;
use crate::error::{Error, Result};
use crate::provider::file::fault::Fault;

/// How many threads read at a time, at most.
const THREADS: usize = 8;

/// How many look-ups wait for each thread before one more is woken. Waking a thread takes as long as a look-up whose pages
/// are in memory; where they are not, the threads that are woken after all keep the disk busy.
const WAITING: usize = 4;

/// A look-up that comes so long after the one before it, while no thread reads, comes alone: about as long as it takes to
/// wake a thread and to be woken by it.
const ALONE: Duration = Duration::from_micros(100);

/// Threads that read the index.
///
/// Look-ups stand in a queue until a thread takes them, and a thread goes on until the queue is empty: where many ask at
/// once, few threads are woken. One that comes alone would wait longer for a thread to wake than for the answer. It is made
/// where it is asked for, while another thread of the runtime takes over what else there is to do.
#[derive(Debug)]
pub(in super::super) struct Readers {
    index: PathBuf,
    /// Held to put a look-up in, or to take one out.
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Box<dyn Task>>,
    threads: usize,
    /// Connections that no thread uses, no more than there are threads at most.
    idle: Vec<Connection>,
    /// When the last look-up came.
    came: Option<Instant>,
    /// Whether one that came alone is being made where it was asked for.
    reads_here: bool,
}

impl Readers {
    /// Readers of this index, which exists.
    pub(in super::super) fn new(index: PathBuf) -> Self {
        Self { index, queue: Mutex::default() }
    }

    /// Runs a function that reads, where it holds up nothing else that the async runtime has to do.
    pub(in super::super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        look_up: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T> {
        if self.comes_alone() {
            return block_in_place(|| self.look_up_here(look_up));
        }
        let (asker, answer) = oneshot::channel();
        let look_up = LookUp { function: Some(look_up), found: None, asker };
        if let Some(thread) = self.enqueue(Box::new(look_up)) {
            drop(spawn_blocking(|| thread.run()));
        }
        answer.await.map_err(|_| panicked())?
    }

    /// Takes note that a look-up has come. Says whether it is to be made here.
    fn comes_alone(&self) -> bool {
        let now = Instant::now();
        let mut queue = self.queue.lock();
        let before = queue.came.replace(now);
        let is_alone = queue.threads == 0 && before.is_none_or(|before| now.duration_since(before) >= ALONE);
        if queue.reads_here || !is_alone || Handle::current().runtime_flavor() != RuntimeFlavor::MultiThread {
            return false;
        }
        queue.reads_here = true;
        true
    }

    fn look_up_here<T>(&self, look_up: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T> {
        let mut connection = self.queue.lock().idle.pop();
        let found = catch_unwind(AssertUnwindSafe(|| connected(&mut connection, &self.index).and_then(look_up)));
        let mut queue = self.queue.lock();
        queue.reads_here = false;
        let surplus = queue.keep(connection.filter(|_| found.is_ok()));
        drop(queue);
        drop(surplus);
        found.map_err(|_| panicked())?.map_err(|fault| fault.at(&self.index))
    }

    /// Puts a look-up at the end of the queue. Returns one more thread for it, if it is time for that.
    fn enqueue(self: &Arc<Self>, look_up: Box<dyn Task>) -> Option<Thread> {
        let mut queue = self.queue.lock();
        queue.waiting.push_back(look_up);
        if queue.threads == THREADS || queue.waiting.len() <= queue.threads * WAITING {
            return None;
        }
        queue.threads += 1;
        Some(Thread { connection: queue.idle.pop(), readers: Arc::clone(self) })
    }
}

impl Queue {
    /// Keeps a connection for others, or returns it if there are enough.
    fn keep(&mut self, connection: Option<Connection>) -> Option<Connection> {
        if self.idle.len() == THREADS {
            return connection;
        }
        self.idle.extend(connection);
        None
    }
}

/// A look-up, whatever it looks for.
trait Task: Send {
    /// Finds what is looked for.
    fn run(&mut self, connection: Result<&Connection, Fault>, index: &Path);

    /// Hands over what was found.
    fn answer(self: Box<Self>);
}

struct LookUp<F, T> {
    function: Option<F>,
    found: Option<Result<T>>,
    asker: oneshot::Sender<Result<T>>,
}

impl<F, T> Task for LookUp<F, T>
where
    F: FnOnce(&Connection) -> Result<T, Fault> + Send,
    T: Send,
{
    fn run(&mut self, connection: Result<&Connection, Fault>, index: &Path) {
        // An asker that has gone away wants no answer.
        if let Some(function) = self.function.take().filter(|_| !self.asker.is_closed()) {
            self.found = Some(connection.and_then(function).map_err(|fault| fault.at(index)));
        }
    }

    fn answer(self: Box<Self>) {
        if let Some(found) = self.found {
            // Nobody misses an answer that nobody waits for.
            let _ = self.asker.send(found);
        }
    }
}

/// A thread that empties the queue.
struct Thread {
    connection: Option<Connection>,
    readers: Arc<Readers>,
}

impl Thread {
    fn run(mut self) {
        let mut answered: Option<Box<dyn Task>> = None;
        while let Some(mut look_up) = self.next() {
            if let Some(task) = answered.take() {
                task.answer();
            }
            // A panic loses the answer, which is how the asker learns of it.
            if catch_unwind(AssertUnwindSafe(|| self.look_up(&mut *look_up))).is_err() {
                self.connection = None;
            }
            answered = Some(look_up);
        }
        // Whoever has the last answer can close the index: this thread is done with it.
        drop(self);
        if let Some(task) = answered {
            task.answer();
        }
    }

    fn look_up(&mut self, task: &mut dyn Task) {
        let Self { connection, readers } = self;
        task.run(connected(connection, &readers.index), &readers.index);
    }

    /// The next look-up. When there is none, this thread no longer counts, and another may have its connection.
    fn next(&mut self) -> Option<Box<dyn Task>> {
        let mut queue = self.readers.queue.lock();
        let next = queue.waiting.pop_front();
        if next.is_none() {
            queue.threads -= 1;
            self.connection = queue.keep(self.connection.take());
        }
        next
    }
}

/// The connection, which is opened if there is none.
fn connected<'a>(connection: &'a mut Option<Connection>, index: &Path) -> Result<&'a Connection, Fault> {
    let open = match connection.take() {
        Some(open) => open,
        None => schema::open_for_reading(index)?,
    };
    Ok(connection.insert(open))
}

fn panicked() -> Error {
    Error::internal("a look-up in the index panicked")
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { waiting, threads, idle, came: _, reads_here } = self;
        f.debug_struct("Queue")
            .field("waiting", &waiting.len())
            .field("threads", threads)
            .field("reads_here", reads_here)
            .field("idle", &idle.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::JoinSet;

    use super::*;

    fn readers() -> (tempfile::TempDir, Arc<Readers>) {
        let folder = tempfile::tempdir().unwrap();
        let index = folder.path().join("index.db");
        Connection::open(&index)
            .unwrap()
            .execute_batch("CREATE TABLE one (number); INSERT INTO one VALUES (7)")
            .unwrap();
        let readers = Arc::new(Readers::new(index));
        (folder, readers)
    }

    fn number(connection: &Connection) -> Result<i64, Fault> {
        Ok(connection.query_row("SELECT number FROM one", [], |row| row.get(0))?)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn all_are_answered_and_then_no_thread_reads() {
        let (_folder, readers) = readers();
        let mut asking = JoinSet::new();
        for _ in 0..1000 {
            let readers = Arc::clone(&readers);
            asking.spawn(async move { readers.read(number).await });
        }
        assert!(asking.join_all().await.into_iter().all(|answer| answer.unwrap() == 7));
        let queue = readers.queue.lock();
        assert_eq!((queue.waiting.len(), queue.threads), (0, 0));
        assert!((1..=THREADS).contains(&queue.idle.len()), "{queue:?}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_comes_alone_is_looked_up_where_it_is_asked_for() {
        let (_folder, readers) = readers();
        let asker = std::thread::current().id();
        let here = |_: &Connection| -> Result<_, Fault> { Ok(std::thread::current().id()) };
        assert_eq!(readers.read(here).await.unwrap(), asker);
        let panics = |_: &Connection| -> Result<i64, Fault> { panic!("a fault of ours") };
        tokio::time::sleep(ALONE).await;
        assert!(readers.read(panics).await.unwrap_err().to_string().contains("panicked"));
        tokio::time::sleep(ALONE).await;
        assert_eq!(readers.read(here).await.unwrap(), asker);

        // While one is made here, another is made elsewhere.
        tokio::time::sleep(ALONE).await;
        let (others, runtime) = (Arc::clone(&readers), Handle::current());
        let nested = move |_: &Connection| -> Result<_, Fault> {
            std::thread::sleep(ALONE);
            Ok(runtime.block_on(others.read(here)).unwrap())
        };
        assert_ne!(readers.read(nested).await.unwrap(), asker);
        let queue = readers.queue.lock();
        assert!(!queue.reads_here && queue.idle.len() == 2, "{queue:?}");
    }

    #[tokio::test]
    async fn a_panic_is_the_fault_of_one_look_up() {
        let (_folder, readers) = readers();
        let panics = |_: &Connection| -> Result<i64, Fault> { panic!("a fault of ours") };
        let (broken, sound) = tokio::join!(readers.read(panics), readers.read(number));
        assert!(broken.unwrap_err().to_string().contains("panicked"));
        assert_eq!(sound.unwrap(), 7);
        assert_eq!(readers.read(number).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn an_index_that_does_not_open_is_an_answer() {
        let (folder, readers) = readers();
        drop(folder);
        assert!(readers.read(number).await.is_err());
        assert_eq!(readers.queue.lock().threads, 0);
    }
}
