//! The rules of the house that no compiler checks: layers that look only down, features that add
//! modules and never branches, small files, a map that matches the land.
//!
//! Each rule is a function from text to findings, proven to bite by unit tests beside it; the
//! tests here run it over the files of the project and report everything at once.

mod evidence;
mod features;
mod finding;
mod functions;
mod guide;
mod layers;
mod leftovers;
mod mask;
mod names;
mod paths;
mod project;
mod sizes;

use finding::report;
use project::Project;

#[test]
fn layers_look_only_down() {
    let project = Project::read();
    report("a lower layer names something above it", &layers::check(&project.sources_in("src/")));
}

#[test]
fn features_add_modules_and_no_branches() {
    let project = Project::read();
    let sources = project.sources_in("src/");
    report("a feature decides outside a `mod` or `pub use`", &features::check(&sources));
}

#[test]
fn files_are_named_after_a_noun() {
    let project = Project::read();
    report("a file name says nothing", &names::check(&project.paths()));
}

#[test]
fn nothing_is_left_over() {
    let project = Project::read();
    let mut findings = leftovers::markers(&project.sources, &project.texts);
    findings.extend(leftovers::commented_code(&project.sources));
    report("something was left behind", &findings);
}

#[test]
fn files_and_functions_are_small() {
    let project = Project::read();
    report("something has outgrown its file", &sizes::too_long(&project.sources_in("src/")));
}

#[test]
fn lines_fit_the_width() {
    let project = Project::read();
    report("a line is too wide", &sizes::too_wide(&project.sources));
}

#[test]
fn the_map_matches_the_land() {
    let project = Project::read();
    report("the guide and the files differ", &guide::check(&project));
}

#[test]
fn what_the_guide_names_is_there() {
    let project = Project::read();
    report("the guide names what is not there", &evidence::check(&project));
}

#[test]
fn no_machine_is_named() {
    let project = Project::read();
    report("a path of one machine", &leftovers::machine_paths(&project.sources, &project.texts));
}
