//! The application: what its API offers, and who works behind it.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use leveret::{Broker, Delivery, Limits, Message, PublishError, Queue, Value, Workers};

use super::image::Image;

const WORKERS: u16 = 2;

/// How large a message may be here. Images are larger, and travel as the path of a file.
const MESSAGE_BYTES_MAX: u64 = 16 << 10;

/// What became of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// Nobody has finished it.
    Accepted,
    /// The image is there, resized.
    Done(PathBuf),
    /// It was given up, for this cause.
    Failed(String),
}

/// The tasks by their ids. A web server would have this in its database.
type Tasks = Arc<RwLock<HashMap<String, Status>>>;

/// Takes images and has them resized.
pub(crate) struct Uploads {
    folder: PathBuf,
    queue: Queue,
    failed: Queue,
    tasks: Tasks,
    posted: AtomicU64,
    /// Writes down what failed.
    _clerk: Workers,
}

impl Uploads {
    /// Declares the queues. Images are kept in the folder.
    pub(crate) fn open(folder: &Path) -> leveret::Result<Self> {
        let mut limits = Limits::default();
        limits.message_bytes = MESSAGE_BYTES_MAX;
        let broker = Broker::builder().limits(limits).open()?;
        let failed = broker.declare_queue("resize.failed").declare()?;
        let queue = broker.declare_queue("resize").dead_letter_to(&failed).declare()?;
        let tasks = Tasks::default();
        let book = Arc::clone(&tasks);
        let clerk = failed.workers(1, move |letter: &Delivery| note_failure(&book, letter))?;
        let (folder, posted) = (folder.to_owned(), AtomicU64::new(0));
        Ok(Self { folder, queue, failed, tasks, posted, _clerk: clerk })
    }

    /// `POST /images`: keeps the image, queues the task, and answers with the task's id. That takes
    /// as long as writing the file, whatever the workers do.
    ///
    /// The message is a claim check: it carries the path, and whoever gets it fetches the image.
    pub(crate) fn post(&self, image: &[u8]) -> io::Result<String> {
        let id = format!("task-{}", self.posted.fetch_add(1, Ordering::Relaxed) + 1);
        let path = self.folder.join(format!("{id}.pgm"));
        fs::write(&path, image)?;
        set(&self.tasks, &id, Status::Accepted);
        let message = Message::new(path.display().to_string()).with_message_id(&*id);
        self.queue.send(message).map_err(io::Error::other)?;
        Ok(id)
    }

    /// What `post` would do without a claim check. The message comes back in the error.
    pub(crate) fn post_as_body(&self, image: &[u8]) -> Result<(), PublishError> {
        self.queue.send(Message::new(image))
    }

    /// `GET /images/{id}`; `None` if there is no such task.
    pub(crate) fn get(&self, id: &str) -> Option<Status> {
        self.tasks.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// Starts the workers. What a handler returns as its error is the cause in the dead letter.
    pub(crate) fn start_workers(&self) -> leveret::Result<Workers> {
        let book = Arc::clone(&self.tasks);
        self.queue.workers(WORKERS, move |task: &Delivery| {
            let resized = resize(task.text().unwrap_or_default())?;
            set(&book, task.message_id().unwrap_or_default(), Status::Done(resized));
            Ok::<_, String>(())
        })
    }

    /// Waits until every task is finished, one way or the other.
    pub(crate) fn wait(&self, within: Duration) -> bool {
        // A dead letter is in either queue all the time, so in this order none is missed.
        self.queue.wait_empty(within) && self.failed.wait_empty(within)
    }
}

/// Writes half the image beside the image.
fn resize(path: &str) -> Result<PathBuf, String> {
    let file = fs::read(path).map_err(|error| format!("cannot fetch the image: {error}"))?;
    let small = Path::new(path).with_extension("small.pgm");
    let image = Image::read(&file)?.halved();
    fs::write(&small, image.write()).map_err(|error| error.to_string())?;
    Ok(small)
}

/// A dead letter says by its message id which task it was, and why in `x-exception`.
fn note_failure(book: &Tasks, letter: &Delivery) {
    let exception = letter.header("x-exception").and_then(Value::as_table);
    let cause = exception.and_then(|exception| exception.get("error")?.as_str());
    let cause = cause.unwrap_or("nobody knows").to_owned();
    set(book, letter.message_id().unwrap_or_default(), Status::Failed(cause));
}

fn set(book: &Tasks, id: &str, status: Status) {
    book.write().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), status);
}
