//! nginx, set up as people who care about speed set it up: one worker, no access log, kept connections to the origin,
//! and the forwarding headers that ingress-nginx sends.

use std::process::Command;

use super::{HOST, Site};
use crate::error::Error;

pub(super) fn command(site: &Site<'_>) -> Result<Command, Error> {
    let (certificate, key) = site.identity()?;
    let (upgrade, connection) =
        if site.setup.websocket { ("proxy_set_header Upgrade $http_upgrade;", "upgrade") } else { ("", "") };
    let Site { origin, http, https, .. } = site;
    let folder = site.folder.display();
    let configuration = format!(
        "daemon off;
user root;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log;
worker_rlimit_nofile 20000;
events {{ worker_connections 16384; }}
http {{
  access_log off;
  tcp_nodelay on;
  keepalive_requests 1000;
  keepalive_timeout 75s;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  upstream origin {{
    server {origin};
    keepalive 320;
    keepalive_requests 10000;
  }}
  server {{
    listen {http} backlog=4096;
    listen {https} ssl http2 backlog=4096;
    server_name {HOST};
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    ssl_protocols TLSv1.2 TLSv1.3;
    location / {{
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_set_header Host $host;
      proxy_set_header Connection \"{connection}\";
      {upgrade}
      proxy_set_header X-Request-ID $request_id;
      proxy_set_header X-Real-IP $remote_addr;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Host $host;
      proxy_set_header X-Forwarded-Port $server_port;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Scheme $scheme;
      proxy_set_header X-Scheme $scheme;
    }}
  }}
}}
",
        certificate = certificate.display(),
        key = key.display(),
    );
    let path = site.write("nginx.conf", &configuration)?;
    let mut command = Command::new(site.program);
    command.arg("-e").arg(site.folder.join("error.log")).arg("-p").arg(site.folder).arg("-c").arg(path);
    Ok(command)
}
