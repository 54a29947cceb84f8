//! Directives of connections: addresses, ports, limits per client, TLS.
//!
//! *Duty:* the rows of the parameters that the listener, the clients' buffers and TLS read.
//! *Does not know:* how words are read and printed (`directive`, `special`), and what a change entails.
//! *Invariants:* the bounds lie within the field's type; flags are those of 7.0.15 (`table/tests.rs`).
//! *Counterpart in C Redis:* the same rows of `static_configs[]`.

use super::special;
use crate::config::directive::{Directive, Flags, Kind};
use crate::config::number::Form;
use crate::config::values::Choice;

const LARGEST_LIMIT: i64 = i64::MAX;

pub(super) const ROWS: &[Directive] = &[
    special::BIND,
    text!("bind-source-addr", bind_source_addr),
    number!("port", port, 0, 65535),
    number!("tcp-backlog", tcp_backlog, 0, i32::MAX).immutable(),
    number!("tcp-keepalive", tcp_keepalive, 0, i32::MAX),
    number!("timeout", timeout, 0, i32::MAX),
    yes_no!("protected-mode", protected_mode),
    text!("unixsocket", unixsocket).immutable(),
    number!("unixsocketperm", unixsocketperm, 0, 0o777, Form::Octal).immutable(),
    number!("socket-mark-id", socket_mark_id, 0, u32::MAX).immutable(),
    number!("maxclients", maxclients, 1, u32::MAX),
    number!("io-threads", io_threads, 1, 128).immutable().flags(Flags::DEBUG),
    yes_no!("io-threads-do-reads", io_threads_do_reads).immutable().flags(Flags::DEBUG),
    number!("client-query-buffer-limit", client_query_buffer_limit, 1 << 20, LARGEST_LIMIT, Form::Memory)
        .flags(Flags::DEBUG),
    number!("proto-max-bulk-len", proto_max_bulk_len, 1 << 20, LARGEST_LIMIT, Form::Memory).flags(Flags::DEBUG),
    special::CLIENT_OUTPUT_BUFFER_LIMIT,
    number!("tls-port", tls_port, 0, 65535),
    text!("tls-cert-file", tls_cert_file).flags(Flags::VOLATILE),
    text!("tls-key-file", tls_key_file).flags(Flags::VOLATILE),
    text!("tls-key-file-pass", tls_key_file_pass),
    text!("tls-client-cert-file", tls_client_cert_file).flags(Flags::VOLATILE),
    text!("tls-client-key-file", tls_client_key_file).flags(Flags::VOLATILE),
    text!("tls-client-key-file-pass", tls_client_key_file_pass),
    text!("tls-dh-params-file", tls_dh_params_file).flags(Flags::VOLATILE),
    text!("tls-ca-cert-file", tls_ca_cert_file).flags(Flags::VOLATILE),
    text!("tls-ca-cert-dir", tls_ca_cert_dir).flags(Flags::VOLATILE),
    choice!("tls-auth-clients", tls_auth_clients),
    yes_no!("tls-replication", tls_replication),
    yes_no!("tls-cluster", tls_cluster),
    text!("tls-protocols", tls_protocols),
    text!("tls-ciphers", tls_ciphers),
    text!("tls-ciphersuites", tls_ciphersuites),
    yes_no!("tls-prefer-server-ciphers", tls_prefer_server_ciphers),
    yes_no!("tls-session-caching", tls_session_caching),
    number!("tls-session-cache-size", tls_session_cache_size, 0, i32::MAX),
    number!("tls-session-cache-timeout", tls_session_cache_timeout, 0, i32::MAX),
];
