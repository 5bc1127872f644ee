//! Where each item is: a small number for each place of each queue that is taken.
//!
//! Places lie in pages of 256, and a page is there while one of its places is taken: a lone
//! straggler keeps a page and no span. A page with few of them lists these, one with many has room
//! for all; in between it stays as it is. A full queue takes four bytes a message.

use std::collections::{HashMap, hash_map};

use super::record::{ItemId, Serial};

/// The places that are taken, each with a number.
#[derive(Debug, Default)]
pub(super) struct Places {
    queues: HashMap<Serial, Pages, foldhash::fast::RandomState>,
}

/// Looks for one after the other, which mostly are on the same page.
#[derive(Debug)]
pub(super) struct Look<'p> {
    places: &'p Places,
    /// The last one that was looked for, and the page that it would be on.
    last: Option<(ItemId, Option<&'p Page>)>,
}

type Pages = HashMap<u64, Page, foldhash::fast::RandomState>;

/// How many places a page has.
const PLACES: u64 = 1 << u8::BITS;
const PLACE_COUNT: usize = 1 << u8::BITS;

/// A page with more becomes wide.
const LISTED_MAX: usize = 32;

/// A wide page with fewer is listed again.
const WIDE_MIN: u16 = 8;

/// What a place of a wide page has that is not taken.
const FREE: u32 = u32::MAX;

#[derive(Debug)]
enum Page {
    /// Sorted by place.
    Listed(Vec<(u8, u32)>),
    Wide {
        taken: u16,
        places: Box<[u32; PLACE_COUNT]>,
    },
}

impl Places {
    /// Takes a place, and says what was there. The number is less than `u32::MAX`.
    pub(super) fn insert(&mut self, id: ItemId, number: u32) -> Option<u32> {
        let mut former = None;
        self.insert_all(&[(id, number)], |number| number, |_, _, found| former = found);
        former
    }

    /// Takes places, each with a number that is less than `u32::MAX`, and shows what was there.
    pub(super) fn insert_all<T: Copy>(
        &mut self,
        taken: &[(ItemId, T)],
        number: impl Fn(T) -> u32,
        mut each: impl FnMut(ItemId, u32, Option<u32>),
    ) {
        for run in taken.chunk_by(|(one, _), (next, _)| is_same_page(*one, *next)) {
            let Some((first, _)) = run.first() else { continue };
            let page = self.queues.entry(first.queue).or_default().entry(first.seq / PLACES);
            let page = page.or_insert_with(|| Page::Listed(Vec::new()));
            for (id, of) in run {
                let number = number(*of);
                debug_assert_ne!(number, FREE);
                each(*id, number, page.insert(place(id.seq), number));
            }
        }
    }

    /// Frees a place, and says what was there.
    pub(super) fn remove(&mut self, id: ItemId) -> Option<u32> {
        let mut removed = None;
        self.remove_all(&[(id, ())], |_, found, ()| removed = Some(found));
        removed
    }

    /// Frees places, and shows what was there.
    pub(super) fn remove_all<T: Copy>(
        &mut self,
        freed: &[(ItemId, T)],
        mut each: impl FnMut(ItemId, u32, T),
    ) {
        for run in freed.chunk_by(|(one, _), (next, _)| is_same_page(*one, *next)) {
            let Some((first, _)) = run.first() else { continue };
            let hash_map::Entry::Occupied(mut pages) = self.queues.entry(first.queue) else {
                continue;
            };
            let hash_map::Entry::Occupied(mut page) = pages.get_mut().entry(first.seq / PLACES)
            else {
                continue;
            };
            for (id, with) in run {
                if let Some(number) = page.get_mut().remove(place(id.seq)) {
                    each(*id, number, *with);
                }
            }
            if page.get().is_empty() {
                page.remove();
                let pages_left = pages.get_mut();
                if pages_left.is_empty() {
                    pages.remove();
                } else if pages_left.capacity() > 4 * pages_left.len() + 16 {
                    pages_left.shrink_to_fit();
                }
            }
        }
    }

    /// Frees all places of a queue, and shows what was there.
    pub(super) fn remove_queue(&mut self, queue: Serial, mut each: impl FnMut(ItemId, u32)) {
        for (number, page) in self.queues.remove(&queue).unwrap_or_default() {
            let id = |place: u64| ItemId { queue, seq: number * PLACES + place };
            match page {
                Page::Listed(listed) => {
                    for (place, number) in listed {
                        each(id(place.into()), number);
                    }
                }
                Page::Wide { places, .. } => {
                    let taken = (0..).zip(*places).filter(|(_, number)| *number != FREE);
                    taken.for_each(|(place, number)| each(id(place), number));
                }
            }
        }
    }

    pub(super) fn get(&self, id: ItemId) -> Option<u32> {
        self.page(id)?.get(place(id.seq))
    }

    /// For who asks for many, one after the other.
    pub(super) fn look(&self) -> Look<'_> {
        Look { places: self, last: None }
    }

    pub(super) fn has_queue(&self, queue: Serial) -> bool {
        self.queues.contains_key(&queue)
    }
}

impl Places {
    fn page(&self, id: ItemId) -> Option<&Page> {
        self.queues.get(&id.queue)?.get(&(id.seq / PLACES))
    }
}

impl Look<'_> {
    #[inline]
    pub(super) fn get(&mut self, id: ItemId) -> Option<u32> {
        let page = match self.last {
            Some((last, page)) if is_same_page(last, id) => page,
            _ => {
                let page = self.places.page(id);
                self.last = Some((id, page));
                page
            }
        };
        page?.get(place(id.seq))
    }
}

#[inline]
fn is_same_page(one: ItemId, other: ItemId) -> bool {
    one.queue == other.queue && one.seq / PLACES == other.seq / PLACES
}

fn place(seq: u64) -> u8 {
    seq.to_le_bytes()[0]
}

impl Page {
    fn insert(&mut self, place: u8, number: u32) -> Option<u32> {
        match self {
            Self::Listed(listed) => {
                let at = match listed.last() {
                    Some((last, _)) if *last < place => Err(listed.len()),
                    _ => listed.binary_search_by_key(&place, |(place, _)| *place),
                };
                match at {
                    Ok(at) => listed.get_mut(at).map(|(_, known)| std::mem::replace(known, number)),
                    Err(at) => {
                        listed.insert(at, (place, number));
                        self.widen();
                        None
                    }
                }
            }
            Self::Wide { taken, places } => {
                let known = places.get_mut(usize::from(place))?;
                let former = std::mem::replace(known, number);
                if former == FREE {
                    *taken += 1;
                }
                Some(former).filter(|former| *former != FREE)
            }
        }
    }

    fn remove(&mut self, place: u8) -> Option<u32> {
        match self {
            Self::Listed(listed) => {
                let at = listed.binary_search_by_key(&place, |(place, _)| *place).ok()?;
                Some(listed.remove(at).1)
            }
            Self::Wide { taken, places } => {
                let known = places.get_mut(usize::from(place))?;
                let former = std::mem::replace(known, FREE);
                if former == FREE {
                    return None;
                }
                *taken -= 1;
                if *taken < WIDE_MIN {
                    let listed = (0..=u8::MAX).zip(places.iter().copied());
                    *self = Self::Listed(listed.filter(|(_, number)| *number != FREE).collect());
                }
                Some(former)
            }
        }
    }

    fn get(&self, place: u8) -> Option<u32> {
        match self {
            Self::Listed(listed) => {
                let at = listed.binary_search_by_key(&place, |(place, _)| *place).ok()?;
                listed.get(at).map(|(_, number)| *number)
            }
            Self::Wide { places, .. } => {
                places.get(usize::from(place)).copied().filter(|number| *number != FREE)
            }
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Listed(listed) => listed.is_empty(),
            Self::Wide { taken, .. } => *taken == 0,
        }
    }

    fn widen(&mut self) {
        let Self::Listed(listed) = self else { return };
        if listed.len() <= LISTED_MAX {
            return;
        }
        let mut places = Box::new([FREE; PLACE_COUNT]);
        for (place, number) in &*listed {
            if let Some(known) = places.get_mut(usize::from(*place)) {
                *known = *number;
            }
        }
        let taken = u16::try_from(listed.len()).expect("a page has 256 places");
        *self = Self::Wide { taken, places };
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::{collection::vec, prelude::*};

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_map(steps in vec((0_u8..3, 0_u64..3, 0_u64..600, 0_u32..9), 0..2_000)) {
            let (mut places, mut model) = (Places::default(), BTreeMap::new());
            for (step, queue, seq, number) in steps {
                let id = ItemId { queue, seq };
                match step {
                    0 | 1 if number > 0 => {
                        prop_assert_eq!(places.insert(id, number), model.insert(id, number));
                    }
                    0 if seq < 2 => {
                        let mut found = BTreeMap::new();
                        places.remove_queue(queue, |id, number| {
                            found.insert(id, number);
                        });
                        let (gone, left) =
                            model.into_iter().partition(|(id, _)| id.queue == queue);
                        model = left;
                        prop_assert_eq!(found, gone);
                    }
                    _ => prop_assert_eq!(places.remove(id), model.remove(&id)),
                }
                prop_assert_eq!(places.get(id), model.get(&id).copied());
            }
            let queues = model.keys().map(|id| id.queue).collect::<std::collections::BTreeSet<_>>();
            prop_assert_eq!(places.queues.len(), queues.len());
        }
    }

    #[test]
    fn a_straggler_keeps_no_span() {
        let mut places = Places::default();
        let id = |seq| ItemId { queue: 1, seq };
        for seq in 0..100_000 {
            places.insert(id(seq), 1);
            if seq > 0 {
                places.remove(id(seq));
            }
        }
        places.insert(id(u64::MAX), 2);
        assert_eq!(places.queues[&1].len(), 2);
        assert_eq!((places.get(id(0)), places.get(id(u64::MAX))), (Some(1), Some(2)));
    }
}
