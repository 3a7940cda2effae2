//! Traefik on one CPU: no access log, kept connections to the origin.

use std::process::Command;

use super::{HOST, Site, in_quotes};
use crate::error::Error;

pub(super) fn command(site: &Site<'_>) -> Result<Command, Error> {
    let (certificate, key) = site.identity()?;
    let routes = format!(
        "tls:
  certificates: [{{certFile: {certificate}, keyFile: {key}}}]
  stores: {{default: {{defaultCertificate: {{certFile: {certificate}, keyFile: {key}}}}}}}
http:
  serversTransports: {{kept: {{maxIdleConnsPerHost: 320}}}}
  services:
    origin: {{loadBalancer: {{serversTransport: kept, servers: [{{url: \"http://{origin}\"}}]}}}}
  routers:
    plain: {{entryPoints: [plain], rule: \"Host(`{HOST}`)\", service: origin}}
    secure: {{entryPoints: [secure], rule: \"Host(`{HOST}`)\", service: origin, tls: {{}}}}
",
        certificate = in_quotes(&certificate),
        key = in_quotes(&key),
        origin = site.origin,
    );
    let routes = site.write("routes.yaml", &routes)?;
    let start = format!(
        "global: {{checkNewVersion: false, sendAnonymousUsage: false}}
log: {{level: ERROR}}
entryPoints:
  plain: {{address: \"{}\"}}
  secure: {{address: \"{}\"}}
providers: {{file: {{filename: {}, watch: false}}}}
",
        site.http,
        site.https,
        in_quotes(&routes)
    );
    let path = site.write("traefik.yaml", &start)?;
    let mut command = Command::new(site.program);
    command.arg(format!("--configfile={}", path.display())).env("GOMAXPROCS", site.cpus.len().to_string());
    Ok(command)
}
