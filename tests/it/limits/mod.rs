//! Limits: races admit exactly what is allowed, refusals say when to come back, nothing is left held.

mod races;
mod refusals;
