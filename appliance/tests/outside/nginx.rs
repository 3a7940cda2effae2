//! nginx as the upstream: several servers in one process, as pods of a service.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use crate::support::client;
use crate::support::eventually;
use crate::support::process::{HeldPort, own_address, stop};

pub(crate) struct Nginx {
    child: Child,
    pub(crate) servers: Vec<SocketAddr>,
    _ports: Vec<HeldPort>,
    _folder: tempfile::TempDir,
}

impl Nginx {
    /// Starts `count` servers that answer every request with 128 bytes.
    pub(crate) fn start(count: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let address = own_address();
        let ports: Vec<HeldPort> = (0..count).map(|_| HeldPort::of(address)).collect();
        let servers: Vec<SocketAddr> = ports.iter().map(|port| port.address).collect();
        let listening: String = servers
            .iter()
            .map(|server| format!("server {{ listen {server} backlog=4096; return 200 \"{}\"; }}\n", "x".repeat(128)))
            .collect();
        let path = folder.path();
        let configuration = format!(
            "daemon off; user root; worker_processes 1; pid {path}/pid; error_log {path}/error.log;
events {{ worker_connections 8192; }}
http {{
  access_log off; default_type text/plain; keepalive_requests 1000000;
  client_body_temp_path {path}/a; proxy_temp_path {path}/b; fastcgi_temp_path {path}/c;
  uwsgi_temp_path {path}/d; scgi_temp_path {path}/e;
  {listening}
}}",
            path = path.display()
        );
        let file = path.join("nginx.conf");
        std::fs::write(&file, configuration).expect("a configuration");
        let child = Command::new("nginx")
            .arg("-e")
            .arg(path.join("error.log"))
            .arg("-p")
            .arg(path)
            .arg("-c")
            .arg(file)
            .stdin(Stdio::null())
            .spawn()
            .expect("nginx is installed");
        let nginx = Self { child, servers, _ports: ports, _folder: folder };
        for &server in &nginx.servers {
            eventually("nginx answers", || client::try_once(server, "GET", "x", "/").is_ok());
        }
        nginx
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        stop(&mut self.child);
    }
}
