//! What every engine has to do.

use std::{collections::BTreeMap, sync::Arc, thread};

use super::{Open, all, key, on_each};
use crate::store::{
    engine::{Engine, EngineError, Key, VALUE_BYTES_MAX},
    proof::dice::{Dice, count, seed},
};

#[test]
fn a_new_engine_is_empty() {
    on_each(|open| {
        let engine = open().engine();
        assert_eq!(engine.get(key(1, 0)), Ok(None));
        assert_eq!(all(&*engine), []);
        assert_eq!(engine.remove(key(1, 0)), Ok(()));
    });
}

#[test]
fn what_is_put_can_be_read_at_once() {
    on_each(|open| {
        let engine = open().engine();
        engine.put(key(1, 0), b"a").unwrap();
        assert_eq!(engine.get(key(1, 0)), Ok(Some(b"a".to_vec())));
        assert_eq!(engine.get(key(1, 1)), Ok(None));
        assert_eq!(engine.get(key(0, 1)), Ok(None));
        engine.put(key(1, 0), b"b").unwrap();
        assert_eq!(engine.get(key(1, 0)), Ok(Some(b"b".to_vec())));
        engine.remove(key(1, 0)).unwrap();
        assert_eq!(engine.get(key(1, 0)), Ok(None));
    });
}

#[test]
fn the_largest_values_come_back_whole() {
    on_each(|open| {
        let place = open();
        let mut dice = Dice::new(1);
        let values: Vec<_> = (0..40).map(|_| dice.bytes(VALUE_BYTES_MAX)).collect();
        for (value, group) in values.iter().zip(1..) {
            place.engine().put(key(group, 0), value).unwrap();
        }
        place.engine().sync().unwrap();
        drop(place);
        let read = all(&*open().engine());
        let read: Vec<_> = read.into_iter().map(|(_, value)| value).collect();
        assert!(read == values);
    });
}

#[test]
fn values_are_shown_in_the_order_of_their_keys() {
    on_each(|open| {
        let engine = open().engine();
        let keys = [
            key(0, 1),
            key(1, 0),
            key(1, 255),
            key(1, 256),
            key(2, 0),
            key(256, 0),
            key(u64::MAX, u32::MAX),
        ];
        for key in keys.iter().rev() {
            engine.put(*key, &key.part.to_le_bytes()).unwrap();
        }
        let shown = all(&*engine);
        let values = keys.map(|key| (key, key.part.to_le_bytes().to_vec()));
        assert_eq!(shown, values);
    });
}

#[test]
fn who_looks_may_stop() {
    on_each(|open| {
        let engine = open().engine();
        for group in 1..=100 {
            engine.put(key(group, 0), b"a").unwrap();
        }
        let stop = EngineError::Damaged("enough".to_owned());
        let mut seen = 0;
        let stopped = engine.scan(&mut |key, _| {
            seen = key.group;
            if key.group == 40 { Err(stop.clone()) } else { Ok(()) }
        });
        assert_eq!((stopped, seen), (Err(stop.clone()), 40));
    });
}

#[test]
fn what_is_written_or_synced_is_there_after_opening_again() {
    let ways: [fn(&dyn Engine); 2] =
        [|engine| engine.write().unwrap(), |engine| engine.sync().unwrap()];
    for way in ways {
        on_each(|open| {
            let place = open();
            for group in 1..=50 {
                place.engine().put(key(group, 0), &group.to_le_bytes()).unwrap();
            }
            way(&*place.engine());
            for group in 1..=49 {
                place.engine().remove(key(group, 0)).unwrap();
            }
            way(&*place.engine());
            drop(place);
            assert_eq!(all(&*open().engine()), [(key(50, 0), 50_u64.to_le_bytes().to_vec())]);
        });
    }
}

#[test]
fn opening_changes_nothing() {
    on_each(|open| {
        let place = open();
        for group in 1..=50 {
            place.engine().put(key(group, 0), &[7; 1_000]).unwrap();
        }
        place.engine().sync().unwrap();
        let before = all(&*place.engine());
        drop(place);
        for _ in 0..5 {
            assert!(all(&*open().engine()) == before);
        }
    });
}

#[test]
fn what_is_put_takes_space() {
    on_each(|open| {
        let engine = open().engine();
        for group in 1..=100 {
            engine.put(key(group, 0), &[7; 1_000]).unwrap();
        }
        engine.sync().unwrap();
        let size = engine.size().unwrap();
        assert!(size >= 100_000, "{size}");
        assert!(size < 10_000_000, "{size}");
    });
}

#[test]
fn others_may_read_while_one_changes() {
    on_each(|open| {
        let engine = open().engine();
        engine.put(key(1, 0), b"stays").unwrap();
        let reader = Arc::clone(&engine);
        thread::scope(|scope| {
            scope.spawn(move || {
                while reader.get(key(3, 0)) == Ok(None) {
                    assert_eq!(reader.get(key(1, 0)), Ok(Some(b"stays".to_vec())));
                    reader.scan(&mut |_, _| Ok(())).unwrap();
                }
            });
            for part in 0..500 {
                engine.put(key(2, part), &[7; 100]).unwrap();
                engine.remove(key(2, part / 2)).unwrap();
            }
            engine.sync().unwrap();
            engine.put(key(3, 0), b"end").unwrap();
        });
    });
}

#[test]
fn random_programs_do_what_a_map_does() {
    let (seed, programs) = (seed(), count("STORE_PROGRAMS", 1));
    on_each(|open| {
        for program in 0..programs {
            play(open, &mut Dice::new(seed.wrapping_add(program)));
        }
    });
}

fn play(open: &Open, dice: &mut Dice) {
    let mut place = open();
    let mut model: BTreeMap<Key, Vec<u8>> = all(&*place.engine()).into_iter().collect();
    for step in 1..=2_000 {
        let engine = place.engine();
        let key = key(dice.below(40), u32::try_from(dice.below(3)).unwrap());
        match dice.below(100) {
            0 => {
                engine.sync().unwrap();
                drop((engine, place));
                place = open();
            }
            1..3 => engine.write().unwrap(),
            3..5 => drop(engine.tidy().unwrap()),
            5..9 => engine.sync().unwrap(),
            9..60 => {
                let len = 1 + dice.index(VALUE_BYTES_MAX);
                let value = dice.bytes(len);
                engine.put(key, &value).unwrap();
                model.insert(key, value);
            }
            60..65 => {
                let parts = 1 + u32::try_from(dice.below(12)).unwrap();
                for part in 0..parts {
                    let len = 1 + dice.index(VALUE_BYTES_MAX);
                    let (key, value) = (Key { group: 1_000 + step, part }, dice.bytes(len));
                    engine.put(key, &value).unwrap();
                    model.insert(key, value);
                }
            }
            65..75 if !model.is_empty() => {
                let key = *model.keys().nth(dice.index(model.len())).unwrap();
                engine.remove(key).unwrap();
                model.remove(&key);
            }
            65..90 => {
                engine.remove(key).unwrap();
                model.remove(&key);
            }
            _ => assert!(engine.get(key).unwrap().as_ref() == model.get(&key)),
        }
    }
    place.engine().sync().unwrap();
    let model: Vec<_> = model.into_iter().collect();
    assert!(all(&*place.engine()) == model);
    drop(place);
    assert!(all(&*open().engine()) == model);
}
