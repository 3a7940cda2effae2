#!/usr/bin/env python3
"""Checks what is under deploy/: `make deploy` runs it. With --write the plain manifests are made anew from the chart.

For the values of every file in helm/ringress/ci: helm lints and renders; each object fits the schema of the oldest and the
newest Kubernetes at hand; selectors find their Pods and ports; every flag and ConfigMap key is one of docs/; the plain
manifests are what the chart renders. A misspelt value is refused. Alert rules pass promtool. Metrics that dashboard and
rules ask for are served by the binary (RINGRESS_BIN).
"""

import itertools
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import time
import urllib.request

import kubernetes_validate
import yaml

DEPLOY = pathlib.Path(__file__).resolve().parent
CHART = DEPLOY / "helm/ringress"
MONITORING = DEPLOY / "monitoring"
WAYS = ("deployment-loadbalancer", "deployment-nodeport", "daemonset-hostnetwork")
KUBERNETES = ("1.25", "1.37")
# What the oldest does not know, in the values of the checks only.
NEWER = ("sleep", "trafficDistribution", "resizePolicy", "unhealthyPodEvictionPolicy")
# Kinds of operators, of which Kubernetes has no schema.
FOREIGN = ("ServiceMonitor", "PrometheusRule")


def run(*command, **options):
    return subprocess.run([str(part) for part in command], text=True, capture_output=True, check=False, **options)


def must(*command, **options):
    result = run(*command, **options)
    assert result.returncode == 0, f"{command}:\n{result.stdout}{result.stderr}"
    return result.stdout


def render(values, *more):
    return must("helm", "template", "ringress", CHART, "--namespace", "ringress", "--values", values, *more)


def objects(text):
    return [document for document in yaml.safe_load_all(text) if document]


def documented(page):
    """The names in the first column of a page's tables."""
    text = (DEPLOY.parent / "docs" / page).read_text()
    return set(re.findall(r"^\| `-{0,2}([a-z0-9_-]+)`", text, re.MULTILINE))


def check_schema(rendered):
    for document in rendered:
        if document["kind"] in FOREIGN:
            continue
        for version in KUBERNETES:
            if version == KUBERNETES[0] and any(f'"{field}"' in json.dumps(document) for field in NEWER):
                continue
            kubernetes_validate.validate(document, version, strict=True)


def check_selectors(rendered):
    workload = next(d for d in rendered if d["kind"] in ("Deployment", "DaemonSet"))
    pod = workload["spec"]["template"]
    labels = pod["metadata"]["labels"]
    container = pod["spec"]["containers"][0]
    ports = {port["name"] for port in container["ports"]}
    assert len(ports) == len(container["ports"]) and all(len(name) <= 15 for name in ports), ports
    for document in rendered:
        spec = document.get("spec", {})
        if document["kind"] in ("Deployment", "DaemonSet", "PodDisruptionBudget"):
            selector = spec["selector"]["matchLabels"]
        elif document["kind"] == "NetworkPolicy":
            selector = spec["podSelector"]["matchLabels"]
        elif document["kind"] == "Service":
            selector = spec["selector"]
            assert all(port["targetPort"] in ports for port in spec["ports"]), spec["ports"]
        else:
            continue
        assert selector.items() <= labels.items(), f"{document['kind']} finds no Pod: {selector}"
    for probe in ("livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["port"] in ports | {port["containerPort"] for port in container["ports"]}
    return container


def check_names(rendered, container):
    assert container["args"][0] == "run"
    flags = documented("flags.md")
    for argument in container["args"][1:]:
        name = argument.removeprefix("--").partition("=")[0]
        assert name in flags, f"no such flag: {argument}"
    keys = documented("configmap.md")
    config = next(d for d in rendered if d["kind"] == "ConfigMap" and d["metadata"]["name"].endswith("-controller"))
    for key in config["data"]:
        assert key in keys, f"no such ConfigMap key: {key}"


def allowed(rendered):
    """What the rules of Roles and ClusterRoles allow: whether in one namespace, group, resource, verb, whether by name."""
    for role in rendered:
        if role["kind"] not in ("Role", "ClusterRole"):
            continue
        for rule in role["rules"]:
            for group, resource, verb in itertools.product(rule["apiGroups"], rule["resources"], rule["verbs"]):
                yield role["kind"], group, resource, verb, "resourceNames" in rule


def check_same_rights():
    """The chart gives what deploy/rbac gives, which sync/tests/rbac.rs holds to what the program asks for."""
    cluster = set(allowed(objects((DEPLOY / "rbac/cluster.yaml").read_text())))
    values = CHART / "ci/deployment-loadbalancer-values.yaml"
    switches = ("--set", "controller.scope.namespaceSelector=served", "--set", "controller.ticketSecret.enabled=true")
    given = set(allowed(objects(render(values, *switches))))
    # The chart makes the webhook's certificate by itself.
    webhook = {right for right in cluster if "validatingwebhookconfigurations" in right}
    assert given == cluster - webhook, f"{given ^ (cluster - webhook)}"
    plain = set(allowed(objects(render(values))))
    assert plain < given, plain - given
    namespaced = set(allowed(objects((DEPLOY / "rbac/namespaced.yaml").read_text())))
    scoped = (*switches[2:], "--set", "controller.scope.enabled=true", "--set", "controller.scope.namespace=shop")
    beside = set(allowed(objects(render(values, *scoped)))) - namespaced
    # IngressClasses and Nodes have no namespace; pods are watched for the readiness of the others.
    known = {("ClusterRole", "networking.k8s.io", "ingressclasses", verb, False) for verb in ("list", "watch")}
    known |= {("ClusterRole", "", "nodes", "get", False), ("Role", "", "pods", "watch", False)}
    assert beside == known, beside ^ known
    print(f"  rights: {len(given)} of the cluster, as in deploy/rbac")


def check_chart(write):
    for values in sorted(CHART.glob("ci/*-values.yaml")):
        must("helm", "lint", "--strict", CHART, "--values", values)
        text = render(values)
        rendered = objects(text)
        check_schema(rendered)
        check_names(rendered, check_selectors(rendered))
        way = values.name.removesuffix("-values.yaml")
        if way in WAYS:
            check_plain(way, text, write)
        print(f"  chart, {way}: {len(rendered)} objects")
    check_known_values()
    check_rights()
    for wrong in ("controller.knid=DaemonSet", "controller.kind=Both", "controller.service.typ=NodePort", "contoller.kind=x"):
        assert run("helm", "template", "x", CHART, "--set", wrong).returncode != 0, f"accepted: {wrong}"
    print("  chart: misspelt values are refused")


def leaves(value, path=()):
    """The scalars of values, each with the names that lead to it."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, (*path, name))
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner, path)
    else:
        yield path, value


def check_known_values():
    """A value of the ingress-nginx chart is in the objects, or the notes say that it has no effect."""
    values = CHART / "ci/from-ingress-nginx-values.yaml"
    text = render(values)
    rendered = {str(value) for document in objects(text) for _, value in leaves(document)} | set(text.split())
    notes = must("helm", "install", "ringress", CHART, "--dry-run=client", "--values", values).partition("NOTES:")[2]
    hook = "controller.lifecycle.preStop"
    assert hook in notes and "preStop" not in text, "a program that is not in the image is called"
    count = 0
    for path, value in leaves(yaml.safe_load(values.read_text())):
        name = ".".join(path)
        count += 1
        if any(f"{said}." in f"{name}." for said in re.findall(r"[\w.]*\w", notes.partition("no effect here:")[2])):
            continue
        if isinstance(value, bool):
            # Told by what follows from them, below.
            continue
        inside = any(str(value) in word for word in rendered)
        assert inside or name == "global.image.unknown", f"{name}: {value} is neither rendered nor said to have no effect"
    assert "registry.example/mirror/ringress:v9.8.7" in text and "--disable-leader-election" in text
    container = check_selectors(objects(text))
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz" and container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    services = {d["metadata"]["name"]: d for d in objects(text) if d["kind"] == "Service"}
    outside, inside = services["ringress-controller"], services["ringress-controller-internal"]
    for service, own, other in ((outside, "outside", "inside"), (inside, "inside", "outside")):
        labels = service["metadata"]["labels"]
        assert "both" in labels and own in labels and other not in labels, labels
    ports = {port["name"]: (port["port"], port["targetPort"], port.get("nodePort")) for port in inside["spec"]["ports"]}
    assert ports == {"http": (8081, "https", 30082), "https": (8444, "https", 30445), "9000-tcp": (9000, "9000-tcp", 30902)}, ports
    assert inside["spec"]["allocateLoadBalancerNodePorts"] is False and "allocateLoadBalancerNodePorts" not in outside["spec"]
    # What the file of ingress-nginx says of its own image is not said of this one.
    foreign = ("--set", "controller.image.image=ingress-nginx/controller", "--set", "controller.image.digest=sha256:0")
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    assert f"image: ringress:{version}\n" in render(values, *foreign)
    print(f"  chart: {count} values of the ingress-nginx chart act, or the notes name them")


def rights(*settings):
    """The container, and what the account may do, as verb, resource and name, for values set on the command line."""
    command = ["helm", "template", "x", CHART, "--namespace", "ns"]
    rendered = objects(must(*command, *(word for setting in settings for word in ("--set", setting))))
    rules = [rule for document in rendered if document["kind"] in ("Role", "ClusterRole") for rule in document["rules"]]
    granted = {
        (verb, resource, name)
        for rule in rules
        for verb in rule["verbs"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames", [None])
    }
    return rendered, check_selectors(rendered), granted


def check_rights():
    """Rights that only some values need are there with these values, and only then."""
    watched = {("list", "nodes", None), ("watch", "nodes", None)}
    managed = {
        ("get", "validatingwebhookconfigurations", "x-ringress-admission"),
        ("patch", "validatingwebhookconfigurations", "x-ringress-admission"),
        ("update", "secrets", "x-ringress-webhook"),
    }
    webhook = "controller.admissionWebhooks"
    _, plain, granted = rights(f"{webhook}.enabled=true")
    assert not granted & (watched | managed), granted & (watched | managed)
    assert any("webhook-certificate" in argument for argument in plain["args"])
    by_flag = ("controller.extraArgs.upstream-address=node-port", "controller.extraArgs.enable-topology-aware-routing=true")
    by_value = ("controller.enableTopologyAwareRouting=true", "controller.upstreamAddress=node-port", "rbac.readNodes=true")
    for setting in by_value + by_flag:
        _, container, granted = rights(setting)
        assert watched <= granted, f"{setting}: {granted}"
        names = {variable["name"] for variable in container["env"]}
        assert ("NODE_NAME" in names) == ("topology" in setting.lower()), f"{setting}: {names}"
    for setting in ("controller.extraArgs.upstream-address=cluster-ip", "controller.extraArgs.enable-topology-aware-routing=false"):
        _, _, granted = rights(setting)
        assert not granted & watched, f"{setting}: {granted}"
    rendered, container, granted = rights(f"{webhook}.enabled=true", f"{webhook}.selfManaged=true")
    assert managed <= granted, granted
    arguments = set(container["args"])
    secret, configuration = "--webhook-secret=$(POD_NAMESPACE)/x-ringress-webhook", "--webhook-configuration=x-ringress-admission"
    assert {secret, configuration} <= arguments and not any("webhook-certificate" in a for a in arguments), arguments
    assert "webhook" not in {mount["name"] for mount in container["volumeMounts"]}
    made = {(d["kind"], d["metadata"]["name"]): d for d in rendered}
    assert "data" not in made["Secret", "x-ringress-webhook"], "helm would write over the certificate"
    assert ("ValidatingWebhookConfiguration", "x-ringress-admission") in made
    for other in ("controller.scope.enabled=true", f"{webhook}.existingSecret=mine"):
        command = ["helm", "template", "x", CHART, "--set", f"{webhook}.enabled=true,{webhook}.selfManaged=true,{other}"]
        assert run(*command).returncode != 0, f"accepted: {other}"
    print("  chart: rights follow values")


def check_documented_commands():
    """The helm commands of the docs, rendered instead of installed; `values.yaml` stands for the reader's own."""
    root, count = DEPLOY.parent, 0
    pages = [*(root / "docs").glob("*.md"), CHART / "README.md"]
    for page in pages:
        text = page.read_text().replace("\\\n", " ")
        for line in re.findall(r"^ +(helm (?:install|upgrade) .*)$", text, re.MULTILINE):
            words = shlex.split(line, comments=True)
            words = ["template" if word in ("install", "upgrade") else word for word in words]
            own = str(CHART / "ci/everything-values.yaml")
            must(*[own if word == "values.yaml" else word for word in words], cwd=root)
            count += 1
    assert count > 0
    print(f"  docs: {count} helm commands render")


def check_plain(way, text, write):
    path = DEPLOY / "manifests" / way / "ringress.yaml"
    # What only helm's own records are for.
    text = re.sub(r"^ +(helm.sh/chart|app.kubernetes.io/managed-by): .*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"^# Source: .*\n", "", text, flags=re.MULTILINE)
    head = f"# Made by `deploy/check.py --write` from the chart and ci/{way}-values.yaml.\n"
    if write:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(head + text)
        (path.parent / "kustomization.yaml").write_text(
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: ringress\n"
            "resources: [namespace.yaml, ringress.yaml]\n"
        )
        (path.parent / "namespace.yaml").write_text("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: ringress\n")
    assert path.exists() and path.read_text() == head + text, f"{path} is stale: deploy/check.py --write"
    built = objects(must("kubectl", "kustomize", path.parent))
    assert len(built) == len(objects(text)) + 1, f"{path.parent} builds {len(built)} objects"


def check_rules():
    print("  " + must("promtool", "check", "rules", CHART / "files/alerts.yaml").strip().splitlines()[-1].strip())
    must("promtool", "test", "rules", MONITORING / "alerts-test.yaml")
    rules = {rule["alert"] for rule in all_rules()}
    tests = yaml.safe_load((MONITORING / "alerts-test.yaml").read_text())["tests"]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    for what, tested in [
        ("speaks up", {case["alertname"] for case in cases if case.get("exp_alerts")}),
        ("is quiet", {case["alertname"] for case in cases if not case.get("exp_alerts")}),
    ]:
        assert tested == rules, f"no case in which it {what}: {sorted(rules ^ tested)}"


def all_rules():
    for group in yaml.safe_load((CHART / "files/alerts.yaml").read_text())["groups"]:
        yield from group["rules"]


def queries():
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield f"panel {panel['title']}", target["expr"]
    for rule in all_rules():
        yield rule["alert"], rule["expr"]


def check_metrics(binary):
    """Every metric that is asked for is served, by a demo that has answered a request."""
    served = scrape(binary)
    names = set(re.findall(r"^# TYPE (\S+)", served, re.MULTILINE))
    for where, query in queries():
        for name in re.findall(r"\b((?:ringress|nginx_ingress_controller)_[a-z0-9_]+)", query):
            base = re.sub(r"_(bucket|sum|count)$", "", name)
            assert name in names or base in names, f"{where}: {name} is not served"
    print(f"  dashboard and rules: {sum(1 for _ in queries())} queries, their metrics are served")


def scrape(binary):
    with tempfile.TemporaryFile("w+") as out:
        command = [binary, "demo", "--log-level=error", "--admin-address=127.0.0.1:0", "--http-port=0", "--https-port=0"]
        demo = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        try:
            return metrics(demo, out)
        finally:
            demo.terminate()
            demo.wait(60)


def metrics(demo, out):
    """The metrics once a request has been answered and counted."""
    end = time.monotonic() + 20
    text, printed = "", ""
    while time.monotonic() < end and demo.poll() is None:
        out.seek(0)
        printed = out.read()
        admin = re.search(r"dashboard +(http://\S+)", printed)
        plain = re.search(r"--connect-to ::(\S+) http://(docs.example.com)/", printed)
        if admin and plain:
            request = urllib.request.Request(f"http://{plain[1]}/", headers={"Host": plain[2]})
            urllib.request.urlopen(request, timeout=5).close()
            with urllib.request.urlopen(f"{admin[1]}metrics", timeout=5) as answer:
                text = answer.read().decode()
            if "nginx_ingress_controller_requests{" in text:
                return text
        time.sleep(0.05)
    raise AssertionError(f"no request was counted:\n{printed}\n{text}")


def main():
    check_chart("--write" in sys.argv)
    check_same_rights()
    check_documented_commands()
    check_rules()
    binary = os.environ.get("RINGRESS_BIN")
    if binary:
        check_metrics(binary)
    print("1 passed, 0 failed")


if __name__ == "__main__":
    main()
