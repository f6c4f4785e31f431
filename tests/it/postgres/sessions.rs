//! What other sessions of the same server do to ours.

use super::{node, recorded};
use crate::support::{
    client::Call,
    postgres::{self, Server},
    upstream::Upstream,
};
use sqlx::Executor as _;
use std::collections::HashSet;

#[tokio::test]
async fn a_lock_on_the_records_holds_up_no_request_and_they_come_when_it_is_gone() {
    let (url, upstream) = (postgres::database().await, Upstream::start().await);
    let gateway = node(&url, &upstream).start().await;
    let key = gateway.key().await;
    let mut ids = HashSet::from([gateway.send(&Call::chat(&key, "m")).await.ok().request_id()]);
    recorded(&url, 1).await;
    let mut other = postgres::session(&url).await;
    other.execute("BEGIN; LOCK TABLE usage_records IN ACCESS EXCLUSIVE MODE").await.unwrap();
    for _ in 0..50 {
        ids.insert(gateway.send(&Call::stream(&key, "m")).await.ok().request_id());
    }
    other.execute("ROLLBACK").await.unwrap();
    assert_eq!(recorded(&url, 51).await, ids);
}

#[tokio::test]
async fn a_server_without_a_free_connection_holds_up_no_request() {
    let (server, upstream) = (
        Server::start_with("-c max_connections=10 -c superuser_reserved_connections=0").await,
        Upstream::start().await,
    );
    let url = server.url();
    let gateway = node(&url, &upstream).start().await;
    let key = gateway.key().await;
    let mut ids = HashSet::from([gateway.send(&Call::chat(&key, "m")).await.ok().request_id()]);
    recorded(&url, 1).await;
    // Ours are ended and their places taken.
    let mut others = vec![postgres::session(&url).await];
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'aione'";
    others[0].execute(end).await.unwrap();
    while others.len() < 10 {
        match <sqlx::PgConnection as sqlx::Connection>::connect(&url).await {
            Ok(session) => others.push(session),
            Err(_) => others[0].execute(end).await.map(drop).unwrap(),
        }
    }
    for _ in 0..50 {
        ids.insert(gateway.send(&Call::chat(&key, "m")).await.ok().request_id());
    }
    drop(others);
    assert_eq!(recorded(&url, 51).await, ids);
}
