//! leveret beside whole systems that carry messages, on the same work in the same run: RabbitMQ
//! through lapin, rumqttd within the process, and tokio's channels. Then leveret's durable queues
//! beside RabbitMQ's.
//!
//! What it prints on standard output is `benches/RESULTS.md`; how far it has got goes to standard
//! error. It exits with 0 whatever the figures are, with 1 if a system fails, with 2 if it does not
//! understand its arguments.
#![allow(clippy::disallowed_methods, reason = "a bench measures real time")]
#![allow(clippy::disallowed_types, reason = "the library's own locks are not for others")]

mod arguments;
mod durable;
mod load;
mod patience;
mod report;
mod rounds;
mod systems;
mod versions;

use std::{env, process::ExitCode};

use arguments::{Arguments, Refusal, USAGE};
use report::Report;
use rounds::Plan;
use systems::{Fault, Server};

fn main() -> ExitCode {
    let arguments = match Arguments::parse(env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(Refusal::Help) => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(Refusal::Mistake(mistake)) => {
            eprint!("{mistake}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match compare(&arguments) {
        Ok(report) => {
            print!("{report}");
            ExitCode::SUCCESS
        }
        Err(fault) => {
            eprintln!("{fault}");
            ExitCode::FAILURE
        }
    }
}

fn compare(arguments: &Arguments) -> Result<Report, Fault> {
    let demand = report::demand();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let handle = runtime.handle();
    let mut systems = systems::in_process(handle)?;
    let mut durable = durable::in_process()?;
    let server = Server::ask(&arguments.amqp, handle);
    match &server {
        Ok(server) => {
            systems.extend(systems::on_server(server, &arguments.amqp, handle));
            durable.push(durable::on_server(server, &arguments.amqp, handle));
        }
        Err(fault) => eprintln!("SKIPPED: RabbitMQ ({fault})"),
    }
    let (plan, of_durable) = if arguments.is_quick {
        (Plan::quick(), durable::Plan::quick())
    } else {
        (Plan::full(), durable::Plan::full())
    };
    let series = rounds::run(&systems, &plan)?;
    let durable = durable::run(&durable, &of_durable)?;
    let server = server.map_err(|fault| fault.to_string());
    Ok(Report::new(arguments, demand, plan, server, series, durable))
}
