//! Usage becomes money, in the background: [`recorder`] brings it from the journal to the store.

pub mod recorder;
