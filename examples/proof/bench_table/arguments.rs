//! What the command line says.

use std::path::PathBuf;

use crate::{concern, scale::Scale};

pub(crate) const USAGE: &str = "\
usage: bench_table [--quick] [--rows P1,P2,...] [--dir FOLDER]

  --quick     fewer and shorter rounds, through within a minute
  --rows ...  only these rows
  --dir ...   where durable rows keep their data, on a disk; beside the program by default
  --help      print this";

/// What to do.
pub(crate) enum Request {
    Help,
    /// Measure one concern and print its figures: what a child is started for.
    Measure {
        concern: usize,
        scale: Scale,
        folder: Option<PathBuf>,
    },
    /// Measure the rows with these ids, or all if there are none.
    Table {
        ids: Vec<String>,
        scale: Scale,
        folder: Option<PathBuf>,
    },
}

pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Request, String> {
    let (mut scale, mut ids, mut measured, mut folder) = (Scale::Full, Vec::new(), None, None);
    while let Some(argument) = arguments.next() {
        let (option, value) = match argument.split_once('=') {
            Some((option, value)) => (option, Some(value.to_owned())),
            None => (argument.as_str(), None),
        };
        let mut value = || {
            let value = value.clone().or_else(|| arguments.next());
            value.ok_or_else(|| format!("{option} needs a value"))
        };
        match option {
            "--quick" => scale = Scale::Quick,
            "--rows" => ids.extend(known_ids(&value()?)?),
            "--dir" => folder = Some(PathBuf::from(value()?)),
            "--measure" => {
                let number = value()?.parse().map_err(|_| "--measure needs a number")?;
                measured = Some(number);
            }
            "--help" | "-h" => return Ok(Request::Help),
            _ => return Err(format!("unknown argument {argument}")),
        }
    }
    Ok(match measured {
        Some(concern) if concern < concern::all(scale).len() => {
            Request::Measure { concern, scale, folder }
        }
        Some(concern) => return Err(format!("there is no concern {concern}")),
        None => Request::Table { ids, scale, folder },
    })
}

fn known_ids(list: &str) -> Result<Vec<String>, String> {
    let known = concern::all(Scale::Full);
    let ids: Vec<String> = list.split(',').map(|id| id.trim().to_uppercase()).collect();
    match ids.iter().find(|id| known.iter().all(|concern| concern.id != *id)) {
        Some(id) if concern::IDS_LEFT_OUT.contains(&id.as_str()) => {
            Err(format!("row {id} needs a build with --features persist"))
        }
        Some(id) => Err(format!("there is no row {id:?}")),
        None => Ok(ids),
    }
}
