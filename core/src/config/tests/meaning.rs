//! What it means: references, bounds, secrets, prices, and what this version cannot do yet.

use super::*;
use crate::{
    config::snapshot::{BaseUrl, Database, OnRedisLoss, Policy, Secret},
    domain::{clock::Timestamp, money::Rate},
};

/// `SOUND` with other lines under its only provider.
fn with_provider(lines: &str) -> String {
    SOUND.replace("{ kind: simulated } }", &format!("{{ {lines} }} }}"))
}

fn with(lines: &str) -> String {
    format!("{SOUND}{lines}\n")
}

#[test]
fn references_lead_somewhere() {
    refused(
        "\
providers: { sim: { kind: simulated } }
models:
  chat:
    aliases: [fast, other, fast]
    price: { output: '1', input: '1', cache_read: '1' }
    route: { deployments: [{ provider: sin, model: a }] }
  other:
    aliases: [fast]
    price: { output: '1', input: '1', cache_read: '1' }
    route: { deployments: [{ provider: sim }, { provider: sim }] }
default_plan: standrad
plans:
  standard: { models: [caht, fast], rpm_limits: { otter: 5, '*': 1 } }
",
        &[
            "a.yaml:4:21: models.chat.aliases[1]: `other` is already the name of a model",
            "a.yaml:4:28: models.chat.aliases[2]: `fast` is already an alias of `chat`",
            "a.yaml:6:40: models.chat.route.deployments[0].provider: there is no provider `sin` (did you mean `sim`?)",
            "a.yaml:8:15: models.other.aliases[0]: `fast` is already an alias of `chat`",
            "a.yaml:10:47: models.other.route.deployments[1]: `sim/other` is in this route twice",
            "a.yaml:11:15: default_plan: the default plan `standrad` is not among the plans \
             (did you mean `standard`?)",
            "a.yaml:13:24: plans.standard.models[0]: there is no model `caht` (did you mean `chat`?)",
            "a.yaml:13:30: plans.standard.models[1]: `fast` is an alias: a plan goes by the model's name \
             (did you mean `other`?)",
            "a.yaml:13:58: plans.standard.rpm_limits.otter: there is no model `otter` (did you mean `other`?)",
        ],
    );
    refused(
        &with("plans: { gold: {} }"),
        &["a.yaml:6:1: plans: the default plan `standard` is not among the plans"],
    );
}

#[test]
fn what_a_broken_part_would_have_said_is_not_told_again() {
    refused(
        "\
providers: { sim: { kind: simulatd } }
models:
  chat:
    price: [{ input: 1 }]
    route: { deployments: [{ provider: sim }] }
  other: { route: 5 }
plans: { standard: { models: [other] } }
",
        &[
            "a.yaml:1:27: providers.sim.kind: expected one of openai, openai_compatible, anthropic, gemini, \
             azure, bedrock, vertex, simulated, found text (did you mean `simulated`?)",
            "a.yaml:4:22: models.chat.price[0].input: expected a quoted rate per million, found a number \
             (did you mean `\"1\"`?)",
            "a.yaml:6:19: models.other.route: expected a map, found a number",
        ],
    );
}

#[test]
fn a_route_says_which_deployment_comes_first() {
    let route = |lines: &str| SOUND.replace("deployments: [{ provider: sim }]", lines);
    refused(
        &route("deployments: []"),
        &["a.yaml:5:14: models.chat.route.deployments: needs at least one item"],
    );
    refused(
        &route("deployments: [{ provider: sim, weight: 0 }]"),
        &["a.yaml:5:14: models.chat.route.deployments: every weight is 0, so that none can be drawn"],
    );
    refused(
        &route(
            "policy: priority, deployments: [{ provider: sim, priority: 1 }, { provider: sim, model: b }]",
        ),
        &[
            "a.yaml:5:78: models.chat.route.deployments[1]: `priority` is missing: under policy `priority` each \
           states one",
        ],
    );
    refused(
        &route(
            "policy: priority, deployments: [{ provider: sim, priority: 1 }, \
             { provider: sim, model: b, priority: 2, weight: 0 }]",
        ),
        &["a.yaml:5:32: models.chat.route.deployments: every weight of priority 2 is 0"],
    );
    warned(
        &route("deployments: [{ provider: sim, priority: 1 }]"),
        &["a.yaml:5:55: models.chat.route.deployments[0].priority: has no effect under policy `weighted`"],
    );
    refused(
        &route("deployments: [{ provider: sim }], cool_down: { for: 10m, max: 0s }"),
        &[
            "a.yaml:5:76: models.chat.route.cool_down.max: must be from 1ms to 24h",
            "a.yaml:5:76: models.chat.route.cool_down.max: must not be shorter than `for`",
        ],
    );
    let snapshot = check_text(&route("policy: priority, deployments: [{ provider: sim }], retry_on: [429]"));
    let snapshot = snapshot.expect("sound").snapshot;
    let route = &snapshot.model("chat").expect("a model").route;
    assert_eq!(route.policy, Policy::Priority);
    assert!(route.retry_on.too_many_requests && !route.retry_on.server_error);
}

#[test]
fn what_comes_later_is_refused_by_name() {
    refused(
        "\
storage: { redis: ['redis://a', 'redis://b'] }
tracing: { otlp: 'http://a' }
providers:
  a: { kind: azure, base_url: 'https://x@a', credentials: [x] }
  o: { kind: openai, credentials: [x], dialects: [openai_chat, gemini] }
models:
  chat:
    price: { output: '1' }
    route: { policy: sticky, hedge_after: 1s, deployments: [{ provider: a }] }
",
        &[
            "a.yaml:1:12: storage.redis: a cluster of Redis is not supported yet by this version: name one server",
            "a.yaml:2:18: tracing.otlp: tracing is not supported yet by this version",
            "a.yaml:4:31: providers.a.base_url: must not hold a user or a password: use `credentials`",
            "a.yaml:5:64: providers.o.dialects[1]: `openai` does not speak `gemini`",
            "a.yaml:9:22: models.chat.route.policy: this policy is not supported yet by this version",
            "a.yaml:9:43: models.chat.route.hedge_after: hedging is not supported yet by this version",
        ],
    );
    warned(
        &with("limits: { redis_timeout: 5ms, on_redis_loss: closed }"),
        &[
            "a.yaml:6:26: limits.redis_timeout: has no effect without `storage.redis`",
            "a.yaml:6:46: limits.on_redis_loss: has no effect without `storage.redis`",
        ],
    );
}

#[test]
fn redis_is_one_server_and_its_password_is_not_shown() {
    let expected = "a.yaml:6:19: storage.redis: expected `redis://` or `rediss://` and a server \
                    (did you mean `redis://redis.example:6379/0`?)";
    for url in [
        "a:6379",
        "http://a",
        "redis://",
        "redis://:6379",
        "redis://user:password@",
        "redis://a:0",
        "redis://a:65536",
        "redis://a:x",
        "redis://a/x",
        "redis://a b",
        "redis://a?b=c",
    ] {
        refused(&with(&format!("storage: {{ redis: '{url}' }}")), &[expected]);
    }
    refused(
        &with("storage: { redis: 'redis+sentinel://a/b' }"),
        &["a.yaml:6:19: storage.redis: Redis behind Sentinel is not supported yet by this version: \
           name one server"],
    );
    for (url, shown) in [
        ("redis://a", "redis://a"),
        ("rediss://user:p@ss@a.example:6380/3", "rediss://a.example:6380/3"),
        ("redis://:password@[::1]:6379", "redis://[::1]:6379"),
    ] {
        let text = with(&format!("storage: {{ redis: ['{url}'] }}\nlimits: {{ on_redis_loss: open }}"));
        let checked = check_text(&text).expect("sound");
        let redis = checked.snapshot.storage.redis.clone().expect("it is there");
        assert_eq!((redis.to_string().as_str(), redis.0.expose()), (shown, url));
        assert!(!format!("{redis:?}").contains(url));
        assert_eq!(checked.snapshot.limits.on_redis_loss, OnRedisLoss::Open);
        assert!(checked.warnings.is_empty(), "{:?}", checked.warnings);
    }
}

#[test]
fn listeners_do_not_collide() {
    refused(
        &with("server: { listen: ['0.0.0.0:80', '[::]:81', ':82'] }\nadmin: { listen: '127.0.0.1:81' }"),
        &["a.yaml:6:45: server.listen[2]: expected an IP address and a port such as `0.0.0.0:8080` \
           (did you mean `0.0.0.0:82`?)"],
    );
    refused(
        &with("server: { listen: ['0.0.0.0:80', '0.0.0.0:81'] }\nadmin: { listen: '127.0.0.1:81' }"),
        &["a.yaml:7:18: admin.listen: `127.0.0.1:81` is taken by `0.0.0.0:81` at conf/a.yaml:6:34"],
    );
    assert!(check_text(&with("server: { listen: '127.0.0.1:0' }\nadmin: { listen: '127.0.0.1:0' }")).is_ok());
    refused(
        &with("server: { trusted_proxies: [10.0.0.1/8, x], listen: [] }"),
        &[
            "a.yaml:6:29: server.trusted_proxies[0]: the address has bits outside of the network \
         (did you mean `10.0.0.0/8`?)",
            "a.yaml:6:41: server.trusted_proxies[1]: expected a network such as `10.0.0.0/8`, or an address",
            "a.yaml:6:53: server.listen: needs at least one address",
        ],
    );
}

#[test]
fn secrets_are_long_enough_and_never_repeated() {
    refused(
        "\
admin:
  listen: 0.0.0.0:1
  operator_tokens: ['${SHORT}', '${NONE}', 'sha256:00', '${EMPTY:-}']
secrets: { key_pepper: ['${SHORT}', 'file:closed', 'file:gone'] }
providers: { o: { kind: openai, credentials: ['${OPENAI_API_KEY}', '${SHORT} x', ''] } }
models: { m: { price: { input: '1' }, route: { deployments: [{ provider: o }] } } }
",
        &[
            "a.yaml:2:11: admin.listen: `0.0.0.0:1` can be reached from outside, so `admin.operator_tokens` must \
             hold a token",
            "a.yaml:3:21: admin.operator_tokens[0]: an operator token has 32 characters or more",
            "a.yaml:3:33: admin.operator_tokens[1]: the environment variable `NONE` is not set",
            "a.yaml:3:44: admin.operator_tokens[2]: `sha256:` takes 64 hexadecimal digits",
            "a.yaml:4:25: secrets.key_pepper[0]: a pepper has 32 characters or more",
            "a.yaml:4:37: secrets.key_pepper[1]: the file `conf/closed` cannot be read: permission denied",
            "a.yaml:4:52: secrets.key_pepper[2]: there is no file `conf/gone`",
            "a.yaml:5:68: providers.o.credentials[1]: a credential is visible ASCII without spaces",
            "a.yaml:5:82: providers.o.credentials[2]: the credential is empty",
        ],
    );
    let token = "t".repeat(32);
    let hash = "sha256:CA978112CA1BBDCAFAC231B39A23DC4DA786EFF8147C4E72B9807785AFEE48BB";
    let text = with(&format!(
        "admin: {{ listen: '0.0.0.0:1', operator_tokens: ['{token}', '{hash}'] }}\nsecrets: {{ key_pepper: file:pepper }}"
    ));
    let snapshot = check_text(&text).expect("sound").snapshot;
    assert_eq!(snapshot.admin.operator_tokens[1].0[..2], [0xca, 0x97]);
    assert_eq!(snapshot.peppers[0].expose(), "p".repeat(32));
    assert_eq!(snapshot.pepper_file.as_deref(), Some(Path::new("conf/pepper")));
    let shown = format!("{snapshot:?}");
    assert!(!shown.contains("ppp") && !shown.contains("ttt"), "{shown}");
    refused(
        &with("secrets: { key_pepper: 12345 }"),
        &["a.yaml:6:24: secrets.key_pepper: expected text: put it in quotes"],
    );
}

#[test]
fn providers_have_an_address_and_what_they_need() {
    let provider = |lines: &str| {
        check_text(&with_provider(lines)).map(|checked| {
            let provider = checked.snapshot.providers.get("sim").cloned().expect("a provider");
            let warnings: Vec<String> =
                checked.warnings.iter().map(|warning| warning.message.clone()).collect();
            (provider, warnings)
        })
    };
    let (openai, _) = provider("kind: openai, credentials: ['${OPENAI_API_KEY}']").expect("sound");
    let base = BaseUrl { tls: true, host: "api.openai.com".to_owned(), port: 443, path: "/v1".to_owned() };
    assert_eq!(openai.base, Some(base));
    assert_eq!(openai.credentials[0].expose(), "sk-upstream-canary");
    let (_, warnings) =
        provider("kind: openai_compatible, base_url: 'http://a', credentials: [x]").expect("sound");
    assert_eq!(warnings, ["travels unencrypted, because `base_url` is http"]);
    let (own, _) =
        provider("kind: openai_compatible, base_url: 'https://a', ca_file: ca.pem").expect("sound");
    assert_eq!(own.ca_file.as_deref(), Some(Path::new("conf/ca.pem")));
    let thinking = |dialect: &str| {
        let lines = "kind: openai_compatible, base_url: 'https://a', give_back_reasoning: true";
        let (provider, warnings) = provider(&format!("{lines}, dialects: [{dialect}]")).expect("sound");
        (provider.give_back_reasoning, warnings)
    };
    assert_eq!(thinking("openai_chat"), (true, Vec::new()));
    assert_eq!(thinking("openai_responses").1, ["has no effect but in `openai_chat`"]);

    refused(
        &with_provider("kind: openai"),
        &["a.yaml:1:14: providers.sim: `credentials` is missing: `openai` refuses requests without one"],
    );
    refused(
        &format!("{SOUND}server:\n  tls: {{ cert: ca.pem, key: other.key }}\n"),
        &["a.yaml:7:3: server.tls: the certificate and the key do not belong together"],
    );
    refused(
        &with_provider("kind: openai_compatible, ca_file: gone.pem"),
        &[
            "a.yaml:1:14: providers.sim: `base_url` is missing: `openai_compatible` has no default",
            "a.yaml:1:55: providers.sim.ca_file: there is no file `conf/gone.pem`",
        ],
    );
    refused(
        &with_provider("kind: openai_compatible, base_url: 'https://a', ca_file: pepper"),
        &["a.yaml:1:78: providers.sim.ca_file: the file `conf/pepper` holds no PEM certificate"],
    );
    refused(
        &with_provider("kind: simulated, base_url: 'http://a', credentials: [x]"),
        &[
            "a.yaml:1:48: providers.sim.base_url: `simulated` is built in and has no address",
            "a.yaml:1:60: providers.sim.credentials: `simulated` takes no credentials",
        ],
    );
    refused(
        &with_provider("kind: simulated, timeouts: { connect: 0s, total: 25h, idle: 5 }"),
        &[
            "a.yaml:1:59: providers.sim.timeouts.connect: must be from 1ms to 1m",
            "a.yaml:1:70: providers.sim.timeouts.total: must be from 1ms to 24h",
            "a.yaml:1:81: providers.sim.timeouts.idle: expected a duration such as `250ms`, `10s`, `15m` or `24h` \
         (did you mean `5s`?)",
        ],
    );
    refused(
        &SOUND.replace("sim:", "'a b':").replace("sim }", "'a b' }"),
        &[
            "a.yaml:1:14: providers.\"a b\": a name has 1 to 64 letters, digits, dots, hyphens and underscores",
        ],
    );
}

#[test]
fn a_deployments_cost_is_read_and_checked_as_a_price_is() {
    let cost =
        |cost: &str| SOUND.replace("[{ provider: sim }]", &format!("[{{ provider: sim, cost: {cost} }}]"));
    let text = cost(
        "[{ input: '1', cache_read: '0', output: '2' }, \
         { from: 2026-02-01, input: '3', cache_read: '0', output: '4' }]",
    );
    let snapshot = check_text(&text).unwrap_or_else(|problems| panic!("{problems:#?}")).snapshot;
    let deployment = &snapshot.model("chat").expect("a model").route.deployments[0];
    let periods = &deployment.cost.as_ref().expect("a cost").periods;
    let output: Vec<_> = periods.iter().map(|period| period.rates.output).collect();
    assert_eq!(output, [Some(Rate(2_000_000)), Some(Rate(4_000_000))]);
    refused(
        &cost("{ input: '-1', ouput: '1' }"),
        &[
            "a.yaml:5:60: models.chat.route.deployments[0].cost.input: expected a rate per million tokens as a quoted \
             decimal such as \"1.05\": `-1` is negative",
            "a.yaml:5:66: models.chat.route.deployments[0].cost.ouput: unknown key (did you mean `output`?)",
        ],
    );
    warned(
        &cost("{ input: '1', output: '4' }"),
        &[
            "a.yaml:5:45: models.chat.route.deployments[0].cost: no rate for cache_read: an answer in which it occurs \
           has no known cost",
        ],
    );
}

#[test]
fn prices_are_exact_and_in_order() {
    let price = |price: &str| SOUND.replace("{ input: '1', cache_read: '0', output: '4' }", price);
    let text = price(
        "[{ from: 2026-02-01, input: '2', cache_read: '0', output: '0' }, \
         { input: '1', cache_read: '0.000001', output: '4', request: '0.5', image: '0.02', \
         tiers: [{ above: 9, output: '8' }, { above: 5, input: '3' }] }]",
    );
    let snapshot = check_text(&text).unwrap_or_else(|problems| panic!("{problems:#?}")).snapshot;
    let periods = &snapshot.model("chat").expect("a model").price.as_ref().expect("a price").periods;
    assert_eq!(periods[0].from, None);
    assert_eq!(periods[0].rates.request, Some(Rate(500_000_000_000)));
    assert_eq!(periods[0].rates.cache_read, Some(Rate(1)));
    assert_eq!(periods[0].tiers.iter().map(|tier| tier.above).collect::<Vec<_>>(), [5, 9]);
    assert_eq!(periods[0].tiers[0].rates.output, Some(Rate(4_000_000)));
    assert_eq!(periods[1].from.map(Timestamp::rfc3339).as_deref(), Some("2026-01-31T16:00:00.000Z"));

    refused(
        &price(
            "[{ input: '-1' }, { from: 2026-01-01, input: '1.0000001' }, { from: 2026-02-01, inptu: '1' }]",
        ),
        &[
            "a.yaml:4:22: models.chat.price[0].input: expected a rate per million tokens as a quoted decimal such as \
         \"1.05\": `-1` is negative",
            "a.yaml:4:57: models.chat.price[1].input: expected a rate per million tokens as a quoted decimal such as \
         \"1.05\": `1.0000001` has more than 6 digits after the point",
            "a.yaml:4:92: models.chat.price[2].inptu: unknown key (did you mean `input`?)",
        ],
    );
    refused(
        &price(
            "[{ input: '1' }, { output: '1' }, { from: 2026-01-01, input: '1' }, \
             { from: '2025-12-31T16:00:00Z', input: '1', tiers: [{ above: 5, input: '1' }, { above: 5 }] }]",
        ),
        &[
            "a.yaml:4:29: models.chat.price[1]: begins when item 0 does, so that neither is the later one",
            "a.yaml:4:88: models.chat.price[3].from: begins when item 2 does, so that neither is the later one",
            "a.yaml:4:158: models.chat.price[3].tiers[1]: states no rate",
            "a.yaml:4:167: models.chat.price[3].tiers[1].above: another tier is above 5 too",
        ],
    );
    warned(
        &price("{ input: '1', output: '4' }"),
        &["a.yaml:4:5: models.chat.price: no rate for cache_read: an answer in which it occurs has no price"],
    );
    warned(
        &price("{ from: 2026-01-01, input: '1', cache_read: '1', output: '4' }"),
        &["a.yaml:4:5: models.chat.price: there is no price before 2025-12-31T16:00:00.000Z"],
    );
    let anthropic = SOUND.replace("kind: simulated", "kind: anthropic, credentials: [x]");
    warned(
        &anthropic,
        &[
            "a.yaml:4:5: models.chat.price: no rate for cache_write_5m, cache_write_1h: an answer in which it \
           occurs has no price",
        ],
    );
    // What is sold by the piece needs no tokens, where it does nothing else.
    let by_the_second = price("{ second: '0.0001' }");
    warned(&by_the_second.replace("    route:", "    capabilities: [audio]\n    route:"), &[]);
    warned(
        &by_the_second.replace("    route:", "    capabilities: [audio, chat]\n    route:"),
        &[
            "a.yaml:4:5: models.chat.price: no rate for input, cache_read, output, audio_in, audio_out: an answer in \
           which it occurs has no price",
        ],
    );
    let absent = SOUND.replace("    price: { input: '1', cache_read: '0', output: '4' }\n", "");
    refused(&absent, &["a.yaml:3:3: models.chat: `price` is missing, and `billing.unpriced` is `reject`"]);
    warned(
        &format!("{absent}billing: {{ unpriced: quarantine }}\n"),
        &["a.yaml:3:3: models.chat: has no price: its usage will be kept apart"],
    );
}

#[test]
fn paths_start_at_the_file_in_which_they_stand() {
    let text = with("storage: { database: 'sqlite:///var/a.db', journal: '${NONE:-j}' }");
    let storage = check_text(&text).expect("sound").snapshot.storage;
    assert_eq!(storage.database, Database::Sqlite("/var/a.db".into()));
    assert_eq!(storage.journal, Path::new("conf/j"));
    let included = "storage: { database: 'sqlite://a.db' }\n";
    let storage =
        check_files(&[("a.yaml", SOUND), ("more/b.yaml", included)]).expect("sound").snapshot.storage;
    assert_eq!(storage.database, Database::Sqlite("conf/more/a.db".into()));
    refused(
        &with("storage: { database: 'mysql://a' }"),
        &["a.yaml:6:22: storage.database: expected `postgres://` and a server, or \
         `sqlite://` and the path of a file \
         (did you mean `sqlite://data/aione.db`?)"],
    );
}

#[test]
fn a_database_of_several_nodes_needs_a_pepper_that_all_have() {
    let database = "storage: { database: 'postgres://u:marker@db/aione?sslmode=require' }\n";
    let pepper = "secrets: { key_pepper: 'a pepper that every node is given' }\n";
    let storage = check_text(&with(&format!("{database}{pepper}"))).expect("sound").snapshot.storage;
    assert_eq!(storage.database.to_string(), "postgres://db/aione");
    assert!(!format!("{storage:?}").contains("marker"));
    let shown = |url: String| Database::Postgres(Secret::new(url)).to_string();
    for password in ["p@ss", "p#ss@", "p?sslmode=@", "p#a@b?c"] {
        assert!(!shown(format!("postgres://u:{password}marker@db/aione")).contains("marker"), "{password}");
    }
    refused(
        &with(&format!("storage: {{ database: 'postgres://db/aione?sslmod=marker' }}\n{pepper}")),
        &[
            "a.yaml:6:22: storage.database: expected no parameters but sslmode, sslrootcert, sslcert, sslkey, \
         ssl-mode, ssl-root-cert, ssl-ca, ssl-cert, ssl-key, statement-cache-capacity, host, hostaddr, port, dbname, user, password, application_name, options",
        ],
    );
    refused(
        &with(database),
        &[
            "a.yaml:1:1: secrets.key_pepper: there is no `conf/data/pepper`, and a pepper is made by itself only \
         beside SQLite: give every node the same one",
        ],
    );
    refused(
        &with(&format!("storage: {{ database: 'postgres://' }}\n{pepper}")),
        &["a.yaml:6:22: storage.database: expected a server and a database \
         (did you mean `postgres://aione@db.example/aione?sslmode=verify-full`?)"],
    );
}

#[test]
fn the_version_follows_from_what_is_effective() {
    let version = |text: &str| check_text(text).expect("sound").snapshot.version;
    assert_eq!(version(SOUND), version(&with("# a remark")));
    assert_ne!(version(SOUND), version(&with("log: { level: warn }")));
    assert_ne!(version(&with_provider("kind: openai, credentials: ['${OPENAI_API_KEY}']")), version(SOUND));
}
