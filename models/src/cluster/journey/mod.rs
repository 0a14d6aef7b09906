//! A request's way, one file a step.

mod again;
mod arrive;
mod end;
mod gateway;
mod guard;
mod serve;
mod travel;
