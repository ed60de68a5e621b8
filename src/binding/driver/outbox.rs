//! Mail on its way to the JavaScript thread: handed in at a letterbox, one a limiter, and taken out by the driver.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::dispatcher::{News, Settle};
use crate::store::client::Job;

/// What goes to the JavaScript thread.
pub(in crate::binding) enum Mail {
    /// Something is answered, or has changed.
    News(News),
    /// The limiter's client has something to do, under this number.
    Job(u64, Job),
    /// The limiter asks nothing more of its client.
    Released,
}

/// Has the JavaScript thread look at the outbox: once, however much there is until it does.
pub(in crate::binding) trait Wake: Send + Sync + 'static {
    /// There is mail.
    fn wake(&self);
}

/// All that has not been taken, each with the number of its limiter.
pub(super) struct Outbox<W: ?Sized> {
    mail: Mutex<Vec<(u64, Mail)>>,
    pub(super) wake: W,
}

impl<W: Wake> Outbox<W> {
    pub(super) fn new(wake: W) -> Arc<Self> {
        Arc::new(Self { mail: Mutex::default(), wake })
    }

    pub(super) fn letterbox(self: &Arc<Self>, limiter: u64) -> Letterbox {
        Letterbox { limiter, outbox: self.clone() }
    }
}

impl<W: Wake + ?Sized> Outbox<W> {
    pub(super) fn take(&self) -> Vec<(u64, Mail)> {
        std::mem::take(&mut *self.mail())
    }

    fn mail(&self) -> MutexGuard<'_, Vec<(u64, Mail)>> {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One limiter's entrance to the outbox. It lives where the driver's runtime turns: in a worker, or in what a worker owns. It is the
/// same for every driver, so that workers are compiled once.
pub(in crate::binding) struct Letterbox {
    limiter: u64,
    outbox: Arc<Outbox<dyn Wake>>,
}

impl Letterbox {
    /// Hands in one piece.
    pub(in crate::binding) fn send(&self, mail: Mail) {
        self.post(std::iter::once(mail));
    }

    fn post(&self, mail: impl Iterator<Item = Mail>) {
        self.outbox.mail().extend(mail.map(|mail| (self.limiter, mail)));
        self.outbox.wake.wake();
    }
}

impl Settle for Letterbox {
    fn settle(&mut self, news: &mut Vec<News>) {
        self.post(news.drain(..).map(Mail::News));
    }
}
