//! Usage becomes money, in the background: [`recorder`] brings it from the journal to the store, [`pricing`]
//! charges what had no price at first, and [`retention`] lets go of what is too old.

pub(crate) mod pricing;
pub mod recorder;
pub mod retention;
