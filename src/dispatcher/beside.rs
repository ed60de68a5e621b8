//! What a worker does beside the calls: it announces this instance and its level, hears of keys, asks how the store is kept, tells it what it has
//! missed, carries shared policies. No call waits for any of these.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{OptionFuture, join};

use super::courier::{Courier, Exchanged};
use super::envoy::Envoy;
use super::herald::Herald;
use super::ledger::Known;
use super::listener::Listener;
use super::message::{News, Ticket};
use super::surveyor::Surveyor;
use super::teller::Teller;
use crate::adaptive::{Share, Sum};
use crate::arrears::Arrears;
use crate::error::Error;
use crate::fleet::Fleet;
use crate::store::Link;

/// See the module.
pub(super) struct Beside {
    herald: Herald,
    envoy: Envoy,
    listener: Listener,
    surveyor: Surveyor,
    teller: Teller,
    courier: Courier,
}

/// What has come of it.
pub(super) enum Done {
    Announced(Result<u64, Error>),
    Levelled(Share, Result<Sum, Error>),
    Surveyed(Option<String>),
    Told(usize),
    Exchanged(Exchanged),
    Heard,
}

impl Beside {
    pub(super) fn new(fleet: Option<Arc<Fleet>>, arrears: Option<Arc<Arrears>>, known: Known) -> Self {
        Self {
            herald: Herald::new(fleet),
            envoy: Envoy::new(known.levels.clone()),
            courier: Courier::new(&known),
            listener: Listener::new(known),
            surveyor: Surveyor::default(),
            teller: Teller::new(arrears),
        }
    }

    /// The store answers.
    pub(super) fn came_up(&mut self, link: &impl Link) {
        self.surveyor.came_up(link);
        self.herald.came_up();
        self.envoy.came_up();
        self.listener.came_up();
        self.courier.came_up();
    }

    /// The store is away.
    pub(super) fn went_down(&mut self) {
        self.herald.went_down();
        self.envoy.went_down();
        self.listener.went_down();
        self.surveyor.went_down();
    }

    /// Begins what is due. Where the store `works` it can be told things, which may take `patience`. Answers what is to be told of it.
    pub(super) fn begin<L: Link>(
        &mut self,
        link: &L,
        works: bool,
        patience: Duration,
    ) -> impl Iterator<Item = News> + use<L> {
        let told = [self.herald.beat(link), self.envoy.tell(link)];
        self.listener.listen(link);
        self.courier.begin(link);
        if works {
            self.teller.tell(link.store(), patience);
        }
        told.into_iter().flatten().map(News::FleetUnknown)
    }

    /// When there is something to begin.
    pub(super) fn due(&self, works: bool) -> Option<Instant> {
        let telling = self.teller.due().filter(|_| works);
        [self.herald.due(), self.envoy.due(), self.listener.due(), self.courier.due(), telling]
            .into_iter()
            .flatten()
            .min()
    }

    /// Resolves when something has come of it.
    pub(super) async fn done(&mut self) -> Done {
        tokio::select! {
            biased;
            answer = self.herald.answered() => Done::Announced(answer),
            (told, answer) = self.envoy.answered() => Done::Levelled(told, answer),
            answer = self.surveyor.answered() => Done::Surveyed(answer),
            keys = self.teller.answered() => Done::Told(keys),
            exchanged = self.courier.answered() => Done::Exchanged(exchanged),
            of_policies = self.listener.heard() => {
                if of_policies {
                    self.courier.hurry();
                }
                Done::Heard
            }
        }
    }

    /// Takes in an answer to an announcement. Answers what is to be told of it.
    pub(super) fn announced(&mut self, answer: Result<u64, Error>) -> Option<News> {
        self.herald.heard(answer).map(News::FleetUnknown)
    }

    /// Takes in an answer to where this instance stands. Answers what is to be told of it.
    pub(super) fn levelled(&mut self, told: Share, answer: Result<Sum, Error>) -> Option<News> {
        self.envoy.heard(told, answer).map(News::FleetUnknown)
    }

    /// Takes in by which policy keys may be evicted. Answers what is to be told of it.
    pub(super) fn surveyed(&mut self, answer: Option<String>) -> Option<News> {
        self.surveyor.heard(answer).map(News::StoreEvicts)
    }

    /// Takes policies that are to be stored.
    pub(super) fn publish(&mut self, ticket: Ticket, asked: String) {
        self.courier.publish(ticket, asked);
    }

    /// Whether somebody waits for what is done beside the calls.
    pub(super) fn is_owed(&self) -> bool {
        self.courier.is_owed()
    }

    /// Takes in what has come of an exchange of policies. Answers what is to be told of it.
    pub(super) fn exchanged(&mut self, exchanged: Exchanged) -> Option<News> {
        self.courier.heard(exchanged)
    }

    /// The store is away, for this reason. Answers what is to be told to who waits for it.
    pub(super) fn fail(&mut self, cause: &Error) -> impl Iterator<Item = News> {
        self.courier.fail(cause)
    }

    /// Begins to take the instance off the list, for good.
    pub(super) fn leave<L: Link>(&mut self, link: &L) -> impl Future<Output = ()> + use<L> {
        let leaving = (OptionFuture::from(self.herald.leave(link)), OptionFuture::from(self.envoy.leave(link)));
        async move { drop(join(leaving.0, leaving.1).await) }
    }
}
