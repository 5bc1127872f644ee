//! What is done where nothing is done wrong.

use std::{fs::File, io};

use crate::store::{record::Record, writer::Shared};

/// A group is told.
#[inline]
pub(in crate::store) fn take_in(
    group: impl Iterator<Item = Record>,
) -> impl Iterator<Item = Record> {
    group
}

/// What has gathered is about to be written.
#[inline]
pub(in crate::store) fn begin_commit(_shared: &Shared) {}

/// From when it returns, what is in the file survives a power cut.
#[inline]
pub(in crate::store) fn sync_data(file: &File) -> io::Result<()> {
    file.sync_data()
}
