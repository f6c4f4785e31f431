//! What the product talks about, in reading order.

pub mod audit;
pub mod clock;
pub mod credential;
pub mod estimate;
pub mod id;
pub mod key;
pub mod limit;
pub mod money;
pub mod plan;
pub mod price;
pub mod usage;
