//! The JSON Schema of a configuration file, made from the model: for editors, for `aione schema`
//! and for the shape check.

use crate::config::model::Document;
use serde_json::Value;
use std::sync::LazyLock;

static SCHEMA: LazyLock<Value> = LazyLock::new(|| schemars::schema_for!(Document).to_value());

/// The schema, as `conf/aione.schema.json` holds it.
#[must_use]
pub fn text() -> String {
    format!("{:#}\n", *SCHEMA)
}

pub(super) fn root() -> &'static Value {
    &SCHEMA
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_committed_schema_is_the_models() {
        let committed = include_str!("../../../conf/aione.schema.json");
        assert_eq!(committed, super::text(), "write `aione schema` to conf/aione.schema.json");
    }
}
