//! Where a message goes: P7 and P8.
//!
//! - **P7, selective**: every key matches one of 10 to 100 000 patterns, and so many keys come in
//!   turn that each is new to whatever might remember keys. Of the rivals only the matching is
//!   measured. Of leveret the row *whole publish* counts everything that a publish does; the row
//!   *routing* takes off what the same publish costs through a direct exchange where nothing
//!   matches, so that like is compared with like. Both are held to the target.
//! - **P7, dense**: each key matches one pattern in sixteen, and each pattern leads to a queue of
//!   its own. What a publish costs beyond one to as many selective patterns, for each further
//!   target.
//! - **P7, many `#`**: 20 patterns like `#.a.#.b.#.a.#` with targets of their own, keys of 24
//!   words; a whole publish.
//! - **P7, hot key**: a key that the thread remembers, among 1 000 patterns. What a message costs
//!   beyond one that is sent straight to its queue.
//! - **P8**: every message matches one of 1 000 headers bindings; a whole publish, beside the
//!   evaluation alone.

use crate::{
    figure::Unit::{Micros, Nanos},
    load::{headers, pattern, topic},
    rounds::{Figures, Side, interleave},
    row::Row,
    scale::Scale,
};

use super::Concern;

/// Different keys of the selective sets.
const KEYS: usize = 1 << 16;

/// Different keys where each takes long.
const FEW_KEYS: usize = 1_024;

/// Patterns of the dense set, and of the selective one that it is held against.
const DENSE: usize = 10_000;

/// Patterns with many `#`.
const HASHES: usize = 20;

/// Bindings of the headers exchange.
const HEADERS: usize = 1_000;

const LINEAR: &str = "pre-split patterns, one by one";

pub(crate) fn topics() -> Vec<Concern> {
    vec![
        selective("10", 1.0, |scale| interleave(scale, selective_sides(10, scale, 200_000))),
        beside_published(),
        selective("10 000", 1.0 / 250.0, |scale| {
            interleave(scale, selective_sides(10_000, scale, 1_000))
        }),
        selective("100 000", 1.0 / 2_000.0, |scale| {
            interleave(scale, selective_sides(100_000, scale, 100))
        }),
        dense(),
        hot(),
        hashes(),
    ]
}

fn selective(patterns: &str, target: f64, figures: fn(Scale) -> Figures) -> Concern {
    Concern {
        id: "P7",
        figures,
        rows: vec![
            Row::new(format!("topic, {patterns} patterns, whole publish"), Nanos, |side| side[0])
                .against(LINEAR, |side| side[1])
                .at_most(target),
            Row::new(format!("topic, {patterns} patterns, routing"), Nanos, |side| {
                side[0] - side[2]
            })
            .against(LINEAR, |side| side[1])
            .at_most(target),
        ],
    }
}

/// 1 000 patterns, beside the best published matcher too.
fn beside_published() -> Concern {
    const PATTERNS: usize = 1_000;
    let mut concern = selective("1 000", 1.0 / 25.0, |scale| {
        let mut sides = selective_sides(PATTERNS, scale, 10_000);
        let keys = pattern::selective_keys(PATTERNS, KEYS);
        let published = topic::published(&pattern::selective(PATTERNS), keys);
        sides.push(Side::each(scale.share(100_000), published));
        interleave(scale, sides)
    });
    let row = concern.rows[0].clone();
    let row = row.against("mqtt-topic-engine 0.2.1", |side| side[3]).at_most(1.0 / 3.0);
    concern.rows.push(row);
    concern
}

/// Leveret, the linear rival, which is given fewer keys, and leveret without a match.
fn selective_sides(patterns: usize, scale: Scale, linear_keys: u64) -> Vec<Side> {
    let keys = || pattern::selective_keys(patterns, KEYS);
    let patterns = pattern::selective(patterns);
    let many = scale.share(100_000);
    vec![
        Side::each(many, topic::leveret(&patterns, keys())),
        Side::each(scale.share(linear_keys), topic::linear(&patterns, keys())),
        Side::each(many, topic::unmatched(keys())),
    ]
}

fn dense() -> Concern {
    Concern {
        id: "P7",
        figures: |scale| {
            let (patterns, keys) = (pattern::dense(DENSE), pattern::dense_keys(FEW_KEYS));
            let further_hits = topic::hits(&patterns, &keys) - 1.0;
            let selective_keys = pattern::selective_keys(DENSE, FEW_KEYS);
            let sides = vec![
                Side::each(scale.share(20_000), topic::refused(&patterns, keys)),
                Side::each(
                    scale.share(100_000),
                    topic::refused(&pattern::selective(DENSE), selective_keys),
                ),
            ];
            let mut figures = interleave(scale, sides);
            for round in &mut figures {
                round.push(further_hits);
            }
            figures
        },
        rows: vec![
            Row::new("topic, 10 000 dense patterns, each further hit", Nanos, |side| {
                (side[0] - side[1]) / side[2]
            })
            .beside("the same with selective patterns")
            .at_most(2.0),
        ],
    }
}

fn hot() -> Concern {
    Concern {
        id: "P7",
        figures: |scale| {
            let messages = scale.share(100_000);
            let sides = vec![
                Side::each(messages, topic::hot(&pattern::selective(1_000))),
                Side::each(messages, topic::unrouted()),
            ];
            interleave(scale, sides)
        },
        rows: vec![
            Row::new("topic, 1 000 patterns, a hot key", Nanos, |side| side[0] - side[1])
                .beside("straight to the queue")
                .at_most(40.0),
        ],
    }
}

fn hashes() -> Concern {
    Concern {
        id: "P7",
        figures: |scale| {
            let (patterns, keys) = (pattern::hashes(HASHES), pattern::long_keys(FEW_KEYS));
            let side = Side::each(scale.share(50_000), topic::refused(&patterns, keys));
            interleave(scale, vec![side])
        },
        rows: vec![
            Row::new("topic, 20 patterns with many `#`, keys of 24 words", Micros, |side| side[0])
                .at_most(5_000.0),
        ],
    }
}

pub(crate) fn headers() -> Concern {
    Concern {
        id: "P8",
        figures: |scale| {
            let sides = vec![
                Side::each(scale.share(200_000), headers::leveret(HEADERS)),
                Side::each(scale.share(5_000), headers::linear(HEADERS)),
            ];
            interleave(scale, sides)
        },
        rows: vec![
            Row::new("headers, 1 000 bindings, whole publish", Nanos, |side| side[0])
                .against("bindings one by one", |side| side[1])
                .at_most(1.0 / 10.0),
        ],
    }
}
