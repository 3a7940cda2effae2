//! Envoy with one worker thread, no access log, and ceilings that this load does not reach.

use std::process::Command;

use super::{Site, in_quotes};
use crate::error::Error;

pub(super) fn command(site: &Site<'_>) -> Result<Command, Error> {
    let (certificate, key) = site.identity()?;
    let tls = format!(
        "      transport_socket:
        name: tls
        typed_config:
          \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context:
            alpn_protocols: [h2, http/1.1]
            tls_certificates:
            - certificate_chain: {{filename: {}}}
              private_key: {{filename: {}}}
",
        in_quotes(&certificate),
        in_quotes(&key)
    );
    let configuration = format!(
        "static_resources:
  listeners:
{}{}  clusters:
  - name: origin
    type: STATIC
    connect_timeout: 5s
    circuit_breakers:
      thresholds: [{{max_connections: 16384, max_pending_requests: 16384, max_requests: 16384}}]
    load_assignment:
      cluster_name: origin
      endpoints:
      - lb_endpoints:
        - endpoint: {{address: {{socket_address: {{address: {}, port_value: {}}}}}}}
",
        listener("http", site.http, ""),
        listener("https", site.https, &tls),
        site.origin.ip(),
        site.origin.port(),
    );
    let path = site.write("envoy.yaml", &configuration)?;
    let mut command = Command::new(site.program);
    command.arg("-c").arg(path).args(["--disable-hot-restart", "--log-level", "error"]);
    command.args(["--concurrency", &site.cpus.len().to_string()]);
    Ok(command)
}

fn listener(name: &str, address: std::net::SocketAddr, tls: &str) -> String {
    format!(
        "  - name: {name}
    address: {{socket_address: {{address: {}, port_value: {}}}}}
    tcp_backlog_size: 4096
    filter_chains:
    - filters:
      - name: http
        typed_config:
          \"@type\": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: {name}
          use_remote_address: true
          upgrade_configs: [{{upgrade_type: websocket}}]
          route_config:
            virtual_hosts:
            - name: all
              domains: [\"*\"]
              request_headers_to_add:
              - header: {{key: x-real-ip, value: \"%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%\"}}
              - header: {{key: x-forwarded-host, value: \"%REQ(:AUTHORITY)%\"}}
              routes: [{{match: {{prefix: /}}, route: {{cluster: origin, timeout: 60s}}}}]
          http_filters:
          - name: router
            typed_config:
              \"@type\": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
{tls}",
        address.ip(),
        address.port(),
    )
}
