//! Image upload: the API answers at once with the id of a task, and a worker resizes the image.
//!
//! `cargo run --example image_upload`
//!
//! The image itself stays in a file, and the message carries its path: a *claim check*. Bodies have
//! a bound, beyond which publishing is refused with both sizes in its text. What a worker cannot
//! resize goes to the dead letters together with its cause, and so the status of each task, by its
//! id, tells what became of it.
//!
//! Every line that is printed is checked; the exit code is 1 if one is not as it should be.
#![allow(clippy::disallowed_types, reason = "the application has a lock of its own")]

mod image;
mod uploads;

use std::{
    env,
    error::Error,
    fmt::Debug,
    fs, io,
    path::{Path, PathBuf},
    process,
    time::Duration,
};

use image::Image;
use uploads::{Status, Uploads};

/// How long resizing may take before something is wrong.
const PATIENCE: Duration = Duration::from_secs(30);

type Checked = Result<(), Box<dyn Error>>;

fn main() -> Checked {
    let folder = Folder::create()?;
    let uploads = Uploads::open(&folder.0)?;
    let image = Image::gradient(640, 480).write();

    // The bound is on bodies: a file may have any size.
    let Err(refused) = uploads.post_as_body(&image) else { return Err("it was taken".into()) };
    let expected = "not published: 'message_bytes' is 16384, but this would come to 307215";
    says("an image as the body", refused.to_string(), expected)?;
    says("bytes in hand again", refused.into_message().body().len(), image.len())?;

    // No worker is there yet, and the API answers.
    let good = uploads.post(&image)?;
    says("first upload", &*good, "task-1")?;
    let text = uploads.post(b"Dear Anna, enclosed you find ...")?;
    let torn = uploads.post(&image[..image.len() - 1_000])?;
    let lost = uploads.post(&image)?;
    says("last upload", &*lost, "task-4")?;
    says("its status", uploads.get(&lost), Some(Status::Accepted))?;
    says("a task that nobody posted", uploads.get("task-5"), None)?;

    fs::remove_file(folder.0.join("task-4.pgm"))?;
    let workers = uploads.start_workers()?;
    says("all finished", uploads.wait(PATIENCE), true)?;
    let report = workers.stop(PATIENCE);
    says("resized and given up", (report.acked, report.rejected), (1, 3))?;

    let Some(Status::Done(path)) = uploads.get(&good) else { return Err("it is not done".into()) };
    says("resized", path.file_name(), Some("task-1.small.pgm".as_ref()))?;
    says("size", Image::read(&fs::read(&path)?)?.size(), (320, 240))?;
    let failed = |cause: &str| Some(Status::Failed(cause.into()));
    says("a letter", uploads.get(&text), failed("this is not an image"))?;
    says("a torn one", uploads.get(&torn), failed("306200 pixels are not 640 x 480"))?;
    let Some(Status::Failed(cause)) = uploads.get(&lost) else { return Err("it is there".into()) };
    // What comes behind that is the system's own text.
    says("a lost one", cause.split(':').next(), Some("cannot fetch the image"))
}

/// A temporary folder, which goes away with its content.
struct Folder(PathBuf);

impl Folder {
    fn create() -> io::Result<Self> {
        let path = env::temp_dir().join(format!("leveret-image-upload-{}", process::id()));
        fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        remove(&self.0);
    }
}

fn remove(folder: &Path) {
    if let Err(error) = fs::remove_dir_all(folder) {
        eprintln!("{} stays behind: {error}", folder.display());
    }
}

/// Prints what is found, and ends the program if it is not what is expected.
#[expect(clippy::needless_pass_by_value, reason = "what is found is seldom kept")]
fn says<T: Debug + PartialEq<U>, U: Debug>(what: &str, found: T, expected: U) -> Checked {
    println!("{what}: {found:?}");
    if found == expected { Ok(()) } else { Err(format!("{what} should be {expected:?}").into()) }
}
