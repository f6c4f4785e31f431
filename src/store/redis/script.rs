//! The scripts that run in Redis: what each is made of, and what it is called there.

use redis::{Cmd, Script};

const CLOCK: &str = include_str!("clock.lua");
const METER: &str = include_str!("meter.lua");
const PURSE: &str = include_str!("purse.lua");

/// All of them, known to Redis by their hash.
#[derive(Debug)]
pub(super) struct Scripts {
    pub(super) admit: Text,
    pub(super) close: Text,
    pub(super) renew: Text,
    pub(super) beat: Text,
}

/// One script.
#[derive(Debug)]
pub(super) struct Text {
    text: String,
    hash: String,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self::with_clock(CLOCK)
    }

    /// A test has a clock of its own.
    pub(super) fn with_clock(clock: &str) -> Self {
        let of = |parts: &[&str]| Text::new([&[clock], parts].concat().concat());
        Self {
            admit: of(&[METER, PURSE, include_str!("admit.lua")]),
            close: of(&[METER, PURSE, include_str!("close.lua")]),
            renew: of(&[include_str!("renew.lua")]),
            beat: of(&[include_str!("beat.lua")]),
        }
    }

    pub(super) fn all(&self) -> [&Text; 4] {
        [&self.admit, &self.close, &self.renew, &self.beat]
    }
}

impl Text {
    fn new(text: String) -> Self {
        let hash = Script::new(&text).get_hash().to_owned();
        Self { text, hash }
    }

    /// The command that runs it with `keys` keys; they and the arguments follow.
    pub(super) fn run(&self, keys: usize) -> Cmd {
        let mut command = redis::cmd("EVALSHA");
        command.arg(&self.hash).arg(keys);
        command
    }

    /// The command that makes it known.
    pub(super) fn load(&self) -> Cmd {
        let mut command = redis::cmd("SCRIPT");
        command.arg("LOAD").arg(&self.text);
        command
    }
}
