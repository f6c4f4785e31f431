//! The scripts in a real Redis, under a clock of the tests' own.

mod leases;
mod meaning;
mod purses;

use super::{
    lease::{Entrance, Exit, Lease, Turned},
    script::Scripts,
};
use crate::store::local::Ask;
use aione_core::domain::{
    budget::Claims,
    clock::Steady,
    id::{KeyId, OrgId, RecordId, TeamId},
    limit::{Refused, View},
    plan::RateLimits,
};
use redis::{Client, Commands, Connection};
use std::{
    process::{Child, Command, Stdio},
    sync::Arc,
    thread::sleep,
    time::Duration,
};
use uuid::Uuid;

const S: u64 = 1_000_000_000;
/// Microseconds since 1970, as the tests have set it.
const CLOCK: &str = "local function clock() return tonumber(redis.call('GET', 'now')) end\n";
/// The scripts' time when the steady clock is at zero.
const EPOCH_US: u64 = 1_800_000_000_000_000;
/// How often it is looked for a server that starts, and how long.
const LOOK: Duration = Duration::from_millis(5);
const LOOKS: u32 = 4_000;

/// A server behind a socket in a folder of its own; it ends with the value.
struct Server {
    child: Child,
    connection: Connection,
    scripts: Scripts,
    _folder: tempfile::TempDir,
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let child = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--unixsocket"])
            .arg(&socket)
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server, which scripts/prepare-tests.sh installs");
        let client = Client::open(format!("unix://{}", socket.display())).unwrap();
        let connect = || {
            sleep(LOOK);
            client.get_connection().ok()
        };
        let connection = (0..LOOKS).find_map(|_| connect()).expect("a server in time");
        let mut server = Self { child, connection, scripts: Scripts::with_clock(CLOCK), _folder: folder };
        server.load();
        server
    }

    fn load(&mut self) {
        for script in self.scripts.all() {
            script.load().exec(&mut self.connection).unwrap();
        }
    }

    fn set(&mut self, now: Steady) {
        let _: () = self.connection.set("now", EPOCH_US + now.0 / 1_000).unwrap();
    }

    fn decide(&mut self, lease: &Lease, entrance: Entrance, now: Steady) -> Result<View, Turned> {
        self.set(now);
        let command = lease.enter(&self.scripts.admit, entrance);
        let answer: Vec<i64> = command.query(&mut self.connection).unwrap();
        lease.read(&answer).unwrap()
    }

    /// The same where only limits can refuse.
    fn enter(&mut self, lease: &Lease, entrance: Entrance, now: Steady) -> Result<View, Refused> {
        self.decide(lease, entrance, now).map_err(|turned| match turned {
            Turned::ByLimit(refused) => refused,
            Turned::ByPurse(owner) => panic!("nothing claims anything, and {owner:?} refuses"),
        })
    }

    fn leave(&mut self, lease: &Lease, exit: Exit, now: Steady) {
        self.set(now);
        lease.leave(&self.scripts.close, exit).exec(&mut self.connection).unwrap();
    }

    /// Renews, and says for how many meters the lease was not there any more.
    fn renew(&mut self, lease: &Lease, now: Steady) -> usize {
        self.set(now);
        let mut command = self.scripts.renew.run(lease.renewed_keys());
        lease.name_renewed(&mut command);
        command.arg(30_000).arg(62_000);
        lease.repeat_id(&mut command);
        let lost: Vec<Vec<u8>> = command.query(&mut self.connection).unwrap();
        assert!(lost.iter().all(|id| id == lease.id.0.as_bytes()));
        lost.len()
    }

    /// Everything that is kept, but for the clock.
    fn keys(&mut self) -> Vec<String> {
        let mut keys: Vec<String> = self.connection.keys("aione:*").unwrap();
        keys.sort();
        keys
    }

    fn flush(&mut self) {
        redis::cmd("FLUSHALL").exec(&mut self.connection).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn at(seconds: u64) -> Steady {
    Steady(seconds * S)
}

fn limits(rpm: Option<u64>, tpm: Option<u64>, rpd: Option<u64>, concurrency: Option<u64>) -> RateLimits {
    RateLimits { rpm, tpm, rpd, concurrency }
}

/// Request `n` of one key and organization under these limits, strict, of so many tokens.
fn lease(n: u128, key: RateLimits, org: RateLimits, tokens: u64) -> Lease {
    paid(n, key, org, tokens, &Claims::default())
}

/// The same, which claims this of purses.
fn paid(n: u128, key: RateLimits, org: RateLimits, tokens: u64, claims: &Claims) -> Lease {
    let ask = Ask {
        key: KeyId(Uuid::from_u128(1)),
        key_limits: key,
        team: TeamId(Uuid::from_u128(2)),
        team_limits: RateLimits::default(),
        org: OrgId(Uuid::from_u128(3)),
        org_limits: org,
        model: &Arc::from("m"),
        plan_limits: RateLimits::default(),
        estimated_input: tokens,
        ceiling: 0,
        reserve_cap: None,
    };
    Lease::of(&ask, claims, RecordId(Uuid::from_u128(n)), at(0)).expect("something is limited or claimed")
}

/// The same of the key's limits alone.
fn of_key(n: u128, key: RateLimits, tokens: u64) -> Lease {
    lease(n, key, RateLimits::default(), tokens)
}

/// It was admitted elsewhere so many seconds ago, and has ended since.
fn afterwards(ago_s: u64) -> Entrance {
    Entrance::Count { ago_s, still_runs: false }
}
