//! Connections of a Pod that accepts only so many at once: Tomcat's `maxConnections`, HAProxy's `maxconn`.
//!
//! The kernel completes handshakes for the process: who is not accepted yet waits in the accept queue, as far as `backlog` goes,
//! until a connection is closed; for more the SYN is dropped, and sent again (`tcp_conn_request`).

use crate::cluster::{Cluster, Connection, Ctx, Outcome, Request};
use crate::ids::PodId;
use crate::spec::Protocol;
use svcsim_engine::Key;

impl Cluster {
    /// A Pod accepts a connection, if it may have another.
    pub(super) fn accepts_connection(&mut self, connection: &mut Connection) -> bool {
        let pod = &mut self.pods[connection.pod];
        let Some(most) = self.workloads[pod.workload].max_connections else { return true };
        if connection.accepted_by == pod.process_number {
            return true;
        }
        if pod.connections >= most {
            return false;
        }
        pod.connections += 1;
        connection.accepted_by = pod.process_number;
        true
    }

    /// Whether the first request of a connection has to wait until its Pod accepts that; it does so now, or its SYN is dropped.
    pub(super) fn waits_for_accept(&mut self, key: Key, ctx: &mut Ctx<'_>) -> bool {
        let Some(&Request { mut connection, source, fresh, .. }) = self.requests.get(key) else { return false };
        if !fresh || self.sources[source].protocol == Protocol::Udp {
            return false;
        }
        let accepted = self.accepts_connection(&mut connection);
        if let Some(request) = self.requests.get_mut(key) {
            request.connection = connection;
            if !accepted {
                request.enter(ctx.now());
            }
        }
        if accepted {
            return false;
        }
        let pod = &mut self.pods[connection.pod];
        if pod.unaccepted.len() > self.workloads[pod.workload].backlog as usize {
            self.lose(key, Outcome::BacklogFull, ctx);
        } else {
            pod.unaccepted.push_back(key);
        }
        true
    }

    /// A connection is closed: its Pod may accept another.
    pub(super) fn vacate(&mut self, connection: &Connection) {
        let pod = &mut self.pods[connection.pod];
        if connection.accepted_by == pod.process_number {
            pod.connections -= 1;
            if !pod.unaccepted.is_empty() {
                self.vacated.push(connection.pod);
            }
        }
    }

    /// A Pod accepts the next connection in its queue. Who has hung up meanwhile is accepted and closed again.
    pub(in crate::cluster) fn accept_next(&mut self, id: PodId, ctx: &mut Ctx<'_>) {
        while let Some(key) = self.pods[id].unaccepted.pop_front() {
            let Some(&Request { mut connection, ended, .. }) = self.requests.get(key).filter(|r| r.is_inside(id)) else { continue };
            if ended {
                self.requests.remove(key);
                continue;
            }
            if !self.accepts_connection(&mut connection) {
                return self.pods[id].unaccepted.push_front(key);
            }
            if let Some(request) = self.requests.get_mut(key) {
                request.connection = connection;
            }
            self.take_in(key, ctx);
        }
    }
}
