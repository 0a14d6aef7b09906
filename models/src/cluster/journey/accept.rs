//! Connections of a Pod that accepts only so many at once: Tomcat's `maxConnections`, HAProxy's `maxconn`.
//!
//! Who is not accepted yet waits in the accept queue, as far as `backlog` goes, until a connection is closed; for more the SYN is
//! dropped, and sent again (`tcp_conn_request`). A connection counts from its SYN: the round trips of a handshake come after the wait,
//! where a kernel has the first of them before it.

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

    /// Whether the first message of a connection has to wait until its Pod accepts that: it does so now, or its SYN is dropped.
    pub(super) fn waits_for_accept(&mut self, key: Key, ctx: &mut Ctx<'_>) -> bool {
        let Some(&Request { mut connection, source, fresh, .. }) = self.requests.get(key) else { return false };
        if !fresh || self.sources[source].protocol == Protocol::Udp {
            return false;
        }
        let pod = &self.pods[connection.pod];
        let known = connection.accepted_by == pod.process_number;
        let backlog = self.workloads[pod.workload].backlog;
        let in_turn = known || pod.unaccepted.is_empty();
        let accepted = in_turn && self.accepts_connection(&mut connection);
        let Some(request) = self.requests.get_mut(key) else { return false };
        if accepted {
            request.connection = connection;
            return false;
        }
        let pod = &mut self.pods[connection.pod];
        if !request.is_inside(connection.pod) {
            if !pod.queues_connects(backlog) {
                self.lose(key, Outcome::BacklogFull, ctx);
                return true;
            }
            request.enter(ctx.now());
        }
        pod.unaccepted.push_back(key);
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

    /// A Pod accepts whom it can of those in its queue, as soon as its process goes on. Who has hung up meanwhile is accepted and closed
    /// again. If it has closed its listener, their connections are reset (`inet_csk_listen_stop`).
    pub(in crate::cluster) fn accept_next(&mut self, id: PodId, ctx: &mut Ctx<'_>) {
        if self.pods[id].hangs() {
            return;
        }
        while let Some(key) = self.pods[id].unaccepted.pop_front() {
            let Some(&Request { mut connection, ended, .. }) = self.requests.get(key).filter(|r| r.is_inside(id)) else { continue };
            if ended {
                self.requests.remove(key);
            } else if !self.pods[id].accepts() {
                self.send_back(key, Outcome::Reset, self.pod_vertex(id), ctx);
            } else if self.accepts_connection(&mut connection) {
                if let Some(request) = self.requests.get_mut(key) {
                    request.connection = connection;
                }
                self.take_in(key, ctx);
            } else {
                return self.pods[id].unaccepted.push_front(key);
            }
        }
    }
}
