//! What may be spent may be spent once, over both nodes together.

use super::{Pair, all_pass, ask, held, race};
use crate::support::{
    account::{Account, assert_unpaid, decimal, put},
    client::{self, Call, Version},
    gateway::Gateway,
    money,
    upstream::{Gate, Truth},
    wait,
};
use serde_json::json;

const RACERS: usize = 50;

/// What one answer of [`held`] costs.
fn cost() -> i128 {
    money::cost(&Truth::plain("x", 1, 1))
}

fn times(amount: i128, count: usize) -> i128 {
    amount * i128::try_from(count).unwrap()
}

/// What one request reserves: seen while one is held at the upstream. It is recorded when this returns.
async fn reservation(pair: &Pair, gate: &Gate, key: &str) -> i128 {
    let account = Account(&pair.nodes[0]);
    account.org(json!({ "credit_limit_rmb": "1000000" })).await;
    let (public, call, before) = (pair.nodes[0].settings.public, ask(key), pair.upstream.asked());
    let held = tokio::spawn(async move { client::send(Version::H1, public, &call).await });
    wait::until("one is held", async || (pair.upstream.asked() > before).then_some(())).await;
    let reserved = account.amount("reserved_rmb").await;
    gate.open_once();
    held.await.unwrap().ok();
    settled(pair).await;
    reserved
}

/// Waits until everything is recorded and told.
async fn settled(pair: &Pair) {
    for node in &pair.nodes {
        node.quiet().await;
    }
    pair.told().await;
}

/// Makes the organization pay before, and leaves it so much.
async fn leave(pair: &Pair, amount: i128) {
    let account = Account(&pair.nodes[0]);
    account.org(json!({ "billing_mode": "prepaid" })).await;
    let balance = account.amount("balance_rmb").await;
    account.top_up(amount - balance).await;
    assert_eq!(Account(&pair.nodes[1]).amount("balance_rmb").await, amount);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_50_who_each_need_a_tenth_of_the_balance_ten_pass_over_both_nodes() {
    let (pair, gate) = held().await;
    let key = pair.nodes[0].key().await;
    let each = reservation(&pair, &gate, &key).await;
    assert!(each > 2 * cost());
    leave(&pair, times(each, 10)).await;
    let first = race(&pair, &key, RACERS, 10, 402).await;
    let mut reserved = 0;
    for node in &pair.nodes {
        reserved += Account(node).amount("reserved_rmb").await;
        assert_unpaid(&node.send(&ask(&key)).await, "balance of the organization");
    }
    assert_eq!(reserved, times(each, 10));
    all_pass(&gate, first).await;
    // Until nothing more fits: what was not spent of a reservation is there again, on both nodes.
    let mut left = times(each - cost(), 10);
    loop {
        settled(&pair).await;
        assert_eq!(Account(&pair.nodes[1]).amount("balance_rmb").await, left);
        let fits = usize::try_from(left / each).unwrap();
        let some = race(&pair, &key, fits + 10, fits, 402).await;
        if fits == 0 {
            break;
        }
        all_pass(&gate, some).await;
        left -= times(cost(), fits);
    }
    assert!((0..each).contains(&left), "{left}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_keys_budget_holds_over_both_nodes_and_a_higher_one_at_once() {
    let (pair, gate) = held().await;
    let key = pair.nodes[0].create_key(json!({ "budget_rmb": "1" })).await;
    let each = reservation(&pair, &gate, &key.secret).await;
    let path = format!("/api/v1/gateway/keys/{}", key.id);
    for (node, more) in [(0, 5), (1, 8)] {
        let spent: i128 = times(cost(), if node == 0 { 1 } else { 6 });
        let budget = spent + times(each, more);
        pair.nodes[node].admin(put(&path, &json!({ "budget_rmb": decimal(budget) }))).await.ok();
        wait::until("both have heard of it", async || {
            let other = pair.nodes[1 - node].admin(Call::get(&path)).await.ok().json();
            (money::pico(other["budget_rmb"].as_str()?) == budget).then_some(())
        })
        .await;
        let held = race(&pair, &key.secret, RACERS, more, 402).await;
        all_pass(&gate, held).await;
        settled(&pair).await;
    }
}

/// How many calls pass at the nodes in turn until one is refused.
async fn spend(nodes: &[&Gateway], key: &str) -> usize {
    for n in 0.. {
        let answer = nodes[n % nodes.len()].send(&ask(key)).await;
        if answer.status != 200 {
            assert_unpaid(&answer, "key's budget for this month");
            return n;
        }
    }
    unreachable!("nothing is spent without end")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_each_node_spends_its_part_and_with_it_again_the_rest() {
    let (pair, gate) = held().await;
    let each = reservation(&pair, &gate, &pair.nodes[0].key().await).await;
    gate.open();
    let wide = pair.wide_key().await;
    let [one, two] = [&pair.nodes[0], &pair.nodes[1]];
    for how in ["killed", "frozen"] {
        println!("{how}");
        let budget = each + times(cost(), 43);
        let key = one.create_key(json!({ "budget_rmb": decimal(budget) })).await.secret;
        for node in &pair.nodes {
            node.send(&ask(&key)).await.ok();
        }
        settled(&pair).await;
        if how == "frozen" {
            pair.redis.freeze();
        } else {
            pair.redis.kill9();
        }
        pair.apart(&wide).await;
        // Two were spent before, which both know of or have by now heard of.
        let half = (budget - times(cost(), 2)) / 2;
        let part = usize::try_from((half - each) / cost() + 1).unwrap();
        let mine = spend(&[one], &key).await;
        assert!((part - 1..=part).contains(&mine), "{mine} of {part}");
        let others = spend(&[two], &key).await;
        assert!(others <= part, "{others} of {part}");
        if how == "frozen" {
            pair.redis.thaw();
        } else {
            pair.redis.begin().await;
        }
        pair.together().await;
        settled(&pair).await;
        let rest = spend(&[two, one], &key).await;
        assert_eq!(2 + mine + others + rest, 44, "{mine}, {others} and {rest}");
    }
}
