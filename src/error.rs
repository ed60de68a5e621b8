//! Everything that can go wrong, one variant a cause, each with a stable code.

use std::fmt;

use crate::clock::Micros;

/// The kind of JavaScript error that a variant becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// `TypeError`: a value of the wrong kind, a missing value, an unknown name.
    Type,
    /// `RangeError`: the right kind, but outside what is accepted.
    Range,
    /// `Error`: nothing is wrong with the call itself.
    Plain,
}

/// A sentence about a bad value, and whether its kind or its range is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// `Type` or `Range`.
    pub class: Class,
    /// Names the option, what was given and what is expected.
    pub message: String,
}

/// Why a limiter could not be made, or a call not be decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// An option has a value that is not accepted.
    Option(Rejection),
    /// An option has a name that nobody knows.
    UnknownOption(String),
    /// `redisUrl` is not the URL of a Redis server. The message never shows a password.
    Url(String),
    /// A key is not a non-empty string.
    Key(String),
    /// A cost is not a whole number from 1 to the capacity.
    Cost(Rejection),
    /// Nobody has said what the limit of this key is.
    NoLimit(String),
    /// The store or the algorithm cannot do what was asked.
    Unsupported(String),
    /// A synchronous answer was asked of a limiter that must ask a store.
    NotLocal,
    /// The limiter has been closed.
    Closed,
    /// The store did not answer within the timeout.
    StoreTimeout {
        /// The timeout that ran out.
        after: Micros,
    },
    /// The store cannot be reached, or refuses to work. It may have done it all the same.
    StoreUnavailable(String),
    /// The same, and it has done nothing: it was not sent the call, or said so instead of doing anything.
    StoreAway(String),
    /// As [`StoreUnavailable`](Self::StoreUnavailable), of a part of the store; the rest of it is well.
    PartUnavailable(String),
    /// As [`StoreAway`](Self::StoreAway), of a part of the store; the rest of it is well.
    PartAway(String),
    /// More calls wait for the store than `maxPending`.
    Overloaded {
        /// The bound that was met.
        max_pending: usize,
    },
    /// Redis holds something under this key that the limiter did not write.
    State(String),
    /// The file of shared memory cannot be made or used on this system.
    SharedUnavailable(String),
    /// It is not only this user's.
    SharedUnsafe(String),
    /// It is of another version, of another size, or damaged.
    SharedFormat(String),
    /// It has no room for a block or a penalty.
    SharedFull,
    /// Another process has held a part of it for longer than the timeout.
    SharedTimeout {
        /// The timeout that ran out.
        after: Micros,
    },
    /// A defect of this library.
    Internal(String),
}

impl Error {
    /// The stable name of this cause, as `error.code` shows it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Option(_) => "ERR_RATE_LIMIT_OPTION",
            Self::UnknownOption(_) => "ERR_RATE_LIMIT_UNKNOWN_OPTION",
            Self::Url(_) => "ERR_RATE_LIMIT_URL",
            Self::Key(_) => "ERR_RATE_LIMIT_KEY",
            Self::Cost(_) => "ERR_RATE_LIMIT_COST",
            Self::NoLimit(_) => "ERR_RATE_LIMIT_NO_LIMIT",
            Self::Unsupported(_) => "ERR_RATE_LIMIT_UNSUPPORTED",
            Self::NotLocal => "ERR_RATE_LIMIT_NOT_LOCAL",
            Self::Closed => "ERR_RATE_LIMIT_CLOSED",
            Self::StoreTimeout { .. } => "ERR_RATE_LIMIT_STORE_TIMEOUT",
            Self::StoreUnavailable(_) | Self::StoreAway(_) | Self::PartUnavailable(_) | Self::PartAway(_) => {
                "ERR_RATE_LIMIT_STORE_UNAVAILABLE"
            }
            Self::Overloaded { .. } => "ERR_RATE_LIMIT_OVERLOADED",
            Self::State(_) => "ERR_RATE_LIMIT_STATE",
            Self::SharedUnavailable(_) => "ERR_RATE_LIMIT_SHARED_UNAVAILABLE",
            Self::SharedUnsafe(_) => "ERR_RATE_LIMIT_SHARED_UNSAFE",
            Self::SharedFormat(_) => "ERR_RATE_LIMIT_SHARED_FORMAT",
            Self::SharedFull => "ERR_RATE_LIMIT_SHARED_FULL",
            Self::SharedTimeout { .. } => "ERR_RATE_LIMIT_SHARED_TIMEOUT",
            Self::Internal(_) => "ERR_RATE_LIMIT_INTERNAL",
        }
    }

    /// The kind of JavaScript error that it becomes.
    pub fn class(&self) -> Class {
        match self {
            Self::Option(rejection) | Self::Cost(rejection) => rejection.class,
            Self::UnknownOption(_) | Self::Url(_) | Self::Key(_) => Class::Type,
            _ => Class::Plain,
        }
    }

    /// Whether the store as a whole is in trouble, so that other calls will meet the same. Counts towards the circuit.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::StoreTimeout { .. } | Self::StoreUnavailable(_) | Self::StoreAway(_) | Self::Overloaded { .. }
        )
    }
}

impl Error {
    /// The same of a part of the store, where another part is well: no reason to leave all of it alone.
    pub(crate) fn of_a_part(self) -> Self {
        match self {
            Self::StoreUnavailable(reason) => Self::PartUnavailable(reason),
            Self::StoreAway(reason) => Self::PartAway(reason),
            other => other,
        }
    }

    /// The same where nothing was done.
    pub(crate) fn unsent(self) -> Self {
        match self {
            Self::StoreUnavailable(reason) => Self::StoreAway(reason),
            Self::PartUnavailable(reason) => Self::PartAway(reason),
            other => other,
        }
    }

    /// The same where something may have been done elsewhere.
    pub(crate) fn perhaps_sent(self) -> Self {
        match self {
            Self::StoreAway(reason) => Self::StoreUnavailable(reason),
            Self::PartAway(reason) => Self::PartUnavailable(reason),
            other => other,
        }
    }

    /// Whether the store has done nothing.
    pub(crate) fn is_unsent(&self) -> bool {
        matches!(self, Self::StoreAway(_) | Self::PartAway(_))
    }

    /// Whether it says nothing of how the rest of the store is.
    pub(crate) fn is_of_a_part(&self) -> bool {
        matches!(self, Self::PartUnavailable(_) | Self::PartAway(_))
    }

    /// The same for calls that were not even tried: a timeout that somebody else met is no timeout of theirs.
    pub(crate) fn into_unavailable(self) -> Self {
        match self {
            Self::StoreTimeout { after } => {
                Self::StoreUnavailable(format!("it did not answer within {} ms", after.as_millis_up()))
            }
            other => other,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Option(rejection) | Self::Cost(rejection) => f.write_str(&rejection.message),
            Self::UnknownOption(message)
            | Self::Url(message)
            | Self::Key(message)
            | Self::NoLimit(message)
            | Self::Unsupported(message) => f.write_str(message),
            Self::NotLocal => f.write_str(
                "isAllowedSync answers only where this process decides, and this limiter asks a store: use `await limiter.isAllowed(key)`",
            ),
            Self::Closed => f.write_str("this limiter has been closed: make a new one"),
            Self::StoreTimeout { after } => write!(
                f,
                "the store did not answer within {} ms: raise `timeout`, or choose what happens with `onStoreError`",
                after.as_millis_up()
            ),
            Self::StoreUnavailable(reason)
            | Self::StoreAway(reason)
            | Self::PartUnavailable(reason)
            | Self::PartAway(reason) => write!(
                f,
                "the store is not available ({reason}): check the server and `redisUrl`, or the client that was given, or choose what happens with `onStoreError`"
            ),
            Self::Overloaded { max_pending } => write!(
                f,
                "{max_pending} calls wait for the store already: raise `maxPending`, or choose what happens with `onStoreError`"
            ),
            Self::State(reason) => write!(
                f,
                "Redis holds something under this key that no limiter wrote ({reason}): delete it with `limiter.reset(key)`, or give this limiter a `prefix` of its own"
            ),
            Self::SharedUnavailable(reason) => write!(
                f,
                "shared memory is not to be had here ({reason}): make room for the file or give a smaller `maxMemory`, or leave `shared` out"
            ),
            Self::SharedUnsafe(reason) => write!(
                f,
                "the file of `shared` is not safe to use ({reason}): see who has made it, delete it, and make a new limiter"
            ),
            Self::SharedFormat(reason) => write!(
                f,
                "the file of `shared` cannot be used ({reason}): give another name, or end all processes that use it and delete it"
            ),
            Self::SharedFull => f.write_str(
                "shared memory has no room for this key: all that are there still count, so end all processes, delete the file and give a larger `maxMemory`",
            ),
            Self::SharedTimeout { after } => write!(
                f,
                "another process has held a part of the shared memory for more than {} ms: it has been stopped, so let it go on, or end it",
                after.as_millis_up()
            ),
            Self::Internal(reason) => write!(f, "a defect in distributed-rate-limiter, please report it: {reason}"),
        }
    }
}

impl std::error::Error for Error {}
