use std::time::Duration;

use super::*;

fn parse_line(line: &str) -> Result<Command, CliError> {
    parse(line.split(' ').map(OsString::from), &Surroundings::default())
}

fn run(line: &str) -> RunSettings {
    match parse_line(&format!("ringress run {line}")).unwrap_or_else(|e| panic!("{line}: {e}")) {
        Command::Run(settings) => *settings,
        other => panic!("{other:?}"),
    }
}

fn refusal(line: &str) -> String {
    parse_line(&format!("ringress {line}")).expect_err(line).to_string()
}

#[test]
fn values_follow_an_equals_sign_or_a_blank() {
    for line in
        ["--source=dir:/m --http-port=8080 --drain-timeout=5s", "--source dir:/m --http-port 8080 --drain-timeout 5s"]
    {
        let settings = run(line);
        assert_eq!(settings.source, Source::Folder("/m".into()));
        assert_eq!(settings.listeners.http_port, Some(8080));
        assert_eq!(settings.shutdown.drain_timeout, Some(Duration::from_secs(5)));
    }
}

#[test]
fn booleans_are_those_of_go() {
    assert!(run("--report-status-classes").metrics.status_classes);
    assert!(run("--report-status-classes=T").metrics.status_classes);
    assert!(!run("--metrics-per-host=false").metrics.per_host);
    // As in Go, a boolean takes no separate value.
    assert!(refusal("run --metrics-per-host false").contains("unexpected argument 'false'"));
}

#[test]
fn the_last_of_several_wins_as_in_go_but_listen_addresses_add_up() {
    let settings = run("--http-port=1 --http-port=2 --listen-address=127.0.0.1 --listen-address=::1,[::2]");
    assert_eq!(settings.listeners.http_port, Some(2));
    let addresses: Vec<String> = settings.listeners.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["127.0.0.1", "::1", "::2"]);
}

#[test]
fn the_arguments_of_the_helm_chart_are_accepted_with_warnings() {
    let settings = run("--publish-service=ingress-nginx/ingress-nginx-controller --election-id=ingress-nginx-leader \
                        --controller-class=k8s.io/ingress-nginx --ingress-class=nginx --configmap=ingress-nginx/x \
                        --validating-webhook=:8443 --validating-webhook-certificate=/c --validating-webhook-key=/k -v=2 \
                        --watch-namespace= --logtostderr");
    assert_eq!(settings.log.level, LogLevel::Info);
    assert!(settings.webhook.is_some());
    assert!(settings.warnings.iter().any(|w| w.starts_with("--logtostderr has no meaning here")));
    let Source::Kube(Kube { namespace: None, write: Some(write), .. }) = settings.source else { panic!() };
    assert_eq!(write.lease, "ingress-nginx-leader");
    let service = write.status.and_then(|status| status.service).expect("a service to publish");
    assert_eq!(service.to_string(), "ingress-nginx/ingress-nginx-controller");
}

#[test]
fn every_flag_is_accepted_at_its_default() {
    for flag in layers::all_flags().filter(|flag| !flag.default.is_empty() && flag.name != "version") {
        run(&format!("--{}={}", flag.name, flag.default));
    }
}

#[test]
fn unknown_flags_and_bad_values_are_errors_that_name_them() {
    assert!(refusal("run --worker=3").contains("unexpected argument '--worker'"));
    assert!(refusal("run --http-port=http").contains("expected a port from 0 to 65535"));
    assert!(refusal("run --driver=uring").contains("expected one of auto, io_uring, epoll"));
    assert_eq!(refusal("run --source=file:/x"), "--source: expected kube or dir:PATH");
    assert_eq!(refusal("run --workers=0"), "--workers: expected 1 to 1024");
    assert_eq!(refusal("run --workers=3 --cpus=0-1"), "--workers: more workers than CPUs in --cpus");
    assert_eq!(refusal("run --http-port=1 --https-port=1"), "--https-port: the same port as --http-port");
    assert!(refusal("run --listen-address=0.0.0.0:80").contains("no IPv4 or IPv6 address"));
    assert!(refusal("run --watch-namespace-selector=>").starts_with("--watch-namespace-selector: \">\""));
    let both = "run --watch-namespace-selector=a=b --watch-namespace=n";
    assert_eq!(refusal(both), "--watch-namespace-selector: excludes --watch-namespace");
    assert!(refusal("run --health-check-path=x").starts_with("--health-check-path: expected a path"));
}

#[test]
fn defaults_are_those_of_the_contract() {
    let settings = run("--log-format=auto");
    assert_eq!(settings.listeners, HttpListeners { addresses: vec![], http_port: Some(80), https_port: Some(443) });
    assert_eq!((settings.health.port, settings.health.path.as_str()), (Some(10254), "/healthz"));
    assert_eq!(settings.admin, AdminAddress::Tcp(([127, 0, 0, 1], 10280).into()));
    assert_eq!(settings.workers, WorkerCores { count: None, cpus: vec![], driver: crate::io::DriverChoice::Auto });
    assert_eq!(settings.access_log, AccessLogTarget::Auto);
    assert_eq!(settings.shutdown.drain_timeout, None);
    assert!(settings.warnings.is_empty(), "{:?}", settings.warnings);
}

#[test]
fn ports_may_be_turned_off() {
    let settings = run("--http-port=0 --https-port=0 --healthz-port=0 --admin-address=off");
    assert_eq!((settings.listeners.http_port, settings.listeners.https_port), (None, None));
    assert_eq!((settings.health.port, settings.admin), (None, AdminAddress::Off));
}

#[test]
fn the_wait_after_the_drain_is_for_clusters() {
    assert_eq!(run("--source=kube").shutdown.grace_after, Duration::from_secs(10));
    assert_eq!(run("--source=dir:/m").shutdown.grace_after, Duration::ZERO);
    assert_eq!(run("--source=dir:/m --post-shutdown-grace-period=3").shutdown.grace_after, Duration::from_secs(3));
}

#[test]
fn log_levels_come_from_their_flag_or_from_klogs_verbosity() {
    for (line, level) in [
        ("-v=2", LogLevel::Info),
        ("-v=3", LogLevel::Debug),
        ("--v=5", LogLevel::Trace),
        ("-v 5 --log-level=warn", LogLevel::Warn),
    ] {
        assert_eq!((run(line).log.level, run(line).log.fixed), (level, true), "{line}");
    }
    assert_eq!((run("--source=dir:/m").log.level, run("--source=dir:/m").log.fixed), (LogLevel::Info, false));
}

#[test]
fn metrics_can_be_excluded_by_name() {
    let settings = run("--exclude-socket-metrics=nginx_ingress_controller_bytes_sent,nothing").metrics;
    let mut expected = crate::metrics::RequestMetrics::all();
    expected.remove(crate::metrics::RequestMetric::BytesSent);
    assert_eq!(settings.recorded, expected);
    let warnings = run("--exclude-socket-metrics=nothing").warnings;
    assert_eq!(warnings, ["--exclude-socket-metrics: there is no request metric \"nothing\""]);
    assert_eq!(run("--enable-metrics=false").metrics.recorded, crate::metrics::RequestMetrics::none());
}

#[test]
fn the_cluster_is_found_as_kubectl_finds_it() {
    let env = [("KUBECONFIG", "/home/x/config"), ("POD_NAME", "p")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    let surroundings = Surroundings { env: env.into(), default_config: None };
    let Ok(Command::Run(settings)) = parse(["ringress", "run"].map(OsString::from), &surroundings) else { panic!() };
    let Source::Kube(kube) = settings.source else { panic!() };
    assert_eq!(kube.kubeconfig, Some("/home/x/config".into()));
    assert_eq!(settings.metrics.controller_pod, "p");
}

#[test]
fn the_other_commands_are_read() {
    let Ok(Command::Demo(demo)) = parse_line("ringress demo --v1 --workers=1") else { panic!() };
    assert!(demo.v1 && demo.settings.workers.count.is_some_and(|n| n.get() == 1));
    let Ok(Command::Check(check)) = parse_line("ringress check a - --output json --ingress-class=x") else { panic!() };
    assert_eq!((check.paths, check.output), (vec!["a".into(), "-".into()], Output::Json));
    let line = "ringress explain https://a.test/x --method POST -H A:b -H C:d --client-ip ::1 --source dir:/m";
    let Ok(Command::Explain(explain)) = parse_line(line) else { panic!() };
    assert_eq!((explain.method.as_str(), explain.headers.len()), ("POST", 2));
    assert!(matches!(explain.from, ExplainFrom::Folder(path, _) if path.as_os_str() == "/m"));
    let Ok(Command::Explain(explain)) = parse_line("ringress explain http://a.test/") else { panic!() };
    assert!(matches!(explain.from, ExplainFrom::Admin(AdminAddress::Tcp(a)) if a.port() == 10280));
    assert!(matches!(parse_line("ringress version"), Ok(Command::Version)));
    assert!(matches!(parse_line("ringress run --version"), Ok(Command::Version)));
    assert!(refusal("explain http://a.test/ --source kube").starts_with("--source: expected dir:PATH"));
    assert!(refusal("reprot x").contains("unrecognized subcommand 'reprot'"));
}
