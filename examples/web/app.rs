//! The application: its broker, its workers and its routes.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{get, post},
};
use leveret::{Broker, CallError, Delivery, Message, PublishReason, Publisher, Queue, Workers};
use serde::{Deserialize, Serialize};

/// How long a client waits for a quote.
const QUOTE_TIME: Duration = Duration::from_secs(5);

/// Cloned into each handler; all of it is handles.
#[derive(Clone)]
pub(crate) struct App {
    broker: Broker,
    events: Publisher,
    services: Arc<[Service]>,
}

/// A queue and who works on it.
struct Service {
    queue: Queue,
    workers: Workers,
}

/// What `POST /publish` takes.
#[derive(Deserialize)]
struct Event {
    key: String,
    text: String,
}

/// What it answers.
#[derive(Serialize)]
struct Published {
    queues: u32,
}

/// What `GET /quote/{item}` answers.
#[derive(Serialize)]
struct Quote {
    item: String,
    cents: u32,
}

/// What `GET /health` answers.
#[derive(Serialize)]
struct Health {
    is_up: bool,
    services: Vec<ServiceHealth>,
}

#[derive(Serialize)]
struct ServiceHealth {
    name: String,
    ready: u64,
    unacked: u64,
    consumers: u64,
    handled: u64,
    panicked: u64,
}

type Refusal = (StatusCode, String);

impl App {
    /// Declares what there is, and starts the workers.
    pub(crate) fn start() -> leveret::Result<Self> {
        let broker = Broker::new();
        let exchange = broker.declare_exchange("events").topic().declare()?;
        let mail = broker.declare_queue("mail").declare()?;
        exchange.bind(&mail, "order.*")?;
        let audit = broker.declare_queue("audit").declare()?;
        exchange.bind(&audit, "order.#")?;
        exchange.bind(&audit, "user.#")?;
        let quotes = broker.declare_queue("quotes").declare()?;
        let services = [
            Service { workers: mail.workers(4, send_mail)?, queue: mail },
            Service { workers: audit.workers(1, take_down)?, queue: audit },
            Service { workers: quotes.workers(2, quote)?, queue: quotes },
        ];
        // Mandatory: who publishes an event that nobody is interested in is told so.
        let events = exchange.publisher().mandatory().open()?;
        Ok(Self { broker, events, services: services.into() })
    }

    pub(crate) fn router(&self) -> Router {
        Router::new()
            .route("/health", get(health))
            .route("/publish", post(publish))
            .route("/quote/{item}", get(ask_for_quote))
            .with_state(self.clone())
    }

    pub(crate) fn broker(&self) -> &Broker {
        &self.broker
    }

    /// How many events the workers have handled, counted once per queue.
    pub(crate) fn handled(&self) -> u64 {
        let events = self.services.iter().filter(|service| service.queue.name() != "quotes");
        events.map(|service| service.workers.report().acked).sum()
    }

    /// Waits until the queues are empty, at most so long at each. The broker keeps everything in
    /// memory, so what is left when it closes is lost.
    pub(crate) async fn drain(&self, within: Duration) {
        let queues: Vec<_> = self.services.iter().map(|service| service.queue.clone()).collect();
        let wait = move || queues.iter().all(|queue| queue.wait_empty(within));
        // What could not be handled in time shows in the report of the broker's end.
        let _ = tokio::task::spawn_blocking(wait).await;
    }
}

/// `POST /publish`: accepted once the broker has confirmed it.
async fn publish(
    State(app): State<App>,
    Json(event): Json<Event>,
) -> Result<(StatusCode, Json<Published>), Refusal> {
    let refusal = |reason: &PublishReason| {
        let status = match reason {
            PublishReason::Closed => StatusCode::SERVICE_UNAVAILABLE,
            PublishReason::Full { .. } => StatusCode::TOO_MANY_REQUESTS,
            PublishReason::Unroutable => StatusCode::NOT_FOUND,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        (status, reason.to_string())
    };
    let confirm = app
        .events
        .publish(&event.key, Message::new(event.text))
        .map_err(|error| refusal(error.reason()))?;
    match confirm.await {
        Ok(receipt) => Ok((StatusCode::ACCEPTED, Json(Published { queues: receipt.queues }))),
        Err(error) => Err((StatusCode::SERVICE_UNAVAILABLE, error.to_string())),
    }
}

/// `GET /quote/{item}`: asks a worker, and awaits its reply.
async fn ask_for_quote(
    State(app): State<App>,
    Path(item): Path<String>,
) -> Result<Json<Quote>, Refusal> {
    let refusal = |error: CallError| (StatusCode::SERVICE_UNAVAILABLE, error.to_string());
    let request = Message::new(item.clone());
    let pending = app.broker.default_exchange().request("quotes", request).map_err(refusal)?;
    let reply = tokio::time::timeout(QUOTE_TIME, pending).await;
    let reply = reply.unwrap_or(Err(CallError::Timeout)).map_err(refusal)?;
    match reply.text().and_then(|cents| cents.parse().ok()) {
        Some(cents) => Ok(Json(Quote { item, cents })),
        None => Err((StatusCode::NOT_FOUND, format!("there is no price for {item}"))),
    }
}

/// `GET /health`: up as long as each queue has somebody who works on it.
async fn health(State(app): State<App>) -> (StatusCode, Json<Health>) {
    let services: Vec<_> = app.services.iter().map(Service::health).collect();
    let is_up = services.iter().all(|service| service.consumers > 0);
    let status = if is_up { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Health { is_up, services }))
}

impl Service {
    fn health(&self) -> ServiceHealth {
        let (stats, report) = (self.queue.stats(), self.workers.report());
        ServiceHealth {
            name: self.queue.name().to_owned(),
            ready: stats.ready,
            unacked: stats.unacked,
            consumers: stats.consumers,
            handled: report.acked,
            panicked: report.panicked,
        }
    }
}

/// A worker: an event without text is given up.
fn send_mail(event: &Delivery) -> Result<(), &'static str> {
    match event.text() {
        Some("") | None => Err("nothing to write"),
        Some(_) => Ok(()),
    }
}

/// A worker that takes everything.
fn take_down(_: &Delivery) {}

/// A worker that answers: with a price, or with nothing.
fn quote(request: &Delivery) -> Result<(), leveret::PublishError> {
    let cents = match request.text() {
        Some("hare") => "400",
        Some("tortoise") => "150",
        Some(_) | None => "",
    };
    request.reply(Message::new(cents))
}
