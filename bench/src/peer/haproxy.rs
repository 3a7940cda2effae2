//! HAProxy with one thread, kept connections to the origin, and the same forwarding headers.

use std::process::Command;

use super::Site;
use crate::error::Error;

pub(super) fn command(site: &Site<'_>) -> Result<Command, Error> {
    let certificate = site.write("tls.pem", &format!("{}{}", site.identity.certificate, site.identity.key))?;
    let Site { origin, http, https, .. } = site;
    let configuration = format!(
        "global
  nbthread 1
  maxconn 9900
defaults
  mode http
  timeout connect 5s
  timeout client 75s
  timeout server 60s
  timeout tunnel 60s
  http-reuse always
  option http-keep-alive
frontend edge
  bind {http} backlog 4096
  bind {https} ssl crt {certificate} alpn h2,http/1.1 backlog 4096
  unique-id-format %{{+X}}o%ci%cp%fi%fp%Ts%rt
  http-request set-header X-Request-ID %[unique-id]
  http-request set-header X-Real-IP %[src]
  http-request set-header X-Forwarded-For %[src]
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header X-Forwarded-Port %[dst_port]
  http-request set-header X-Forwarded-Proto https if {{ ssl_fc }}
  http-request set-header X-Forwarded-Proto http if !{{ ssl_fc }}
  default_backend origin
backend origin
  server origin {origin}
",
        certificate = certificate.display(),
    );
    let path = site.write("haproxy.cfg", &configuration)?;
    let mut command = Command::new(site.program);
    command.arg("-db").arg("-f").arg(path);
    Ok(command)
}
