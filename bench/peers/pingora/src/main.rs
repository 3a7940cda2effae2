//! The least that proxies with Pingora: one origin, kept connections to it, the forwarding headers that the other peers
//! send, no access log. `pingora-peer HTTP HTTPS ORIGIN CERTIFICATE KEY THREADS`, addresses and files.

use std::net::SocketAddr;
use std::process::ExitCode;

use async_trait::async_trait;
use pingora::http::RequestHeader;
use pingora::listeners::tls::TlsSettings;
use pingora::prelude::*;
use pingora::proxy::http_proxy_service;
use pingora::server::configuration::ServerConf;

/// As many idle connections to the origin as the other peers may keep.
const KEPT: usize = 320;

struct Relay {
    origin: SocketAddr,
}

#[async_trait]
impl ProxyHttp for Relay {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _session: &mut Session, _ctx: &mut ()) -> Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.origin, false, String::new())))
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        _ctx: &mut (),
    ) -> Result<()> {
        if let Some(client) = session.client_addr().and_then(|address| address.as_inet()) {
            let client = client.ip().to_string();
            request.insert_header("X-Real-IP", &client)?;
            request.insert_header("X-Forwarded-For", &client)?;
        }
        let secure = session.digest().is_some_and(|digest| digest.ssl_digest.is_some());
        request.insert_header("X-Forwarded-Proto", if secure { "https" } else { "http" })?;
        if let Some(host) = request.headers.get("host").cloned() {
            request.insert_header("X-Forwarded-Host", host)?;
        }
        Ok(())
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments == ["--version"] {
        println!("Pingora 0.9.1");
        return ExitCode::SUCCESS;
    }
    let [http, https, origin, certificate, key, threads] = arguments.as_slice() else {
        eprintln!("pingora-peer HTTP HTTPS ORIGIN CERTIFICATE KEY THREADS");
        return ExitCode::FAILURE;
    };
    let (Ok(origin), Ok(threads)) = (origin.parse(), threads.parse()) else {
        eprintln!("pingora-peer: the origin is an address, threads are a number");
        return ExitCode::FAILURE;
    };
    let configuration = ServerConf {
        threads,
        upstream_keepalive_pool_size: KEPT,
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(0),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, configuration);
    server.bootstrap();
    let mut proxy = http_proxy_service(&server.configuration, Relay { origin });
    proxy.add_tcp(http);
    let mut tls = match TlsSettings::intermediate(certificate, key) {
        Ok(tls) => tls,
        Err(error) => {
            eprintln!("pingora-peer: {error}");
            return ExitCode::FAILURE;
        }
    };
    tls.enable_h2();
    proxy.add_tls_with_settings(https, None, tls);
    server.add_service(proxy);
    server.run_forever()
}
