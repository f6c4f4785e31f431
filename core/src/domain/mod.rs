//! What the product talks about, in reading order.

pub mod audit;
pub mod budget;
pub mod clock;
pub mod credential;
pub mod cursor;
pub mod estimate;
pub mod fee;
pub mod histogram;
pub mod id;
pub mod invoice;
pub mod key;
pub mod ledger;
pub mod limit;
pub mod money;
pub mod outlay;
pub mod percent;
pub mod plan;
pub mod price;
pub mod rollup;
pub mod standing;
pub mod usage;
