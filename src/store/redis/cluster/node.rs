//! One server of a cluster, with a connection that is made again whenever it is lost.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

use super::super::address::Address;
use super::super::connection::{Connect, Dialer};
use super::super::hand::Hand;
use crate::error::Error;
use crate::runtime::{Task, sleep};

/// The wait before a server is tried again, doubled each time up to the longest.
const FIRST_BACKOFF: Duration = Duration::from_millis(20);
const LONGEST_BACKOFF: Duration = Duration::from_millis(500);

/// How a server is doing.
#[derive(Clone)]
enum State {
    /// It has not answered yet.
    New,
    Up(Hand),
    Down(Error),
}

/// See the module. Dropping it closes its connection.
pub(super) struct Node {
    pub(super) address: Address,
    state: watch::Receiver<State>,
    /// Whether the last call was answered by a failure, or not in time.
    is_failing: AtomicBool,
    /// Since when it has been late with every answer.
    late_since: Mutex<Option<Instant>>,
    patience: Duration,
    broken: Arc<Notify>,
    _keeper: Task,
}

impl Node {
    /// A server whose connection is being made. `changed` is told whenever it is lost or back.
    pub(super) fn new<C: Connect>(
        dialer: Arc<Dialer<C>>,
        address: Address,
        patience: Duration,
        changed: Arc<Notify>,
    ) -> Self {
        let (tell, state) = watch::channel(State::New);
        let broken = Arc::new(Notify::new());
        let keeper = Task::begin(keep(dialer, address.clone(), patience, tell, broken.clone(), changed));
        Self {
            address,
            state,
            is_failing: AtomicBool::new(false),
            late_since: Mutex::default(),
            patience,
            broken,
            _keeper: keeper,
        }
    }

    /// Its connection, waited for where there has never been one.
    pub(super) async fn connection(&self) -> Result<Hand, Error> {
        let mut state = self.state.clone();
        let known = state.wait_for(|state| !matches!(state, State::New)).await;
        match known.as_deref() {
            Ok(State::Up(connection)) => Ok(connection.clone()),
            Ok(State::Down(error)) => Err(error.clone()),
            Ok(State::New) | Err(_) => Err(Error::StoreUnavailable("the limiter is being closed".into())),
        }
    }

    /// Resolves when it has answered, or could not be reached, for the first time.
    pub(super) async fn tried(&self) {
        let _ = self.state.clone().wait_for(|state| !matches!(state, State::New)).await;
    }

    /// Resolves when it is no longer there, or no longer of the cluster.
    pub(super) fn lost(&self) -> impl Future<Output = ()> + use<> {
        let mut state = self.state.clone();
        async move {
            let _ = state.wait_for(|state| !matches!(state, State::Up(_))).await;
        }
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(*self.state.borrow(), State::Up(_))
    }

    /// Whether it is there and does what it is asked, as far as is known.
    pub(super) fn is_well(&self) -> bool {
        self.is_up() && !self.is_failing.load(Relaxed)
    }

    /// Why it is down, if it is.
    pub(super) fn cause(&self) -> Option<Error> {
        match &*self.state.borrow() {
            State::Down(error) => Some(error.clone()),
            State::New | State::Up(_) => None,
        }
    }

    /// It has done what it was asked.
    pub(super) fn succeeded(&self) {
        self.is_failing.store(false, Relaxed);
    }

    /// It has not.
    pub(super) fn failed(&self) {
        self.is_failing.store(true, Relaxed);
    }

    /// It has answered, whatever it was.
    pub(super) fn answered(&self) {
        *self.late_since.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// It has not answered in time. When it has not for as long as a call may take, its connection is made again: one that is
    /// broken on the way may hang for as long as the system keeps trying.
    pub(super) fn is_late(&self) {
        let mut since = self.late_since.lock().unwrap_or_else(PoisonError::into_inner);
        if since.get_or_insert_with(Instant::now).elapsed() >= self.patience {
            *since = None;
            self.broken.notify_one();
        }
    }
}

/// Connects, and connects again whenever the connection is lost, for ever.
async fn keep<C: Connect>(
    dialer: Arc<Dialer<C>>,
    address: Address,
    patience: Duration,
    tell: watch::Sender<State>,
    broken: Arc<Notify>,
    changed: Arc<Notify>,
) {
    let mut backoff = FIRST_BACKOFF;
    loop {
        match dialer.open(&address, patience).await {
            Ok(mut connection) => {
                backoff = FIRST_BACKOFF;
                tell.send_replace(State::Up(connection.handle()));
                changed.notify_one();
                let cause = tokio::select! {
                    () = connection.closed() => "the connection was lost",
                    () = broken.notified() => "it answers too slowly",
                };
                tell.send_replace(State::Down(Error::StoreUnavailable(format!("{address}: {cause}"))));
            }
            Err(error) => {
                tell.send_replace(State::Down(error));
            }
        }
        changed.notify_one();
        sleep(backoff).await;
        backoff = (backoff * 2).min(LONGEST_BACKOFF);
    }
}
