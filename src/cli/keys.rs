//! `aione keys` and `aione tokens`: straight to the store, also where no gateway runs. A gateway
//! that runs beside notices within `keys.cache_max_age`.

use super::{ConfigFile, stores};
use crate::{clock, minting::Minting, store::sqlite::SqliteStore};
use aione_admin::Mint;
use aione_core::{
    config::snapshot::Snapshot,
    domain::{
        credential::{ManagementToken, Role},
        id::{KeyId, OrgId, TokenId},
        key::{Key, Peppers},
        plan::RateLimits,
    },
    ports::{KeyFilter, KeyStore, Page},
};
use anyhow::{Context, bail};
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
    store: SqliteStore,
    org: OrgId,
    minting: Minting,
}

impl Bench {
    async fn open(config: &ConfigFile, org: &str) -> anyhow::Result<Self> {
        let snapshot = stores::load(config.file.as_deref())?.snapshot;
        let (store, peppers): (SqliteStore, Peppers) = stores::open(&snapshot).await?;
        let org = stores::org(&store, org).await?;
        let minting = Minting::new(peppers, &snapshot.keys.prefix);
        Ok(Self { snapshot, store, org, minting })
    }
}

pub(super) fn run(command: Command) -> anyhow::Result<ExitCode> {
    stores::runtime()?.block_on(async {
        match command {
            Command::Create { config, org, name, rpm, tpm, sandbox } => {
                let bench = Bench::open(&config, &org).await?;
                create(&bench, name, RateLimits { rpm, tpm, ..RateLimits::default() }, sandbox).await
            }
            Command::List { config, org } => list(&Bench::open(&config, &org).await?).await,
            Command::Rotate { config, org, id, grace_seconds } => {
                rotate(&Bench::open(&config, &org).await?, id, grace_seconds).await
            }
            Command::Disable { config, org, id } => {
                let bench = Bench::open(&config, &org).await?;
                bench.store.set_disabled(bench.org, id, true).await?.context("no such key")?;
                Ok(())
            }
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn create(bench: &Bench, name: String, limits: RateLimits, is_sandbox: bool) -> anyhow::Result<()> {
    let team = bench.store.find_team(bench.org, "default").await?.context("the organization has no team")?;
    let minted = bench.minting.mint_key(&bench.snapshot.keys.prefix);
    let key = Key {
        id: stores::new_id(KeyId::new),
        org: bench.org,
        team: team.id,
        name,
        prefix: minted.prefix,
        models_allowed: Vec::new(),
        allowed_ips: Vec::new(),
        limits,
        is_sandbox,
        expires_at: None,
        disabled: false,
        rotate_grace_until: None,
        created_at: clock::now(),
        last_used_at: None,
        metadata: serde_json::Map::new(),
    };
    bench.store.insert_key(&key, &minted.hash).await?;
    println!("{}", minted.secret.expose());
    Ok(())
}

async fn list(bench: &Bench) -> anyhow::Result<()> {
    let page = Page { offset: 0, limit: LIST_MAX };
    for key in bench.store.list_keys(bench.org, &KeyFilter::default(), page, clock::now()).await? {
        println!("{}\t{:?}\t{}\t{}", key.id, key.status(clock::now()), key.prefix, key.name);
    }
    Ok(())
}

async fn rotate(bench: &Bench, id: KeyId, grace_seconds: Option<u32>) -> anyhow::Result<()> {
    let grace_ms = grace_seconds.map_or_else(
        || i64::try_from(bench.snapshot.keys.rotate_grace.as_millis()).unwrap_or(i64::MAX),
        |seconds| i64::from(seconds) * 1000,
    );
    let minted = bench.minting.mint_key(&bench.snapshot.keys.prefix);
    let grace_until = clock::now().plus_ms(grace_ms);
    let rotated = bench.store.rotate_key(bench.org, id, &minted.hash, &minted.prefix, grace_until).await?;
    rotated.context("no such key")?;
    println!("{}", minted.secret.expose());
    Ok(())
}

pub(super) fn run_tokens(command: TokenCommand) -> anyhow::Result<ExitCode> {
    let TokenCommand::Create { config, org, name, role } = command;
    let Some(role) = Role::from_name(&role) else {
        bail!("no role `{role}`: owner, admin, viewer or finance")
    };
    stores::runtime()?.block_on(async {
        let bench = Bench::open(&config, &org).await?;
        let minted = bench.minting.mint_token();
        let token = ManagementToken {
            id: stores::new_id(TokenId::new),
            org: bench.org,
            name,
            role,
            expires_at: None,
            created_at: clock::now(),
        };
        bench.store.insert_token(&token, &minted.hash).await?;
        println!("{}", minted.secret.expose());
        anyhow::Ok(())
    })?;
    Ok(ExitCode::SUCCESS)
}
