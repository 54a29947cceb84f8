//! [`Config`]: every parameter of the server, typed, with its default.
//!
//! *Duty:* one public field per directive of Redis 7.0.15, named as the directive with underscores, plus ours.
//! *Does not know:* names, aliases, bounds and texts; those are in the table's rows (`table/`).
//! *Invariants:* a field's type covers the bounds of its row. `Config::default()` is what a server without a file
//! and without arguments runs with; where 7.0.15 takes a default from its surroundings (`dir`), the text that
//! leaves it to the shell stands here.
//! *Counterpart in C Redis:* the configuration part of `struct redisServer`, and the defaults in `static_configs`.

use super::values::*;

/// Writes the struct and its `Default` from one list, so that no field can lack a default.
macro_rules! config {
    ($($(#[$doc:meta])* $field:ident: $type:ty = $default:expr,)+) => {
        /// The configuration of a server; see the head of this file.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Config {
            $($(#[$doc])* pub $field: $type,)+
        }

        impl Default for Config {
            fn default() -> Config {
                Config { $($field: $default,)+ }
            }
        }
    };
}

/// The default of a text that is empty unless given.
const fn none() -> String {
    String::new()
}

const fn save_point(seconds: u64, changes: u64) -> SavePoint {
    SavePoint { seconds, changes }
}

const fn output_limit(hard: u64, soft: u64, soft_seconds: u64) -> OutputLimit {
    OutputLimit { hard, soft, soft_seconds }
}

const KB: u64 = 1 << 10;
const MB: u64 = 1 << 20;
const GB: u64 = 1 << 30;

config! {
    // Network.
    bind: Vec<String> = vec!["*".to_owned(), "-::*".to_owned()],
    bind_source_addr: String = none(),
    port: u16 = 6379,
    tcp_backlog: u32 = 511,
    tcp_keepalive: u32 = 300,
    /// Seconds of idleness after which a client is closed; 0 is never.
    timeout: u32 = 0,
    protected_mode: bool = true,
    unixsocket: String = none(),
    /// Permission bits; 0 leaves them to the umask.
    unixsocketperm: u32 = 0,
    socket_mark_id: u32 = 0,
    maxclients: u32 = 10_000,
    io_threads: u32 = 1,
    io_threads_do_reads: bool = false,
    client_query_buffer_limit: u64 = GB,
    proto_max_bulk_len: u64 = 512 * MB,
    /// By [`ClientClass::index`].
    client_output_buffer_limit: [OutputLimit; 3] =
        [output_limit(0, 0, 0), output_limit(256 * MB, 64 * MB, 60), output_limit(32 * MB, 8 * MB, 60)],

    // TLS.
    tls_port: u16 = 0,
    tls_cert_file: String = none(),
    tls_key_file: String = none(),
    tls_key_file_pass: String = none(),
    tls_client_cert_file: String = none(),
    tls_client_key_file: String = none(),
    tls_client_key_file_pass: String = none(),
    tls_dh_params_file: String = none(),
    tls_ca_cert_file: String = none(),
    tls_ca_cert_dir: String = none(),
    tls_auth_clients: TlsAuthClients = TlsAuthClients::Yes,
    tls_replication: bool = false,
    tls_cluster: bool = false,
    tls_protocols: String = none(),
    tls_ciphers: String = none(),
    tls_ciphersuites: String = none(),
    tls_prefer_server_ciphers: bool = false,
    tls_session_caching: bool = true,
    tls_session_cache_size: u32 = 20_480,
    tls_session_cache_timeout: u32 = 300,

    // The process.
    daemonize: bool = false,
    supervised: Supervised = Supervised::No,
    pidfile: String = none(),
    loglevel: LogLevel = LogLevel::Notice,
    logfile: String = none(),
    /// Size at which the log file is rotated; 0 lets it grow. Ours.
    logfile_max_size: u64 = 0,
    syslog_enabled: bool = false,
    syslog_ident: String = "redis".to_owned(),
    syslog_facility: SyslogFacility = SyslogFacility::Local0,
    crash_log_enabled: bool = true,
    crash_memcheck_enabled: bool = true,
    use_exit_on_panic: bool = false,
    databases: u32 = 16,
    always_show_logo: bool = false,
    set_proc_title: bool = true,
    proc_title_template: String = "{title} {listen-addr} {server-mode}".to_owned(),
    ignore_warnings: String = none(),
    /// Calls of the periodic work per second, 1 to 500.
    hz: u32 = 10,
    dynamic_hz: bool = true,
    activerehashing: bool = true,
    watchdog_period: u32 = 0,
    shutdown_timeout: u32 = 10,
    shutdown_on_sigint: ShutdownFlags = ShutdownFlags::default(),
    shutdown_on_sigterm: ShutdownFlags = ShutdownFlags::default(),
    oom_score_adj: OomScoreAdj = OomScoreAdj::No,
    /// For a master, a replica and a child process.
    oom_score_adj_values: [i32; 3] = [0, 200, 800],
    disable_thp: bool = true,
    jemalloc_bg_thread: bool = true,
    server_cpulist: String = none(),
    bio_cpulist: String = none(),
    aof_rewrite_cpulist: String = none(),
    bgsave_cpulist: String = none(),
    config_obsolete: ConfigObsolete = ConfigObsolete::Warn,

    // Who may do what.
    requirepass: Vec<u8> = Vec::new(),
    aclfile: String = none(),
    acllog_max_len: u64 = 128,
    acl_pubsub_default: AclPubsubDefault = AclPubsubDefault::Resetchannels,
    enable_protected_configs: ProtectedAction = ProtectedAction::No,
    enable_debug_command: ProtectedAction = ProtectedAction::No,
    enable_module_command: ProtectedAction = ProtectedAction::No,
    /// `user NAME RULE…` lines.
    user: Vec<KeptLine> = Vec::new(),
    /// `rename-command OLD NEW` lines.
    rename_command: Vec<KeptLine> = Vec::new(),
    /// `loadmodule PATH ARG…` lines.
    loadmodule: Vec<KeptLine> = Vec::new(),
    /// `MODULE.PARAMETER VALUE…` lines; the name is the first word.
    module_parameters: Vec<KeptLine> = Vec::new(),
    /// `sentinel …` lines, kept in sentinel mode only.
    sentinel: Vec<KeptLine> = Vec::new(),

    // Memory.
    /// Bytes; 0 is no limit.
    maxmemory: u64 = 0,
    maxmemory_policy: MaxmemoryPolicy = MaxmemoryPolicy::Noeviction,
    maxmemory_samples: u32 = 5,
    maxmemory_eviction_tenacity: u32 = 10,
    /// Bytes, or a percentage of `maxmemory` when negative; see [`Config::maxmemory_clients_bytes`].
    maxmemory_clients: i64 = 0,
    lfu_log_factor: u32 = 10,
    lfu_decay_time: u32 = 1,
    lazyfree_lazy_eviction: bool = false,
    lazyfree_lazy_expire: bool = false,
    lazyfree_lazy_server_del: bool = false,
    lazyfree_lazy_user_del: bool = false,
    lazyfree_lazy_user_flush: bool = false,
    active_expire_effort: u32 = 1,
    activedefrag: bool = false,
    active_defrag_cycle_min: u32 = 1,
    active_defrag_cycle_max: u32 = 25,
    active_defrag_threshold_lower: u32 = 10,
    active_defrag_threshold_upper: u32 = 100,
    active_defrag_ignore_bytes: u64 = 100 * MB,
    active_defrag_max_scan_fields: u64 = 1000,
    tracking_table_max_keys: u64 = 1_000_000,

    // Encodings.
    hash_max_listpack_entries: u64 = 512,
    hash_max_listpack_value: u64 = 64,
    list_max_listpack_size: i32 = -2,
    list_compress_depth: u32 = 0,
    set_max_intset_entries: u64 = 512,
    zset_max_listpack_entries: u64 = 128,
    zset_max_listpack_value: u64 = 64,
    hll_sparse_max_bytes: u64 = 3000,
    stream_node_max_bytes: u64 = 4 * KB,
    stream_node_max_entries: u64 = 100,

    // Watching the server.
    /// Microseconds; -1 logs nothing.
    slowlog_log_slower_than: i64 = 10_000,
    slowlog_max_len: u64 = 128,
    latency_monitor_threshold: u64 = 0,
    latency_tracking: bool = true,
    latency_tracking_info_percentiles: Vec<f64> = vec![50.0, 99.0, 99.9],
    notify_keyspace_events: NotifyFlags = NotifyFlags::NONE,
    /// Milliseconds after which a script counts as slow.
    busy_reply_threshold: u64 = 5000,
    lua_enable_deprecated_api: bool = false,
    propagation_error_behavior: PropagationErrorBehavior = PropagationErrorBehavior::Ignore,
    replica_ignore_disk_write_errors: bool = false,

    // Snapshots.
    /// Empty text leaves the working directory as it is; the shell puts the absolute path here at start.
    dir: String = none(),
    dbfilename: String = "dump.rdb".to_owned(),
    save: Vec<SavePoint> = vec![save_point(3600, 1), save_point(300, 100), save_point(60, 10_000)],
    stop_writes_on_bgsave_error: bool = true,
    rdbcompression: bool = true,
    rdbchecksum: bool = true,
    rdb_save_incremental_fsync: bool = true,
    rdb_del_sync_files: bool = false,
    sanitize_dump_payload: SanitizeDumpPayload = SanitizeDumpPayload::No,
    rdb_key_save_delay: i32 = 0,
    key_load_delay: i32 = 0,
    loading_process_events_interval_bytes: u64 = 2 * MB,
    /// Whether files that a running instance holds are refused. Ours.
    file_lock: bool = true,

    // Append only file.
    appendonly: bool = false,
    appendfilename: String = "appendonly.aof".to_owned(),
    appenddirname: String = "appendonlydir".to_owned(),
    appendfsync: AppendFsync = AppendFsync::Everysec,
    no_appendfsync_on_rewrite: bool = false,
    auto_aof_rewrite_percentage: u32 = 100,
    auto_aof_rewrite_min_size: u64 = 64 * MB,
    aof_load_truncated: bool = true,
    aof_use_rdb_preamble: bool = true,
    aof_timestamp_enabled: bool = false,
    aof_rewrite_incremental_fsync: bool = true,
    aof_disable_auto_gc: bool = false,
    /// Whether checksum lines are written between commands. Ours.
    aof_checksum: bool = true,

    // Replication.
    replicaof: Option<MasterAddr> = None,
    masterauth: Vec<u8> = Vec::new(),
    masteruser: String = none(),
    replica_serve_stale_data: bool = true,
    replica_read_only: bool = true,
    replica_lazy_flush: bool = false,
    replica_ignore_maxmemory: bool = true,
    replica_priority: u32 = 100,
    replica_announced: bool = true,
    replica_announce_ip: String = none(),
    replica_announce_port: u16 = 0,
    repl_timeout: u32 = 60,
    repl_ping_replica_period: u32 = 10,
    repl_backlog_size: u64 = MB,
    repl_backlog_ttl: u64 = 3600,
    repl_disable_tcp_nodelay: bool = false,
    repl_diskless_sync: bool = true,
    repl_diskless_sync_delay: u32 = 5,
    repl_diskless_sync_max_replicas: u32 = 0,
    repl_diskless_load: ReplDisklessLoad = ReplDisklessLoad::Disabled,
    min_replicas_to_write: u32 = 0,
    min_replicas_max_lag: u32 = 10,

    // Cluster.
    cluster_enabled: bool = false,
    cluster_config_file: String = "nodes.conf".to_owned(),
    /// Milliseconds.
    cluster_node_timeout: u64 = 15_000,
    /// 0 is the data port plus 10000.
    cluster_port: u16 = 0,
    cluster_announce_ip: String = none(),
    cluster_announce_hostname: String = none(),
    cluster_announce_port: u16 = 0,
    cluster_announce_tls_port: u16 = 0,
    cluster_announce_bus_port: u16 = 0,
    cluster_preferred_endpoint_type: ClusterEndpointType = ClusterEndpointType::Ip,
    cluster_replica_validity_factor: u32 = 10,
    cluster_replica_no_failover: bool = false,
    cluster_migration_barrier: u32 = 1,
    cluster_allow_replica_migration: bool = true,
    cluster_require_full_coverage: bool = true,
    cluster_allow_reads_when_down: bool = false,
    cluster_allow_pubsubshard_when_down: bool = true,
    cluster_link_sendbuf_limit: u64 = 0,
}

impl Config {
    /// `maxmemory-clients` in bytes, a percentage resolved; 0 is no limit.
    pub fn maxmemory_clients_bytes(&self) -> u64 {
        match u64::try_from(self.maxmemory_clients) {
            Ok(bytes) => bytes,
            Err(_) => {
                let percent = u128::from(self.maxmemory_clients.unsigned_abs());
                u64::try_from(u128::from(self.maxmemory) * percent / 100).unwrap_or(u64::MAX)
            }
        }
    }

    /// The output limit of one class of clients.
    pub fn output_limit(&self, class: ClientClass) -> OutputLimit {
        self.client_output_buffer_limit[class.index()]
    }
}
