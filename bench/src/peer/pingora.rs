//! A minimal proxy on Pingora, built in a folder of its own (bench/peers/pingora): what the library costs.

use std::process::Command;

use super::Site;
use crate::error::Error;

pub(super) fn command(site: &Site<'_>) -> Result<Command, Error> {
    let (certificate, key) = site.identity()?;
    let mut command = Command::new(site.program);
    command
        .args([site.http.to_string(), site.https.to_string(), site.origin.to_string()])
        .arg(certificate)
        .arg(key)
        .arg(site.cpus.len().to_string());
    Ok(command)
}
