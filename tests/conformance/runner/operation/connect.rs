//! Operations on connections, channels and the broker itself.

use leveret::ConnectOptions;

use super::super::fields::{Fields, mistyped};
use super::super::json::{Json, Object};
use super::super::player::{Failure, Played, Player};

/// The user of all recordings, and the password.
const GUEST: &str = "guest";

pub(super) fn open_connection(player: &mut Player, fields: &Fields) -> Played {
    let name = fields.text("conn")?;
    if name.is_empty() {
        return Err(Failure::Unplayable("open_connection needs a name in conn".to_owned()));
    }
    if fields.text_or("password", GUEST)? != GUEST {
        return Err(Failure::Unplayable("nobody checks passwords within a process".to_owned()));
    }
    let mut options = ConnectOptions::default().user(fields.text_or("user", GUEST)?);
    if !wants_cancel_notify(fields)? {
        options = options.without_cancel_notify();
    }
    player.open_connection(name, fields.text_or("vhost", "/")?, options)?;
    Ok(Object::new())
}

pub(super) fn close_connection(player: &mut Player, fields: &Fields) -> Played {
    player.connection(fields)?.close();
    player.forget_connection(fields.text_or("conn", "main")?);
    Ok(Object::new())
}

/// A connection which is let go of is lost, like one whose socket was closed.
pub(super) fn drop_connection(player: &mut Player, fields: &Fields) -> Played {
    player.connection(fields)?;
    player.forget_connection(fields.text_or("conn", "main")?);
    Ok(Object::new())
}

pub(super) fn open_channel(player: &mut Player, fields: &Fields) -> Played {
    player.open_channel(fields)?;
    Ok(Object::new())
}

pub(super) fn close_channel(player: &mut Player, fields: &Fields) -> Played {
    player.lane(fields)?.channel.close();
    Ok(Object::new())
}

pub(super) fn raw_frame(_: &mut Player, _: &Fields) -> Played {
    Err(Failure::Unplayable("nothing, since raw_frame needs a socket".to_owned()))
}

pub(super) fn restart_broker(player: &mut Player, _: &Fields) -> Played {
    player.restart()?;
    Ok(Object::new())
}

/// A client announces all capabilities unless it says otherwise; only this one shows.
fn wants_cancel_notify(fields: &Fields) -> Result<bool, String> {
    match fields.get("capabilities") {
        None => Ok(true),
        Some(announced @ Json::Object(_)) => {
            Ok(announced.get("consumer_cancel_notify") == Some(&Json::Flag(true)))
        }
        Some(other) => Err(mistyped("capabilities", "an object", other)),
    }
}
