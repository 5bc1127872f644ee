//! What is done where nothing is done wrong.

use std::{fs::File, io};

use crate::store::writer::Shared;

/// Whether the store takes note of a settlement that it is told of.
#[inline]
pub(in crate::store) fn takes_in_settlement() -> bool {
    true
}

/// What has gathered is about to be written.
#[inline]
pub(in crate::store) fn begin_commit(_shared: &Shared) {}

/// From when it returns, what is in the file survives a power cut.
#[inline]
pub(in crate::store) fn sync_data(file: &File) -> io::Result<()> {
    file.sync_data()
}
