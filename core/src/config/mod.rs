//! What a configuration says: YAML's types, all of its problems, and the snapshot that
//! requests pin.
//!
//! Text becomes a located [`tree`]; the files' trees are [`merge`]d; the [`shape`] of the whole
//! is held against the JSON [`schema`] of the [`model`]; what is well-formed is [`check`]ed for
//! meaning and becomes a [`snapshot`]. Each step adds to one list of problems and goes on with
//! what is sound, so that a person is told everything at once.

pub mod check;
pub mod diff;
pub mod form;
mod interpolate;
mod merge;
pub mod model;
pub mod offer;
pub mod pass_through;
mod path;
pub mod problem;
pub mod schema;
mod shape;
pub mod snapshot;
pub mod standing;
mod suggest;
#[cfg(test)]
mod tests;
mod tree;
