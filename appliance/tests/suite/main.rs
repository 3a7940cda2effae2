//! The promises of the product, kept by the real binary over real sockets. Peers are built in: nothing need be
//! installed. `RINGRESS_BIN` names another binary than the one built with the tests, `RINGRESS_DRIVER` one driver
//! instead of all.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "tests block, wait and share; the bans are for the worker cores"
)]

mod access_log;
mod admin;
mod annotations;
mod auth_cache;
mod bad_input;
mod balancing;
mod change_under_load;
mod circuit;
mod class_parameters;
mod client_address;
mod client_certificates;
mod client_connections;
mod cluster;
mod compression;
mod demo;
mod disk_certificates;
mod documented;
mod drain;
mod driver;
mod empty_frames;
mod error_pages;
mod failover;
mod faults;
mod fields;
mod folder;
mod grpc;
mod h2c;
mod health_checks;
mod hedging;
mod http;
mod http2_frames;
mod http2_streams;
mod http2_translation;
mod http2_windows;
mod last_good;
mod leaving;
mod limits;
mod listeners;
mod malformed;
mod metrics_page;
mod mirror;
mod namespaces;
mod ocsp;
mod outage;
mod own_annotations;
mod parity;
mod passthrough;
mod precedence;
mod probes;
mod read_ahead;
mod report;
mod reread;
mod rolling;
mod routing;
mod semantics;
mod settings;
mod shadow;
mod stalls;
mod stream_log;
mod streaming;
mod streams;
mod support;
mod tickets;
mod tls;
mod tls_settings;
mod tracing;
mod upgrade;
mod upstream_address;
mod upstream_goodbye;
mod upstream_sessions;
mod values;
mod websocket;
