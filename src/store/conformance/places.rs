//! What every place has to do.

use super::{all, assert_failed, key, on_each};

#[test]
fn the_newest_note_stays() {
    on_each(|open| {
        let place = open();
        assert_eq!(place.noted(), 0);
        for group in [1, 2, 5, 6, 100] {
            place.note(group).unwrap();
            assert_eq!(place.noted(), group);
        }
        drop(place);
        let place = open();
        assert_eq!(place.noted(), 100);
        place.note(101).unwrap();
        drop(place);
        assert_eq!(open().noted(), 101);
    });
}

#[test]
fn a_generation_begins_empty_and_aside() {
    on_each(|open| {
        let place = open();
        place.engine().put(key(1, 0), b"old").unwrap();
        place.engine().sync().unwrap();
        let begun = place.begin_generation().unwrap();
        assert_eq!(all(&*begun), []);
        begun.put(key(2, 0), b"new").unwrap();
        begun.sync().unwrap();
        assert_eq!(all(&*place.engine()), [(key(1, 0), b"old".to_vec())]);
        drop((begun, place));
        // It was never made the present one.
        let place = open();
        assert_eq!(all(&*place.engine()), [(key(1, 0), b"old".to_vec())]);
        assert_eq!(all(&*place.begin_generation().unwrap()), []);
    });
}

#[test]
fn a_second_begin_replaces_the_first() {
    on_each(|open| {
        let place = open();
        let first = place.begin_generation().unwrap();
        first.put(key(1, 0), b"first").unwrap();
        first.sync().unwrap();
        let second = place.begin_generation().unwrap();
        assert_eq!(all(&*second), []);
        second.put(key(2, 0), b"second").unwrap();
        second.sync().unwrap();
        // Whoever still has the first one harms nobody.
        let _ = first.put(key(3, 0), b"late");
        drop(first);
        place.switch_generation().unwrap();
        drop((second, place));
        assert_eq!(all(&*open().engine()), [(key(2, 0), b"second".to_vec())]);
    });
}

#[test]
fn a_switch_is_for_good() {
    on_each(|open| {
        let place = open();
        place.engine().put(key(1, 0), b"old").unwrap();
        place.engine().sync().unwrap();
        place.note(1).unwrap();
        let former = place.engine();
        for round in 2..6 {
            let begun = place.begin_generation().unwrap();
            begun.put(key(round, 0), &round.to_le_bytes()).unwrap();
            begun.sync().unwrap();
            place.switch_generation().unwrap();
            assert_eq!(all(&*place.engine()), [(key(round, 0), round.to_le_bytes().to_vec())]);
        }
        assert_eq!(place.noted(), 1);
        // The former one stays readable for whoever uses it.
        assert_eq!(former.get(key(1, 0)), Ok(Some(b"old".to_vec())));
        drop((former, place));
        let place = open();
        assert_eq!(place.noted(), 1);
        assert_eq!(all(&*place.engine()), [(key(5, 0), 5_u64.to_le_bytes().to_vec())]);
        place.engine().put(key(6, 0), b"goes on").unwrap();
        place.engine().sync().unwrap();
        drop(place);
        assert_eq!(all(&*open().engine()).len(), 2);
    });
}

#[test]
fn nothing_is_switched_to_that_was_not_begun() {
    on_each(|open| {
        let place = open();
        assert_failed(&place.switch_generation());
        drop(place.begin_generation().unwrap());
        place.switch_generation().unwrap();
        assert_failed(&place.switch_generation());
    });
}
