//! The option `shared`: the name of the memory that the processes of one machine share.

use super::{max_memory, timeout};
use crate::clock::Micros;
use crate::error::Error;
use crate::input::{self, Given, field};

/// Which memory.
#[derive(Clone, Debug)]
pub struct SharedMemory {
    /// Its name.
    pub name: String,
    /// The size that it must have, where one is given.
    pub bytes: Option<usize>,
    /// How long a call waits for a process that has a part of it.
    pub patience: Micros,
}

/// That where nothing is said of it: longer than a process may be kept from running by others, since nothing answers in its place.
const PATIENCE: Micros = Micros::from_millis(1_000);

/// What is for a store that can be away or must be asked, and has no meaning here.
const FOREIGN: [&str; 4] = ["fallback", "onStoreError", "denyCache", "maxPending"];

/// The memory that the options name; none where they name none.
pub(super) fn read(options: &[(String, Given)]) -> Result<Option<SharedMemory>, Error> {
    let expected = "a name of 1 to 64 letters, digits, '-', '_' or '.', which does not begin with '.'";
    let given = field(options, "shared");
    let name = input::or_default(given, None, |given| {
        let fits = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
        let name = input::text("shared", given, 64, expected, fits)?;
        if name.starts_with('.') {
            return Err(Error::Option(given.refuse("shared", expected, |_| true)));
        }
        Ok(Some(name.to_owned()))
    })?;
    let Some(name) = name else { return Ok(None) };
    if let Some(foreign) = FOREIGN.iter().find(|name| *field(options, name) != Given::Missing) {
        return Err(input::contradiction(format!(
            "`{foreign}` is for a store that can be away, but `shared` was given, which decides in this process: leave one of them out"
        )));
    }
    let bytes = input::or_default(field(options, "maxMemory"), None, |given| max_memory(given).map(Some))?;
    let patience = input::or_default(field(options, "timeout"), PATIENCE, timeout)?;
    Ok(Some(SharedMemory { name, bytes, patience }))
}
