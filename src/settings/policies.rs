//! The option `policies`, as far as it says that the limits are what a fleet shares. Otherwise it gives limits names, see `rules`.

use crate::error::Error;
use crate::input::{self, Given, contradiction, field};

/// The name where none is given.
const DEFAULT: &str = "default";

/// Whether the option says that, and not what limits are called.
pub(super) fn is_shared(given: &Given) -> bool {
    match given {
        Given::Text(_) => true,
        Given::Record(fields) => {
            matches!(&fields[..], [(name, named)] if name == "shared" && !matches!(named, Given::Record(_)))
        }
        _ => false,
    }
}

/// The name of what is shared; none where nothing is. `is_ours` says that the store is reached by a connection of this library.
pub(super) fn read(options: &[(String, Given)], is_ours: bool) -> Result<Option<String>, Error> {
    let name = match field(options, "policies") {
        given if !is_shared(given) => return Ok(None),
        Given::Text(word) if word == "shared" => DEFAULT,
        Given::Record(fields) => {
            let fits = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
            input::text(
                "policies.shared",
                &fields[0].1,
                64,
                "a name of 1 to 64 letters, digits, '-', '_' or '.'",
                fits,
            )?
        }
        given => {
            let expected = "an object of limits with names, the path of a file, 'shared', or { shared: name }";
            return Err(Error::Option(given.refuse("policies", expected, |given| matches!(given, Given::Text(_)))));
        }
    };
    if !is_ours && *field(options, "redisClient") == Given::Missing {
        return Err(contradiction(
            "`policies` are shared through Redis: give `redisUrl`, `sentinel` or `redisClient` as well, or leave `policies` out".into(),
        ));
    }
    Ok(Some(name.to_owned()))
}
