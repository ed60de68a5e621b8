//! A script as a function of a library: what it makes anew at each call, Redis makes once and keeps.

use redis::Cmd;

/// See the module. Its name has the digest of its text, so that those of two versions stand beside each other.
pub struct Library {
    name: String,
    text: String,
}

impl Library {
    /// A function that runs `each`, whose names are made by `once`.
    pub(super) fn new(once: &str, each: &str) -> Self {
        let known = include_str!("../../../../lua/known.lua");
        // Redis's own libraries are not there yet while a library is loaded.
        let made = format!(
            "local KEYS, ARGV, run\n\
             local function made()\n{once}\n{known}\nreturn function()\n{each}end\nend\n\
             local function call(keys, args)\n  KEYS, ARGV = keys, args\n  run = run or made()\n  return run()\nend\n"
        );
        let name = format!("rate_limiter_{}", redis::Script::new(&made).get_hash());
        let text = format!("#!lua name={name}\n{made}redis.register_function('{name}', call)\n");
        Self { name, text }
    }

    /// The name of the library, and of the only function in it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The command that makes it known to a Redis.
    pub fn load_command(&self) -> Cmd {
        let mut command = Cmd::with_capacity(3, self.text.len() + 64);
        command.arg("FUNCTION").arg("LOAD").arg(&self.text);
        command
    }
}
