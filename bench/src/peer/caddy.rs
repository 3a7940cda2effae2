//! Caddy on one CPU: no access log, no admin endpoint, no certificates of its own, kept connections to the origin.

use std::process::Command;

use super::{HOST, Site, in_quotes};
use crate::error::Error;

pub(super) fn command(site: &Site<'_>) -> Result<Command, Error> {
    let (certificate, key) = site.identity()?;
    let proxy = format!(
        "  reverse_proxy {} {{
    header_up X-Real-IP {{remote_host}}
    transport http {{
      keepalive 75s
      keepalive_idle_conns 640
      keepalive_idle_conns_per_host 320
      compression off
    }}
  }}
",
        site.origin
    );
    let configuration = format!(
        "{{
  admin off
  auto_https off
  persist_config off
  default_sni {HOST}
  log {{
    level ERROR
  }}
}}
http://:{} {{
  bind {}
{proxy}}}
https://:{} {{
  bind {}
  tls {} {}
{proxy}}}
",
        site.http.port(),
        site.http.ip(),
        site.https.port(),
        site.https.ip(),
        in_quotes(&certificate),
        in_quotes(&key),
    );
    let path = site.write("Caddyfile", &configuration)?;
    let mut command = Command::new(site.program);
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(path);
    command.env("GOMAXPROCS", site.cpus.len().to_string());
    // Where it keeps its state.
    command.env("HOME", site.folder).env("XDG_CONFIG_HOME", site.folder).env("XDG_DATA_HOME", site.folder);
    Ok(command)
}
