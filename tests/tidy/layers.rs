//! Layers look only down: the words know nothing but words, the engine knows words and itself,
//! and neither touches the world (locks, threads, files, sockets, clocks, features). The store
//! knows both, and no broker.

use std::collections::HashMap;

use crate::{
    features,
    finding::Finding,
    paths::{NamedPath, paths},
    project::Source,
};

/// The modules of the lowest layer: values only.
const WORDS: [&str; 3] = ["message", "name", "time"];

/// Names that mean a lock, a thread, a clock or an engine of somebody else's, wherever they stand.
const WORLDLY: [&str; 13] = [
    "Condvar",
    "Instant",
    "Mutex",
    "RwLock",
    "SystemTime",
    "crossbeam",
    "crossbeam_channel",
    "crossbeam_utils",
    "loom",
    "parking_lot",
    "sled",
    "thread_local",
    "tokio",
];

/// Modules of the standard library that reach outside of the process or across threads.
const OUTSIDE: [&str; 7] = ["env", "fs", "io", "net", "os", "process", "thread"];

/// What a file of nothing but tests may use of them: recorded vectors are files.
const OUTSIDE_FOR_TESTS: [&str; 3] = ["env", "fs", "io"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Layer {
    Words,
    Engine,
    Store,
}

impl Layer {
    /// The layer of a file, or nothing for the shell, which may name everything.
    fn of(path: &str) -> Option<Self> {
        let module = module_of(path);
        match module.get(1)?.as_str() {
            "engine" => Some(Self::Engine),
            "store" => Some(Self::Store),
            word if WORDS.contains(&word) => Some(Self::Words),
            _ => None,
        }
    }

    fn may_name(self, module: &str) -> bool {
        let further: &[&str] = match self {
            Self::Words => &[],
            Self::Engine => &["engine"],
            Self::Store => &["engine", "store", "clock", "shield", "sync"],
        };
        WORDS.contains(&module) || further.contains(&module)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Words => "the words",
            Self::Engine => "the engine",
            Self::Store => "the store",
        }
    }
}

/// Checks the files of `src`.
pub(crate) fn check(sources: &[&Source]) -> Vec<Finding> {
    let exports = exports(sources);
    let mut findings = Vec::new();
    for source in sources {
        let Some(layer) = Layer::of(&source.path) else { continue };
        for path in paths(&source.code) {
            let resolved = resolve(&path, &source.path);
            if let Some(offence) = offence(layer, &resolved, &source.path, &exports) {
                findings.push(Finding::new(&source.path, path.line, offence));
            }
        }
        if layer == Layer::Engine {
            for line in features::mentions(source) {
                let text = "the engine knows no feature";
                findings.push(Finding::new(&source.path, line, text));
            }
        }
    }
    findings
}

fn offence(
    layer: Layer,
    path: &[String],
    file: &str,
    exports: &HashMap<String, String>,
) -> Option<String> {
    let segments: Vec<&str> = path.iter().map(String::as_str).collect();
    let whole = segments.join("::");
    let refused = match segments.as_slice() {
        ["crate", first, ..] => !layer.may_name(exports.get(*first).map_or(*first, String::as_str)),
        ["std", "sync", shared, ..] => !matches!(*shared, "Arc" | "Weak"),
        ["std", "sync"] => true,
        ["std", module, ..] if OUTSIDE.contains(module) => {
            !(is_tests(file) && OUTSIDE_FOR_TESTS.contains(module))
        }
        _ => false,
    };
    if layer == Layer::Store {
        // It has threads, locks and files of its own.
        let is_above = refused && segments.first() == Some(&"crate");
        return is_above.then(|| format!("{} may not name `{whole}`", layer.name()));
    }
    let worldly = segments.iter().any(|segment| WORLDLY.contains(segment));
    (refused || worldly).then(|| format!("{} may not name `{whole}`", layer.name()))
}

/// Whether the file consists of tests only, by its name.
fn is_tests(path: &str) -> bool {
    path.ends_with("/vectors.rs") || path.ends_with("/tests.rs")
}

/// `src/engine/queue/mod.rs` is `crate::engine::queue`.
fn module_of(path: &str) -> Vec<String> {
    let inside = path.trim_start_matches("src/").trim_end_matches(".rs");
    let inside = inside.trim_end_matches("/mod");
    let mut module = vec!["crate".to_owned()];
    if inside != "lib" {
        module.extend(inside.split('/').map(str::to_owned));
    }
    module
}

/// The path from the root of the crate, where it begins with `self` or `super`.
fn resolve(path: &NamedPath, file: &str) -> Vec<String> {
    let mut module = module_of(file);
    module.extend((0..path.depth).map(|_| "(inline)".to_owned()));
    let mut rest = path.segments.as_slice();
    if rest.len() < 2 || !matches!(rest[0].as_str(), "self" | "super") {
        return path.segments.clone();
    }
    while let [first, others @ ..] = rest {
        match first.as_str() {
            "self" => {}
            "super" => drop(module.pop()),
            _ => break,
        }
        rest = others;
    }
    module.extend_from_slice(rest);
    module
}

/// The modules behind the names that `lib.rs` exports, so that `crate::Name` counts as what it is.
fn exports(sources: &[&Source]) -> HashMap<String, String> {
    let mut exports = HashMap::new();
    for source in sources.iter().filter(|source| source.path == "src/lib.rs") {
        for path in paths(&source.code) {
            let inside = path.segments.strip_prefix(&["crate".to_owned()]);
            if let [module, .., name] = inside.unwrap_or(&path.segments) {
                exports.insert(name.clone(), module.clone());
            }
        }
    }
    exports
}

const LIB: &str = "mod name;\npub use name::Name;\npub use crate::broker::{Broker, Queue};\n";

#[track_caller]
fn lines(path: &str, text: &str) -> Vec<usize> {
    let (lib, source) = (Source::new("src/lib.rs", LIB), Source::new(path, text));
    check(&[&lib, &source]).iter().map(|finding| finding.line).collect()
}

#[test]
fn upper_layers_are_refused() {
    assert_eq!(lines("src/engine/queue/mod.rs", "use crate::broker::Cell;"), [1]);
    assert_eq!(lines("src/engine/ids.rs", "\nfn f() { crate::error::Error; }"), [2]);
    assert_eq!(lines("src/engine/mod.rs", "use super::sync::Lock;"), [1]);
    assert_eq!(lines("src/time.rs", "use crate::clock::Clock;"), [1]);
    assert_eq!(lines("src/name.rs", "use crate::{message::Table, store};"), [1]);
    assert_eq!(lines("src/message/table.rs", "use crate::engine::ids::Seq;"), [1]);
    assert_eq!(lines("src/engine/ids.rs", "use crate::*;"), [1]);
}

#[test]
fn lower_layers_are_welcome() {
    assert!(
        lines("src/engine/a.rs", "use crate::{engine::b, message::Table, name, time};").is_empty()
    );
    assert!(lines("src/message/mod.rs", "use crate::{message::table, name::Name};").is_empty());
    assert!(lines("src/broker/mod.rs", "use crate::{engine::a, store, sync};").is_empty());
}

#[test]
fn exported_names_count_as_their_modules() {
    assert!(lines("src/engine/a.rs", "use crate::Name;").is_empty());
    assert_eq!(lines("src/engine/a.rs", "use crate::Broker;"), [1]);
    assert_eq!(lines("src/engine/a.rs", "use crate::Unknown;"), [1]);
}

#[test]
fn locks_and_threads_are_refused() {
    for text in [
        "use std::sync::Mutex;",
        "use std::{fmt, sync::{Arc, atomic::AtomicU64}};",
        "use std::sync;",
        "fn f() { std::thread::yield_now() }",
        "use parking_lot::RwLock;",
        "use crossbeam_channel::bounded;",
        "thread_local! {}",
    ] {
        assert_eq!(lines("src/engine/a.rs", text), [1], "{text}");
        assert_eq!(lines("src/message/a.rs", text), [1], "{text}");
    }
    assert!(lines("src/engine/a.rs", "use std::{fmt, sync::{Arc, Weak}};").is_empty());
}

#[test]
fn clocks_files_and_sockets_are_refused() {
    for text in [
        "use std::time::Instant;",
        "use std::time::{Duration, SystemTime};",
        "use std::{fs, fmt};",
        "fn f(a: std::io::Error) {}",
        "use std::net::TcpStream;",
    ] {
        assert_eq!(lines("src/engine/a.rs", text), [1], "{text}");
    }
    assert!(lines("src/engine/a.rs", "use std::time::Duration;").is_empty());
}

#[test]
fn tests_may_read_files() {
    assert!(lines("src/engine/routing/vectors.rs", "use std::{fs, io};").is_empty());
    assert!(lines("src/engine/queue/tests.rs", "use std::fs;").is_empty());
    assert_eq!(lines("src/engine/queue/tests.rs", "use std::net;"), [1]);
}

#[test]
fn features_are_refused_in_the_engine() {
    let text = "#[cfg(feature = \"json\")]\nmod json;";
    assert_eq!(lines("src/engine/a.rs", text), [1]);
    assert!(lines("src/message/mod.rs", text).is_empty());
}

#[test]
fn words_in_comments_and_strings_name_nothing() {
    assert!(
        lines("src/engine/a.rs", "//! Not `std::fs`.\nconst A: &str = \"std::fs\";").is_empty()
    );
}

#[test]
fn inline_modules_are_counted() {
    assert!(lines("src/engine/mod.rs", "struct A;\nmod tests { use super::A; }").is_empty());
    assert_eq!(lines("src/engine/mod.rs", "mod tests { use super::super::clock::A; }"), [1]);
}

#[test]
fn the_store_knows_no_broker_and_may_touch_the_world() {
    let look = |text: &str| check(&[&Source::new("src/store/writer.rs", text)]).len();
    assert_eq!(look("use crate::{engine::queue::Held, sync::Mutex, clock::HostDeadline};"), 0);
    assert_eq!(look("use std::{fs::File, thread, sync::mpsc};"), 0);
    assert_eq!(look("use crate::broker::Timers;"), 1);
}
