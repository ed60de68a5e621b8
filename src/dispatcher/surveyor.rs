//! Asks, once a connection, whether the store may throw keys away.
//!
//! Nothing waits for it: the question goes beside the calls, and without an answer nothing is told.

use std::future::pending;

use crate::store::{Link, Surveying};

/// See the module.
#[derive(Default)]
pub(super) struct Surveyor {
    under_way: Option<Surveying>,
    /// What was told last.
    told: Option<String>,
}

impl Surveyor {
    /// The store answers: it is asked.
    pub(super) fn came_up(&mut self, link: &impl Link) {
        self.under_way = Some(link.survey());
    }

    /// The store is away.
    pub(super) fn went_down(&mut self) {
        self.under_way = None;
    }

    /// Resolves with what the store says.
    pub(super) async fn answered(&mut self) -> Option<String> {
        let Some(surveying) = &mut self.under_way else { return pending().await };
        let answer = surveying.await;
        self.under_way = None;
        answer
    }

    /// Takes in what the store has said. Answers what is to be told: a policy that was not told last.
    pub(super) fn heard(&mut self, policy: Option<String>) -> Option<String> {
        if self.told == policy {
            return None;
        }
        self.told = policy;
        self.told.clone()
    }
}
