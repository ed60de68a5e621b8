//! The option `policies`: whether the limits are what a fleet shares.

use crate::error::Error;
use crate::input::{self, Given, contradiction, field};

/// The name where none is given.
const DEFAULT: &str = "default";

/// The name of what is shared; none where nothing is. `is_ours` says that the store is reached by a connection of this library.
pub(super) fn read(options: &[(String, Given)], is_ours: bool) -> Result<Option<String>, Error> {
    let expected = "'shared', or { shared: name } with a name of 1 to 64 letters, digits, '-', '_' or '.'";
    let name = match field(options, "policies") {
        Given::Missing => return Ok(None),
        Given::Text(word) if word == "shared" => DEFAULT,
        Given::Record(fields) if matches!(&fields[..], [(name, _)] if name == "shared") => {
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
            let fits = |given: &Given| matches!(given, Given::Text(_) | Given::Record(_));
            return Err(Error::Option(given.refuse("policies", expected, fits)));
        }
    };
    if !is_ours && *field(options, "redisClient") == Given::Missing {
        return Err(contradiction(
            "`policies` are shared through Redis: give `redisUrl`, `sentinel` or `redisClient` as well, or leave `policies` out".into(),
        ));
    }
    Ok(Some(name.to_owned()))
}
