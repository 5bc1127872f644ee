//! What the figures were taken on.

use std::{fs, process::Command, thread};

/// Cores, compiler and profile.
pub(crate) fn text() -> String {
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let profile =
        if cfg!(debug_assertions) { ", debug build: the figures mean nothing" } else { "" };
    format!("{cores} cores, {}{profile}", compiler())
}

/// The compiler that is installed, which is as a rule the one that built this.
fn compiler() -> String {
    let output = Command::new("rustc").arg("--version").output().ok();
    let text = output.and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
    let words: Vec<&str> = text.split_whitespace().take(2).collect();
    if words.is_empty() { "rustc unknown".to_owned() } else { words.join(" ") }
}

/// The resident memory of this process in bytes; `None` where nothing tells.
pub(crate) fn resident_bytes() -> Option<f64> {
    /// What the kernel counts in on all that leveret has been measured on.
    const PAGE_BYTES: u32 = 4_096;
    let text = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u32 = text.split_whitespace().nth(1)?.parse().ok()?;
    Some(f64::from(pages) * f64::from(PAGE_BYTES))
}
