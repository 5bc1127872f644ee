//! A web server with a broker inside: handlers publish and answer at once, workers do the rest.
//!
//! `cargo run --example web` starts the server, walks a small client through it and shuts it down.
//! `cargo run --example web -- --serve 127.0.0.1:8080` goes on until Ctrl-C:
//!
//! ```text
//! curl localhost:8080/health
//! curl localhost:8080/publish --json '{"key": "order.created", "text": "1 hare"}'
//! curl localhost:8080/quote/hare
//! ```
//!
//! The broker lives as long as the server and is part of its state, shared by all handlers. Going
//! down happens in this order: no new connections, the requests in progress finish, the workers
//! empty their queues, the broker closes.

mod app;
mod client;

use std::{error::Error, future::Future, net::SocketAddr, thread, time::Duration};

use tokio::{net::TcpListener, runtime, sync::oneshot};

use app::App;

const USAGE: &str = "usage: web [--serve ADDRESS]";

/// How long the workers may take to empty their queues, and the handlers after that.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let runtime = runtime::Builder::new_multi_thread().enable_all().build()?;
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => runtime.block_on(demonstrate()),
        ["--serve", address] => runtime.block_on(stay(address)),
        _ => Err(USAGE.into()),
    }
}

/// Serves until Ctrl-C.
async fn stay(address: &str) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let interrupt = async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            eprintln!("cannot wait for Ctrl-C, so it ends now: {error}");
        }
    };
    serve(listener, interrupt).await?;
    Ok(())
}

/// Serves a client of its own, on a port that is free.
async fn demonstrate() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel();
    let visit = spawn_client(address, stop)?;
    let handled = serve(listener, async {
        // Also if the client has gone without a word.
        let _ = stopped.await;
    })
    .await?;
    let published = visit.join().expect("each answer is as expected")?;
    assert_eq!(handled, published, "every event that was accepted was handled");
    Ok(())
}

/// A client that stops the server when it has seen everything.
fn spawn_client(
    address: SocketAddr,
    stop: oneshot::Sender<()>,
) -> std::io::Result<thread::JoinHandle<std::io::Result<u64>>> {
    thread::Builder::new().name("client".into()).spawn(move || {
        let published = client::visit(address);
        drop(stop);
        published
    })
}

/// Serves until `stop` is ready, and goes down gracefully. Says how many events the workers have
/// handled.
async fn serve(
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<u64, Box<dyn Error>> {
    let app = App::start()?;
    axum::serve(listener, app.router()).with_graceful_shutdown(stop).await?;

    app.drain(PATIENCE).await;
    let broker = app.broker().clone();
    // Closing waits for handlers, which is nothing for a thread that serves tasks.
    let close = tokio::task::spawn_blocking(move || broker.close(PATIENCE)).await?;
    println!("{} events handled, {} messages lost", app.handled(), close.messages_lost);
    if close.is_clean() {
        Ok(app.handled())
    } else {
        Err(format!("not everybody was done in time: {close:?}").into())
    }
}
