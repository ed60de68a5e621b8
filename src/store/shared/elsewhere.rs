//! The store that processes share, on systems where there is none.

use smallvec::SmallVec;

use crate::algorithm::{Ask, Outcome};
use crate::clock::Micros;
use crate::error::Error;
use crate::limits::Limit;
use crate::store::Request;

/// Nobody has one.
pub enum Shared {}

impl Shared {
    /// Says that there is none.
    pub fn open(_: &str, _: Option<usize>, _: Micros) -> Result<Self, Error> {
        Err(Error::Unsupported(
            "`shared` needs Linux, whose locks outlive a process that is killed: give a `redisUrl`, or leave `shared` out".into(),
        ))
    }

    /// Nobody asks.
    pub fn len(&self) -> usize {
        match *self {}
    }

    /// Nobody asks.
    pub fn bytes(&self) -> usize {
        match *self {}
    }

    /// Nobody asks.
    pub fn is_empty(&self) -> bool {
        match *self {}
    }

    /// Nobody asks.
    pub fn decide(&self, _: &Limit, _: &[u8], _: Ask) -> Result<Outcome, Error> {
        match *self {}
    }

    /// Nobody asks.
    pub fn answer(&self, _: &Request) -> Result<SmallVec<[Outcome; 1]>, Error> {
        match *self {}
    }
}
