//! Every option that people use (P0 and P1 in the tables of `config`; every flag) has its effect and its bad value seen
//! on the real binary. The tables here are data; what is missing in them fails [`complete`].

mod bad_annotations;
mod bad_flags;
mod bad_settings;
mod complete;
mod effects;
mod flag_effects;
mod flags_of_clusters;
mod proofs;
mod setting_effects;
mod timed;
mod world;
