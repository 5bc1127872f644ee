//! Reading a log back.

use std::{collections::VecDeque, fs, io, ops::Range, path::Path};

use leveret::Message;

use super::{
    format::{self, Record, Seq},
    segments::EXTENSION,
};

/// The segments of a log, and where in them the messages are that nobody has acked.
#[derive(Debug)]
pub(crate) struct Recovered {
    segments: Vec<Vec<u8>>,
    /// From the first one on, one after the other; nothing for what was acked.
    places: VecDeque<Option<Place>>,
    first: Seq,
}

/// Where a body is.
#[derive(Clone, Debug)]
struct Place {
    segment: usize,
    range: Range<usize>,
}

/// Reads all segments of a folder.
pub(crate) fn recover(folder: &Path) -> io::Result<Recovered> {
    let mut numbered = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == EXTENSION) {
            let segment = fs::read(path)?;
            if let Some((number, _)) = format::open(&mut segment.as_slice()) {
                numbered.push((number, segment));
            }
        }
    }
    numbered.sort_by_key(|(number, _)| *number);
    let segments = numbered.into_iter().map(|(_, segment)| segment).collect();
    let mut recovered = Recovered { segments, places: VecDeque::new(), first: 0 };
    recovered.read();
    Ok(recovered)
}

impl Recovered {
    /// Takes the oldest message.
    pub(crate) fn take(&mut self) -> Option<Message> {
        loop {
            self.first += 1;
            if let Some(Place { segment, range }) = self.places.pop_front()? {
                return Some(Message::new(self.segments[segment][range].to_vec()));
            }
        }
    }

    pub(crate) fn messages(&self) -> usize {
        self.places.iter().flatten().count()
    }

    fn read(&mut self) {
        let mut last = None;
        for (index, segment) in self.segments.iter().enumerate() {
            let mut rest = segment.as_slice();
            while let Some((number, records)) = format::open(&mut rest) {
                let follows = last.is_none_or(|last| number == last + 1);
                if !follows && number <= last.unwrap_or_default() {
                    // From an earlier use of the segment.
                    break;
                }
                if !follows {
                    // What is older was to be used again, and holds nothing that is needed.
                    self.places.clear();
                }
                last = Some(number);
                let start = segment.len() - rest.len() - records.len();
                note(&mut self.places, &mut self.first, (index, start), records);
            }
        }
    }
}

/// Notes what a frame says, which begins at so many bytes of a segment.
fn note(
    places: &mut VecDeque<Option<Place>>,
    first: &mut Seq,
    (segment, start): (usize, usize),
    records: &[u8],
) {
    let mut rest = records;
    while let Some(record) = Record::read(&mut rest) {
        match record {
            Record::Message(seq, body) => {
                if places.is_empty() {
                    *first = seq;
                }
                let end = start + records.len() - rest.len();
                places.push_back(Some(Place { segment, range: end - body.len()..end }));
            }
            Record::Acked(seq) => {
                let place = seq.checked_sub(*first).and_then(|place| usize::try_from(place).ok());
                if let Some(place) = place.and_then(|place| places.get_mut(place)) {
                    *place = None;
                }
            }
        }
    }
}
