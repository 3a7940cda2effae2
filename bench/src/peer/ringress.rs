//! ringress as users start it on a folder of manifests.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{HOST, Identity, Process, Site, free_address};
use crate::error::{Context, Error};
use crate::load::Target;

/// The comparison's instance: a worker on each of the peers' CPUs, one Ingress.
pub(super) fn command(site: &Site<'_>) -> Result<Command, Error> {
    let source = site.folder.join("manifests");
    fs::create_dir(&source).context(|| source.display().to_string())?;
    let manifests =
        [secret(&site.identity), service("origin", site.origin), ingress("bench", HOST, "/", "origin")].concat();
    fs::write(source.join("bench.yaml"), manifests).context(|| source.display().to_string())?;
    let (workers, cpus) = (site.cpus.len(), site.cpus.to_owned());
    let settings = Settings { workers, cpus, http: site.http, https: Some(site.https) };
    // The load speaks to an address, so wrk names no server in its handshake: the default certificate answers.
    let source = Source::Folder(&source);
    let mut command = settings.command(site.program, &source, free_address()?, free_address()?, site.folder);
    command.arg("--default-ssl-certificate=default/bench-tls");
    Ok(command)
}

/// Where an instance has its objects from.
pub(crate) enum Source<'a> {
    /// A folder of manifests.
    Folder(&'a Path),
    /// The API server at a URL; the instance takes part in the leader election and writes statuses.
    Cluster(&'a str),
}

/// Flags of one instance.
pub(crate) struct Settings {
    pub(crate) workers: usize,
    /// The CPU of each worker; as ringress likes it when there are none.
    pub(crate) cpus: Vec<usize>,
    pub(crate) http: SocketAddr,
    /// Off without.
    pub(crate) https: Option<SocketAddr>,
}

impl Settings {
    fn command(
        &self,
        binary: &Path,
        source: &Source<'_>,
        health: SocketAddr,
        admin: SocketAddr,
        folder: &Path,
    ) -> Command {
        let mut command = Command::new(binary);
        command.arg("run");
        match source {
            Source::Folder(path) => command.arg(format!("--source=dir:{}", path.display())),
            Source::Cluster(url) => command
                .args(["--source=kube", "--publish-status-address=192.0.2.1"])
                .arg(format!("--apiserver-host={url}"))
                .env("POD_NAMESPACE", "scale")
                .env("POD_NAME", "ringress-bench"),
        };
        command
            .arg(format!("--listen-address={}", self.http.ip()))
            .arg(format!("--http-port={}", self.http.port()))
            .arg(format!("--https-port={}", self.https.map_or(0, |https| https.port())))
            .arg(format!("--healthz-host={}", health.ip()))
            .arg(format!("--healthz-port={}", health.port()))
            .arg(format!("--admin-address={admin}"))
            .arg(format!("--state-dir={}", folder.join("state").display()))
            .arg(format!("--workers={}", self.workers));
        if !self.cpus.is_empty() {
            let cpus: Vec<String> = self.cpus.iter().map(usize::to_string).collect();
            command.arg(format!("--cpus={}", cpus.join(",")));
        }
        command
    }
}

/// A running ringress on objects that the caller writes.
pub(crate) struct Instance {
    pub(crate) health: Target,
    pub(crate) process: Process,
}

impl Instance {
    /// Starts it; it need not be ready yet.
    pub(crate) fn start(binary: &Path, source: &Source<'_>, settings: &Settings) -> Result<Self, Error> {
        let folder = tempfile::tempdir().context(|| "make a folder".into())?;
        let (health, admin) = (free_address()?, free_address()?);
        let command = settings.command(binary, source, health, admin, folder.path());
        let process = Process::start("ringress", command, folder, &[])?;
        Ok(Self { health: Target::plain(health, HOST), process })
    }
}

fn secret(identity: &Identity) -> String {
    let indent = |pem: &str| pem.lines().map(|line| format!("    {line}\n")).collect::<String>();
    format!(
        "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: bench-tls}}\ntype: kubernetes.io/tls\nstringData:\n  \
         tls.crt: |\n{}  tls.key: |\n{}",
        indent(&identity.certificate),
        indent(&identity.key)
    )
}

/// A Service on port 80 and its only endpoint.
pub(crate) fn service(name: &str, endpoint: SocketAddr) -> String {
    format!(
        "---
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {{ports: [{{port: 80, targetPort: {port}}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}-1, labels: {{kubernetes.io/service-name: {name}}}}}
addressType: IPv4
ports: [{{port: {port}}}]
endpoints: [{{addresses: [{ip}], conditions: {{ready: true}}}}]
",
        ip = endpoint.ip(),
        port = endpoint.port()
    )
}

/// An Ingress of one host and one path, without a redirect to https.
pub(crate) fn ingress(name: &str, host: &str, path: &str, service: &str) -> String {
    format!(
        "---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {name}
  annotations: {{nginx.ingress.kubernetes.io/ssl-redirect: \"false\"}}
spec:
  ingressClassName: nginx
  rules:
  - host: {host}
    http:
      paths:
      - path: {path}
        pathType: Prefix
        backend: {{service: {{name: {service}, port: {{number: 80}}}}}}
"
    )
}

/// Writes a manifest in one step, so that the product never reads half a file.
pub(crate) fn write_manifest(folder: &Path, name: &str, content: &str) -> Result<PathBuf, Error> {
    let path = folder.join(name);
    let part = folder.join(format!(".{name}.part"));
    fs::write(&part, content).context(|| part.display().to_string())?;
    fs::rename(&part, &path).context(|| path.display().to_string())?;
    Ok(path)
}
