//! What a new configuration changes, and what stays until a restart.

use super::*;
use crate::config::diff;

#[test]
fn changes_are_listed_and_what_needs_a_restart_stays() {
    let before = check_text(SOUND).expect("sound").snapshot;
    let after = format!(
        "{}  other: {{ price: {{ input: '1' }}, route: {{ deployments: [{{ provider: sim }}] }} }}\n\
         server: {{ listen: '127.0.0.1:1', max_body: 1MiB }}\nmetrics: {{ listen: '127.0.0.1:2' }}\n\
         storage: {{ journal: elsewhere }}\nsecrets: {{ key_pepper: file:pepper }}\n\
         keys: {{ prefix: sk-other }}\n",
        SOUND
            .replace("output: '4'", "output: '5'")
            .replace("kind: simulated", "kind: simulated, sandbox: true")
    );
    let candidate = check_text(&after).expect("sound").snapshot;
    let version = candidate.version;
    let book = candidate.prices.version;
    let (published, reloaded) = diff::apply(&before, candidate);
    assert_eq!(reloaded.version, version);
    assert_eq!(
        reloaded.changes,
        [
            "server.max_body: 67108864 → 1048576".to_owned(),
            "provider `sim`: sandbox changed".to_owned(),
            "model `chat`: price changed".to_owned(),
            "model `other`: added".to_owned(),
            format!("price book: {:016x} → {book:016x}", before.prices.version),
        ]
    );
    assert_eq!(
        reloaded.needs_restart,
        [
            "server.listen: [0.0.0.0:8080] → [127.0.0.1:1]",
            "metrics.listen: 127.0.0.1:9090 → 127.0.0.1:2",
            "storage.journal: \"conf/data/journal\" → \"conf/elsewhere\"",
            "keys.prefix: \"sk-aione\" → \"sk-other\"",
            "secrets.key_pepper: changed",
        ]
    );
    assert_eq!(published.server.listen, before.server.listen);
    assert_eq!(published.storage, before.storage);
    assert_eq!(published.server.max_body, 1 << 20);
    assert_eq!(published.keys.prefix, "sk-aione");
    assert!(published.peppers.is_empty());

    // It stays listed until the restart, and going back to what runs needs none.
    let (_, again) = diff::apply(&published, check_text(&after).expect("sound").snapshot);
    assert_eq!((again.changes.len(), again.needs_restart.len()), (0, 5));
    let (_, back) = diff::apply(&published, check_text(SOUND).expect("sound").snapshot);
    assert_eq!((back.changes.len(), back.needs_restart.len()), (5, 0));
}

#[test]
fn another_currency_is_taken_by_a_restart_alone() {
    let of = |text: &str| check_text(text).expect("sound").snapshot;
    let (yuan, dollars) = (of(SOUND), of(&format!("{SOUND}billing: {{ currency: USD }}\n")));
    assert_eq!(diff::forbids(&yuan, &of(SOUND)), None);
    let (key, reason) = diff::forbids(&yuan, &dollars).expect("forbidden");
    assert_eq!(
        (key, reason.as_str()),
        ("billing.currency", "CNY → USD needs a restart: the prices that run are in CNY")
    );
}

#[test]
fn secrets_are_not_shown_in_changes() {
    let provider = |secret: &str| {
        let provider = format!("kind: openai, credentials: [{secret}]");
        check_text(&SOUND.replace("kind: simulated", &provider)).expect("sound").snapshot
    };
    let (_, reloaded) = diff::apply(&provider("canary-one"), provider("canary-two"));
    assert_eq!(reloaded.changes, ["provider `sim`: credentials changed"]);
}
