//! What the process tells of itself: metrics that stay bounded and valid, lines that nobody can forge.

use crate::support::{
    admin::Metrics,
    client::{BOTH, Call, Version, h1},
    gateway::TestGateway,
    upstream::Upstream,
    wait,
};
use std::collections::{BTreeMap, BTreeSet};

const JUNK: usize = 2_000;
/// A line of the log is never longer than this.
const LINE_MAX: usize = 8 * 1024;

/// Every series of an exposition, its labels unescaped. Panics on what the format does not allow.
fn strictly(metrics: &Metrics) -> BTreeSet<(String, BTreeMap<String, String>)> {
    assert!(metrics.0.ends_with('\n'), "the last line has no end");
    let mut series = BTreeSet::new();
    for line in metrics.0.lines().filter(|line| !line.starts_with('#')) {
        let name_end = line.find(['{', ' ']).unwrap_or_else(|| panic!("no name: {line:?}"));
        let (name, mut rest) = line.split_at(name_end);
        assert!(is_name(name), "{line:?}");
        let mut labels = BTreeMap::new();
        if let Some(inside) = rest.strip_prefix('{') {
            rest = inside;
            loop {
                let (label, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("no label: {line:?}"));
                assert!(is_name(label), "{line:?}");
                let (value, after) = unquote(after).unwrap_or_else(|| panic!("a broken value: {line:?}"));
                assert!(labels.insert(label.to_owned(), value).is_none(), "twice: {line:?}");
                match after.strip_prefix(',') {
                    Some(next) => rest = next,
                    None => {
                        rest = after.strip_prefix('}').unwrap_or_else(|| panic!("no end: {line:?}"));
                        break;
                    }
                }
            }
        }
        let value = rest.strip_prefix(' ').unwrap_or_else(|| panic!("no value: {line:?}"));
        assert!(value.parse::<f64>().is_ok(), "{line:?}");
        assert!(series.insert((name.to_owned(), labels)), "twice: {line:?}");
    }
    series
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// A label's value up to its closing quote, and what follows that.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match chars.next()?.1 {
                'n' => '\n',
                escaped @ ('\\' | '"') => escaped,
                _ => return None,
            }),
            c => value.push(c),
        }
    }
    None
}

#[tokio::test]
async fn model_names_that_callers_make_up_make_no_series() {
    let upstream = Upstream::start().await;
    let gateway = TestGateway::new().upstream("up", &upstream).model("m", &["up"]).start().await;
    let key = gateway.key().await;
    for version in BOTH {
        gateway.send_over(version, &Call::chat(&key, "m")).await.ok();
        for junk in ["junk", "junk\n"] {
            gateway.send_over(version, &Call::chat(&key, junk)).await;
        }
    }
    gateway.quiet().await;
    let before = strictly(&gateway.metrics().await);
    let mut connection = Some(h1::Connection::open(gateway.settings.public).await);
    for n in 0..JUNK {
        let name = if n % 2 == 0 { format!("junk-{n}") } else { format!("junk-{n}\" {{\\\n") };
        let current = connection.take().expect("a refusal keeps the connection");
        let (answer, next) = wait::within("a refusal", current.send(&Call::chat(&key, &name))).await;
        assert!([400, 404].contains(&answer.status), "{}", answer.text());
        connection = next;
    }
    gateway.quiet().await;
    let metrics = gateway.metrics().await;
    assert_eq!(strictly(&metrics), before);
    assert!(metrics.sum("refusals_total") >= JUNK as f64, "{}", metrics.0);
}

#[tokio::test]
async fn labels_with_quotes_and_backslashes_keep_the_exposition_valid() {
    // Line breaks are not among them: such a name is refused with the configuration.
    let names = ["a\"b", "a\\b", "a\\nb", "a{b=\"c\"} 1", "ü✓\u{202e}x", "a,b"];
    let upstream = Upstream::start().await;
    let failing = "failing";
    let mut gateway = TestGateway::new()
        .upstream("up", &upstream)
        .with(|settings| settings.provider_at(failing, &format!("http://{}/v1", Upstream::refusing())));
    for name in names {
        gateway = gateway.with(|settings| settings.model(name, &[failing, "up"]));
    }
    let gateway = gateway.start().await;
    let key = gateway.key().await;
    for name in names {
        gateway.send(&Call::chat(&key, name)).await.ok();
        gateway.send(&Call::stream(&key, name)).await.ok();
    }
    gateway.all_records(names.len() * 2).await;
    let series = strictly(&gateway.metrics().await);
    for name in names {
        let of_model = |wanted: &str| {
            series.iter().any(|(series, labels)| {
                series == wanted && labels.get("model").is_some_and(|model| model == name)
            })
        };
        assert!(of_model("aione_requests_total") && of_model("aione_cost_total"), "no series of {name:?}");
    }
    assert!(series.iter().any(|(name, _)| name == "aione_attempt_failures_total"), "no failed attempt");
}

#[tokio::test]
async fn a_model_whose_name_has_a_line_break_is_refused_with_its_line() {
    let upstream = Upstream::start().await;
    let gateway = TestGateway::new().upstream("up", &upstream).model("m", &["up"]).start().await;
    for name in ["a\nb", "a\r\nb", "a\0b", "a\u{85}b", "\u{1b}[31m"] {
        gateway.write_text(&gateway.settings.clone().model(name, &["up"]).text());
        let output = gateway.command(&["check", "-c", "aione.yaml"]).output().unwrap();
        let said =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{name:?} is taken");
        assert!(said.contains("control characters"), "{name:?}: {said}");
        assert!(!said.contains(name), "{name:?} is shown raw: {said}");
    }
}

#[tokio::test]
async fn no_request_can_write_a_line_of_its_own_or_move_a_terminal() {
    let upstream = Upstream::start().await;
    let gateway = TestGateway::new().upstream("up", &upstream).model("m", &["up"]).start().await;
    let key = gateway.key().await;
    let long = "x".repeat(1 << 20);
    let evil = [
        "/v1/a%0d%0a{\"type\":\"access\",\"forged\":true}",
        "/v1/a\r{\"forged\":true}",
        "/v1/a\u{1b}[31mred",
        "/v1/a\u{9b}31mred",
        "/v1/a\u{202e}reversed\u{2066}\u{2028}",
        "/v1/a\0b",
        "/v1/\"quoted\\\"",
        long.as_str(),
        &format!("/v1/{long}"),
        &format!("/v1/chat/completions?{long}"),
    ];
    for path in evil {
        let mut connection = h1::Connection::open(gateway.settings.public).await;
        let fields =
            format!("host: gateway\r\nauthorization: Bearer {key}\r\nuser-agent: \u{1b}[31m\u{202e}\r\n");
        connection
            .start_raw(format!("GET {path} HTTP/1.1\r\n{fields}content-length: 0\r\n\r\n").into_bytes());
        if let Ok(exchange) = wait::within("a refusal or a close", connection.try_answer()).await {
            assert!(exchange.status >= 400, "{:?}: {}", &path[..path.len().min(40)], exchange.status);
        }
    }
    // Names in a body, and what stands in a key's place.
    for text in ["a\r\n{\"forged\":true}", "a\u{1b}[31m", "a\u{202e}b", long.as_str()] {
        gateway.send(&Call::chat(&key, text)).await;
        let printable: String = text.chars().filter(|c| !c.is_control()).take(1_000).collect();
        gateway.send(&Call::chat(&printable, "m")).await;
    }
    let last = gateway.send_over(Version::H2, &Call::chat(&key, "m")).await.ok().request_id();
    wait::until("the last line", async || gateway.logs().contains(&last).then_some(())).await;
    let logs = gateway.logs();
    let mut access = 0;
    for line in logs.lines() {
        let shown: String = line.chars().take(200).collect();
        assert!(line.len() <= LINE_MAX, "{} bytes: {shown}", line.len());
        let is_odd = |c: char| {
            c.is_control()
                || matches!(c, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        assert!(!line.contains(is_odd), "{shown:?}");
        let parsed: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {shown}"));
        assert!(parsed.get("forged").is_none(), "{shown}");
        access += usize::from(parsed["type"] == "access");
    }
    assert!(access >= 9, "{access} lines of access");
}

/// What a handful of requests may write at the most talkative level.
const TRACE_MAX: usize = 4 << 20;

#[tokio::test]
async fn a_log_beside_the_configuration_does_not_feed_itself_at_any_level() {
    let upstream = Upstream::start().await;
    let gateway = TestGateway::new()
        .upstream("up", &upstream)
        .model("m", &["up"])
        .set("/log/level", "trace")
        .start()
        .await;
    let key = gateway.key().await;
    for _ in 0..5 {
        gateway.send(&Call::chat(&key, "m")).await.ok();
        gateway.admin(Call::get("/api/v1/gateway/keys")).await.ok();
    }
    gateway.all_records(5).await;
    let logs = gateway.logs();
    assert!(!logs.contains("inotify"), "a line for every line");
    assert!(logs.len() < TRACE_MAX, "{} bytes", logs.len());
}
