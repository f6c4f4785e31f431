//! `aione keys` and `aione tokens`: straight to the store, also where no gateway runs. A gateway
//! that runs beside notices within `keys.cache_max_age`.

use super::{ConfigFile, stores};
use crate::{clock, minting::Minting, store::Store, trail::signed};
use aione_admin::{Mint, offline};
use aione_core::{
    config::snapshot::Snapshot,
    domain::{
        id::{KeyId, TokenId},
        key::Peppers,
    },
    ports::{Change, ChangeStore, Changed, KeyFilter, KeyStore, Organization, Page},
};
use anyhow::{Context, anyhow};
use serde_json::{Map, Value, json};
use std::process::ExitCode;

/// Keys that `list` shows at most.
const LIST_MAX: u64 = 10_000;

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Make a key and print its secret, once
    Create {
        #[command(flatten)]
        config: ConfigFile,
        /// Organization, by id or slug
        #[arg(long, default_value = "default")]
        org: String,
        #[arg(long)]
        name: String,
        /// Requests per minute
        #[arg(long)]
        rpm: Option<u64>,
        /// Tokens per minute
        #[arg(long)]
        tpm: Option<u64>,
        /// For sandbox models alone, and never charged
        #[arg(long)]
        sandbox: bool,
    },
    /// List an organization's keys
    List {
        #[command(flatten)]
        config: ConfigFile,
        #[arg(long, default_value = "default")]
        org: String,
    },
    /// Give a key a new secret and print it, once
    Rotate {
        #[command(flatten)]
        config: ConfigFile,
        #[arg(long, default_value = "default")]
        org: String,
        id: KeyId,
        /// How long the former secret is still taken
        #[arg(long)]
        grace_seconds: Option<u32>,
    },
    /// Refuse a key from now on
    Disable {
        #[command(flatten)]
        config: ConfigFile,
        #[arg(long, default_value = "default")]
        org: String,
        id: KeyId,
    },
}

#[derive(clap::Subcommand)]
pub(super) enum TokenCommand {
    /// Make a management token of one organization and print it, once
    Create {
        #[command(flatten)]
        config: ConfigFile,
        #[arg(long, default_value = "default")]
        org: String,
        #[arg(long)]
        name: String,
        /// owner, admin, viewer or finance
        #[arg(long, default_value = "admin")]
        role: String,
    },
}

/// What a command works on.
struct Bench {
    snapshot: Snapshot,
    store: Store,
    org: Organization,
    minting: Minting,
}

impl Bench {
    async fn open(config: &ConfigFile, org: &str) -> anyhow::Result<Self> {
        let snapshot = stores::load(config.file.as_deref())?.snapshot;
        let (store, peppers): (Store, Peppers) = stores::open(&snapshot).await?;
        let org = stores::org(&store, org).await?;
        let minting = Minting::new(peppers, &snapshot.keys.prefix);
        Ok(Self { snapshot, store, org, minting })
    }

    /// Makes a change that leaves its row in the trail.
    async fn make(&self, action: &'static str, change: Change) -> anyhow::Result<Option<Changed>> {
        Ok(self.store.make(change, signed(self.org.id, action)).await?)
    }
}

pub(super) fn run(command: Command) -> anyhow::Result<ExitCode> {
    stores::runtime()?.block_on(async {
        match command {
            Command::Create { config, org, name, rpm, tpm, sandbox } => {
                let asked = json!({
                    "name": name, "rpm_limit": rpm, "tpm_limit": tpm, "is_sandbox": sandbox,
                });
                create(&Bench::open(&config, &org).await?, fields(asked)).await
            }
            Command::List { config, org } => list(&Bench::open(&config, &org).await?).await,
            Command::Rotate { config, org, id, grace_seconds } => {
                rotate(&Bench::open(&config, &org).await?, id, grace_seconds).await
            }
            Command::Disable { config, org, id } => {
                let bench = Bench::open(&config, &org).await?;
                let change = Change::DisableKey { org: bench.org.id, id, disabled: true };
                bench.make("key.disable", change).await?.context("no such key")?;
                Ok(())
            }
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn create(bench: &Bench, asked: Map<String, Value>) -> anyhow::Result<()> {
    let org = &bench.org;
    let team = bench.store.find_team(org.id, "default").await?.context("the organization has no team")?;
    let key = offline::new_key(asked, &bench.snapshot, org, team.id, clock::now()).map_err(refused)?;
    let minted = bench.minting.mint_key(&bench.snapshot.keys.prefix);
    let key = key(stores::new_id(KeyId::new), minted.prefix);
    bench.make("key.create", Change::InsertKey { key: Box::new(key), hash: minted.hash }).await?;
    println!("{}", minted.secret.expose());
    Ok(())
}

async fn list(bench: &Bench) -> anyhow::Result<()> {
    let page = Page { offset: 0, limit: LIST_MAX };
    for key in bench.store.list_keys(bench.org.id, &KeyFilter::default(), page, clock::now()).await? {
        println!("{}\t{:?}\t{}\t{}", key.id, key.status(clock::now()), key.prefix, key.name);
    }
    Ok(())
}

async fn rotate(bench: &Bench, id: KeyId, grace_seconds: Option<u32>) -> anyhow::Result<()> {
    let asked = grace_seconds.map_or_else(Map::new, |seconds| fields(json!({ "grace_seconds": seconds })));
    let default = bench.snapshot.keys.rotate_grace;
    let grace_until = offline::grace_until(asked, default, clock::now()).map_err(refused)?;
    let minted = bench.minting.mint_key(&bench.snapshot.keys.prefix);
    let (hash, prefix) = (minted.hash, minted.prefix);
    let change = Change::RotateKey { org: bench.org.id, id, hash, prefix, grace_until };
    bench.make("key.rotate", change).await?.context("no such key")?;
    println!("{}", minted.secret.expose());
    Ok(())
}

pub(super) fn run_tokens(command: TokenCommand) -> anyhow::Result<ExitCode> {
    let TokenCommand::Create { config, org, name, role } = command;
    stores::runtime()?.block_on(async {
        let bench = Bench::open(&config, &org).await?;
        let asked = fields(json!({ "name": name, "role": role }));
        let id = stores::new_id(TokenId::new);
        let token = offline::new_token(asked, id, bench.org.id, clock::now()).map_err(refused)?;
        let minted = bench.minting.mint_token();
        bench.make("token.create", Change::InsertToken { token, hash: minted.hash }).await?;
        println!("{}", minted.secret.expose());
        anyhow::Ok(())
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Options as the API's body would hold them.
fn fields(body: Value) -> Map<String, Value> {
    match body {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

fn refused(problems: Vec<String>) -> anyhow::Error {
    anyhow!(problems.join("\n"))
}
