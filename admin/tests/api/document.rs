//! The OpenAPI document.

use crate::support::Api;
use std::collections::BTreeSet;

#[tokio::test]
async fn the_committed_document_is_what_the_handlers_say() {
    let served = Api::new().get("/openapi.json").send().await;
    assert_eq!(served.status, 200);
    assert_eq!(served.headers["content-type"], "application/json");
    assert!(
        served.text == aione_admin::openapi_json(),
        "run `cargo run -p aione-admin --example openapi > admin/openapi.json`"
    );
}

#[tokio::test]
async fn each_operation_has_a_name_of_its_own() {
    let document: serde_json::Value = serde_json::from_str(&aione_admin::openapi_json()).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().unwrap().values();
    let names: Vec<_> = paths
        .flat_map(|path| path.as_object().unwrap().values())
        .map(|operation| operation["operationId"].as_str().unwrap())
        .collect();
    assert_eq!(names.len(), 16);
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
}
