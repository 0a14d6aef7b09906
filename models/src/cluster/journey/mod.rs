//! A request's way, one file a step.

mod arrive;
mod end;
mod serve;
mod travel;
