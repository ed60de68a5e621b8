//! A hand on a connection, which runs scripts on the server behind it.
//!
//! What is run again and again is called as a function of a library, where the server has such: it is made once, a script at each
//! call. The library is loaded when it is missing; where that, or calling it, is not known or not permitted, scripts serve as well.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, RedisError, RedisResult, ServerErrorKind, Value};

use super::script::{Library, Packed, Script};

/// See the module. Its clones share what is known of the server.
#[derive(Clone)]
pub struct Hand {
    connection: MultiplexedConnection,
    /// Whether the server has not yet refused to call functions, or to load them.
    calls_functions: Arc<AtomicBool>,
}

impl Hand {
    /// The first on a connection.
    pub fn new(connection: MultiplexedConnection) -> Self {
        Self { connection, calls_functions: Arc::new(AtomicBool::new(true)) }
    }

    /// Sends a command. An error that Redis replies is one of this side's too.
    pub async fn send(&mut self, command: &Cmd) -> RedisResult<Value> {
        accept(self.connection.send_packed_command(command).await?)
    }

    /// Sends two commands in one write, so that nobody's comes between them.
    pub async fn send_both(&mut self, first: Cmd, second: Cmd) -> RedisResult<[RedisResult<Value>; 2]> {
        let mut both = Pipeline::with_capacity(2);
        both.add_command(first).add_command(second);
        let replies = self.connection.send_packed_commands(&both, 0, 2).await?;
        <[Value; 2]>::try_from(replies).map(|replies| replies.map(accept)).map_err(|_| {
            RedisError::from((redis::ErrorKind::UnexpectedReturnType, "two commands have not two replies"))
        })
    }

    /// Hears of what is published on channels of a pattern.
    pub async fn psubscribe(&mut self, pattern: &[u8]) -> RedisResult<()> {
        self.connection.psubscribe(pattern).await
    }

    /// Runs a script. Nothing is sent again but where Redis has said that it did nothing.
    pub async fn evaluate(&mut self, script: &Script, call: &Packed) -> RedisResult<Value> {
        if let Some(library) = script.library()
            && self.calls_functions.load(Relaxed)
            && let Some(reply) = self.call_function(library, call).await
        {
            return reply;
        }
        // Not known after a restart, a flush, a failover.
        match self.send(&call.command("EVALSHA", script.digest())).await {
            Err(error) if error.kind() == ServerErrorKind::NoScript.into() => {
                self.send(&call.command("EVAL", script.text())).await
            }
            reply => reply,
        }
    }

    /// Calls the function. `None` where the server has done nothing, and is to be asked by a script.
    async fn call_function(&mut self, library: &Library, call: &Packed) -> Option<RedisResult<Value>> {
        let command = call.command("FCALL", library.name());
        let mut reply = self.send(&command).await;
        if reply.as_ref().is_err_and(is_missing) {
            reply = match self.send_both(library.load_command(), command).await {
                Ok([loaded, reply]) => {
                    if loaded.is_err_and(|error| !is_there_already(&error)) {
                        self.calls_functions.store(false, Relaxed);
                    }
                    reply
                }
                Err(error) => Err(error),
            };
        }
        match reply {
            Err(error) if is_missing(&error) => None,
            Err(error) => match refusal(&error, call) {
                Some(Refusal::Ever) => {
                    self.calls_functions.store(false, Relaxed);
                    None
                }
                Some(Refusal::Now) => None,
                None => Some(Err(error)),
            },
            reply => Some(reply),
        }
    }
}

/// How a server refuses to call a function at all, which a script may be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// It knows no functions, or this user may not call them.
    Ever,
    /// It takes no writes: a script is run all the same, and each of its commands is told so.
    Now,
}

fn refusal(error: &RedisError, call: &Packed) -> Option<Refusal> {
    match error.code()? {
        "NOPERM" => Some(Refusal::Ever),
        "ERR" if detail(error).starts_with("unknown command") => Some(Refusal::Ever),
        // What stands between may have words of its own. Where nothing is asked nothing can have been done.
        "ERR" if call.keys().1.is_empty() => Some(Refusal::Ever),
        "OOM" | "READONLY" | "MISCONF" | "NOREPLICAS" => Some(Refusal::Now),
        _ => None,
    }
}

/// Whether the server does not know the function.
fn is_missing(error: &RedisError) -> bool {
    error.code() == Some("ERR") && detail(error).starts_with("Function not found")
}

/// Whether somebody else has just loaded the library.
fn is_there_already(error: &RedisError) -> bool {
    error.code() == Some("ERR") && detail(error).ends_with("already exists")
}

fn detail(error: &RedisError) -> &str {
    error.detail().unwrap_or_default()
}

fn accept(value: Value) -> RedisResult<Value> {
    match value {
        Value::ServerError(error) => Err(error.into()),
        value => Ok(value),
    }
}
