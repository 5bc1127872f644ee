//! How many instructions messages take on the hottest ways, whatever else the machine does.
//!
//! `.ci/run instructions` has them counted by Callgrind, under which gungraun runs each workload
//! once, and compares them with the record in `benches/instructions.txt`. Setting up and warming
//! up are not counted. `cargo test` just runs each workload, which takes neither Callgrind nor
//! gungraun's runner.

mod load;

use std::{env, hint::black_box, time::Duration};

use load::{fan_out, hand_over, headers, pattern, topic};

/// How many messages are counted together: so many that what happens now and then, such as a list
/// that grows, happens as often in each run.
const MESSAGES: u64 = 1_000;

/// Queues that each get a copy.
const COPIES: u64 = 10;

/// Patterns or bindings, of which each message matches one.
const BOUND: usize = 1_000;

/// Different keys, which come in turn: many more than a thread remembers routes for.
const KEYS: usize = 1 << 12;

type Side = Box<dyn FnMut(u64) -> Duration>;

const WORKLOADS: [fn() -> Side; 5] =
    [hand_over_1, hand_over_100, fan_out_10, topic_1000, headers_1000];

fn hand_over_1() -> Side {
    warm(hand_over::leveret(1))
}

fn hand_over_100() -> Side {
    warm(hand_over::leveret(100))
}

fn fan_out_10() -> Side {
    warm(fan_out::leveret(COPIES))
}

fn topic_1000() -> Side {
    warm(topic::leveret(&pattern::selective(BOUND), pattern::selective_keys(BOUND, KEYS)))
}

fn headers_1000() -> Side {
    warm(headers::leveret(BOUND))
}

/// After as many messages as are counted, memory has grown to its size.
fn warm(side: impl FnMut(u64) -> Duration + 'static) -> Side {
    run(Box::new(side))
}

/// Gives the side back, so that what it holds is not dropped within the count.
fn run(mut side: Side) -> Side {
    black_box(side(MESSAGES));
    side
}

/// In a module of its own, since the harness brings a `main`.
mod counted {
    use super::{Side, fan_out_10, hand_over_1, hand_over_100, headers_1000, run, topic_1000};
    use gungraun::{Callgrind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group};

    #[library_benchmark]
    #[bench::hand_over_1(hand_over_1())]
    #[bench::hand_over_100(hand_over_100())]
    #[bench::fan_out_10(fan_out_10())]
    #[bench::topic_1000(topic_1000())]
    #[bench::headers_1000(headers_1000())]
    fn messages(side: Side) -> Side {
        run(side)
    }

    library_benchmark_group!(name = ways, benchmarks = messages);

    gungraun::main!(
        config =
            LibraryBenchmarkConfig::default().tool(Callgrind::with_args(["--cache-sim=no"]));
        library_benchmark_groups = ways
    );

    pub(super) fn start() {
        main();
    }
}

fn main() {
    // What `cargo bench` says, and what the runner says to the workload that it starts.
    if env::args().any(|argument| ["--bench", "--gungraun-run"].contains(&argument.as_str())) {
        counted::start();
    } else {
        for workload in WORKLOADS {
            drop(run(workload()));
        }
    }
}
