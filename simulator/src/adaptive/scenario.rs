//! What happens to the server: more is offered than it can do, or it can do less than is offered.

/// What changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The load that is offered.
    Load,
    /// What the server can do.
    Capacity,
}

/// How.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// From one moment to the next, for good.
    Step,
    /// Evenly over 20 s.
    Ramp,
    /// For 2 s.
    Spike,
}

/// Requests a second that the server can do when all is well.
pub const CAPACITY: f64 = 200.0;

/// How much of that is offered when all is well.
const USUAL: f64 = 0.7;

/// How much more than it can do is offered when it is not.
const OVER: f64 = 3.0;

/// When it begins, in seconds.
pub const BEGINS: f64 = 10.0;
/// How long all of it takes, in seconds.
pub const ENDS: f64 = 70.0;

const RAMP: f64 = 20.0;
const SPIKE: f64 = 2.0;

/// A scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// What changes.
    pub what: What,
    /// How.
    pub how: How,
}

/// All of them with their names.
pub const ALL: [(&str, Scenario); 6] = [
    ("load-step", Scenario { what: What::Load, how: How::Step }),
    ("load-ramp", Scenario { what: What::Load, how: How::Ramp }),
    ("load-spike", Scenario { what: What::Load, how: How::Spike }),
    ("capacity-step", Scenario { what: What::Capacity, how: How::Step }),
    ("capacity-ramp", Scenario { what: What::Capacity, how: How::Ramp }),
    ("capacity-spike", Scenario { what: What::Capacity, how: How::Spike }),
];

impl Scenario {
    /// Requests a second that are offered, and that the server can do, at that second.
    pub fn at(self, second: f64) -> (f64, f64) {
        let part = match self.how {
            How::Step => f64::from(second >= BEGINS),
            How::Ramp => ((second - BEGINS) / RAMP).clamp(0.0, 1.0),
            How::Spike => f64::from((BEGINS..BEGINS + SPIKE).contains(&second)),
        };
        match self.what {
            What::Load => (CAPACITY * (USUAL + (OVER - USUAL) * part), CAPACITY),
            What::Capacity => (CAPACITY * USUAL, CAPACITY * (1.0 - (1.0 - USUAL / OVER) * part)),
        }
    }

    /// The second from which on nothing changes any more.
    pub fn is_over_at(self) -> f64 {
        match self.how {
            How::Step => BEGINS,
            How::Ramp => BEGINS + RAMP,
            How::Spike => BEGINS + SPIKE,
        }
    }
}
