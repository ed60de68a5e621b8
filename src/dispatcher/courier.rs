//! Carries the policies that a fleet shares between the store and this process: asks whether there are others, and stores new ones.
//!
//! What they say is nobody's affair here. A question is under way beside the calls, is no call, and its failure is no failure of the
//! store: what was heard last stays. There is one exchange at a time, so that no answer overtakes another.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ledger::Known;
use super::message::{News, Ticket};
use crate::error::Error;
use crate::runtime::timeout;
use crate::store::{Exchanging, Link};

/// How often the store is asked: what no message has told is in force after this time, and the time of an answer.
const PERIOD: Duration = Duration::from_millis(500);

/// How long an answer may take. Longer than a call's: a document may be long, and nobody decides in its place.
const PATIENCE: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Default)]
pub(super) struct Courier {
    /// What the policies are called in the store. None where nothing is shared.
    key: Option<Arc<str>>,
    /// The tag of what was heard last.
    tag: String,
    under_way: Option<(Exchanging, Option<Ticket>)>,
    /// What is to be stored, and who waits for it.
    waiting: VecDeque<(Ticket, String)>,
    /// When the store is asked again; none while there is nobody to ask.
    due: Option<Instant>,
}

/// What has come of an exchange, and who waits for it.
pub(super) type Exchanged = (Option<Ticket>, Result<Vec<String>, Error>);

impl Courier {
    pub(super) fn new(known: &Known) -> Self {
        Self { key: known.policies.clone(), ..Self::default() }
    }

    /// The store answers.
    pub(super) fn came_up(&mut self) {
        self.hurry();
    }

    /// There may be something new.
    pub(super) fn hurry(&mut self) {
        self.due = self.key.as_ref().map(|_| Instant::now());
    }

    /// Takes what is to be stored.
    pub(super) fn publish(&mut self, ticket: Ticket, asked: String) {
        self.waiting.push_back((ticket, asked));
    }

    /// Whether somebody waits.
    pub(super) fn is_owed(&self) -> bool {
        !self.waiting.is_empty() || matches!(self.under_way, Some((_, Some(_))))
    }

    /// When there is something to do.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due.filter(|_| self.under_way.is_none())
    }

    /// Begins what is due. What is to be stored need not wait for a question, whose answer is then left unread.
    pub(super) fn begin(&mut self, link: &impl Link) {
        let Some(key) = &self.key else { return };
        if self.waiting.is_empty() || matches!(self.under_way, Some((_, Some(_)))) {
            let now = Instant::now();
            if self.due().is_some_and(|due| due <= now) {
                self.due = Some(now + PERIOD);
                self.under_way = Some((patiently(link.exchange(key, &format!("={}", self.tag))), None));
            }
        } else if let Some((ticket, asked)) = self.waiting.pop_front() {
            self.under_way = Some((patiently(link.exchange(key, &asked)), Some(ticket)));
        }
    }

    /// Resolves with what has come of an exchange.
    pub(super) async fn answered(&mut self) -> Exchanged {
        let Some((exchanging, ticket)) = &mut self.under_way else { return pending().await };
        let said = exchanging.await;
        let ticket = *ticket;
        self.under_way = None;
        (ticket, said)
    }

    /// Takes in what has come of an exchange. Answers what is to be told of it: a failure only to who waits for it.
    pub(super) fn heard(&mut self, (ticket, said): Exchanged) -> Option<News> {
        if let Some(tag) = said.as_ref().ok().and_then(|said| said.first()) {
            let is_known = self.tag == *tag;
            self.tag.clone_from(tag);
            if is_known && ticket.is_none() {
                return None;
            }
        } else if ticket.is_none() {
            return None;
        }
        Some(News::Policies(ticket, said))
    }

    /// The store is away, for this reason. Answers what is to be told of it.
    pub(super) fn fail(&mut self, cause: &Error) -> impl Iterator<Item = News> {
        self.due = None;
        let under_way = self.under_way.take().and_then(|(_, ticket)| ticket);
        let waiting = self.waiting.drain(..).map(|(ticket, _)| ticket);
        under_way.into_iter().chain(waiting).map(|ticket| News::Policies(Some(ticket), Err(cause.clone())))
    }
}

fn patiently(exchanging: Exchanging) -> Exchanging {
    Box::pin(async {
        let late = |_| Err(Error::StoreUnavailable(format!("no answer within {} s", PATIENCE.as_secs())));
        timeout(PATIENCE, exchanging).await.unwrap_or_else(late)
    })
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::super::scripted::Scripted;
    use super::*;

    const KEY: &str = "rl:policies:shop";

    fn courier() -> Courier {
        Courier::new(&Known { policies: Some(KEY.into()), ..Known::default() })
    }

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    /// What it asks now, with what is then told of the answer. Nothing where it asks nothing.
    fn told(
        courier: &mut Courier,
        link: &Scripted,
        said: Result<Vec<String>, Error>,
    ) -> Option<(String, Option<News>)> {
        courier.begin(link);
        let ((key, asked), answer) = link.exchanges().pop()?;
        assert_eq!(key, KEY);
        answer.send(said).expect("it is awaited");
        let exchanged = courier.answered().now_or_never().expect("it is answered");
        Some((asked, courier.heard(exchanged)))
    }

    fn away() -> Error {
        Error::StoreUnavailable("a test has said so".into())
    }

    #[test]
    fn it_asks_for_what_is_other_than_it_has_heard_at_once_and_then_once_a_period() {
        let (mut courier, link) = (courier(), Scripted::new());
        assert_eq!(courier.due(), None, "nobody has answered yet");
        assert!(told(&mut courier, &link, Ok(words(&["1"]))).is_none());

        courier.came_up();
        let begun = Instant::now();
        courier.begin(&link);
        assert_eq!(courier.due(), None, "it waits for the answer");
        courier.hurry();
        courier.begin(&link);
        let mut asked = link.exchanges();
        assert_eq!(asked.len(), 1, "one question at a time");
        let ((_, question), answer) = asked.remove(0);
        assert_eq!(question, "=");
        answer.send(Ok(words(&["1", "stored"]))).expect("it is awaited");
        let exchanged = courier.answered().now_or_never().expect("it is answered");
        let news = courier.heard(exchanged);
        assert!(matches!(news, Some(News::Policies(None, Ok(said))) if said == ["1", "stored"]));

        // In the meantime there was a word that there may be something new.
        let (question, news) = told(&mut courier, &link, Ok(words(&["1"]))).expect("it asks again");
        assert_eq!(question, "=1");
        assert!(news.is_none(), "that is known");
        assert!(courier.due().is_some_and(|due| due >= begun + PERIOD));
        assert!(told(&mut courier, &link, Ok(words(&["2"]))).is_none(), "it has asked just now");

        for (said, expected, is_told) in [
            (Err(away()), "=1", false),
            (Ok(Vec::new()), "=1", false),
            (Ok(words(&["2"])), "=1", true),
            (Err(away()), "=2", false),
        ] {
            courier.hurry();
            let (question, news) = told(&mut courier, &link, said).expect("it asks");
            assert_eq!((question.as_str(), news.is_some()), (expected, is_told));
        }
    }

    #[test]
    fn what_is_stored_waits_for_no_question_and_whoever_waits_is_told_in_turn() {
        let (mut courier, link) = (courier(), Scripted::new());
        courier.came_up();
        courier.begin(&link);
        let question = link.exchanges();
        assert!(!courier.is_owed(), "nobody waits for a question");
        courier.publish(Ticket(1), "one".into());
        courier.publish(Ticket(2), "two".into());
        courier.publish(Ticket(3), "three".into());
        assert!(courier.is_owed());
        courier.begin(&link);
        drop(question);
        courier.hurry();
        courier.begin(&link);
        let mut asked = link.exchanges();
        assert_eq!(asked.len(), 1, "one exchange at a time");
        let ((_, document), answer) = asked.remove(0);
        assert_eq!(document, "one");
        answer.send(Ok(words(&["7"]))).expect("it is awaited");
        let exchanged = courier.answered().now_or_never().expect("it is answered");
        let news = courier.heard(exchanged);
        assert!(matches!(news, Some(News::Policies(Some(Ticket(1)), Ok(said))) if said == ["7"]));

        let (document, news) = told(&mut courier, &link, Err(away())).expect("another waits");
        assert_eq!(document, "two");
        assert!(matches!(news, Some(News::Policies(Some(Ticket(2)), Err(_)))), "a failure, too");
        courier.begin(&link);
        assert!(courier.is_owed(), "the last is under way");
        let ((_, document), answer) = link.exchanges().remove(0);
        assert_eq!(document, "three");
        answer.send(Ok(words(&["7"]))).expect("it is awaited");
        let exchanged = courier.answered().now_or_never().expect("it is answered");
        let news = courier.heard(exchanged);
        assert!(matches!(news, Some(News::Policies(Some(Ticket(3)), Ok(_)))), "also where nothing is new");
        assert!(!courier.is_owed());
        let (question, news) = told(&mut courier, &link, Ok(words(&["7"]))).expect("it asks again");
        assert_eq!((question.as_str(), news.is_some()), ("=7", false), "what was heard of a document is known");
    }

    #[test]
    fn while_the_store_is_away_nothing_is_asked_and_all_who_wait_are_told_why() {
        let (mut courier, link) = (courier(), Scripted::new());
        courier.came_up();
        courier.begin(&link);
        assert_eq!(courier.fail(&away()).count(), 0, "nobody waits for a question");
        assert_eq!(courier.due(), None);
        for ticket in 1..=3 {
            courier.publish(Ticket(ticket), "document".into());
        }
        courier.begin(&link);
        let cause = away();
        let failed = courier.fail(&cause).map(|news| match news {
            News::Policies(Some(Ticket(ticket)), Err(error)) if error == cause => ticket,
            other => panic!("{other:?}"),
        });
        let failed: Vec<u64> = failed.collect();
        assert_eq!(failed, [1, 2, 3]);
        assert!(!courier.is_owed());
        assert!(courier.answered().now_or_never().is_none(), "nothing is under way");
        courier.came_up();
        assert!(courier.due().is_some_and(|due| due <= Instant::now()), "it asks at once when the store is back");
    }

    #[test]
    fn where_nothing_is_shared_nothing_is_asked() {
        let (mut courier, link) = (Courier::new(&Known::default()), Scripted::new());
        courier.came_up();
        courier.hurry();
        assert_eq!(courier.due(), None);
        courier.begin(&link);
        assert!(link.exchanges().is_empty());
    }
}
