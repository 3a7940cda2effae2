_ringress() {
    local i cur prev opts cmd
    COMPREPLY=()
    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
        cur="$2"
    else
        cur="${COMP_WORDS[COMP_CWORD]}"
    fi
    prev="$3"
    cmd=""
    opts=""

    for i in "${COMP_WORDS[@]:0:COMP_CWORD}"
    do
        case "${cmd},${i}" in
            ",$1")
                cmd="ringress"
                ;;
            ringress,check)
                cmd="ringress__subcmd__check"
                ;;
            ringress,demo)
                cmd="ringress__subcmd__demo"
                ;;
            ringress,explain)
                cmd="ringress__subcmd__explain"
                ;;
            ringress,report)
                cmd="ringress__subcmd__report"
                ;;
            ringress,run)
                cmd="ringress__subcmd__run"
                ;;
            ringress,shadow)
                cmd="ringress__subcmd__shadow"
                ;;
            ringress,top)
                cmd="ringress__subcmd__top"
                ;;
            ringress,upgrade)
                cmd="ringress__subcmd__upgrade"
                ;;
            ringress,version)
                cmd="ringress__subcmd__version"
                ;;
            *)
                ;;
        esac
    done

    case "${cmd}" in
        ringress)
            opts="-h -V --help --version run demo check explain report shadow upgrade top version"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 1 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        ringress__subcmd__check)
            opts="-h --output --annotations-prefix --apiserver-host --bucket-factor --certificate-authority --configmap --controller-class --deep-inspect --default-backend-service --default-server-port --default-ssl-certificate --disable-catch-all --disable-full-test --disable-leader-election --disable-svc-external-name --disable-sync-events --dynamic-configuration-retries --election-id --election-ttl --enable-annotation-validation --enable-metrics --enable-ssl-chain-completion --enable-ssl-passthrough --enable-topology-aware-routing --exclude-socket-metrics --health-check-path --health-check-timeout --healthz-host --healthz-port --http-port --https-port --ingress-class --ingress-class-by-name --internal-logger-address --kubeconfig --length-buckets --max-buckets --maxmind-edition-ids --maxmind-license-key --maxmind-mirror --maxmind-retries-count --maxmind-retries-timeout --metrics-per-host --metrics-per-undefined-host --monitor-max-batch-size --post-shutdown-grace-period --profiler-address --profiler-port --profiling --publish-service --publish-status-address --report-node-internal-ip-address --report-status-classes --shutdown-grace-period --size-buckets --ssl-passthrough-proxy-port --status-port --status-update-interval --stream-port --sync-period --sync-rate-limit --tcp-services-configmap --time-buckets --udp-services-configmap --update-status --update-status-on-shutdown --validating-webhook --validating-webhook-certificate --validating-webhook-key --version --watch-ingress-without-class --watch-namespace --watch-namespace-selector --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --output)
                    COMPREPLY=($(compgen -W "text json" -- "${cur}"))
                    return 0
                    ;;
                --annotations-prefix)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --apiserver-host)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --bucket-factor)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --certificate-authority)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --configmap)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --controller-class)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --deep-inspect)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --default-backend-service)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --default-server-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --default-ssl-certificate)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --disable-catch-all)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --disable-full-test)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --disable-leader-election)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --disable-svc-external-name)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --disable-sync-events)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --dynamic-configuration-retries)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --election-id)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --election-ttl)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --enable-annotation-validation)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --enable-metrics)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --enable-ssl-chain-completion)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --enable-ssl-passthrough)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --enable-topology-aware-routing)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --exclude-socket-metrics)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --health-check-path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --health-check-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --healthz-host)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --healthz-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --http-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --https-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ingress-class)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ingress-class-by-name)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --internal-logger-address)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --kubeconfig)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --length-buckets)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --max-buckets)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --maxmind-edition-ids)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --maxmind-license-key)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --maxmind-mirror)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --maxmind-retries-count)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --maxmind-retries-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --metrics-per-host)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --metrics-per-undefined-host)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --monitor-max-batch-size)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --post-shutdown-grace-period)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --profiler-address)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --profiler-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --profiling)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --publish-service)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --publish-status-address)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --report-node-internal-ip-address)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --report-status-classes)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --shutdown-grace-period)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --size-buckets)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ssl-passthrough-proxy-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --status-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --status-update-interval)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --stream-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --sync-period)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --sync-rate-limit)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tcp-services-configmap)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --time-buckets)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --udp-services-configmap)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --update-status)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --update-status-on-shutdown)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --validating-webhook)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --validating-webhook-certificate)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --validating-webhook-key)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --version)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --watch-ingress-without-class)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --watch-namespace)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --watch-namespace-selector)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        ringress__subcmd__demo)
            opts="-h --v1 --admin-address --cpus --driver --log-format --log-level --workers --healthz-port --http-port --https-port --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --admin-address)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --cpus)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --driver)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log-format)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log-level)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --workers)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --healthz-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --http-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --https-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        ringress__subcmd__explain)
            opts="-X -H -h --method --header --client-ip --source --admin --output --annotations-prefix --apiserver-host --bucket-factor --certificate-authority --configmap --controller-class --deep-inspect --default-backend-service --default-server-port --default-ssl-certificate --disable-catch-all --disable-full-test --disable-leader-election --disable-svc-external-name --disable-sync-events --dynamic-configuration-retries --election-id --election-ttl --enable-annotation-validation --enable-metrics --enable-ssl-chain-completion --enable-ssl-passthrough --enable-topology-aware-routing --exclude-socket-metrics --health-check-path --health-check-timeout --healthz-host --healthz-port --http-port --https-port --ingress-class --ingress-class-by-name --internal-logger-address --kubeconfig --length-buckets --max-buckets --maxmind-edition-ids --maxmind-license-key --maxmind-mirror --maxmind-retries-count --maxmind-retries-timeout --metrics-per-host --metrics-per-undefined-host --monitor-max-batch-size --post-shutdown-grace-period --profiler-address --profiler-port --profiling --publish-service --publish-status-address --report-node-internal-ip-address --report-status-classes --shutdown-grace-period --size-buckets --ssl-passthrough-proxy-port --status-port --status-update-interval --stream-port --sync-period --sync-rate-limit --tcp-services-configmap --time-buckets --udp-services-configmap --update-status --update-status-on-shutdown --validating-webhook --validating-webhook-certificate --validating-webhook-key --version --watch-ingress-without-class --watch-namespace --watch-namespace-selector --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --method)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -X)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --header)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -H)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --client-ip)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --source)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --admin)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --output)
                    COMPREPLY=($(compgen -W "text json" -- "${cur}"))
                    return 0
                    ;;
                --annotations-prefix)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --apiserver-host)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --bucket-factor)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --certificate-authority)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --configmap)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --controller-class)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --deep-inspect)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --default-backend-service)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --default-server-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --default-ssl-certificate)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --disable-catch-all)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --disable-full-test)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --disable-leader-election)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --disable-svc-external-name)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --disable-sync-events)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --dynamic-configuration-retries)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --election-id)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --election-ttl)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --enable-annotation-validation)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --enable-metrics)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --enable-ssl-chain-completion)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --enable-ssl-passthrough)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --enable-topology-aware-routing)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --exclude-socket-metrics)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --health-check-path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --health-check-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --healthz-host)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --healthz-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --http-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --https-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ingress-class)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ingress-class-by-name)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --internal-logger-address)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --kubeconfig)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --length-buckets)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --max-buckets)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --maxmind-edition-ids)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --maxmind-license-key)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --maxmind-mirror)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --maxmind-retries-count)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --maxmind-retries-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --metrics-per-host)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --metrics-per-undefined-host)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --monitor-max-batch-size)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --post-shutdown-grace-period)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --profiler-address)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --profiler-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --profiling)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --publish-service)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --publish-status-address)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --report-node-internal-ip-address)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --report-status-classes)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --shutdown-grace-period)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --size-buckets)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ssl-passthrough-proxy-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --status-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --status-update-interval)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --stream-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --sync-period)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --sync-rate-limit)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tcp-services-configmap)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --time-buckets)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --udp-services-configmap)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --update-status)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --update-status-on-shutdown)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --validating-webhook)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --validating-webhook-certificate)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --validating-webhook-key)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --version)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --watch-ingress-without-class)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --watch-namespace)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --watch-namespace-selector)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        ringress__subcmd__report)
            opts="-v -h --source --output --annotations-prefix --apiserver-host --bucket-factor --certificate-authority --configmap --controller-class --deep-inspect --default-backend-service --default-server-port --default-ssl-certificate --disable-catch-all --disable-full-test --disable-leader-election --disable-svc-external-name --disable-sync-events --dynamic-configuration-retries --election-id --election-ttl --enable-annotation-validation --enable-metrics --enable-ssl-chain-completion --enable-ssl-passthrough --enable-topology-aware-routing --exclude-socket-metrics --health-check-path --health-check-timeout --healthz-host --healthz-port --http-port --https-port --ingress-class --ingress-class-by-name --internal-logger-address --kubeconfig --length-buckets --max-buckets --maxmind-edition-ids --maxmind-license-key --maxmind-mirror --maxmind-retries-count --maxmind-retries-timeout --metrics-per-host --metrics-per-undefined-host --monitor-max-batch-size --post-shutdown-grace-period --profiler-address --profiler-port --profiling --publish-service --publish-status-address --report-node-internal-ip-address --report-status-classes --shutdown-grace-period --size-buckets --ssl-passthrough-proxy-port --status-port --status-update-interval --stream-port --sync-period --sync-rate-limit --tcp-services-configmap --time-buckets --udp-services-configmap --update-status --update-status-on-shutdown --validating-webhook --validating-webhook-certificate --validating-webhook-key --version --watch-ingress-without-class --watch-namespace --watch-namespace-selector --v --add_dir_header --alsologtostderr --log_backtrace_at --log_dir --log_file --log_file_max_size --logtostderr --one_output --skip_headers --skip_log_headers --stderrthreshold --vmodule --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --source)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --output)
                    COMPREPLY=($(compgen -W "text json html" -- "${cur}"))
                    return 0
                    ;;
                --annotations-prefix)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --apiserver-host)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --bucket-factor)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --certificate-authority)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --configmap)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --controller-class)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --deep-inspect)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --default-backend-service)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --default-server-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --default-ssl-certificate)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --disable-catch-all)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --disable-full-test)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --disable-leader-election)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --disable-svc-external-name)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --disable-sync-events)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --dynamic-configuration-retries)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --election-id)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --election-ttl)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --enable-annotation-validation)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --enable-metrics)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --enable-ssl-chain-completion)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --enable-ssl-passthrough)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --enable-topology-aware-routing)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --exclude-socket-metrics)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --health-check-path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --health-check-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --healthz-host)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --healthz-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --http-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --https-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ingress-class)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ingress-class-by-name)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --internal-logger-address)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --kubeconfig)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --length-buckets)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --max-buckets)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --maxmind-edition-ids)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --maxmind-license-key)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --maxmind-mirror)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --maxmind-retries-count)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --maxmind-retries-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --metrics-per-host)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --metrics-per-undefined-host)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --monitor-max-batch-size)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --post-shutdown-grace-period)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --profiler-address)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --profiler-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --profiling)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --publish-service)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --publish-status-address)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --report-node-internal-ip-address)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --report-status-classes)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --shutdown-grace-period)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --size-buckets)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ssl-passthrough-proxy-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --status-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --status-update-interval)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --stream-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --sync-period)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --sync-rate-limit)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tcp-services-configmap)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --time-buckets)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --udp-services-configmap)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --update-status)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --update-status-on-shutdown)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --validating-webhook)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --validating-webhook-certificate)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --validating-webhook-key)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --version)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --watch-ingress-without-class)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --watch-namespace)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --watch-namespace-selector)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --v)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -v)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --add_dir_header)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --alsologtostderr)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log_backtrace_at)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log_dir)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log_file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log_file_max_size)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --logtostderr)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --one_output)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --skip_headers)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --skip_log_headers)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --stderrthreshold)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --vmodule)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        ringress__subcmd__run)
            opts="-v -h --access-log --access-log-format --admin-address --config --control-socket --cpus --drain-timeout --driver --listen-address --log-format --log-level --ocsp-allow-local --source --state-dir --ticket-secret --upstream-address --upgrade-timeout --webhook-configuration --webhook-secret --workers --zone --annotations-prefix --apiserver-host --bucket-factor --certificate-authority --configmap --controller-class --deep-inspect --default-backend-service --default-server-port --default-ssl-certificate --disable-catch-all --disable-full-test --disable-leader-election --disable-svc-external-name --disable-sync-events --dynamic-configuration-retries --election-id --election-ttl --enable-annotation-validation --enable-metrics --enable-ssl-chain-completion --enable-ssl-passthrough --enable-topology-aware-routing --exclude-socket-metrics --health-check-path --health-check-timeout --healthz-host --healthz-port --http-port --https-port --ingress-class --ingress-class-by-name --internal-logger-address --kubeconfig --length-buckets --max-buckets --maxmind-edition-ids --maxmind-license-key --maxmind-mirror --maxmind-retries-count --maxmind-retries-timeout --metrics-per-host --metrics-per-undefined-host --monitor-max-batch-size --post-shutdown-grace-period --profiler-address --profiler-port --profiling --publish-service --publish-status-address --report-node-internal-ip-address --report-status-classes --shutdown-grace-period --size-buckets --ssl-passthrough-proxy-port --status-port --status-update-interval --stream-port --sync-period --sync-rate-limit --tcp-services-configmap --time-buckets --udp-services-configmap --update-status --update-status-on-shutdown --validating-webhook --validating-webhook-certificate --validating-webhook-key --version --watch-ingress-without-class --watch-namespace --watch-namespace-selector --v --add_dir_header --alsologtostderr --log_backtrace_at --log_dir --log_file --log_file_max_size --logtostderr --one_output --skip_headers --skip_log_headers --stderrthreshold --vmodule --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --access-log)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --access-log-format)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --admin-address)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --control-socket)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --cpus)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --drain-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --driver)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --listen-address)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log-format)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log-level)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ocsp-allow-local)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --source)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --state-dir)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ticket-secret)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --upstream-address)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --upgrade-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --webhook-configuration)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --webhook-secret)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --workers)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --zone)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --annotations-prefix)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --apiserver-host)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --bucket-factor)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --certificate-authority)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --configmap)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --controller-class)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --deep-inspect)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --default-backend-service)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --default-server-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --default-ssl-certificate)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --disable-catch-all)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --disable-full-test)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --disable-leader-election)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --disable-svc-external-name)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --disable-sync-events)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --dynamic-configuration-retries)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --election-id)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --election-ttl)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --enable-annotation-validation)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --enable-metrics)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --enable-ssl-chain-completion)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --enable-ssl-passthrough)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --enable-topology-aware-routing)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --exclude-socket-metrics)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --health-check-path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --health-check-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --healthz-host)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --healthz-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --http-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --https-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ingress-class)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ingress-class-by-name)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --internal-logger-address)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --kubeconfig)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --length-buckets)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --max-buckets)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --maxmind-edition-ids)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --maxmind-license-key)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --maxmind-mirror)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --maxmind-retries-count)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --maxmind-retries-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --metrics-per-host)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --metrics-per-undefined-host)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --monitor-max-batch-size)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --post-shutdown-grace-period)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --profiler-address)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --profiler-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --profiling)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --publish-service)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --publish-status-address)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --report-node-internal-ip-address)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --report-status-classes)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --shutdown-grace-period)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --size-buckets)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ssl-passthrough-proxy-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --status-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --status-update-interval)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --stream-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --sync-period)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --sync-rate-limit)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tcp-services-configmap)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --time-buckets)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --udp-services-configmap)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --update-status)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --update-status-on-shutdown)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --validating-webhook)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --validating-webhook-certificate)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --validating-webhook-key)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --version)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --watch-ingress-without-class)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --watch-namespace)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --watch-namespace-selector)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --v)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -v)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --add_dir_header)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --alsologtostderr)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log_backtrace_at)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log_dir)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log_file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log_file_max_size)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --logtostderr)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --one_output)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --skip_headers)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --skip_log_headers)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --stderrthreshold)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --vmodule)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        ringress__subcmd__shadow)
            opts="-h --old --new --all-methods --header --backend-header --rate --concurrency --timeout --source --admin --host --scheme --limit --time-limit --output --annotations-prefix --apiserver-host --bucket-factor --certificate-authority --configmap --controller-class --deep-inspect --default-backend-service --default-server-port --default-ssl-certificate --disable-catch-all --disable-full-test --disable-leader-election --disable-svc-external-name --disable-sync-events --dynamic-configuration-retries --election-id --election-ttl --enable-annotation-validation --enable-metrics --enable-ssl-chain-completion --enable-ssl-passthrough --enable-topology-aware-routing --exclude-socket-metrics --health-check-path --health-check-timeout --healthz-host --healthz-port --http-port --https-port --ingress-class --ingress-class-by-name --internal-logger-address --kubeconfig --length-buckets --max-buckets --maxmind-edition-ids --maxmind-license-key --maxmind-mirror --maxmind-retries-count --maxmind-retries-timeout --metrics-per-host --metrics-per-undefined-host --monitor-max-batch-size --post-shutdown-grace-period --profiler-address --profiler-port --profiling --publish-service --publish-status-address --report-node-internal-ip-address --report-status-classes --shutdown-grace-period --size-buckets --ssl-passthrough-proxy-port --status-port --status-update-interval --stream-port --sync-period --sync-rate-limit --tcp-services-configmap --time-buckets --udp-services-configmap --update-status --update-status-on-shutdown --validating-webhook --validating-webhook-certificate --validating-webhook-key --version --watch-ingress-without-class --watch-namespace --watch-namespace-selector --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --old)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --new)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --header)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --backend-header)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --rate)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --concurrency)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --source)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --admin)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --host)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --scheme)
                    COMPREPLY=($(compgen -W "http https" -- "${cur}"))
                    return 0
                    ;;
                --limit)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --time-limit)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --output)
                    COMPREPLY=($(compgen -W "text json" -- "${cur}"))
                    return 0
                    ;;
                --annotations-prefix)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --apiserver-host)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --bucket-factor)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --certificate-authority)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --configmap)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --controller-class)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --deep-inspect)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --default-backend-service)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --default-server-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --default-ssl-certificate)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --disable-catch-all)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --disable-full-test)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --disable-leader-election)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --disable-svc-external-name)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --disable-sync-events)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --dynamic-configuration-retries)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --election-id)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --election-ttl)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --enable-annotation-validation)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --enable-metrics)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --enable-ssl-chain-completion)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --enable-ssl-passthrough)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --enable-topology-aware-routing)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --exclude-socket-metrics)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --health-check-path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --health-check-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --healthz-host)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --healthz-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --http-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --https-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ingress-class)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ingress-class-by-name)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --internal-logger-address)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --kubeconfig)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --length-buckets)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --max-buckets)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --maxmind-edition-ids)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --maxmind-license-key)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --maxmind-mirror)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --maxmind-retries-count)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --maxmind-retries-timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --metrics-per-host)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --metrics-per-undefined-host)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --monitor-max-batch-size)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --post-shutdown-grace-period)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --profiler-address)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --profiler-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --profiling)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --publish-service)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --publish-status-address)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --report-node-internal-ip-address)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --report-status-classes)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --shutdown-grace-period)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --size-buckets)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ssl-passthrough-proxy-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --status-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --status-update-interval)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --stream-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --sync-period)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --sync-rate-limit)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tcp-services-configmap)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --time-buckets)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --udp-services-configmap)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --update-status)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --update-status-on-shutdown)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --validating-webhook)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --validating-webhook-certificate)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --validating-webhook-key)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --version)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --watch-ingress-without-class)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --watch-namespace)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --watch-namespace-selector)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        ringress__subcmd__top)
            opts="-h --admin --interval --once --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --admin)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --interval)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        ringress__subcmd__upgrade)
            opts="-h --config --control-socket --state-dir --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --control-socket)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --state-dir)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        ringress__subcmd__version)
            opts="-h --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
    esac
}

if [[ "${BASH_VERSINFO[0]}" -eq 4 && "${BASH_VERSINFO[1]}" -ge 4 || "${BASH_VERSINFO[0]}" -gt 4 ]]; then
    complete -F _ringress -o nosort -o bashdefault -o default ringress
else
    complete -F _ringress -o bashdefault -o default ringress
fi
