//! Plays steps on a broker of its own, through the public channel tier.
//!
//! It translates and keeps no rule of a broker. The one thing it decides is that a step on what
//! was closed by an error repeats that error.

use std::collections::BTreeMap;
use std::time::Duration;

use leveret::{Broker, ConnectOptions, Connection, Error, ManualClock, Scope};

use super::fields::Fields;
use super::home::Home;
use super::json::{Json, Object};
use super::lane::Lane;
use super::placeholder::Placeholders;
use super::scenario::Step;

/// The connection and the channel that need no opening.
const MAIN: &str = "main";

/// How long a broker that is closed may take to write what it was told.
const WRITTEN_WITHIN: Duration = Duration::from_secs(30);

/// The fields of an answer, or why there is none.
pub(crate) type Played = Result<Object, Failure>;

/// Why a step has no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The broker answered with an error, which is a result too.
    Error(Error),
    /// The step cannot be played or its arguments cannot be read, so there is nothing to compare.
    Unplayable(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Self::Unplayable(reason)
    }
}

/// A fresh broker and all that a scenario has made on it.
#[derive(Debug)]
pub(crate) struct Player {
    pub(crate) broker: Broker,
    pub(crate) clock: ManualClock,
    pub(crate) names: Placeholders,
    connections: BTreeMap<String, Connection>,
    /// Of channels with the same name the last one is meant. A channel which was replaced while
    /// open stays open, as it would on a wire.
    lanes: Vec<Lane>,
    /// Where the broker is kept, if it is to be restarted.
    home: Option<Home>,
}

impl Player {
    /// Starts with nothing but the broker; its time stands still. One that is to be restarted has a
    /// store.
    pub(crate) fn new(is_restarted: bool) -> Result<Self, String> {
        let (clock, home) = (ManualClock::new(), is_restarted.then(Home::new));
        let broker = match &home {
            Some(home) => home.open(&clock)?,
            None => Broker::builder().manual_clock(&clock).open().map_err(|e| e.to_string())?,
        };
        Ok(Self {
            broker,
            clock,
            names: Placeholders::default(),
            connections: BTreeMap::new(),
            lanes: Vec::new(),
            home,
        })
    }

    /// Closes the broker and opens it again.
    pub(crate) fn restart(&mut self) -> Result<(), Failure> {
        let home =
            self.home.as_ref().ok_or_else(|| "a broker in memory does not restart".to_owned())?;
        self.broker.close(WRITTEN_WITHIN);
        self.lanes.clear();
        self.connections.clear();
        self.broker = home.open(&self.clock)?;
        Ok(())
    }

    /// Lets a broker with a store write what it was told, which takes the time of the host.
    pub(crate) fn let_write(&mut self) {
        if self.home.is_some() {
            for lane in &mut self.lanes {
                lane.collect_confirms();
            }
        }
    }

    /// Plays a step and returns its result, or why it cannot be played.
    pub(crate) fn play(&mut self, step: &Step) -> Result<Json, String> {
        let Json::Object(members) = self.names.substitute(&step.arguments)? else {
            return Err("a step is an object".to_owned());
        };
        let played = (step.operation.play)(self, &Fields::new(members));
        self.collect();
        let result = match played {
            Ok(fields) => Json::object([("ok", Json::Object(fields))]),
            Err(Failure::Error(error)) => Json::object([("error", error_to_json(&error))]),
            Err(Failure::Unplayable(reason)) => return Err(reason),
        };
        Ok(self.names.restore(&result))
    }

    /// Opens a connection, in place of one of the same name.
    pub(crate) fn open_connection(
        &mut self,
        name: &str,
        vhost: &str,
        options: ConnectOptions,
    ) -> Result<(), Failure> {
        let connection = self.broker.vhost(vhost)?.connect(options)?;
        self.names.meet_vhost(vhost);
        self.forget_connection(name);
        self.connections.insert(name.to_owned(), connection);
        Ok(())
    }

    /// The connection that `conn` names, unless an error has closed it.
    pub(crate) fn connection(&mut self, fields: &Fields) -> Result<&Connection, Failure> {
        let name = fields.text_or("conn", MAIN)?;
        if name == MAIN && !self.connections.contains_key(name) {
            self.open_connection(name, "/", ConnectOptions::default())?;
        }
        let connection = self
            .connections
            .get(name)
            .ok_or_else(|| format!("there is no open connection {name:?}"))?;
        connection.error().map_or(Ok(connection), |error| Err(error.into()))
    }

    /// Lets go of a connection and its channels.
    pub(crate) fn forget_connection(&mut self, name: &str) {
        // The connection goes first, so that its channels go at once and not one by one.
        drop(self.connections.remove(name));
        self.lanes.retain(|lane| lane.connection != name);
    }

    /// Opens a channel, in place of one of the same name.
    pub(crate) fn open_channel(&mut self, fields: &Fields) -> Result<(), Failure> {
        let channel = self.connection(fields)?.open_channel()?;
        let (name, connection) = (fields.text_or("ch", MAIN)?, fields.text_or("conn", MAIN)?);
        self.lanes.push(Lane::new(name, connection, channel));
        Ok(())
    }

    /// The channel that `ch` names, unless an error has closed it.
    pub(crate) fn lane(&mut self, fields: &Fields) -> Result<&mut Lane, Failure> {
        let name = fields.text_or("ch", MAIN)?;
        if name == MAIN && !self.lanes.iter().any(|lane| lane.name == name) {
            self.open_channel(&Fields::new(Object::new()))?;
        }
        let lane = self
            .lanes
            .iter_mut()
            .rfind(|lane| lane.name == name)
            .ok_or_else(|| format!("there is no open channel {name:?}"))?;
        let closed_by = lane
            .channel
            .error()
            .or_else(|| self.connections.get(&lane.connection).and_then(Connection::error));
        closed_by.map_or(Ok(lane), |error| Err(error.into()))
    }

    /// Moves everything the broker has pushed into the lists of its channels.
    pub(crate) fn collect(&mut self) {
        self.lanes.iter_mut().for_each(Lane::collect);
    }
}

fn error_to_json(error: &Error) -> Json {
    let scope = match error.scope() {
        Scope::Channel => "channel",
        Scope::Connection => "connection",
    };
    Json::object([
        ("scope", Json::from(scope)),
        ("code", Json::from(error.reply_code().as_u16())),
        ("text", Json::from(error.reply_text().as_str())),
    ])
}
