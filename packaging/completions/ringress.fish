# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_ringress_global_optspecs
    string join \n h/help V/version
end

function __fish_ringress_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_ringress_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_ringress_using_subcommand
    set -l cmd (__fish_ringress_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c ringress -n "__fish_ringress_needs_command" -s h -l help -d 'Print help'
complete -c ringress -n "__fish_ringress_needs_command" -s V -l version -d 'Print version'
complete -c ringress -n "__fish_ringress_needs_command" -f -a "run" -d 'Serve the Ingresses of a cluster or of a folder'
complete -c ringress -n "__fish_ringress_needs_command" -f -a "demo" -d 'Serve an embedded example on loopback, with its own backends, and print what to try'
complete -c ringress -n "__fish_ringress_needs_command" -f -a "check" -d 'Read manifests and print what would not be served as written'
complete -c ringress -n "__fish_ringress_needs_command" -f -a "explain" -d 'Say which Ingress, rule and backend serve a request, and why the others do not'
complete -c ringress -n "__fish_ringress_needs_command" -f -a "report" -d 'Say Ingress by Ingress what acts as in ingress-nginx, what differs and what is refused'
complete -c ringress -n "__fish_ringress_needs_command" -f -a "shadow" -d 'Hold recorded requests against an old controller and this one, and say what differs'
complete -c ringress -n "__fish_ringress_needs_command" -f -a "upgrade" -d 'Replace the running process by the binary that is installed now, without losing a request'
complete -c ringress -n "__fish_ringress_needs_command" -f -a "top" -d 'Show the traffic of a running instance: the dashboard\'s figures in a terminal'
complete -c ringress -n "__fish_ringress_needs_command" -f -a "version" -d 'Print version, commit, driver and TLS provider'
complete -c ringress -n "__fish_ringress_using_subcommand run" -l access-log -d 'auto (as the ConfigMap says; off with a dir: source that has none), off, or a file. [default: auto]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l access-log-format -d 'Form of access log lines: the ConfigMap\'s log-format-upstream, or a built-in JSON object. [default: configmap]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l admin-address -d 'Where dashboard and API are served: ADDRESS:PORT, unix:PATH, or off. [default: 127.0.0.1:10280]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l config -d 'YAML file with the same options; /etc/ringress/ringress.yaml when it exists.' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l control-socket -d 'Socket of the upgrade command, or off; /run/ringress/control.sock, else in the state folder.' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l cpus -d 'The CPUs to pin worker cores to, such as 0-3,6.' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l drain-timeout -d 'Longest drain; else the ConfigMap\'s worker-shutdown-timeout, else 30s.' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l driver -d 'How workers wait for sockets; auto takes io_uring where it is allowed. [default: auto]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l listen-address -d 'Address of the http and https listeners; all IPv4 and IPv6 addresses when not given.' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l log-format -d 'Form of the own log; auto is text on a terminal, else JSON. [default: auto]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l log-level -d 'Least severity of the own log; when neither this nor -v is given, that of the ConfigMap\'s error-log-level, else info.' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l ocsp-allow-local -d 'Ask OCSP responders on loopback and link-local addresses too, where enable-ocsp is on. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l source -d 'kube (the cluster\'s API server) or dir:PATH (a folder of manifests). [default: kube]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l state-dir -d 'Folder of the last known good state; /var/lib/ringress when it can be written to.' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l ticket-secret -d 'Secret with the keys of TLS session tickets that all replicas share; the leader makes and rotates them.' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l upstream-address -d 'Where requests go: to pods, to their Service\'s own address, or to its port on each ready Node. [default: pod]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l upgrade-timeout -d 'How long an upgrade waits for the new process to be ready; then the old one goes on. [default: 60s]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l webhook-configuration -d 'ValidatingWebhookConfiguration whose caBundle the leader keeps, with --webhook-secret.' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l webhook-secret -d 'Secret with the webhook\'s certificate, which the leader makes and renews; unless one is given by files.' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l workers -d 'Number of worker cores; the CPUs this process may use when not given.' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l zone -d 'The zone of this instance, for --enable-topology-aware-routing.' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l annotations-prefix -d 'Prefix of the Ingress annotations that are read. [default: nginx.ingress.kubernetes.io]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l apiserver-host -d 'URL of the API server, for running outside the cluster.' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l bucket-factor -d 'Growth factor of native histograms. [default: 0]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l certificate-authority -d 'CA file for --apiserver-host.' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l configmap -d 'The ConfigMap with the global options.' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l controller-class -d 'IngressClasses whose spec.controller is this belong to this controller. [default: k8s.io/ingress-nginx]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l deep-inspect -d 'Refuse Ingresses whose hosts or paths hold fragments of nginx configuration. [default: true]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l default-backend-service -d 'Service (first port) for requests that no rule matches; without it the answer is 404.' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l default-server-port -d 'Port of the 404 server. [default: 8181]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l default-ssl-certificate -d 'Secret with the certificate for names without their own; without it a self-signed one is made.' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l disable-catch-all -d 'Ignore Ingresses that have spec.defaultBackend. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l disable-full-test -d 'The webhook renders only the Ingress under review. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l disable-leader-election -d 'No Lease, and no writing of Ingress status. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l disable-svc-external-name -d 'Ignore Services of type ExternalName. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l disable-sync-events -d 'Do not write a Sync event for each Ingress. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l dynamic-configuration-retries -d 'Retries of pushing state into the Lua layer. [default: 15]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l election-id -d 'Name of the Lease of the leader election. [default: ingress-controller-leader]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l election-ttl -d 'How long the Lease is held. [default: 30s]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l enable-annotation-validation -d 'Validate the values of annotations. [default: true]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l enable-metrics -d 'Count requests by route and serve the counters. [default: true]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l enable-ssl-chain-completion -d 'Fetch missing intermediate certificates. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l enable-ssl-passthrough -d 'Forward the TLS of hosts that ask for it, chosen by server name. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l enable-topology-aware-routing -d 'Prefer endpoints whose hints name this Node or this zone (--zone, else that of the Node in NODE_NAME). [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l exclude-socket-metrics -d 'Request metrics that are neither computed nor served.' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l health-check-path -d 'Path of the health answer on the health port, and of the 200 on the ports of the traffic for hosts that no rule names. [default: /healthz]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l health-check-timeout -d 'Time after which a health or metrics request is given up. [default: 10]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l healthz-host -d 'Address of the health and metrics port; empty is all.' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l healthz-port -d 'Port for health and metrics; 0 turns it off. [default: 10254]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l http-port -d 'Port for plain http; 0 turns it off. [default: 80]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l https-port -d 'Port for https; 0 turns it off. [default: 443]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l ingress-class -d 'Value of the kubernetes.io/ingress.class annotation that is served. [default: nginx]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l ingress-class-by-name -d 'Serve the IngressClass whose name is --ingress-class, too. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l internal-logger-address -d 'Syslog address of chroot images. [default: 127.0.0.1:11514]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l kubeconfig -d 'File with the API server\'s address and credentials; also KUBECONFIG.' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l length-buckets -d 'Buckets of the request and response length histograms, in bytes. [default: 10,20,30,40,50,60,70,80,90,100]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l max-buckets -d 'Most buckets of a native histogram. [default: 100]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l maxmind-edition-ids -d 'GeoIP2 databases. [default: GeoLite2-City,GeoLite2-ASN]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l maxmind-license-key -d 'Key for downloading them.' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l maxmind-mirror -d 'Where to download them.' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l maxmind-retries-count -d 'Download attempts. [default: 1]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l maxmind-retries-timeout -d 'Pause between download attempts. [default: 0s]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l metrics-per-host -d 'Put the host label on request metrics. [default: true]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l metrics-per-undefined-host -d 'Count requests for hosts that no Ingress defines, too. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l monitor-max-batch-size -d 'Size of a batch of metrics. [default: 10000]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l post-shutdown-grace-period -d 'Wait between the end of the drain and the end of the process. [default: 10]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l profiler-address -d 'Address of the profiler. [default: 127.0.0.1]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l profiler-port -d 'Port of the profiler. [default: 10245]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l profiling -d 'Serve profiles. [default: true]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l publish-service -d 'Service whose addresses are written to Ingress status.' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l publish-status-address -d 'Addresses that are written to Ingress status.' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l report-node-internal-ip-address -d 'Write internal node addresses to Ingress status. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l report-status-classes -d 'Label request metrics with 2xx, 3xx, … instead of codes. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l shutdown-grace-period -d 'Wait between SIGTERM and the start of the drain. [default: 0]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l size-buckets -d 'Buckets of the bytes_sent histogram. [default: 10,100,1000,10000,100000,1000000,10000000]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l ssl-passthrough-proxy-port -d 'TLS port behind the server name proxy. [default: 442]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l status-port -d 'Control port of the Lua layer. [default: 10246]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l status-update-interval -d 'How often Ingress status is checked. [default: 60]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l stream-port -d 'Control port of the Lua layer for TCP and UDP. [default: 10247]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l sync-period -d 'How often everything is listed again. [default: 0s]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l sync-rate-limit -d 'Most syncs per second. [default: 0.3]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l tcp-services-configmap -d 'ConfigMap that maps ports to TCP services.' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l time-buckets -d 'Buckets of the duration histograms, in seconds. [default: 0.005,0.01,0.025,0.05,0.1,0.25,0.5,1,2.5,5,10]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l udp-services-configmap -d 'ConfigMap that maps ports to UDP services.' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l update-status -d 'Write the addresses of this controller to Ingress status. [default: true]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l update-status-on-shutdown -d 'The last replica clears the status when it stops. [default: true]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l validating-webhook -d 'Address of the admission server.' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l validating-webhook-certificate -d 'Its certificate file.' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l validating-webhook-key -d 'Its key file.' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l version -d 'Print the version and end. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l watch-ingress-without-class -d 'Serve Ingresses that name no class, too. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l watch-namespace -d 'The only namespace to be served; empty is all.' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l watch-namespace-selector -d 'Serve the namespaces with these labels; excludes --watch-namespace.' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -s v -l v -d 'Verbosity of the own log (-v too).' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l add_dir_header -d 'Flag of ingress-nginx\' logger.' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l alsologtostderr -d 'Flag of ingress-nginx\' logger.' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l log_backtrace_at -d 'Flag of ingress-nginx\' logger.' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l log_dir -d 'Flag of ingress-nginx\' logger.' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l log_file -d 'Flag of ingress-nginx\' logger.' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l log_file_max_size -d 'Flag of ingress-nginx\' logger.' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l logtostderr -d 'Flag of ingress-nginx\' logger.' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l one_output -d 'Flag of ingress-nginx\' logger.' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l skip_headers -d 'Flag of ingress-nginx\' logger.' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l skip_log_headers -d 'Flag of ingress-nginx\' logger.' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l stderrthreshold -d 'Flag of ingress-nginx\' logger.' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -l vmodule -d 'Flag of ingress-nginx\' logger.' -r
complete -c ringress -n "__fish_ringress_using_subcommand run" -s h -l help -d 'Print help'
complete -c ringress -n "__fish_ringress_using_subcommand demo" -l admin-address -d 'Where dashboard and API are served: ADDRESS:PORT, unix:PATH, or off. [default: 127.0.0.1:10280]' -r
complete -c ringress -n "__fish_ringress_using_subcommand demo" -l cpus -d 'The CPUs to pin worker cores to, such as 0-3,6.' -r
complete -c ringress -n "__fish_ringress_using_subcommand demo" -l driver -d 'How workers wait for sockets; auto takes io_uring where it is allowed. [default: auto]' -r
complete -c ringress -n "__fish_ringress_using_subcommand demo" -l log-format -d 'Form of the own log; auto is text on a terminal, else JSON. [default: auto]' -r
complete -c ringress -n "__fish_ringress_using_subcommand demo" -l log-level -d 'Least severity of the own log; when neither this nor -v is given, that of the ConfigMap\'s error-log-level, else info.' -r
complete -c ringress -n "__fish_ringress_using_subcommand demo" -l workers -d 'Number of worker cores; the CPUs this process may use when not given.' -r
complete -c ringress -n "__fish_ringress_using_subcommand demo" -l healthz-port -d 'Port for health and metrics; 0 turns it off. [default: 10254]' -r
complete -c ringress -n "__fish_ringress_using_subcommand demo" -l http-port -d 'Port for plain http; 0 turns it off. [default: 80]' -r
complete -c ringress -n "__fish_ringress_using_subcommand demo" -l https-port -d 'Port for https; 0 turns it off. [default: 443]' -r
complete -c ringress -n "__fish_ringress_using_subcommand demo" -l v1 -d 'Serve the networking.k8s.io/v1 form'
complete -c ringress -n "__fish_ringress_using_subcommand demo" -s h -l help -d 'Print help'
complete -c ringress -n "__fish_ringress_using_subcommand check" -l output -d 'Form of the result' -r -f -a "text\t''
json\t''"
complete -c ringress -n "__fish_ringress_using_subcommand check" -l annotations-prefix -d 'Prefix of the Ingress annotations that are read. [default: nginx.ingress.kubernetes.io]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l apiserver-host -d 'URL of the API server, for running outside the cluster.' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l bucket-factor -d 'Growth factor of native histograms. [default: 0]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l certificate-authority -d 'CA file for --apiserver-host.' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l configmap -d 'The ConfigMap with the global options.' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l controller-class -d 'IngressClasses whose spec.controller is this belong to this controller. [default: k8s.io/ingress-nginx]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l deep-inspect -d 'Refuse Ingresses whose hosts or paths hold fragments of nginx configuration. [default: true]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l default-backend-service -d 'Service (first port) for requests that no rule matches; without it the answer is 404.' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l default-server-port -d 'Port of the 404 server. [default: 8181]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l default-ssl-certificate -d 'Secret with the certificate for names without their own; without it a self-signed one is made.' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l disable-catch-all -d 'Ignore Ingresses that have spec.defaultBackend. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l disable-full-test -d 'The webhook renders only the Ingress under review. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l disable-leader-election -d 'No Lease, and no writing of Ingress status. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l disable-svc-external-name -d 'Ignore Services of type ExternalName. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l disable-sync-events -d 'Do not write a Sync event for each Ingress. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l dynamic-configuration-retries -d 'Retries of pushing state into the Lua layer. [default: 15]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l election-id -d 'Name of the Lease of the leader election. [default: ingress-controller-leader]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l election-ttl -d 'How long the Lease is held. [default: 30s]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l enable-annotation-validation -d 'Validate the values of annotations. [default: true]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l enable-metrics -d 'Count requests by route and serve the counters. [default: true]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l enable-ssl-chain-completion -d 'Fetch missing intermediate certificates. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l enable-ssl-passthrough -d 'Forward the TLS of hosts that ask for it, chosen by server name. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l enable-topology-aware-routing -d 'Prefer endpoints whose hints name this Node or this zone (--zone, else that of the Node in NODE_NAME). [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l exclude-socket-metrics -d 'Request metrics that are neither computed nor served.' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l health-check-path -d 'Path of the health answer on the health port, and of the 200 on the ports of the traffic for hosts that no rule names. [default: /healthz]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l health-check-timeout -d 'Time after which a health or metrics request is given up. [default: 10]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l healthz-host -d 'Address of the health and metrics port; empty is all.' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l healthz-port -d 'Port for health and metrics; 0 turns it off. [default: 10254]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l http-port -d 'Port for plain http; 0 turns it off. [default: 80]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l https-port -d 'Port for https; 0 turns it off. [default: 443]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l ingress-class -d 'Value of the kubernetes.io/ingress.class annotation that is served. [default: nginx]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l ingress-class-by-name -d 'Serve the IngressClass whose name is --ingress-class, too. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l internal-logger-address -d 'Syslog address of chroot images. [default: 127.0.0.1:11514]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l kubeconfig -d 'File with the API server\'s address and credentials; also KUBECONFIG.' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l length-buckets -d 'Buckets of the request and response length histograms, in bytes. [default: 10,20,30,40,50,60,70,80,90,100]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l max-buckets -d 'Most buckets of a native histogram. [default: 100]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l maxmind-edition-ids -d 'GeoIP2 databases. [default: GeoLite2-City,GeoLite2-ASN]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l maxmind-license-key -d 'Key for downloading them.' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l maxmind-mirror -d 'Where to download them.' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l maxmind-retries-count -d 'Download attempts. [default: 1]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l maxmind-retries-timeout -d 'Pause between download attempts. [default: 0s]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l metrics-per-host -d 'Put the host label on request metrics. [default: true]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l metrics-per-undefined-host -d 'Count requests for hosts that no Ingress defines, too. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l monitor-max-batch-size -d 'Size of a batch of metrics. [default: 10000]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l post-shutdown-grace-period -d 'Wait between the end of the drain and the end of the process. [default: 10]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l profiler-address -d 'Address of the profiler. [default: 127.0.0.1]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l profiler-port -d 'Port of the profiler. [default: 10245]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l profiling -d 'Serve profiles. [default: true]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l publish-service -d 'Service whose addresses are written to Ingress status.' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l publish-status-address -d 'Addresses that are written to Ingress status.' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l report-node-internal-ip-address -d 'Write internal node addresses to Ingress status. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l report-status-classes -d 'Label request metrics with 2xx, 3xx, … instead of codes. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l shutdown-grace-period -d 'Wait between SIGTERM and the start of the drain. [default: 0]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l size-buckets -d 'Buckets of the bytes_sent histogram. [default: 10,100,1000,10000,100000,1000000,10000000]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l ssl-passthrough-proxy-port -d 'TLS port behind the server name proxy. [default: 442]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l status-port -d 'Control port of the Lua layer. [default: 10246]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l status-update-interval -d 'How often Ingress status is checked. [default: 60]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l stream-port -d 'Control port of the Lua layer for TCP and UDP. [default: 10247]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l sync-period -d 'How often everything is listed again. [default: 0s]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l sync-rate-limit -d 'Most syncs per second. [default: 0.3]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l tcp-services-configmap -d 'ConfigMap that maps ports to TCP services.' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l time-buckets -d 'Buckets of the duration histograms, in seconds. [default: 0.005,0.01,0.025,0.05,0.1,0.25,0.5,1,2.5,5,10]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l udp-services-configmap -d 'ConfigMap that maps ports to UDP services.' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l update-status -d 'Write the addresses of this controller to Ingress status. [default: true]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l update-status-on-shutdown -d 'The last replica clears the status when it stops. [default: true]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l validating-webhook -d 'Address of the admission server.' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l validating-webhook-certificate -d 'Its certificate file.' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l validating-webhook-key -d 'Its key file.' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l version -d 'Print the version and end. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l watch-ingress-without-class -d 'Serve Ingresses that name no class, too. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l watch-namespace -d 'The only namespace to be served; empty is all.' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -l watch-namespace-selector -d 'Serve the namespaces with these labels; excludes --watch-namespace.' -r
complete -c ringress -n "__fish_ringress_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ringress -n "__fish_ringress_using_subcommand explain" -s X -l method -d 'Request method' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -s H -l header -d 'A request header, repeatable' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l client-ip -d 'The client\'s address' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l source -d 'Read the manifests of a folder' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l admin -d 'Ask a running instance [default: 127.0.0.1:10280]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l output -d 'Form of the result' -r -f -a "text\t''
json\t''"
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l annotations-prefix -d 'Prefix of the Ingress annotations that are read. [default: nginx.ingress.kubernetes.io]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l apiserver-host -d 'URL of the API server, for running outside the cluster.' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l bucket-factor -d 'Growth factor of native histograms. [default: 0]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l certificate-authority -d 'CA file for --apiserver-host.' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l configmap -d 'The ConfigMap with the global options.' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l controller-class -d 'IngressClasses whose spec.controller is this belong to this controller. [default: k8s.io/ingress-nginx]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l deep-inspect -d 'Refuse Ingresses whose hosts or paths hold fragments of nginx configuration. [default: true]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l default-backend-service -d 'Service (first port) for requests that no rule matches; without it the answer is 404.' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l default-server-port -d 'Port of the 404 server. [default: 8181]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l default-ssl-certificate -d 'Secret with the certificate for names without their own; without it a self-signed one is made.' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l disable-catch-all -d 'Ignore Ingresses that have spec.defaultBackend. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l disable-full-test -d 'The webhook renders only the Ingress under review. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l disable-leader-election -d 'No Lease, and no writing of Ingress status. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l disable-svc-external-name -d 'Ignore Services of type ExternalName. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l disable-sync-events -d 'Do not write a Sync event for each Ingress. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l dynamic-configuration-retries -d 'Retries of pushing state into the Lua layer. [default: 15]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l election-id -d 'Name of the Lease of the leader election. [default: ingress-controller-leader]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l election-ttl -d 'How long the Lease is held. [default: 30s]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l enable-annotation-validation -d 'Validate the values of annotations. [default: true]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l enable-metrics -d 'Count requests by route and serve the counters. [default: true]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l enable-ssl-chain-completion -d 'Fetch missing intermediate certificates. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l enable-ssl-passthrough -d 'Forward the TLS of hosts that ask for it, chosen by server name. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l enable-topology-aware-routing -d 'Prefer endpoints whose hints name this Node or this zone (--zone, else that of the Node in NODE_NAME). [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l exclude-socket-metrics -d 'Request metrics that are neither computed nor served.' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l health-check-path -d 'Path of the health answer on the health port, and of the 200 on the ports of the traffic for hosts that no rule names. [default: /healthz]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l health-check-timeout -d 'Time after which a health or metrics request is given up. [default: 10]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l healthz-host -d 'Address of the health and metrics port; empty is all.' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l healthz-port -d 'Port for health and metrics; 0 turns it off. [default: 10254]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l http-port -d 'Port for plain http; 0 turns it off. [default: 80]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l https-port -d 'Port for https; 0 turns it off. [default: 443]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l ingress-class -d 'Value of the kubernetes.io/ingress.class annotation that is served. [default: nginx]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l ingress-class-by-name -d 'Serve the IngressClass whose name is --ingress-class, too. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l internal-logger-address -d 'Syslog address of chroot images. [default: 127.0.0.1:11514]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l kubeconfig -d 'File with the API server\'s address and credentials; also KUBECONFIG.' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l length-buckets -d 'Buckets of the request and response length histograms, in bytes. [default: 10,20,30,40,50,60,70,80,90,100]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l max-buckets -d 'Most buckets of a native histogram. [default: 100]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l maxmind-edition-ids -d 'GeoIP2 databases. [default: GeoLite2-City,GeoLite2-ASN]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l maxmind-license-key -d 'Key for downloading them.' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l maxmind-mirror -d 'Where to download them.' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l maxmind-retries-count -d 'Download attempts. [default: 1]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l maxmind-retries-timeout -d 'Pause between download attempts. [default: 0s]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l metrics-per-host -d 'Put the host label on request metrics. [default: true]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l metrics-per-undefined-host -d 'Count requests for hosts that no Ingress defines, too. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l monitor-max-batch-size -d 'Size of a batch of metrics. [default: 10000]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l post-shutdown-grace-period -d 'Wait between the end of the drain and the end of the process. [default: 10]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l profiler-address -d 'Address of the profiler. [default: 127.0.0.1]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l profiler-port -d 'Port of the profiler. [default: 10245]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l profiling -d 'Serve profiles. [default: true]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l publish-service -d 'Service whose addresses are written to Ingress status.' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l publish-status-address -d 'Addresses that are written to Ingress status.' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l report-node-internal-ip-address -d 'Write internal node addresses to Ingress status. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l report-status-classes -d 'Label request metrics with 2xx, 3xx, … instead of codes. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l shutdown-grace-period -d 'Wait between SIGTERM and the start of the drain. [default: 0]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l size-buckets -d 'Buckets of the bytes_sent histogram. [default: 10,100,1000,10000,100000,1000000,10000000]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l ssl-passthrough-proxy-port -d 'TLS port behind the server name proxy. [default: 442]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l status-port -d 'Control port of the Lua layer. [default: 10246]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l status-update-interval -d 'How often Ingress status is checked. [default: 60]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l stream-port -d 'Control port of the Lua layer for TCP and UDP. [default: 10247]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l sync-period -d 'How often everything is listed again. [default: 0s]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l sync-rate-limit -d 'Most syncs per second. [default: 0.3]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l tcp-services-configmap -d 'ConfigMap that maps ports to TCP services.' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l time-buckets -d 'Buckets of the duration histograms, in seconds. [default: 0.005,0.01,0.025,0.05,0.1,0.25,0.5,1,2.5,5,10]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l udp-services-configmap -d 'ConfigMap that maps ports to UDP services.' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l update-status -d 'Write the addresses of this controller to Ingress status. [default: true]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l update-status-on-shutdown -d 'The last replica clears the status when it stops. [default: true]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l validating-webhook -d 'Address of the admission server.' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l validating-webhook-certificate -d 'Its certificate file.' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l validating-webhook-key -d 'Its key file.' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l version -d 'Print the version and end. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l watch-ingress-without-class -d 'Serve Ingresses that name no class, too. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l watch-namespace -d 'The only namespace to be served; empty is all.' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -l watch-namespace-selector -d 'Serve the namespaces with these labels; excludes --watch-namespace.' -r
complete -c ringress -n "__fish_ringress_using_subcommand explain" -s h -l help -d 'Print help'
complete -c ringress -n "__fish_ringress_using_subcommand report" -l source -d 'kube (the cluster\'s API server, by --kubeconfig, KUBECONFIG or --apiserver-host) or dir:PATH' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l output -d 'Form of the result' -r -f -a "text\t''
json\t''
html\t''"
complete -c ringress -n "__fish_ringress_using_subcommand report" -l annotations-prefix -d 'Prefix of the Ingress annotations that are read. [default: nginx.ingress.kubernetes.io]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l apiserver-host -d 'URL of the API server, for running outside the cluster.' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l bucket-factor -d 'Growth factor of native histograms. [default: 0]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l certificate-authority -d 'CA file for --apiserver-host.' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l configmap -d 'The ConfigMap with the global options.' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l controller-class -d 'IngressClasses whose spec.controller is this belong to this controller. [default: k8s.io/ingress-nginx]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l deep-inspect -d 'Refuse Ingresses whose hosts or paths hold fragments of nginx configuration. [default: true]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l default-backend-service -d 'Service (first port) for requests that no rule matches; without it the answer is 404.' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l default-server-port -d 'Port of the 404 server. [default: 8181]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l default-ssl-certificate -d 'Secret with the certificate for names without their own; without it a self-signed one is made.' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l disable-catch-all -d 'Ignore Ingresses that have spec.defaultBackend. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l disable-full-test -d 'The webhook renders only the Ingress under review. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l disable-leader-election -d 'No Lease, and no writing of Ingress status. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l disable-svc-external-name -d 'Ignore Services of type ExternalName. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l disable-sync-events -d 'Do not write a Sync event for each Ingress. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l dynamic-configuration-retries -d 'Retries of pushing state into the Lua layer. [default: 15]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l election-id -d 'Name of the Lease of the leader election. [default: ingress-controller-leader]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l election-ttl -d 'How long the Lease is held. [default: 30s]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l enable-annotation-validation -d 'Validate the values of annotations. [default: true]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l enable-metrics -d 'Count requests by route and serve the counters. [default: true]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l enable-ssl-chain-completion -d 'Fetch missing intermediate certificates. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l enable-ssl-passthrough -d 'Forward the TLS of hosts that ask for it, chosen by server name. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l enable-topology-aware-routing -d 'Prefer endpoints whose hints name this Node or this zone (--zone, else that of the Node in NODE_NAME). [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l exclude-socket-metrics -d 'Request metrics that are neither computed nor served.' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l health-check-path -d 'Path of the health answer on the health port, and of the 200 on the ports of the traffic for hosts that no rule names. [default: /healthz]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l health-check-timeout -d 'Time after which a health or metrics request is given up. [default: 10]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l healthz-host -d 'Address of the health and metrics port; empty is all.' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l healthz-port -d 'Port for health and metrics; 0 turns it off. [default: 10254]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l http-port -d 'Port for plain http; 0 turns it off. [default: 80]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l https-port -d 'Port for https; 0 turns it off. [default: 443]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l ingress-class -d 'Value of the kubernetes.io/ingress.class annotation that is served. [default: nginx]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l ingress-class-by-name -d 'Serve the IngressClass whose name is --ingress-class, too. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l internal-logger-address -d 'Syslog address of chroot images. [default: 127.0.0.1:11514]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l kubeconfig -d 'File with the API server\'s address and credentials; also KUBECONFIG.' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l length-buckets -d 'Buckets of the request and response length histograms, in bytes. [default: 10,20,30,40,50,60,70,80,90,100]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l max-buckets -d 'Most buckets of a native histogram. [default: 100]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l maxmind-edition-ids -d 'GeoIP2 databases. [default: GeoLite2-City,GeoLite2-ASN]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l maxmind-license-key -d 'Key for downloading them.' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l maxmind-mirror -d 'Where to download them.' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l maxmind-retries-count -d 'Download attempts. [default: 1]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l maxmind-retries-timeout -d 'Pause between download attempts. [default: 0s]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l metrics-per-host -d 'Put the host label on request metrics. [default: true]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l metrics-per-undefined-host -d 'Count requests for hosts that no Ingress defines, too. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l monitor-max-batch-size -d 'Size of a batch of metrics. [default: 10000]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l post-shutdown-grace-period -d 'Wait between the end of the drain and the end of the process. [default: 10]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l profiler-address -d 'Address of the profiler. [default: 127.0.0.1]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l profiler-port -d 'Port of the profiler. [default: 10245]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l profiling -d 'Serve profiles. [default: true]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l publish-service -d 'Service whose addresses are written to Ingress status.' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l publish-status-address -d 'Addresses that are written to Ingress status.' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l report-node-internal-ip-address -d 'Write internal node addresses to Ingress status. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l report-status-classes -d 'Label request metrics with 2xx, 3xx, … instead of codes. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l shutdown-grace-period -d 'Wait between SIGTERM and the start of the drain. [default: 0]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l size-buckets -d 'Buckets of the bytes_sent histogram. [default: 10,100,1000,10000,100000,1000000,10000000]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l ssl-passthrough-proxy-port -d 'TLS port behind the server name proxy. [default: 442]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l status-port -d 'Control port of the Lua layer. [default: 10246]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l status-update-interval -d 'How often Ingress status is checked. [default: 60]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l stream-port -d 'Control port of the Lua layer for TCP and UDP. [default: 10247]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l sync-period -d 'How often everything is listed again. [default: 0s]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l sync-rate-limit -d 'Most syncs per second. [default: 0.3]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l tcp-services-configmap -d 'ConfigMap that maps ports to TCP services.' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l time-buckets -d 'Buckets of the duration histograms, in seconds. [default: 0.005,0.01,0.025,0.05,0.1,0.25,0.5,1,2.5,5,10]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l udp-services-configmap -d 'ConfigMap that maps ports to UDP services.' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l update-status -d 'Write the addresses of this controller to Ingress status. [default: true]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l update-status-on-shutdown -d 'The last replica clears the status when it stops. [default: true]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l validating-webhook -d 'Address of the admission server.' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l validating-webhook-certificate -d 'Its certificate file.' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l validating-webhook-key -d 'Its key file.' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l version -d 'Print the version and end. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l watch-ingress-without-class -d 'Serve Ingresses that name no class, too. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l watch-namespace -d 'The only namespace to be served; empty is all.' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l watch-namespace-selector -d 'Serve the namespaces with these labels; excludes --watch-namespace.' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -s v -l v -d 'Verbosity of the own log (-v too).' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l add_dir_header -d 'Flag of ingress-nginx\' logger.' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l alsologtostderr -d 'Flag of ingress-nginx\' logger.' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l log_backtrace_at -d 'Flag of ingress-nginx\' logger.' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l log_dir -d 'Flag of ingress-nginx\' logger.' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l log_file -d 'Flag of ingress-nginx\' logger.' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l log_file_max_size -d 'Flag of ingress-nginx\' logger.' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l logtostderr -d 'Flag of ingress-nginx\' logger.' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l one_output -d 'Flag of ingress-nginx\' logger.' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l skip_headers -d 'Flag of ingress-nginx\' logger.' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l skip_log_headers -d 'Flag of ingress-nginx\' logger.' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l stderrthreshold -d 'Flag of ingress-nginx\' logger.' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -l vmodule -d 'Flag of ingress-nginx\' logger.' -r
complete -c ringress -n "__fish_ringress_using_subcommand report" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l old -d 'Where the old controller listens' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l new -d 'Where the new one listens' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l header -d 'A header of answers to compare, repeatable' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l backend-header -d 'Header in which backends say who they are' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l rate -d 'Most requests a second' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l concurrency -d 'Most requests in flight' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l timeout -d 'Longest wait for an answer' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l source -d 'Compare with the manifests of a folder' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l admin -d 'Compare with the routes of a running instance' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l host -d 'Host of requests that do not say theirs' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l scheme -d 'Scheme of requests that do not say theirs, for --source and --admin' -r -f -a "http\t''
https\t''"
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l limit -d 'Most requests that are read' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l time-limit -d 'Longest time for the whole' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l output -d 'Form of the result' -r -f -a "text\t''
json\t''"
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l annotations-prefix -d 'Prefix of the Ingress annotations that are read. [default: nginx.ingress.kubernetes.io]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l apiserver-host -d 'URL of the API server, for running outside the cluster.' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l bucket-factor -d 'Growth factor of native histograms. [default: 0]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l certificate-authority -d 'CA file for --apiserver-host.' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l configmap -d 'The ConfigMap with the global options.' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l controller-class -d 'IngressClasses whose spec.controller is this belong to this controller. [default: k8s.io/ingress-nginx]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l deep-inspect -d 'Refuse Ingresses whose hosts or paths hold fragments of nginx configuration. [default: true]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l default-backend-service -d 'Service (first port) for requests that no rule matches; without it the answer is 404.' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l default-server-port -d 'Port of the 404 server. [default: 8181]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l default-ssl-certificate -d 'Secret with the certificate for names without their own; without it a self-signed one is made.' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l disable-catch-all -d 'Ignore Ingresses that have spec.defaultBackend. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l disable-full-test -d 'The webhook renders only the Ingress under review. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l disable-leader-election -d 'No Lease, and no writing of Ingress status. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l disable-svc-external-name -d 'Ignore Services of type ExternalName. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l disable-sync-events -d 'Do not write a Sync event for each Ingress. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l dynamic-configuration-retries -d 'Retries of pushing state into the Lua layer. [default: 15]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l election-id -d 'Name of the Lease of the leader election. [default: ingress-controller-leader]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l election-ttl -d 'How long the Lease is held. [default: 30s]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l enable-annotation-validation -d 'Validate the values of annotations. [default: true]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l enable-metrics -d 'Count requests by route and serve the counters. [default: true]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l enable-ssl-chain-completion -d 'Fetch missing intermediate certificates. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l enable-ssl-passthrough -d 'Forward the TLS of hosts that ask for it, chosen by server name. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l enable-topology-aware-routing -d 'Prefer endpoints whose hints name this Node or this zone (--zone, else that of the Node in NODE_NAME). [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l exclude-socket-metrics -d 'Request metrics that are neither computed nor served.' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l health-check-path -d 'Path of the health answer on the health port, and of the 200 on the ports of the traffic for hosts that no rule names. [default: /healthz]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l health-check-timeout -d 'Time after which a health or metrics request is given up. [default: 10]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l healthz-host -d 'Address of the health and metrics port; empty is all.' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l healthz-port -d 'Port for health and metrics; 0 turns it off. [default: 10254]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l http-port -d 'Port for plain http; 0 turns it off. [default: 80]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l https-port -d 'Port for https; 0 turns it off. [default: 443]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l ingress-class -d 'Value of the kubernetes.io/ingress.class annotation that is served. [default: nginx]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l ingress-class-by-name -d 'Serve the IngressClass whose name is --ingress-class, too. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l internal-logger-address -d 'Syslog address of chroot images. [default: 127.0.0.1:11514]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l kubeconfig -d 'File with the API server\'s address and credentials; also KUBECONFIG.' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l length-buckets -d 'Buckets of the request and response length histograms, in bytes. [default: 10,20,30,40,50,60,70,80,90,100]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l max-buckets -d 'Most buckets of a native histogram. [default: 100]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l maxmind-edition-ids -d 'GeoIP2 databases. [default: GeoLite2-City,GeoLite2-ASN]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l maxmind-license-key -d 'Key for downloading them.' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l maxmind-mirror -d 'Where to download them.' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l maxmind-retries-count -d 'Download attempts. [default: 1]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l maxmind-retries-timeout -d 'Pause between download attempts. [default: 0s]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l metrics-per-host -d 'Put the host label on request metrics. [default: true]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l metrics-per-undefined-host -d 'Count requests for hosts that no Ingress defines, too. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l monitor-max-batch-size -d 'Size of a batch of metrics. [default: 10000]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l post-shutdown-grace-period -d 'Wait between the end of the drain and the end of the process. [default: 10]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l profiler-address -d 'Address of the profiler. [default: 127.0.0.1]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l profiler-port -d 'Port of the profiler. [default: 10245]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l profiling -d 'Serve profiles. [default: true]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l publish-service -d 'Service whose addresses are written to Ingress status.' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l publish-status-address -d 'Addresses that are written to Ingress status.' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l report-node-internal-ip-address -d 'Write internal node addresses to Ingress status. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l report-status-classes -d 'Label request metrics with 2xx, 3xx, … instead of codes. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l shutdown-grace-period -d 'Wait between SIGTERM and the start of the drain. [default: 0]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l size-buckets -d 'Buckets of the bytes_sent histogram. [default: 10,100,1000,10000,100000,1000000,10000000]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l ssl-passthrough-proxy-port -d 'TLS port behind the server name proxy. [default: 442]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l status-port -d 'Control port of the Lua layer. [default: 10246]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l status-update-interval -d 'How often Ingress status is checked. [default: 60]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l stream-port -d 'Control port of the Lua layer for TCP and UDP. [default: 10247]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l sync-period -d 'How often everything is listed again. [default: 0s]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l sync-rate-limit -d 'Most syncs per second. [default: 0.3]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l tcp-services-configmap -d 'ConfigMap that maps ports to TCP services.' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l time-buckets -d 'Buckets of the duration histograms, in seconds. [default: 0.005,0.01,0.025,0.05,0.1,0.25,0.5,1,2.5,5,10]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l udp-services-configmap -d 'ConfigMap that maps ports to UDP services.' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l update-status -d 'Write the addresses of this controller to Ingress status. [default: true]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l update-status-on-shutdown -d 'The last replica clears the status when it stops. [default: true]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l validating-webhook -d 'Address of the admission server.' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l validating-webhook-certificate -d 'Its certificate file.' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l validating-webhook-key -d 'Its key file.' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l version -d 'Print the version and end. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l watch-ingress-without-class -d 'Serve Ingresses that name no class, too. [default: false]' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l watch-namespace -d 'The only namespace to be served; empty is all.' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l watch-namespace-selector -d 'Serve the namespaces with these labels; excludes --watch-namespace.' -r
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -l all-methods -d 'Send methods other than GET, HEAD and OPTIONS too; they may change something, twice'
complete -c ringress -n "__fish_ringress_using_subcommand shadow" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ringress -n "__fish_ringress_using_subcommand upgrade" -l config -d 'YAML file with the same options; /etc/ringress/ringress.yaml when it exists.' -r
complete -c ringress -n "__fish_ringress_using_subcommand upgrade" -l control-socket -d 'Socket of the upgrade command, or off; /run/ringress/control.sock, else in the state folder.' -r
complete -c ringress -n "__fish_ringress_using_subcommand upgrade" -l state-dir -d 'Folder of the last known good state; /var/lib/ringress when it can be written to.' -r
complete -c ringress -n "__fish_ringress_using_subcommand upgrade" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ringress -n "__fish_ringress_using_subcommand top" -l admin -d 'The instance\'s admin listener: ADDRESS:PORT or unix:PATH [default: 127.0.0.1:10280]' -r
complete -c ringress -n "__fish_ringress_using_subcommand top" -l interval -d 'Time between views' -r
complete -c ringress -n "__fish_ringress_using_subcommand top" -l once -d 'Show one view and end'
complete -c ringress -n "__fish_ringress_using_subcommand top" -s h -l help -d 'Print help'
complete -c ringress -n "__fish_ringress_using_subcommand version" -s h -l help -d 'Print help'
