//! Usage becomes money, in the background: [`recorder`] brings it from the journal to the store, and
//! [`retention`] lets go of what is too old.

pub mod recorder;
pub mod retention;
