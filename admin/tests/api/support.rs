//! Two organizations, their tokens, one configuration, and a way to call.

use crate::{
    fake::{World, hash},
    node::Node,
};
use aione_admin::{Admin, BASE, Listener, Peer};
use aione_core::{
    config::snapshot::{
        self, BaseUrl, Billing, CoolDown, Database, Deployment, Drain, Http2, JournalSync, Keys, Limits, Log,
        Model, OnDisconnect, OnRedisLoss, OperatorToken, Policy, Provider, RetryOn, Route, Secret, Server,
        Snapshot, Storage, Timeouts, UnpricedPolicy,
    },
    domain::{
        budget::Terms,
        clock::Timestamp,
        credential::{ManagementToken, Role},
        id::{OrgId, TeamId, TokenId},
        invoice::TaxRate,
        money::Rate,
        plan::{Plan, RateLimits},
        price::{ModelPrice, PriceBook, PricePeriod, Rates},
    },
    ports::{Organization, Team},
    provider,
    wire::Dialect,
};
use axum::{
    Router,
    body::{Body, HttpBody as _},
    http::{HeaderMap, Method, Request, StatusCode, Version},
};
use serde_json::Value;
use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};
use tower::ServiceExt;

/// 2026-11-23T16:30:00Z, which is already the 24th in Shanghai.
pub(crate) const NOW: Timestamp = Timestamp(1_795_451_400_000);
pub(crate) const OPERATOR: &str = "op-0123456789abcdef0123456789abcdef";
/// SHA-256 of [`OPERATOR`].
const OPERATOR_SHA256: &str = "668dd7c209485fd1dcc409a2770f3957c4b19e59464fc8c254bbf14b58458bcb";
pub(crate) const OWNER: &str = "mt-acme-owner";
pub(crate) const ADMIN: &str = "mt-acme-admin";
pub(crate) const VIEWER: &str = "mt-acme-viewer";
pub(crate) const FINANCE: &str = "mt-acme-finance";
pub(crate) const OTHER_OWNER: &str = "mt-globex-owner";
pub(crate) const UPSTREAM_SECRET: &str = "sk-upstream-credential-marker";
pub(crate) const SECRET_PATH: &str = "/tenant-secret-path";

pub(crate) const ACME: OrgId = OrgId(uuid::Uuid::from_u128(0xa));
pub(crate) const GLOBEX: OrgId = OrgId(uuid::Uuid::from_u128(0xb));
pub(crate) const ACME_TEAM: TeamId = TeamId(uuid::Uuid::from_u128(0xa1));
pub(crate) const GLOBEX_TEAM: TeamId = TeamId(uuid::Uuid::from_u128(0xb1));

pub(crate) struct Api {
    router: Router,
    pub(crate) world: Arc<World>,
    pub(crate) node: Arc<Node>,
}

/// A request that is being put together.
pub(crate) struct Call<'a> {
    api: &'a Api,
    request: axum::http::request::Builder,
    listener: Listener,
    peer: Option<IpAddr>,
    body: Body,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Bytes of the body, where that is known before it is sent.
    pub(crate) length: Option<u64>,
    pub(crate) text: String,
}

impl Api {
    pub(crate) fn new() -> Self {
        let world = Arc::new(World::new(snapshot(), NOW));
        let node = Arc::new(Node::of(&world.snapshot));
        {
            let mut state = world.state();
            for (id, slug, team) in [(ACME, "acme", ACME_TEAM), (GLOBEX, "globex", GLOBEX_TEAM)] {
                state.orgs.push(Organization {
                    id,
                    slug: slug.to_owned(),
                    name: slug.to_owned(),
                    plan: Arc::from("standard"),
                    next_plan: None,
                    limits: RateLimits::default(),
                    terms: Terms::default(),
                    tax_rate: TaxRate::default(),
                    time_zone: chrono_tz::Asia::Shanghai,
                    created_at: NOW,
                });
                state.teams.push(Team {
                    id: team,
                    org: id,
                    name: "default".to_owned(),
                    limits: RateLimits::default(),
                    monthly_budget: None,
                    created_at: NOW,
                });
            }
            for (secret, org, role) in [
                (OWNER, ACME, Role::Owner),
                (ADMIN, ACME, Role::Admin),
                (VIEWER, ACME, Role::Viewer),
                (FINANCE, ACME, Role::Finance),
                (OTHER_OWNER, GLOBEX, Role::Owner),
            ] {
                let token = ManagementToken {
                    id: TokenId(uuid::Uuid::from_u128(0xf0 + state.tokens.len() as u128)),
                    org,
                    name: "a token".to_owned(),
                    role,
                    expires_at: None,
                    created_at: NOW,
                };
                state.tokens.push((token, hash(secret)));
            }
        }
        let router = aione_admin::router(Admin {
            keys: world.clone(),
            changes: world.clone(),
            usage: world.clone(),
            ledger: world.clone(),
            invoices: world.clone(),
            fleet: world.clone(),
            live: world.clone(),
            spending: world.clone(),
            config: world.clone(),
            margins: world.clone(),
            upstreams: node.clone(),
            surroundings: world.clone(),
            mint: world.clone(),
        });
        Self { router, world, node }
    }

    /// A call on the admin listener to a path under `/api/v1`.
    pub(crate) fn call(&self, method: Method, path: &str) -> Call<'_> {
        let request = Request::builder().method(method).uri(format!("{BASE}{path}"));
        Call { api: self, request, listener: Listener::Admin, peer: None, body: Body::empty() }
    }

    pub(crate) fn get(&self, path: &str) -> Call<'_> {
        self.call(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &str) -> Call<'_> {
        self.call(Method::POST, path)
    }

    pub(crate) fn put(&self, path: &str) -> Call<'_> {
        self.call(Method::PUT, path)
    }

    /// Makes a key as acme's owner; its id and its secret.
    pub(crate) async fn key(&self, body: &str) -> (String, String) {
        let made = self.post("/gateway/keys").with(OWNER).body(body).send().await;
        assert_eq!(made.status, 201, "{}", made.text);
        let made = made.json();
        (made["id"].as_str().unwrap().to_owned(), made["key"].as_str().unwrap().to_owned())
    }
}

impl Call<'_> {
    pub(crate) fn with(self, credential: &str) -> Self {
        self.header("authorization", &format!("Bearer {credential}"))
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    pub(crate) fn org(self, name: &str) -> Self {
        self.header("x-aione-org", name)
    }

    pub(crate) fn by(mut self, version: Version) -> Self {
        self.request = self.request.version(version);
        self
    }

    pub(crate) fn public(mut self) -> Self {
        self.listener = Listener::Public;
        self
    }

    pub(crate) fn from(mut self, address: &str) -> Self {
        self.peer = Some(address.parse().unwrap());
        self
    }

    pub(crate) fn body(mut self, text: &str) -> Self {
        self.body = Body::from(text.to_owned());
        self
    }

    pub(crate) async fn send(self) -> Answer {
        let mut request = self.request.body(self.body).unwrap();
        request.extensions_mut().insert(self.listener);
        if let Some(address) = self.peer {
            request.extensions_mut().insert(Peer(address));
        }
        let (head, body) = self.api.router.clone().oneshot(request).await.unwrap().into_parts();
        let length = body.size_hint().exact();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Answer {
            status: head.status,
            headers: head.headers,
            length,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    /// Status and `code`.
    pub(crate) fn refusal(&self) -> (u16, String) {
        (self.status.as_u16(), self.json()["code"].as_str().unwrap_or_default().to_owned())
    }

    /// Of a 422: the place and the type of each problem, `body.name string_type`.
    pub(crate) fn problems(&self) -> Vec<String> {
        assert_eq!(self.status, 422, "{}", self.text);
        let body = self.json();
        let problems = body["detail"].as_array().unwrap().iter().map(|problem| {
            let steps = problem["loc"].as_array().unwrap().iter();
            let steps: Vec<String> =
                steps.map(|step| step.as_str().map_or(step.to_string(), str::to_owned)).collect();
            format!("{} {}", steps.join("."), problem["type"].as_str().unwrap())
        });
        problems.collect()
    }
}

fn snapshot() -> Snapshot {
    let providers = ["openai", "spare"].map(provider);
    let mini = model("gpt-4o-mini", &["mini"], &providers);
    let secret = model("not-in-the-plan", &[], &providers);
    let priced = [&mini, &secret].map(|model| (model.id.clone(), model.price.clone().unwrap()));
    let prices = Arc::new(PriceBook { version: 1, models: priced.into() });
    let plan = Plan {
        prices: prices.clone(),
        own_prices: BTreeMap::new(),
        code: Arc::from("standard"),
        name: "Standard".to_owned(),
        models: vec!["gpt-4o-mini".to_owned()],
        rpm_limits: BTreeMap::from([("*".to_owned(), 600)]),
        tpm_limits: BTreeMap::from([("*".to_owned(), 200_000)]),
        rpd_limits: BTreeMap::new(),
        concurrency_limits: BTreeMap::new(),
        monthly_fee: "0.00".to_owned(),
        sandbox_included: true,
        sla_tier: "standard".to_owned(),
    };
    Snapshot {
        passages: Vec::new(),
        version: 0xfedc_ba98_7654_3210,
        server: Server {
            listen: vec!["0.0.0.0:8080".parse().unwrap()],
            tls: None,
            h2c: true,
            threads: 0,
            trusted_proxies: Vec::new(),
            max_body: 1 << 20,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(60),
            keep_alive_after: Duration::from_secs(15),
            max_connections: 100,
            drain_timeout: Duration::from_secs(25),
        },
        admin: snapshot::Admin {
            listen: "127.0.0.1:8081".parse().unwrap(),
            public: true,
            operator_tokens: vec![OperatorToken([7; 32]), operator()],
        },
        metrics_listen: "127.0.0.1:9090".parse().unwrap(),
        storage: Storage {
            database: Database::Sqlite("data/aione.db".into()),
            redis: None,
            journal: "data/journal".into(),
            journal_sync: JournalSync::Group,
            journal_sync_timeout: Duration::from_secs(1),
            keep_records: None,
        },
        peppers: vec![Secret::new("the pepper".to_owned())],
        pepper_file: None,
        keys: Keys {
            prefix: "sk-aione".to_owned(),
            rotate_grace: Duration::from_secs(86_400),
            cache_max_age: Duration::from_secs(5),
        },
        billing: Billing {
            currency: "CNY".to_owned(),
            unpriced: UnpricedPolicy::Reject,
            time_zone: chrono_tz::Asia::Shanghai,
        },
        limits: Limits {
            cache_read_weight_milli: 0,
            default_ceiling: 4096,
            reserve_cap: Some(16_384),
            redis_timeout: Duration::from_millis(20),
            on_redis_loss: OnRedisLoss::LocalShare,
        },
        drain: Drain { max_streams: 256, max_time: Duration::from_secs(60) },
        log: Log { level: "info".to_owned(), json: true },
        providers: providers.map(|provider| (provider.name.clone(), provider)).into(),
        models: [
            (Arc::from("gpt-4o-mini"), mini.clone()),
            (Arc::from("mini"), mini),
            (secret.id.clone(), secret),
        ]
        .into(),
        plans: [(plan.code.clone(), Arc::new(plan))].into(),
        default_plan: Arc::from("standard"),
        prices,
    }
}

fn provider(name: &str) -> Arc<Provider> {
    Arc::new(Provider {
        name: Arc::from(name),
        kind: provider::kind("openai").unwrap(),
        base: Some(BaseUrl {
            tls: true,
            host: "api.example.com".to_owned(),
            port: 443,
            path: SECRET_PATH.to_owned(),
        }),
        credentials: vec![Secret::new(UPSTREAM_SECRET.to_owned())],
        account: provider::Account::default(),
        dialects: vec![Dialect::OpenAiChat],
        stream_usage: true,
        timeouts: Timeouts {
            connect: Duration::from_secs(2),
            first_byte: Duration::from_secs(600),
            idle: Duration::from_secs(300),
            total: Duration::from_secs(1800),
        },
        on_disconnect: OnDisconnect::Drain,
        http2: Http2::Auto,
        sandbox: false,
        give_back_reasoning: false,
        forward_client_ip: false,
        ca_file: None,
    })
}

/// With a deployment at each of two providers, three times in four at the first.
fn model(id: &str, aliases: &[&str], providers: &[Arc<Provider>; 2]) -> Arc<Model> {
    let deployment = |provider: &Arc<Provider>, weight| {
        Arc::new(Deployment {
            id: Arc::from(format!("{}/{id}", provider.name)),
            provider: provider.clone(),
            model: Arc::from(id),
            weight,
            priority: 0,
            cost: None,
        })
    };
    let rate = |text: &str| Some(Rate::per_million(text).unwrap());
    let rates =
        Rates { input: rate("1.05"), cache_read: rate("0.525"), output: rate("4.20"), ..Rates::default() };
    let second = Duration::from_secs(1);
    Arc::new(Model {
        id: Arc::from(id),
        display_name: id.to_owned(),
        aliases: aliases.iter().map(|alias| Arc::from(*alias)).collect(),
        context_window: Some(128_000),
        max_output_tokens: None,
        capabilities: Some(vec!["chat".to_owned(), "tools".to_owned()]),
        sandbox: false,
        price: Some(ModelPrice { periods: vec![PricePeriod { from: None, rates, tiers: Vec::new() }] }),
        route: Route {
            policy: Policy::Weighted,
            deployments: vec![deployment(&providers[0], 3), deployment(&providers[1], 1)],
            attempts: 3,
            retry_on: RetryOn {
                connect: true,
                timeout: true,
                too_many_requests: true,
                server_error: true,
                first_event_error: true,
            },
            cool_down: CoolDown { after: 3, within: second, pause: second, max: second },
        },
    })
}

fn operator() -> OperatorToken {
    let byte = |at: usize| u8::from_str_radix(&OPERATOR_SHA256[2 * at..2 * at + 2], 16).unwrap();
    OperatorToken(std::array::from_fn(byte))
}
