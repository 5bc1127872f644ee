//! The rules of an AMQP channel that need no queue: delivery tags and the prefetch window.

mod tags;
mod window;

pub(crate) use tags::{Tags, UnknownTag};
pub(crate) use window::Window;
