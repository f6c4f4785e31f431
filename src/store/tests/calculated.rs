//! What is charged, beside an independent calculator: Python's decimals, which know the configuration and
//! the usage and nothing of this program.

use super::*;
use aione_core::{
    config::{
        check::{Nothing, Source, check},
        snapshot::Snapshot,
    },
    domain::{
        id::InvoiceId,
        invoice::{Frame, Invoice, What},
        ledger::{Kind, Total, Totals},
    },
    ports::{LedgerStore as _, UsageStore as _},
};
use rand::{Rng as _, RngExt as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path, process::Command};

contract! { every_charge_is_what_an_independent_calculator_says }

/// `AIONE_TEST_CALCULATED` asks for more, `AIONE_TEST_SEED` repeats a run.
const RECORDS: u64 = 10_000;
const MODELS: [&str; 6] = ["chat", "chat:8b", "vision", "sound", "thinker", "late"];
const PLANS: [&str; 3] = ["book", "deal", "fees"];
const TOKENS: [&str; 8] = [
    "input",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "audio_in",
    "output",
    "reasoning",
    "audio_out",
];
/// When prices change: to the millisecond, by an offset, and by a day of the billing zone, once just after
/// its clocks went forward.
const INSTANTS: [(&str, i64); 5] = [
    ("2026-02-01T00:00:00Z", 1_769_904_000_000),
    ("2026-03-01T00:00:00.123+08:00", 1_772_294_400_123),
    ("2026-03-29", 1_774_738_800_000),
    ("2026-03-30", 1_774_821_600_000),
    ("2026-05-01T12:30:00.5-05:00", 1_777_656_600_500),
];
const TIERS: [u64; 2] = [1_000, 200_000];
/// The months that are closed, in their zone, and the tax on them. The last one ends after every record.
const MONTHS: [&str; 3] = ["2026-02", "2026-03", "2026-07"];
const ZONE: chrono_tz::Tz = chrono_tz::Europe::Berlin;
const TAX: &str = "7.125";

async fn every_charge_is_what_an_independent_calculator_says(on: Engine) {
    let count = number("AIONE_TEST_CALCULATED").unwrap_or(RECORDS);
    let seed = number("AIONE_TEST_SEED").unwrap_or_else(|| rand::rng().next_u64());
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let config = configuration(&mut rng);
    let source = Source { name: Arc::from("aione.yaml"), text: config.to_string() };
    let snapshot = check(&[source], &Nothing).unwrap_or_else(|problems| panic!("{problems:#?}")).snapshot;
    let store = TestStore::open(on).await;

    let mut lines = String::new();
    let mut records = Vec::new();
    for number in 0..count {
        let (record, line) = any_record(&mut rng, &snapshot, number);
        records.push(record);
        writeln!(lines, "{line}").unwrap();
    }
    for plan in snapshot.plans.values() {
        store.keep_price_book(&plan.prices, NOW).await.unwrap();
    }
    for batch in records.chunks(1_000) {
        store.insert_records(batch).await.unwrap();
    }
    let names = ["aione.json", "records.jsonl", "invoices.json"];
    let files = names.map(|name| store.folder.path().join(name));
    let wanted = json!({ "zone": ZONE.name(), "months": MONTHS, "tax": TAX });
    for (file, text) in files.iter().zip([config.to_string(), lines, wanted.to_string()]) {
        fs::write(file, text).unwrap();
    }
    let calculator = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/calculator.py");
    let calculated = Command::new("python3").arg(calculator).args(files).output().unwrap();
    assert!(calculated.status.success(), "{}", String::from_utf8_lossy(&calculated.stderr));
    let calculated = String::from_utf8(calculated.stdout).unwrap();

    let mut sums: BTreeMap<OrgId, Total> = BTreeMap::new();
    let (mut unpriced, mut after, mut calculated) = (0, None, calculated.lines());
    loop {
        let page = store.list_records(after, 1_000).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.opened.id);
        for UsageRecord { opened, closed } in &page {
            let expected = calculated.next().expect("a line for each record");
            let charged = if closed.unpriced { "unpriced".to_owned() } else { closed.cost.0.to_string() };
            assert_eq!(charged, expected, "seed {seed}: {opened:?} {closed:?}");
            unpriced += u64::from(closed.unpriced);
            if closed.cost != Pico::ZERO {
                let sum = sums.entry(opened.org).or_default();
                *sum = Total { entries: sum.entries + 1, amount: sum.amount + closed.cost };
            }
        }
    }
    let invoices: BTreeMap<String, Value> = serde_json::from_str(calculated.next().unwrap()).unwrap();
    assert_eq!(calculated.next(), None);
    let mut invoiced = 0;
    for (number, plan) in (1..).zip(PLANS) {
        let ours = close_all(&store, number).await;
        let told = Value::Array(ours.iter().map(told).collect());
        assert_eq!(told, invoices[plan], "seed {seed}: {plan}");
        let exact: Pico = ours.iter().map(Invoice::exact_usage).sum();
        assert_eq!(exact, sums[&org_id(number)].amount, "seed {seed}: {plan}");
        invoiced += ours.iter().map(|invoice| invoice.lines.len()).sum::<usize>();
    }
    let totals = sums.into_iter().map(|(org, total)| (org, Totals([(Kind::Usage, total)].into())));
    assert_eq!(store.all_totals().await.unwrap(), totals.collect());
    assert!((count / 100..count / 2).contains(&unpriced), "{unpriced} without a price");
    println!(
        "{count} records, {unpriced} of them without a price, {invoiced} lines of invoices: no difference"
    );
}

/// Closes the months of an organization, each with what is in none before it.
async fn close_all(store: &Store, number: u128) -> Vec<Invoice> {
    let mut invoices = Vec::new();
    for (month, id) in MONTHS.iter().zip(1..) {
        let frame = Frame {
            id: InvoiceId(Uuid::from_u128(number << 8 | id)),
            org: org_id(number),
            customer: String::new(),
            mode: BillingMode::Postpaid,
            month: month.parse().unwrap(),
            zone: ZONE,
            currency: "CNY".to_owned(),
            tax_rate: TaxRate::from_percent(TAX).unwrap(),
            created_at: NOW,
        };
        let change = Change::CloseMonth { frame: Box::new(frame) };
        let changed = store.done(change).await.unwrap().unwrap();
        let Row::Invoice(invoice) = changed.row() else { panic!("{changed:?}") };
        invoices.push((**invoice).clone());
    }
    invoices
}

/// As the calculator tells it.
fn told(invoice: &Invoice) -> Value {
    let lines = invoice.lines.iter().map(|line| match &line.what {
        What::Usage { month, model, class, quantity, exact } => {
            json!([month, model, class, quantity, exact.0.to_string(), line.amount.0.to_string()])
        }
        What::Fee { .. } => panic!("no plan has a fee"),
    });
    let mut lines: Vec<Value> = lines.collect();
    lines.sort_by_key(|line| [0, 1, 2].map(|place| line[place].as_str().unwrap().to_owned()));
    let month = invoice.frame.month.to_string();
    let [subtotal, tax] = [invoice.subtotal, invoice.tax].map(|amount| amount.0.to_string());
    json!({ "month": month, "lines": lines, "subtotal": subtotal, "tax": tax })
}

fn configuration(rng: &mut StdRng) -> Value {
    let mut models = Map::new();
    for model in MODELS {
        let periods: Vec<Value> = INSTANTS
            .iter()
            .map(|(from, _)| Some(*from))
            .chain([None].into_iter().filter(|_| model != "late"))
            .map(|from| period(rng, from))
            .collect();
        models.insert(
            model.to_owned(),
            json!({ "price": periods, "route": { "deployments": [{ "provider": "sim" }] } }),
        );
    }
    let deal = json!({
        "chat": decimal(rng, 6),
        "chat:output": decimal(rng, 6),
        "chat:8b": decimal(rng, 6),
        "chat:8b:cache_read": "0",
        "vision:image": decimal(rng, 12),
        "sound:audio_in": decimal(rng, 6),
    });
    let fees = json!({ "chat:request": decimal(rng, 12), "thinker:search": decimal(rng, 12), "sound:second": decimal(rng, 12), "late": "0.000001" });
    json!({
        "billing": { "time_zone": "Europe/Berlin", "unpriced": "quarantine" },
        "providers": { "sim": { "kind": "simulated" } },
        "models": models,
        "default_plan": "book",
        "plans": {
            "book": {},
            "deal": { "price_per_1m_tokens": deal },
            "fees": { "price_per_1m_tokens": fees },
        },
    })
}

fn period(rng: &mut StdRng, from: Option<&str>) -> Value {
    let mut period = rates(rng, 0.85);
    if let Some(from) = from {
        period.insert("from".to_owned(), json!(from));
    }
    let tiers = TIERS.map(|above| {
        let mut tier = rates(rng, 0.4);
        tier.insert("input".to_owned(), json!(decimal(rng, 6)));
        tier.insert("above".to_owned(), json!(above));
        tier
    });
    period.insert("tiers".to_owned(), json!(tiers));
    Value::Object(period)
}

/// Some classes; `input` always, so that there is one.
fn rates(rng: &mut StdRng, likely: f64) -> Map<String, Value> {
    let mut rates = Map::from_iter([("input".to_owned(), json!(decimal(rng, 6)))]);
    for class in TOKENS.iter().skip(1).chain(&["image", "search", "character", "second", "request"]) {
        if rng.random_bool(likely) {
            let decimals = if TOKENS.contains(class) { 6 } else { 12 };
            rates.insert((*class).to_owned(), json!(decimal(rng, decimals)));
        }
    }
    rates
}

fn decimal(rng: &mut StdRng, decimals: usize) -> String {
    let digits = rng.random_range(1..=decimals);
    let part = rng.random_range(0..10_u64.pow(u32::try_from(digits).unwrap()));
    format!("{}.{part:0digits$}", rng.random_range(0..60))
}

/// A record as the gateway would make it, and what the calculator is told of it.
fn any_record(rng: &mut StdRng, snapshot: &Snapshot, number: u64) -> (UsageRecord, Value) {
    let (model, plan) = (*MODELS.choose(rng).unwrap(), rng.random_range(0..PLANS.len()));
    // At the very instant, a millisecond off it, or anywhere.
    let (_, instant) = INSTANTS.choose(rng).unwrap();
    let off = [-1, 0, 1, rng.random_range(-3_000_000_000..3_000_000_000)];
    let at = Timestamp(instant + off.choose(rng).unwrap());
    let mut usage = any_usage(rng);
    if rng.random_bool(0.5) {
        // At a tier's boundary, or one token off it.
        let target = TIERS.choose(rng).unwrap() + rng.random_range(0..3) - 1;
        usage.input = (target + usage.input).saturating_sub(usage.prompt_tokens());
    }
    let mut record = record(number.into(), at);
    let opened = &mut record.opened;
    (opened.org, opened.model) = (org_id(1 + plan as u128), Arc::from(model));
    opened.price_version = snapshot.plans[PLANS[plan]].prices.version;
    opened.sandbox = rng.random_bool(0.02);
    record.closed.usage = usage;
    record.closed.cost = Pico::ZERO;
    record.closed.charge(opened, snapshot.plans[PLANS[plan]].price_of(model));
    let line = json!({
        "plan": PLANS[plan],
        "model": model,
        "at": at.0,
        "sandbox": opened.sandbox,
        "usage": usage,
    });
    (record, line)
}

fn any_usage(rng: &mut StdRng) -> Usage {
    let mut some = |most: u64| if rng.random_bool(0.4) { rng.random_range(1..=most) } else { 0 };
    Usage {
        input: some(100_000),
        cache_read: some(100_000),
        cache_write_5m: some(1_000),
        cache_write_1h: some(300),
        audio_in: some(300),
        output: some(1_000_000_000),
        reasoning: some(9_000),
        audio_out: some(300),
        images: some(4),
        searches: some(3),
        characters: some(4_096),
        seconds: some(7_200),
    }
}

#[expect(clippy::disallowed_methods, reason = "how long a test runs is no part of a configuration")]
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
