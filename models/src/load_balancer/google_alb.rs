//! Google Cloud Application Load Balancer over network endpoint groups of Pods: `googleNeg` that balances requests.
//!
//! | parameter | source |
//! |---|---|
//! | answers within 30 s | Google Cloud, *Backend services overview*, backend service timeout |
//! | connects within 5 s | assumption: Envoy's `connect_timeout`, on which regional ones are built |
//! | the rest | `googleNeg` |
//!
//! Omitted: that classic ones answer 502 where others answer 504, retries (once, of GET), the two proxies that a request of a
//! global one passes, its spreading of load over regions.

use super::parameters::{Parameters, Proxies};
use svcsim_engine::SimDuration;

pub(super) fn parameters() -> Parameters {
    let proxies = Proxies {
        connect_timeout: SimDuration::from_secs(5),
        response_timeout: SimDuration::from_secs(30),
        ..Proxies::default()
    };
    Parameters { proxies: Some(proxies), ..super::google_neg::parameters() }
}
