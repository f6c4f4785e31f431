//! How it is written: keys, types, forms, files.

use super::*;

#[test]
fn everything_has_a_default_but_providers_and_models() {
    let checked = check_text(SOUND).expect("sound");
    assert!(checked.warnings.is_empty(), "{:?}", checked.warnings);
    let snapshot = checked.snapshot;
    assert_eq!(snapshot.server.listen, ["0.0.0.0:8080".parse().expect("an address")]);
    assert_eq!(snapshot.server.max_body, 64 << 20);
    assert_eq!(snapshot.pepper_file.as_deref(), Some(Path::new("conf/data/pepper")));
    assert!(snapshot.peppers.is_empty());
    assert!(snapshot.plan("standard").expect("a plan").includes("chat"));
    assert_eq!(&*snapshot.model("chat").expect("a model").route.deployments[0].id, "sim/chat");
    refused("", &["a.yaml:1:1: `providers` is missing", "a.yaml:1:1: `models` is missing"]);
    refused("[]\n", &["a.yaml:1:1: expected a map of sections such as `providers:` and `models:`"]);
}

#[test]
fn the_files_of_conf_are_sound() {
    let main = include_str!("../../../../conf/aione.yaml");
    let local = include_str!("../../../../conf/providers/local.yaml");
    let prices = include_str!("../../../../conf/prices/openai.yaml");
    let files = [("aione.yaml", main), ("providers/local.yaml", local), ("prices/openai.yaml", prices)];
    let checked = check_files(&files).unwrap_or_else(|problems| panic!("{problems:#?}"));
    assert!(checked.warnings.is_empty(), "{:#?}", checked.warnings);
    let mini = checked.snapshot.model("gpt-4o-mini-latest").expect("an alias");
    assert_eq!(mini.route.deployments.len(), 2);
    assert!(mini.price.is_some());

    let quick = check_text(include_str!("../../../../conf/quickstart.yaml")).expect("sound");
    assert!(quick.warnings.is_empty(), "{:#?}", quick.warnings);
    assert!(quick.snapshot.admin.operator_tokens.is_empty());
    assert!(quick.snapshot.model("sim").is_some());
}

/// The reference says what the defaults are, so it had better be right.
#[test]
fn the_reference_states_the_defaults() {
    let reference = include_str!("../../../../conf/aione.yaml");
    let sections = reference.split("\n# Accounts with vendors").next().expect("the sections before");
    let sections = sections.replace("include: [providers/local.yaml, prices/*.yaml]\n", "");
    let stated = check_text(&format!("{sections}\n{SOUND}")).expect("sound").snapshot;
    let absent = check_text(SOUND).expect("sound").snapshot;
    assert_eq!(stated.server, absent.server);
    assert_eq!(stated.admin, absent.admin);
    assert_eq!(stated.metrics_listen, absent.metrics_listen);
    assert_eq!(stated.storage, absent.storage);
    assert_eq!(stated.pepper_file, absent.pepper_file);
    assert_eq!(stated.keys, absent.keys);
    assert_eq!(stated.billing, absent.billing);
    assert_eq!(stated.limits, absent.limits);
    assert_eq!(stated.drain, absent.drain);
    assert_eq!(stated.log, absent.log);
}

#[test]
fn every_problem_of_a_file_is_told_at_its_line() {
    refused(
        "\
servr: { listen: 1 }
server:
  maxBody: 1MiB
  max_body: 64MB
  threads: lots
  h2c: yes
limits:
  default_ceiling: 0
  cache_read_weight: 0.5
providers:
  sim:
    knd: simulated
  openai:
    kind: opnai
models:
  chat:
    price: { input: 1.05 }
    route:
      attempts: 1e1
      policy: fastest
      deployments:
        - { provider: smi }
log:
",
        &[
            "a.yaml:1:1: servr: unknown key (did you mean `server`?)",
            "a.yaml:3:3: server.maxBody: unknown key (did you mean `max_body`?)",
            "a.yaml:4:13: server.max_body: expected a size such as `64KiB` or `32MiB` (did you mean `64MiB`?)",
            "a.yaml:5:12: server.threads: expected a whole number, found text",
            "a.yaml:6:8: server.h2c: expected true or false, found text (did you mean `true`?)",
            "a.yaml:8:20: limits.default_ceiling: must be from 1 to 10000000",
            "a.yaml:9:22: limits.cache_read_weight: expected a quoted share, found a number (did you mean `\"0.5\"`?)",
            "a.yaml:11:3: providers.sim: `kind` is missing",
            "a.yaml:12:5: providers.sim.knd: unknown key (did you mean `kind`?)",
            "a.yaml:14:11: providers.openai.kind: expected one of openai, openai_compatible, anthropic, gemini, \
             azure, bedrock, vertex, simulated, found text (did you mean `openai`?)",
            "a.yaml:17:21: models.chat.price.input: expected a quoted rate per million, found a number \
             (did you mean `\"1.05\"`?)",
            "a.yaml:19:17: models.chat.route.attempts: expected a whole number in decimal digits (did you mean `10`?)",
            "a.yaml:20:15: models.chat.route.policy: expected one of weighted, priority, least_latency, least_busy, \
             cheapest, sticky, found text",
            "a.yaml:22:23: models.chat.route.deployments[0].provider: there is no provider `smi` (did you mean `sim`?)",
        ],
    );
}

#[test]
fn keys_are_there_once() {
    refused(
        &format!("{SOUND}log: {{ level: info }}\nadmin:\n  public: false\n  public: true\nlog: {{}}\n"),
        &[
            "a.yaml:9:3: admin.public: `public` is already defined at conf/a.yaml:8:3",
            "a.yaml:10:1: log: `log` is already defined at conf/a.yaml:6:1",
        ],
    );
}

#[test]
fn files_are_merged_and_name_both_places() {
    let price = "models: { chat: { price: { input: '2', cache_read: '0', output: '4' } } }\n";
    let rest = "version: 1\nproviders:\n  sim: { kind: simulated }\nmodels:\n  chat:\n    \
                route: { deployments: [{ provider: sim }] }\n";
    let checked = check_files(&[("a.yaml", rest), ("b/p.yaml", price)]).expect("sound");
    assert_eq!(checked.snapshot.prices.models.len(), 1);

    let second = "version: 1\ninclude: [x.yaml]\nproviders:\n  sim: { kind: openai }\nmodels: {}\n";
    refused_files(
        &[("a.yaml", SOUND), ("b/p.yaml", second)],
        &[
            "b/p.yaml:2:1: include: only the main file may include others",
            "b/p.yaml:4:10: providers.sim.kind: `kind` is already defined at conf/a.yaml:1:21",
        ],
    );
    refused_files(&[("a.yaml", SOUND), ("b.yaml", "- 1\n")], &["b.yaml:1:1: expected a map of sections"]);
    refused_files(
        &[("a.yaml", SOUND), ("b.yaml", "a: [\n")],
        &["b.yaml:1:4: not valid YAML: unclosed bracket '['"],
    );
}

#[test]
fn empty_sections_are_as_if_they_were_not_there() {
    let text = format!("server:\nadmin: ~\nplans:\n  standard:\nlog: {{ level: null }}\n{SOUND}");
    assert!(check_text(&text).is_ok(), "{:?}", check_text(&text));
    refused(
        "providers: {}\nmodels:\n  chat:\n    route:\n      deployments:\n  other:\n",
        &[
            "a.yaml:1:12: providers: needs at least one provider",
            "a.yaml:5:7: models.chat.route.deployments: needs a value",
            "a.yaml:6:3: models.other: `route` is missing",
        ],
    );
}

#[test]
fn types_are_strict() {
    let model = |line: &str| format!("{SOUND}    {line}\n");
    refused(
        &model("display_name: 1.50"),
        &[
            "a.yaml:6:19: models.chat.display_name: expected a quoted label, found a number (did you mean `\"1.50\"`?)",
        ],
    );
    refused(
        &model("sandbox: 'true'"),
        &["a.yaml:6:14: models.chat.sandbox: expected true or false, found text (did you mean `true`?)"],
    );
    refused(
        &model("aliases: chat-latest"),
        &["a.yaml:6:14: models.chat.aliases: expected a list, found text"],
    );
    refused(
        &model("<<: { sandbox: true }"),
        &[
            "a.yaml:6:5: models.chat.<<: merge keys are not supported: write the keys out, or use an alias for the \
         whole value",
        ],
    );
    let named = |name: &str| check_text(&model(&format!("display_name: {name}"))).expect("sound").snapshot;
    assert_eq!(named("NO").model("chat").expect("a model").display_name, "NO");
    refused(
        &model("display_name: ${HOME}"),
        &["a.yaml:6:19: models.chat.display_name: `${…}` is replaced only in secrets, URLs and paths"],
    );
}

#[test]
fn includes_are_read_from_the_main_file_as_far_as_possible() {
    let patterns = |text: &str| {
        let source = Source { name: Arc::from("a.yaml"), text: text.to_owned() };
        check::includes(&source)
            .into_iter()
            .map(|include| (include.pattern, include.place.line))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        patterns("include:\n  - a/*.yaml\n  - 5\n  - b.yaml\n"),
        [("a/*.yaml".to_owned(), 2), ("b.yaml".to_owned(), 4),]
    );
    assert!(patterns("include: [").is_empty());
}
