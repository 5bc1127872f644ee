//! Scenarios that nobody recorded: what follows from the rules of `RabbitMQ` 3.10 where the
//! recordings do not reach. They lack `recorded_from`, and where one of them and a recording
//! disagree, it is wrong.

use super::all_pass;

#[test]
fn derived_scenarios_pass() {
    all_pass("derived");
}
