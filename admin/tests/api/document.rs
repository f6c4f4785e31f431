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
    assert_eq!(names.len(), 46);
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
}

#[tokio::test]
async fn the_page_shows_every_call_and_field_and_runs_no_script() {
    let page = Api::new().get("/docs").send().await;
    assert_eq!(
        (page.status.as_u16(), &page.headers["content-type"]),
        (200, &"text/html; charset=utf-8".parse().unwrap())
    );
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("unsafe"),
        "{policy}"
    );
    assert!(
        !page.text.contains("<script") && !page.text.contains("http://") && !page.text.contains("https://")
    );
    let document: serde_json::Value = serde_json::from_str(&aione_admin::openapi_json()).unwrap();
    for methods in document["paths"].as_object().unwrap().values() {
        for call in methods.as_object().unwrap().values() {
            let id = call["operationId"].as_str().unwrap();
            assert!(page.text.contains(&format!("<section id={id}>")), "{id}");
        }
    }
    for (name, shape) in document["components"]["schemas"].as_object().unwrap() {
        assert!(page.text.contains(&format!("<section id=\"shape-{name}\">")), "{name}");
        for field in shape["properties"].as_object().into_iter().flatten().map(|(field, _)| field) {
            assert!(page.text.contains(&format!("<tr><td><code>{field}</code>")), "{name}.{field}");
        }
    }
    // Every link within the page has an end.
    for link in page.text.split("href=").skip(1) {
        let target: String =
            link.trim_start_matches(['"', '#']).chars().take_while(|c| !matches!(c, '>' | '"')).collect();
        let is_there =
            page.text.contains(&format!("id={target}>")) || page.text.contains(&format!("id=\"{target}\""));
        assert!(is_there, "{target}");
    }
}
