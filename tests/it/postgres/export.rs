//! A file of very many requests goes out while the process stays as small as it was.

use super::node;
use crate::support::{
    client::{self, Call, Version},
    postgres,
    settings::OPERATOR,
    upstream::Upstream,
};

/// Rows of the file. `AIONE_TEST_EXPORT_ROWS` asks for more.
const ROWS: u64 = 100_000;
/// What the process may grow by, whatever the number: pages that are read and written, and the allocator.
const GROWTH_MAX_KIB: u64 = 48 * 1024;

#[tokio::test]
async fn a_file_of_every_request_does_not_stay_in_memory() {
    let rows =
        std::env::var("AIONE_TEST_EXPORT_ROWS").ok().and_then(|text| text.parse().ok()).unwrap_or(ROWS);
    let (url, upstream) = (postgres::database().await, Upstream::start().await);
    let gateway = node(&url, &upstream).start().await;
    let key = gateway.key().await;
    gateway.send(&Call::chat(&key, "m")).await.ok();
    super::recorded(&url, 1).await;
    // Seven in each millisecond.
    let copies = format!(
        "INSERT INTO usage_records SELECT (r.filled).* FROM (
            SELECT u #= hstore(ARRAY[
                'id', gen_random_uuid()::text, 'started_at', (started_at - n / 7)::text]) AS filled
            FROM usage_records u, generate_series(2, {rows}) n) r"
    );
    postgres::execute(&url, &format!("CREATE EXTENSION hstore; {copies}; ANALYZE usage_records")).await;

    let before = gateway.resident_kib();
    let call = Call::get("/api/v1/obs/requests?format=csv").bearer(OPERATOR).header("x-aione-org", "default");
    let mut exchange = client::open(Version::H1, gateway.settings.admin, &call).await;
    assert_eq!(exchange.status(), 200);
    let (mut lines, mut largest) = (0, before);
    while let Some(piece) = exchange.piece().await.unwrap() {
        lines += piece.iter().filter(|byte| **byte == b'\n').count() as u64;
        largest = largest.max(gateway.resident_kib());
    }
    println!("{lines} lines; {before} KiB before, {largest} KiB at the most");
    assert_eq!(lines, rows + 1);
    assert!(largest - before < GROWTH_MAX_KIB, "{before} KiB became {largest} KiB");
}
