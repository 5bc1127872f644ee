//! Every way to change one thing in a JSON value.

use crate::runner::json::Json;

/// A copy of a value in which one thing is not as it was.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// Where, as the names of members and `[]` for an item of a list: `ok.deliveries[].body`.
    pub(crate) place: String,
    pub(crate) kind: Kind,
    /// The whole value with the change in it.
    pub(crate) json: Json,
}

/// What became of the thing that was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// Another value of the same type.
    Altered,
    /// Something was added in it, at the end.
    Extended,
    LeftOut,
    Renamed,
    Repeated,
    /// It has changed places with the next one.
    Swapped,
    /// The same by the look of it, in another type.
    Retyped,
}

/// All values that differ from this one in one thing.
pub(crate) fn changes(json: &Json) -> Vec<Change> {
    let mut changes: Vec<_> = of_itself(json)
        .into_iter()
        .map(|(kind, json)| Change { place: String::new(), kind, json })
        .collect();
    match json {
        Json::List(items) => {
            for (position, item) in items.iter().enumerate() {
                changes.extend(of_item(items, position));
                changes.extend(within(item, "[]", |changed| {
                    let mut items = items.clone();
                    items[position] = changed;
                    Json::List(items)
                }));
            }
        }
        Json::Object(members) => {
            for (position, (name, value)) in members.iter().enumerate() {
                let with = |name: &str, value: Json| {
                    let mut members = members.clone();
                    members[position] = (name.to_owned(), value);
                    Json::Object(members)
                };
                let mut without = members.clone();
                without.remove(position);
                let renamed = with(&format!("{name}~"), value.clone());
                for (kind, json) in
                    [(Kind::LeftOut, Json::Object(without)), (Kind::Renamed, renamed)]
                {
                    changes.push(Change { place: name.clone(), kind, json });
                }
                changes.extend(within(value, name, |changed| with(name, changed)));
            }
        }
        Json::Null | Json::Flag(_) | Json::Integer(_) | Json::Float(_) | Json::Text(_) => {}
    }
    changes
}

/// The changes of a part, put into the whole.
fn within(part: &Json, name: &str, whole: impl Fn(Json) -> Json) -> Vec<Change> {
    let mut changes = changes(part);
    for change in &mut changes {
        let dot = if change.place.is_empty() || change.place.starts_with('[') { "" } else { "." };
        change.place = format!("{name}{dot}{}", change.place);
        change.json = whole(std::mem::replace(&mut change.json, Json::Null));
    }
    changes
}

/// What can become of a value as such.
fn of_itself(json: &Json) -> Vec<(Kind, Json)> {
    match json {
        Json::Null => vec![(Kind::Altered, Json::Integer(0))],
        Json::Flag(flag) => {
            vec![(Kind::Altered, Json::Flag(!flag)), (Kind::Retyped, Json::Integer((*flag).into()))]
        }
        Json::Integer(number) => {
            let float = Json::parse(&format!("{number}.0")).expect("digits make a number");
            vec![
                (Kind::Altered, Json::Integer(number + 1)),
                (Kind::Retyped, float),
                (Kind::Retyped, Json::Text(number.to_string())),
            ]
        }
        // The next float, or the one before.
        Json::Float(number) => {
            vec![(Kind::Altered, Json::Float(f64::from_bits(number.to_bits() ^ 1)))]
        }
        Json::Text(text) => vec![
            (Kind::Altered, Json::Text(format!("~{text}"))),
            (Kind::Extended, Json::Text(format!("{text}~"))),
            (Kind::Retyped, Json::Null),
        ],
        Json::List(items) => {
            let mut items = items.clone();
            items.push(Json::Null);
            vec![(Kind::Extended, Json::List(items)), (Kind::Retyped, Json::Null)]
        }
        Json::Object(members) => {
            let mut members = members.clone();
            members.push(("~".to_owned(), Json::Null));
            vec![(Kind::Extended, Json::Object(members)), (Kind::Retyped, Json::Null)]
        }
    }
}

/// What can become of an item in its list.
fn of_item(items: &[Json], position: usize) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut change = |kind, items| {
        changes.push(Change { place: "[]".to_owned(), kind, json: Json::List(items) });
    };
    let mut without = items.to_vec();
    without.remove(position);
    change(Kind::LeftOut, without);
    let mut twice = items.to_vec();
    twice.insert(position, items[position].clone());
    change(Kind::Repeated, twice);
    if items.get(position + 1).is_some_and(|next| *next != items[position]) {
        let mut swapped = items.to_vec();
        swapped.swap(position, position + 1);
        change(Kind::Swapped, swapped);
    }
    changes
}

#[test]
fn each_part_is_changed_and_nothing_stays_as_it_was() {
    let json = Json::parse(r#"{"a":[1,2],"b":"x"}"#).expect("this is good JSON");
    let found: Vec<String> = changes(&json)
        .iter()
        .map(|Change { place, kind, json }| format!("{place} {kind:?} {json}"))
        .collect();
    let expected = [
        r#" Extended {"a":[1,2],"b":"x","~":null}"#,
        " Retyped null",
        r#"a LeftOut {"b":"x"}"#,
        r#"a Renamed {"a~":[1,2],"b":"x"}"#,
        r#"a Extended {"a":[1,2,null],"b":"x"}"#,
        r#"a Retyped {"a":null,"b":"x"}"#,
        r#"a[] LeftOut {"a":[2],"b":"x"}"#,
        r#"a[] Repeated {"a":[1,1,2],"b":"x"}"#,
        r#"a[] Swapped {"a":[2,1],"b":"x"}"#,
        r#"a[] Altered {"a":[2,2],"b":"x"}"#,
        r#"a[] Retyped {"a":[1.0,2],"b":"x"}"#,
        r#"a[] Retyped {"a":["1",2],"b":"x"}"#,
        r#"a[] LeftOut {"a":[1],"b":"x"}"#,
        r#"a[] Repeated {"a":[1,2,2],"b":"x"}"#,
        r#"a[] Altered {"a":[1,3],"b":"x"}"#,
        r#"a[] Retyped {"a":[1,2.0],"b":"x"}"#,
        r#"a[] Retyped {"a":[1,"2"],"b":"x"}"#,
        r#"b LeftOut {"a":[1,2]}"#,
        r#"b Renamed {"a":[1,2],"b~":"x"}"#,
        r#"b Altered {"a":[1,2],"b":"~x"}"#,
        r#"b Extended {"a":[1,2],"b":"x~"}"#,
        r#"b Retyped {"a":[1,2],"b":null}"#,
    ];
    assert_eq!(found, expected);
}
