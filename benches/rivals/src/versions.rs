//! The versions that this program was built with, out of its own lock file.

const LOCK: &str = include_str!("../Cargo.lock");

/// The version of a crate; there has to be one of that name.
pub(crate) fn of(name: &str) -> &'static str {
    let mut lines = LOCK.lines();
    let entry = format!("name = \"{name}\"");
    lines.find(|line| *line == entry).expect("the lock file names every crate");
    let version = lines.next().and_then(|line| line.strip_prefix("version = "));
    version.expect("a version follows each name").trim_matches('"')
}

#[test]
fn each_rival_has_a_version() {
    for name in ["lapin", "leveret", "rumqttd", "tokio"] {
        assert!(of(name).split('.').count() >= 3, "{name}");
    }
}
