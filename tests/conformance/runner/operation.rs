//! The operations of the format: their names, the fields each may have, and how each is played.

mod connect;
mod consume;
mod exchange;
mod publish;
mod queue;
mod settle;
mod wait;

use super::fields::Fields;
use super::player::{Played, Player};

/// One operation of the format.
#[derive(Debug)]
pub(crate) struct Operation {
    name: &'static str,
    /// Every field a step of this operation may have, besides the operation and the expectation.
    pub(crate) fields: &'static [&'static str],
    pub(crate) play: fn(&mut Player, &Fields) -> Played,
}

impl Operation {
    /// The operation of that name.
    pub(crate) fn of(name: &str) -> Option<&'static Self> {
        OPERATIONS.iter().find(|operation| operation.name == name)
    }
}

/// Makes the table: name, fields, function.
macro_rules! operations {
    ($($name:ident [$($field:ident)*] $play:path;)*) => {
        const OPERATIONS: &[Operation] = &[$(Operation {
            name: stringify!($name),
            fields: &[$(stringify!($field)),*],
            play: $play,
        }),*];
    };
}

operations! {
    open_connection [conn vhost user password capabilities] connect::open_connection;
    close_connection [conn] connect::close_connection;
    drop_connection [conn] connect::drop_connection;
    open_channel [ch conn] connect::open_channel;
    close_channel [ch conn] connect::close_channel;
    raw_frame [conn ch channel_number type payload size end quiet_ms] connect::raw_frame;
    restart_broker [] connect::restart_broker;
    exchange_declare [ch exchange type passive durable auto_delete internal nowait arguments]
        exchange::declare;
    exchange_delete [ch exchange if_unused nowait] exchange::delete;
    exchange_bind [ch destination source routing_key nowait arguments] exchange::bind;
    exchange_unbind [ch destination source routing_key nowait arguments] exchange::unbind;
    queue_declare [ch queue passive durable exclusive auto_delete nowait arguments] queue::declare;
    queue_bind [ch queue exchange routing_key nowait arguments] queue::bind;
    queue_unbind [ch queue exchange routing_key arguments] queue::unbind;
    queue_purge [ch queue nowait] queue::purge;
    queue_delete [ch queue if_unused if_empty nowait] queue::delete;
    publish [ch exchange routing_key properties mandatory immediate body bodies] publish::publish;
    confirm_select [ch nowait] publish::confirm_select;
    tx_select [ch] publish::tx_select;
    tx_commit [ch] publish::tx_commit;
    tx_rollback [ch] publish::tx_rollback;
    get [ch queue auto_ack] consume::get;
    consume [ch queue consumer_tag auto_ack exclusive no_local nowait arguments] consume::consume;
    cancel [ch consumer_tag nowait] consume::cancel;
    qos [ch prefetch_count prefetch_size global] consume::qos;
    flow [ch active] consume::flow;
    ack [ch tag multiple] settle::ack;
    nack [ch tag multiple requeue] settle::nack;
    reject [ch tag requeue] settle::reject;
    recover [ch requeue async] settle::recover;
    sleep [ms] wait::sleep;
    drain [ch consumer count quiet_ms unordered] wait::drain;
    returns [ch count quiet_ms] wait::returns;
    wait_confirms [ch quiet_ms] wait::wait_confirms;
    notifications [ch count quiet_ms] wait::notifications;
    events [ch count quiet_ms] wait::events;
}
