//! The command lines of the tools that compare with ingress-nginx.

use std::path::PathBuf;

use clap::{Arg, ArgMatches};
use ringress_config::compile::Parity;
use ringress_config::options::Options;

use super::layers::{self, Layers};
use super::nginx_flags::{KLOG_FLAGS, NGINX_FLAGS};
use super::settings::{self, Kube};
use super::{CliError, Surroundings, arguments, values};

/// `ringress report`.
#[derive(Debug)]
pub struct Report {
    /// Where the objects come from.
    pub source: ReportSource,
    /// The options under which they are read.
    pub options: Options,
    /// The flags of ingress-nginx that were given.
    pub flags: Vec<FlagUse>,
    /// How to print.
    pub output: ReportOutput,
}

/// Where the objects of a report come from.
#[derive(Debug)]
pub enum ReportSource {
    /// Files, folders, or `-` for standard input.
    Paths(Vec<PathBuf>),
    /// An API server.
    Kube(Kube),
}

/// How a report is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportOutput {
    /// Lines for people.
    Text,
    /// One JSON document.
    Json,
    /// One HTML page that needs nothing else.
    Html,
}

/// A flag of ingress-nginx as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlagUse {
    /// Its name, without dashes.
    pub name: &'static str,
    /// Its value as it was given.
    pub value: String,
    /// How it fares.
    pub parity: Parity,
    /// Why.
    pub remark: Option<&'static str>,
}

pub(super) fn report(matches: &ArgMatches, surroundings: &Surroundings) -> Result<Report, CliError> {
    let flags = NGINX_FLAGS.iter().chain(KLOG_FLAGS);
    let layers = Layers::merge(values(matches, flags), &Surroundings::default())?;
    let source = match matches.get_one::<String>("source").map(String::as_str) {
        None => ReportSource::Paths(matches.get_many::<PathBuf>("path").into_iter().flatten().cloned().collect()),
        Some("kube") => ReportSource::Kube(settings::kube(&layers, surroundings)),
        Some(text) => match settings::source_folder(text) {
            Some(path) => ReportSource::Paths(vec![path]),
            None => return Err(CliError::setting("source", "expected kube or dir:PATH")),
        },
    };
    let assume_class = matches!(source, ReportSource::Paths(_));
    Ok(Report {
        source,
        options: Options { assume_class, ..settings::options(&layers)? },
        flags: flag_uses(matches),
        output: match matches.get_one::<String>("output").map(String::as_str) {
            Some("json") => ReportOutput::Json,
            Some("html") => ReportOutput::Html,
            _ => ReportOutput::Text,
        },
    })
}

fn flag_uses(matches: &ArgMatches) -> Vec<FlagUse> {
    let given = values(matches, NGINX_FLAGS.iter().chain(KLOG_FLAGS));
    let uses = given.iter().filter_map(|(name, value)| {
        let flag = layers::find_flag(name)?;
        let raw = matches.get_raw(name).into_iter().flatten().next_back();
        let (parity, remark) = flag.parity(value);
        let value = raw.map(|raw| raw.to_string_lossy().into_owned()).unwrap_or_default();
        Some(FlagUse { name: flag.name, value, parity, remark })
    });
    uses.collect()
}

pub(super) fn report_command() -> clap::Command {
    clap::Command::new("report")
        .about("Say Ingress by Ingress what acts as in ingress-nginx, what differs and what is refused")
        .long_about(
            "Say Ingress by Ingress what acts as in ingress-nginx, what differs and what is refused, with the keys of \
             its ConfigMap and the flags given here.\n\
             Give it the arguments of ingress-nginx' container as they are, --configmap among them. Without it, a folder's \
             ConfigMap that is named as ingress-nginx' chart names it is taken.\n\
             Exit code: 0 nothing is refused, 1 something is, 2 something could not be read.",
        )
        .args_override_self(true)
        .arg(
            Arg::new("path")
                .value_name("PATH")
                .required_unless_present("source")
                .num_args(1..)
                .value_parser(clap::value_parser!(PathBuf))
                .help("Files, folders, or - for standard input"),
        )
        .arg(
            Arg::new("source")
                .long("source")
                .value_name("SOURCE")
                .conflicts_with("path")
                .help("kube (the cluster's API server, by --kubeconfig, KUBECONFIG or --apiserver-host) or dir:PATH"),
        )
        .arg(
            Arg::new("output")
                .long("output")
                .value_parser(["text", "json", "html"])
                .default_value("text")
                .help("Form of the result"),
        )
        .args(arguments(NGINX_FLAGS.iter().chain(KLOG_FLAGS), "Flags of ingress-nginx").map(|arg| arg.hide(true)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Command, parse};

    fn report(arguments: &[&str]) -> Result<Report, CliError> {
        let line = ["ringress", "report"].iter().chain(arguments).map(std::ffi::OsString::from);
        match parse(line, &Surroundings::default())? {
            Command::Report(report) => Ok(*report),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_arguments_of_the_old_container_are_taken_as_they_are() {
        let report = report(&[
            "folder",
            "--configmap=ingress-nginx/controller",
            "--enable-ssl-passthrough",
            "--v=2",
            "--enable-topology-aware-routing",
            "--update-status=true",
            "--status-port=10246",
        ])
        .unwrap();
        let flags: Vec<_> = report.flags.iter().map(|flag| (flag.name, flag.value.as_str(), flag.parity)).collect();
        let expected = [
            ("configmap", "ingress-nginx/controller", Parity::Same),
            ("enable-ssl-passthrough", "true", Parity::Same),
            ("enable-topology-aware-routing", "true", Parity::Differs),
            ("status-port", "10246", Parity::Same),
            ("update-status", "true", Parity::Same),
            ("v", "2", Parity::Differs),
        ];
        assert_eq!(flags, expected);
        assert!(report.options.enable_ssl_passthrough && report.options.assume_class);
    }

    #[test]
    fn a_report_is_on_paths_or_on_a_cluster() {
        assert!(matches!(report(&["--source=kube"]).unwrap().source, ReportSource::Kube(_)));
        assert!(!report(&["--source=kube"]).unwrap().options.assume_class);
        assert!(
            matches!(report(&["--source", "dir:x"]).unwrap().source, ReportSource::Paths(paths) if paths.len() == 1)
        );
        let error = report(&["--source=x"]).unwrap_err().to_string();
        assert_eq!(error, "--source: expected kube or dir:PATH");
        for arguments in [&[] as &[&str], &["a", "--source=kube"], &["a", "--output=pdf"], &["a", "--no-such-flag"]] {
            assert!(report(arguments).is_err(), "{arguments:?}");
        }
    }
}
