//! What vendors say an answer used, in their own documents' examples, becomes the classes that it was, passed
//! through or translated, and the amount that an independent calculator says.
//!
//! `tests/fixtures/usage/bills.json` is the table: a fixture, the vendor's rule, the classes that follow from
//! it, and their amount.

use crate::{
    config::check::{Lookup, Nothing, Source, check},
    domain::{clock::Timestamp, price::ModelPrice, usage::Usage},
    wire::{
        Dialect,
        chat::Fold,
        codec::codec,
        tap::{PlainTap, Reading, StreamTap},
    },
};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

#[derive(Deserialize)]
struct Table {
    /// Of bills that state none of their own: every class has another rate.
    price: Value,
    bills: Vec<Bill>,
}

#[derive(Deserialize)]
struct Bill {
    file: String,
    dialect: String,
    /// Where the vendor says what its fields mean.
    rule: String,
    /// Whether there is a codec for it.
    #[serde(default = "yes")]
    is_chat: bool,
    price: Option<Value>,
    /// Classes that are not there are zero.
    usage: Map<String, Value>,
    /// In units of the currency.
    amount: String,
}

fn yes() -> bool {
    true
}

impl Bill {
    fn dialect(&self) -> Dialect {
        Dialect::ALL.into_iter().find(|dialect| dialect.as_str() == self.dialect).unwrap()
    }

    fn is_stream(&self) -> bool {
        self.file.ends_with(".sse")
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(folder().join(&self.file)).unwrap()
    }

    fn usage(&self) -> Usage {
        let mut all = serde_json::to_value(Usage::default()).unwrap();
        for (class, count) in &self.usage {
            let slot = all.get_mut(class).unwrap_or_else(|| panic!("{}: no class {class}", self.file));
            *slot = count.clone();
        }
        serde_json::from_value(all).unwrap()
    }

    fn name(&self) -> String {
        self.file.replace(['/', '.'], "-")
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/usage")
}

fn table() -> Table {
    serde_json::from_slice(&fs::read(folder().join("bills.json")).unwrap()).unwrap()
}

/// As bytes that pass are metered, in pieces of `size`.
fn metered(bill: &Bill, size: usize) -> Reading {
    let bytes = bill.bytes();
    if !bill.is_stream() {
        let mut tap = PlainTap::new(bill.dialect());
        bytes.chunks(size).for_each(|piece| tap.feed(piece));
        return tap.finish();
    }
    let mut tap = StreamTap::new(bill.dialect(), false);
    let mut out = Vec::new();
    bytes.chunks(size).for_each(|piece| tap.feed(&Bytes::copy_from_slice(piece), &mut out));
    tap.finish(&mut out);
    out.extend(tap.take_terminal());
    assert_eq!(out.concat(), bytes, "{}", bill.file);
    tap.take_reading()
}

/// As it is read to be said in another dialect.
fn translated(bill: &Bill) -> Option<Usage> {
    let codec = codec(bill.dialect()).unwrap();
    if !bill.is_stream() {
        return codec.decode_answer(&bill.bytes()).unwrap().usage;
    }
    let (mut reader, mut events) = (codec.reader(), Vec::new());
    reader.feed(&bill.bytes(), &mut events);
    reader.end(&mut events);
    let mut fold = Fold::default();
    events.iter().for_each(|event| fold.feed(event));
    assert!(fold.is_done() && fold.error().is_none(), "{}", bill.file);
    fold.answer().usage
}

#[test]
fn each_vendors_usage_is_in_the_classes_that_its_documents_say() {
    let table = table();
    for bill in &table.bills {
        assert!(bill.rule.starts_with("https://"), "{}: no rule", bill.file);
        for size in [usize::MAX, 100, 1] {
            let reading = metered(bill, size);
            assert_eq!(reading.usage, Some(bill.usage()), "{} in pieces of {size}", bill.file);
            let told = (reading.flagged, reading.error, reading.complete, reading.usage_is_final);
            assert_eq!(told, (false, false, true, true), "{}", bill.file);
        }
        if bill.is_chat {
            assert_eq!(translated(bill), Some(bill.usage()), "{} translated", bill.file);
        }
    }
    println!("{} bills", table.bills.len());
}

#[test]
fn each_vendors_bill_is_what_an_independent_calculator_says() {
    let table = table();
    let price = |bill: &Bill| bill.price.clone().unwrap_or_else(|| table.price.clone());
    let models: Map<String, Value> = table
        .bills
        .iter()
        .map(|bill| {
            let model = json!({ "price": price(bill), "route": { "deployments": [{ "provider": "sim" }] } });
            (bill.name(), model)
        })
        .collect();
    let config = json!({
        "billing": { "time_zone": "UTC" },
        "providers": { "sim": { "kind": "simulated" } },
        "models": models,
        "default_plan": "book",
        "plans": { "book": {} },
    });
    let source = Source { name: Arc::from("aione.yaml"), text: config.to_string() };
    let snapshot = check(&[source], &Nothing).unwrap_or_else(|problems| panic!("{problems:#?}")).snapshot;
    let prices: &BTreeMap<Arc<str>, ModelPrice> = &snapshot.prices.models;

    let lines = table.bills.iter().map(|bill| {
        let usage = metered(bill, usize::MAX).usage.unwrap();
        let line = json!({ "plan": "book", "model": bill.name(), "at": 0, "sandbox": false, "usage": usage });
        format!("{line}\n")
    });
    let files = tempfile::tempdir().unwrap();
    let wanted = json!({ "zone": "UTC", "months": [], "tax": "0" });
    let texts = [config.to_string(), lines.collect(), wanted.to_string()];
    let paths = ["config.json", "records.jsonl", "invoices.json"].map(|name| files.path().join(name));
    paths.iter().zip(&texts).for_each(|(path, text)| fs::write(path, text).unwrap());
    let calculator = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/clients/calculator.py");
    let output = Command::new("python3").arg(calculator).args(&paths).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let calculated = String::from_utf8(output.stdout).unwrap();
    let mut calculated = calculated.lines();

    for bill in &table.bills {
        let ours = prices[&*bill.name()].price(&bill.usage(), Timestamp(0)).unwrap();
        assert_eq!(ours.0.to_string(), calculated.next().unwrap(), "{}", bill.file);
        assert_eq!(ours.to_decimal(), bill.amount, "{}", bill.file);
        println!("{}: {}", bill.file, bill.amount);
    }
}

#[test]
fn every_fixture_is_billed() {
    let billed: Vec<String> = table().bills.into_iter().map(|bill| bill.file).collect();
    let mut there = Vec::new();
    for vendor in fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).filter(|it| it.is_dir())
    {
        for file in fs::read_dir(&vendor).unwrap().map(|entry| entry.unwrap().path()) {
            there.push(file.strip_prefix(folder()).unwrap().display().to_string());
        }
    }
    let missing: Vec<_> = there.iter().filter(|file| !billed.contains(file)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert_eq!(there.len(), billed.len());
}

#[test]
fn every_vendors_entry_is_a_sound_provider() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conf/providers");
    let mut vendors = 0;
    for path in fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()) {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        // What these want besides a key is tried where their kinds are checked.
        if ["azure", "bedrock", "vertex"].contains(&&*name) {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let main = format!(
            "models: {{ m: {{ price: {{ input: '1', cache_read: '1', cache_write_5m: '1', cache_write_1h: '1', \
             output: '1' }}, route: {{ deployments: [{{ provider: {name} }}] }} }} }}"
        );
        let sources = [("aione.yaml", &main), ("providers/it.yaml", &text)]
            .map(|(name, text)| Source { name: Arc::from(name), text: text.clone() });
        let checked = check(&sources, &Key).unwrap_or_else(|problems| panic!("{name}: {problems:#?}"));
        assert!(checked.warnings.is_empty(), "{name}: {:#?}", checked.warnings);
        let provider = &checked.snapshot.providers[&*name];
        assert!(provider.base.is_some() && !provider.dialects.is_empty(), "{name}");
        assert_eq!(provider.credentials.is_empty(), !text.contains("credentials:"), "{name}");
        vendors += 1;
    }
    assert!(vendors >= 13, "{vendors}");
}

/// Every variable without a default of its own is a credential.
struct Key;

impl Lookup for Key {
    fn var(&self, name: &str) -> Option<String> {
        name.ends_with("_KEY").then(|| "sk-of-a-vendor".to_owned())
    }

    fn file(&self, _: &Path) -> Result<Option<String>, String> {
        Ok(None)
    }

    fn pair(&self, _: &Path, _: &Path) -> Result<(), String> {
        Ok(())
    }
}
