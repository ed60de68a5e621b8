//! Limits that give way under load: a level between a minimum and 1, moved by what the process says of its load, and what is left
//! of a limit for each class of calls.

mod classes;
mod controller;

pub use classes::{Classes, Share};
pub use controller::Controller;

use crate::clock::Micros;

/// What a limiter gives way by.
#[derive(Clone, Debug)]
pub struct Adaptive {
    controller: Controller,
    classes: Classes,
    /// What is left for each class, the lowest first.
    shares: Vec<Share>,
}

impl Adaptive {
    /// Whole limits, which give way down to `min`.
    pub fn new(min: f64, classes: Classes) -> Self {
        let controller = Controller::new(min);
        let shares = classes.shares(controller.level(), min);
        Self { controller, classes, shares }
    }

    /// Hears of the load at `now`; answers the level.
    pub fn observe(&mut self, now: Micros, load: f64) -> f64 {
        let level = self.controller.observe(now, load);
        self.shares = self.classes.shares(level, self.controller.min());
        level
    }

    /// The classes.
    pub fn classes(&self) -> &Classes {
        &self.classes
    }

    /// What is left for each class, the lowest first.
    pub fn shares(&self) -> &[Share] {
        &self.shares
    }

    /// What is left for the class of that index, or for that of calls that name none.
    pub fn share_of(&self, class: Option<usize>) -> Share {
        self.shares[class.unwrap_or(self.classes.usual())]
    }
}
