//! What it costs to find where a message of a topic exchange goes, beside comparing its key with
//! one pattern after the other.
//!
//! Each key matches one pattern of many, and no two keys in a row are the same. All patterns lead
//! to an exchange without bindings, so that routing is all there is to a publish.

use std::{hint::black_box, time::Duration};

use criterion::{BenchmarkId, Criterion};
use leveret::{Broker, Message};

/// Keys that are published in turn.
const KEYS: usize = 1_024;

/// A prime, so that neighbouring keys match patterns far apart.
const STRIDE: usize = 7_919;

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(700))
        .configure_from_args();
    let mut group = criterion.benchmark_group("topic routing");
    for patterns in [10, 1_000, 10_000] {
        let keys: Vec<String> = (0..KEYS).map(|turn| key(turn * STRIDE % patterns, turn)).collect();
        let split: Vec<Vec<Word>> = (0..patterns).map(|nth| words(&pattern(nth))).collect();
        let mut matched = Vec::with_capacity(patterns);
        for key in &keys {
            find(&split, key, &mut matched);
            assert_eq!(matched.len(), 1, "{key} matches one pattern");
        }
        let mut turns = keys.iter().cycle();
        group.bench_function(BenchmarkId::new("one by one", patterns), |bencher| {
            bencher.iter(|| {
                let key = turns.next().expect("the cycle never ends");
                find(&split, key, &mut matched);
                drop(black_box((matched.len(), Message::new(""))));
            });
        });
        let broker = Broker::new();
        let exchange = broker.declare_exchange("events").topic().declare().expect("a new name");
        let nowhere = broker.declare_exchange("nowhere").fanout().declare().expect("a new name");
        for nth in 0..patterns {
            exchange.bind(&nowhere, pattern(nth).as_str()).expect("both are there");
        }
        group.bench_function(BenchmarkId::new("leveret", patterns), |bencher| {
            bencher.iter(|| {
                let key = turns.next().expect("the cycle never ends");
                black_box(exchange.publish(key, Message::new("")).expect("there is room"))
            });
        });
    }
    group.finish();
    criterion.final_summary();
}

/// The patterns, in four shapes by turns.
fn pattern(nth: usize) -> String {
    match nth % 4 {
        0 => format!("eu.{nth}.orders.*"),
        1 => format!("*.{nth}.orders.created"),
        2 => format!("eu.{nth}.#"),
        _ => format!("eu.*.orders.{nth}"),
    }
}

/// The key of a turn, which matches the `nth` pattern and no other.
fn key(nth: usize, turn: usize) -> String {
    match nth % 4 {
        0 => format!("eu.{nth}.orders.turn{turn}"),
        1 => format!("us{turn}.{nth}.orders.created"),
        2 => format!("eu.{nth}.returns.turn{turn}"),
        _ => format!("eu.turn{turn}.orders.{nth}"),
    }
}

enum Word {
    Hash,
    Literal(String),
    Star,
}

fn words(pattern: &str) -> Vec<Word> {
    let word = |word: &str| match word {
        "#" => Word::Hash,
        "*" => Word::Star,
        literal => Word::Literal(literal.to_owned()),
    };
    pattern.split('.').map(word).collect()
}

/// Finds the patterns that a key matches.
fn find(patterns: &[Vec<Word>], key: &str, matched: &mut Vec<usize>) {
    matched.clear();
    let words: Vec<&str> = key.split('.').collect();
    for (nth, pattern) in patterns.iter().enumerate() {
        if matches(pattern, &words) {
            matched.push(nth);
        }
    }
}

fn matches(pattern: &[Word], words: &[&str]) -> bool {
    match (pattern, words) {
        ([], []) => true,
        ([Word::Hash, rest @ ..], _) => {
            (0..=words.len()).any(|taken| matches(rest, &words[taken..]))
        }
        ([Word::Star, rest @ ..], [_, words @ ..]) => matches(rest, words),
        ([Word::Literal(literal), rest @ ..], [word, words @ ..]) => {
            literal == word && matches(rest, words)
        }
        ([], [_, ..]) | ([_, ..], []) => false,
    }
}
