//! A request's way, one file a step.

mod accept;
mod again;
mod arrive;
mod balance;
mod call;
mod end;
mod gateway;
mod guard;
mod hedge;
mod pool;
mod quota;
mod rounds;
mod serve;
mod sleep;
mod travel;

pub(in crate::cluster) use balance::Board;
pub(in crate::cluster) use call::{Call, Calling};
