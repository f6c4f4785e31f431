//! From YAML texts to a snapshot, or to everything that is wrong with them.

mod account;
mod context;
mod model;
mod operation;
mod pass_through;
mod plan;
mod plan_price;
mod price;
mod provider;
mod redis;
mod secret;
mod url;

pub use crate::config::{
    interpolate::{Lookup, Nothing},
    problem::Problem,
    tree::FILE_BYTES_MAX,
};

use crate::config::{
    merge, model as yaml,
    problem::Place,
    schema, shape,
    snapshot::Snapshot,
    tree::{self, Data, Node},
};
use crate::domain::price::PriceBook;
use context::Context;
use serde_json::{Map, Value};
use std::sync::Arc;

/// One file's text. References and relative paths in it start at the folder of `name`.
#[derive(Clone, Debug)]
pub struct Source {
    /// The path by which people find it.
    pub name: Arc<str>,
    pub text: String,
}

/// A sound configuration.
#[derive(Debug)]
pub struct Checked {
    pub snapshot: Snapshot,
    /// What is allowed and probably not meant, in the order of the files.
    pub warnings: Vec<Problem>,
}

/// A pattern of `include`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Include {
    pub pattern: String,
    pub place: Place,
}

/// Checks `sources`, of which the first is the main file and the rest are what it includes.
/// Environment and files are asked of `lookup`; nothing else is read.
///
/// # Errors
/// Every problem, in the order of the files.
pub fn check(sources: &[Source], lookup: &dyn Lookup) -> Result<Checked, Vec<Problem>> {
    let mut problems = Vec::new();
    let trees = sources
        .iter()
        .filter_map(|source| {
            tree::parse(&source.name, &source.text).map_err(|problem| problems.push(problem)).ok()
        })
        .collect::<Vec<Node>>();
    if trees.len() < sources.len() || trees.is_empty() {
        // What a file that cannot be read would have said is unknown, so that any other
        // problem might be none.
        return Err(in_order(problems, sources));
    }
    let Some(root) = merge::merge(trees, &mut problems) else { return Err(problems) };
    let sections = shape::check(&root, schema::root(), &mut problems);
    let mut context = Context::new(&root, lookup, problems);
    let snapshot = document(sections, &mut context).map(|document| build(&document, &mut context));
    let (problems, warnings) = context.finish();
    match snapshot {
        Some(snapshot) if problems.is_empty() => {
            Ok(Checked { snapshot, warnings: in_order(warnings, sources) })
        }
        _ => Err(in_order(problems, sources)),
    }
}

/// What the main file includes, as far as that can be read from it; the rest is `check`'s to
/// tell.
#[must_use]
pub fn includes(main: &Source) -> Vec<Include> {
    let Ok(root) = tree::parse(&main.name, &main.text) else { return Vec::new() };
    let patterns = root.get("include").map(|entry| entry.value.items()).unwrap_or_default();
    let include = |item: &Node| match &item.data {
        Data::Text(pattern) => Some(Include { pattern: pattern.clone(), place: item.place.clone() }),
        _ => None,
    };
    patterns.iter().filter_map(include).collect()
}

/// The model of what fits. The shape check leaves nothing that the model does not take.
fn document(mut sections: Map<String, Value>, context: &mut Context<'_>) -> Option<yaml::Document> {
    context.seal(&Value::Object(sections.clone()));
    for required in ["providers", "models"] {
        sections.entry(required).or_insert_with(|| Value::Object(Map::new()));
    }
    match serde_json::from_value(Value::Object(sections)) {
        Ok(document) => Some(document),
        Err(error) => {
            let root = context.root();
            context.problem(&root, format!("cannot be read: {error}"));
            None
        }
    }
}

fn build(document: &yaml::Document, context: &mut Context<'_>) -> Snapshot {
    let providers = provider::providers(document, context);
    let (models, mut prices) = model::models(document, &providers, context);
    let passages = pass_through::passages(document, &providers, context);
    prices.extend(passages.iter().filter_map(|it| Some((it.model.id.clone(), it.model.price.clone()?))));
    let prices = Arc::new(PriceBook::new(prices));
    let (plans, default_plan) = plan::plans(document, &prices, context);
    let storage = operation::storage(&document.storage, context);
    let (peppers, pepper_file) = secret::peppers(&document.secrets, &storage.database, context);
    operation::listeners(document, context);
    Snapshot {
        server: operation::server(&document.server, context),
        admin: operation::admin(&document.admin, context),
        metrics_listen: document.metrics.listen.0,
        storage,
        peppers,
        pepper_file,
        keys: operation::keys(&document.keys, context),
        billing: operation::billing(&document.billing),
        limits: operation::limits(document, context),
        drain: operation::drain(&document.drain, context),
        log: operation::log(document, context),
        providers,
        models,
        passages,
        plans,
        default_plan,
        prices,
        version: context.version(),
    }
}

/// By file, in the order in which they were given, then by line.
fn in_order(mut problems: Vec<Problem>, sources: &[Source]) -> Vec<Problem> {
    let file = |problem: &Problem| sources.iter().position(|source| source.name == problem.place.file);
    problems.sort_by(|one, other| (file(one), &one.place).cmp(&(file(other), &other.place)));
    problems.dedup();
    problems
}
