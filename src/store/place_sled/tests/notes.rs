//! Notes that a power cut met.

use std::fs;

use super::{super::header, filled, open};
use crate::store::{engine::Place, proof::scratch::Scratch};

const NOTES: [usize; 2] = [512, 1_024];

#[test]
fn of_two_notes_the_one_that_is_whole_counts() {
    for torn in NOTES {
        let scratch = Scratch::new();
        filled(scratch.path());
        open(scratch.path()).note(101).unwrap();
        let path = header::path(scratch.path());
        let mut bytes = fs::read(&path).unwrap();
        bytes[torn..torn + 512].fill(0);
        fs::write(&path, bytes).unwrap();
        let place = open(scratch.path());
        let noted = place.noted();
        assert!([100, 101].contains(&noted), "{noted}");
        // The one that counts stays while the other is written.
        place.note(102).unwrap();
        drop(place);
        assert_eq!(open(scratch.path()).noted(), 102);
    }
}

#[test]
fn without_a_whole_note_nothing_is_noted() {
    let scratch = Scratch::new();
    filled(scratch.path());
    let path = header::path(scratch.path());
    let mut bytes = fs::read(&path).unwrap();
    for note in NOTES {
        bytes[note] ^= 1;
    }
    fs::write(&path, bytes).unwrap();
    assert_eq!(open(scratch.path()).noted(), 0);
}

#[test]
fn notes_are_written_in_turn() {
    let scratch = Scratch::new();
    let place = open(scratch.path());
    let read = || fs::read(header::path(scratch.path())).unwrap();
    for group in 1..20 {
        let before = read();
        place.note(group).unwrap();
        let after = read();
        let changed = |at: usize| before[at..at + 512] != after[at..at + 512];
        assert!(!changed(0), "the first block never changes");
        assert!(changed(NOTES[0]) != changed(NOTES[1]), "note {group}");
    }
}
