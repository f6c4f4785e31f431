//! The life of one request. Each line of [`run`] is a file of the same name.

use super::{
    Gateway, admit, ask, authenticate, client::Client, endpoint::Called, refusal::Refusal, relay, route,
    settle, trace::Trace, upstream,
};
use std::sync::Arc;

pub(crate) async fn run(
    gateway: &Arc<Gateway>,
    client: &mut Client<'_>,
    called: Called,
    trace: &mut Trace,
) -> Result<(), Refusal> {
    let world = gateway.world(); //                                              1 pin one config
    let caller = authenticate::caller(gateway, &world.snapshot, client, trace).await?; // 2 who are they
    trace.caller(&caller);
    let room = gateway.bodies.room();
    let mut ask = ask::read(client, &world.snapshot, called, room).await?; //    3 what do they want
    let route = route::resolve(&world, &caller, &ask, trace)?; //                4 where could it go
    ask.make_room(&route)?; //                                                   another dialect takes more
    let mut hold = admit::reserve(gateway, &world, &caller, &route, &ask, trace).await?; // 5 may they
    let answer = upstream::call(gateway, &world, &route, &ask, &mut hold, client).await; // 6 ask, failing over
    ask.let_body_go(); //                                                        no answer holds its prompt
    let tail = relay::pump(gateway, answer, client, &mut hold).await; //         7 answer them
    let accounted = settle::close(hold, &ask, trace); //                         8 account for it
    settle::release(accounted, tail, client).await; //                             and let the end go
    Ok(())
}
