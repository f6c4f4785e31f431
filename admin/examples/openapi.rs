//! Prints the management API's OpenAPI document: `… --example openapi > admin/openapi.json`.

fn main() {
    print!("{}", aione_admin::openapi_json());
}
