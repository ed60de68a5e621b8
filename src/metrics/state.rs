//! How a limiter's store is doing, in words.

/// Whether it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum StoreState {
    /// There is none but this process's memory.
    None,
    /// It has not answered yet.
    Connecting,
    /// It answers.
    Up,
    /// It does not.
    Down,
}

impl StoreState {
    /// All of them, in the order of their numbers.
    pub(super) const ALL: [Self; 4] = [Self::None, Self::Connecting, Self::Up, Self::Down];

    /// The name in `stats()`.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Connecting => "connecting",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// Whether it is asked, as callers see it: one that has not answered yet is waited for, and one that is on trial is not asked for most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum CircuitState {
    /// There is no store.
    None,
    /// It is asked.
    Closed,
    /// It is left alone.
    Open,
    /// It is being tried.
    HalfOpen,
}

impl CircuitState {
    /// All of them, in the order of their numbers.
    pub(super) const ALL: [Self; 4] = [Self::None, Self::Closed, Self::Open, Self::HalfOpen];

    /// The name in `stats()`.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }
}
