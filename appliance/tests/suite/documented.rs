//! Every command that the documents show is run by a test, or it is said here why it cannot be.

use std::path::{Path, PathBuf};

use crate::support::process::run;

/// How a command of the documents is kept true.
enum How {
    /// By [`crate::demo`], which runs the line as it stands against a demo.
    Demo,
    /// Here: the binary with these arguments, from the root of the source, ends well.
    Binary(&'static [&'static str]),
    /// By another check: this text is in this file.
    By(&'static str, &'static str),
    /// By none, for this reason.
    Not(&'static str),
}

use How::{Binary, By, Demo, Not};

const ANOTHER_CLUSTER: &str = "needs a cluster, or another host";
const MINUTES: &str = "runs for many minutes; its parts are tested in short by `make e2e` and the unit tests";

/// Commands by how they begin; the longest that fits counts.
#[rustfmt::skip]
const COMMANDS: &[(&str, How)] = &[
    ("cargo run --release -- demo", By("appliance/tests/suite/demo.rs", "command.arg(\"demo\")")),
    ("cargo test --workspace", By(".ci/run", "RINGRESS_DRIVER=epoll cargo test --workspace --locked")),
    ("cargo test -p ringress --test suite", By("Makefile", "cargo test --locked -p ringress --test suite")),
    ("cargo build --release", By("Makefile", "cargo build --release --locked -p ringress")),
    ("cargo update", Not("named as what makes a profile old")),
    ("cargo install", Not("named as what builds without the profile")),
    ("cargo clean --release", Not("empties the folder that the other tests run from")),
    ("RINGRESS_BLESS=1 cargo test -p ringress flags_reference", By("appliance/src/cli/reference.rs", "fn flags_reference")),
    ("RINGRESS_CONTRACT_KUBECONFIG=~/.kube/config cargo test -p ringress-sync --test contract", By("sync/tests/contract.rs", "RINGRESS_CONTRACT_KUBECONFIG")),
    ("curl -i --connect-to", Demo),
    ("curl -k --connect-to", Demo),
    ("curl --connect-to", Demo),
    ("curl http://127.0.0.1:10280/api/status", Demo),
    ("target/release/ringress run --source=dir:", By("appliance/tests/suite/support/process.rs", "--source=dir:")),
    ("target/release/ringress run --kubeconfig", By("sync/src/testkit/rig.rs", "server_settings")),
    ("ringress run", By("appliance/tests/suite/support/process.rs", ".arg(\"run\")")),
    ("ringress check", Binary(&["check", "deploy/examples/shop.yaml"])),
    ("ringress report", Binary(&["report", "deploy/examples/shop.yaml"])),
    ("ringress explain", Binary(&["explain", "http://www.abc.com/image/a.png", "--source=dir:deploy/examples"])),
    ("ringress shadow", By("appliance/tests/suite/shadow.rs", "\"shadow\"")),
    ("ringress top", By("appliance/tests/suite/admin.rs", "\"top\", \"--once\"")),
    ("ringress upgrade", By("appliance/tests/suite/support/process.rs", "\"upgrade\".to_owned()")),
    ("kill -HUP", By("appliance/tests/suite/reread.rs", "ringress.signal(Signal::HUP)")),
    ("make check", By("Makefile", "check: fmt lint deny tree test")),
    ("make e2e", By(".ci/run", "make suite")),
    ("make tree", By(".ci/run", "make tree")),
    ("make fuzz", By("Makefile", "fuzz e2e bench")),
    ("make screenshots", By("appliance/tests/outside/chromium.rs", "RINGRESS_SCREENSHOTS")),
    ("make cluster", By(".ci/run", "make cluster")),
    ("make deploy", By(".ci/run", "make deploy")),
    ("make package-test-arm64", Not("cross-builds for minutes, with packages that CI does not install")),
    ("make package-test", By(".ci/run", "make package-test")),
    ("make package-test-fresh", Not("fetches a Debian from its archive; `make package-test` is the same on an overlay of this one")),
    ("make deb", By("Makefile", "package-test: deb rpm image")),
    ("make rpm", By("Makefile", "package-test: deb rpm image")),
    ("make image", By("Makefile", "package-test: deb rpm image")),
    ("make release", By(".ci/run", "make package-test release")),
    ("make long", Not(MINUTES)),
    ("make bench", Not(MINUTES)),
    ("make peers", Not(MINUTES)),
    ("make pingora", Not(MINUTES)),
    ("make profile", Not(MINUTES)),
    ("RUSTC_WRAPPER= cargo build --release", By("Makefile", "RUSTC_WRAPPER= cargo build --release")),
    ("target/release/ringress-bench cluster", By(".ci/run", "make cluster")),
    ("target/release/ringress-bench compare", Not(MINUTES)),
    ("ringress-bench idle", By("appliance/tests/outside/bounds.rs", "\"idle\", \"--peers=ringress\"")),
    ("--section workers", Not(MINUTES)),
    ("make guards", By(".ci/run", "make guards")),
    ("helm install", By("deploy/check.py", "helm (?:install|upgrade)")),
    ("helm upgrade", By("deploy/check.py", "helm (?:install|upgrade)")),
    ("--set controller.", By("deploy/check.py", "helm (?:install|upgrade)")),
    ("-f deploy/helm/ringress/ci/", By("deploy/check.py", "helm (?:install|upgrade)")),
    ("helm uninstall", Not(ANOTHER_CLUSTER)),
    ("kubectl", Not(ANOTHER_CLUSTER)),
    ("kind create cluster", Not(ANOTHER_CLUSTER)),
    ("ssh", Not(ANOTHER_CLUSTER)),
    ("dpkg --add-architecture arm64", Not("for make package-test-arm64, see there")),
    ("apt install gcc-aarch64", Not("for make package-test-arm64, see there")),
    ("apt install ./target/deb/", By("packaging/test/deb.py", "\"apt-get\", \"install\"")),
    ("cp my-ingress.yaml /etc/ringress/manifests/", By("packaging/test/deb.py", "/etc/ringress/manifests")),
    ("rpm -i target/rpm/", By("packaging/test/rpm.sh", "run --install")),
    ("systemctl", By("packaging/test/systemd.py", "\"systemctl\", \"reload\", \"ringress\"")),
    ("install -D -m 644 ringress.json", Not("a folder of a node's kubelet; the profile itself is tested by packaging/test/image.py")),
];

/// Lines of code blocks that are no commands, by how they begin.
const OTHER_TEXT: &[&str] = &[
    "config  ◀── sync",
    "▲",
    "└─ appliance", // a picture
    "source: kube",
    "certificates:",
    "kubeconfig: ",
    "apiVersion:",
    "kind:",
    "metadata:",
    "webhooks:",
    "- name:",
    "clientConfig:",
    "rules:",
    "- apiGroups:",
    "apiGroups:",
    "apiVersions:",
    "operations:",
    "resources:",
    "admissionReviewVersions:",
    "sideEffects:",
    "failurePolicy:",
    "timeoutSeconds:",
    "matchPolicy:",
    "service:",
    "- {",
    "spec:",
    "controller: ",
    "parameters:",
    "caBundle:",
    "namespace:",
];

/// Programs whose calls are told by their first word wherever they stand in the text.
const PROGRAMS: &[&str] = &[
    "cargo",
    "curl",
    "docker",
    "helm",
    "install",
    "kind",
    "kubectl",
    "make",
    "ringress",
    "ringress-bench",
    "ssh",
    "systemctl",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the root of the source").to_owned()
}

/// The pages for those who use or build it.
fn pages() -> Vec<PathBuf> {
    let folder = |name: &str| {
        let entries = std::fs::read_dir(root().join(name)).expect("a folder");
        entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.extension().is_some_and(|e| e == "md"))
    };
    let single = ["deploy/helm/ringress/README.md", "deploy/rbac/README.md", "deploy/seccomp/README.md"];
    let mut pages: Vec<_> = folder("").chain(folder("docs")).chain(folder("packaging")).collect();
    pages.extend(single.iter().map(|name| root().join(name)));
    // What they say is of the past.
    pages.retain(|page| !page.ends_with("CHANGELOG.md") && !page.ends_with("plan.md"));
    assert!(pages.len() > 10, "{pages:?}");
    pages
}

/// Lines of code blocks, and calls of programs that are named in the text.
fn code(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    let (mut fence, mut was_blank, mut in_block) = (None, true, false);
    for line in page.lines() {
        if let Some(kind) = line.trim_start().strip_prefix("```") {
            fence = if fence.is_some() { None } else { Some(kind.to_owned()) };
            continue;
        }
        in_block = line.starts_with("    ") && (in_block || was_blank);
        was_blank = line.trim().is_empty();
        // A fence without a language is a picture.
        if in_block || fence.as_deref().is_some_and(|kind| !kind.is_empty()) {
            found.extend((!was_blank).then(|| line.trim().to_owned()));
        } else if fence.is_none() {
            found.extend(line.split('`').skip(1).step_by(2).filter(|word| is_call(word)).map(str::to_owned));
        }
    }
    found
}

fn is_call(text: &str) -> bool {
    let mut words = text.split_whitespace().skip_while(|word| word.contains('='));
    words.next().is_some_and(|word| PROGRAMS.contains(&word)) && words.next().is_some()
}

/// The entry of a command.
fn entry(command: &str) -> Option<usize> {
    let fits = COMMANDS.iter().enumerate().filter(|(_, (start, _))| command.starts_with(start));
    fits.max_by_key(|(_, (start, _))| start.len()).map(|(index, _)| index)
}

#[test]
fn every_command_of_the_documents_is_run_by_a_test_or_cannot_be_here() {
    let (mut unknown, mut used) = (Vec::new(), vec![false; COMMANDS.len()]);
    for page in pages() {
        let text = std::fs::read_to_string(&page).expect("a page");
        for line in code(&text) {
            match entry(&line) {
                Some(index) => used[index] = true,
                None if OTHER_TEXT.iter().any(|start| line.starts_with(start)) => {}
                None => unknown.push(format!("{}: {line}", page.display())),
            }
        }
    }
    assert!(unknown.is_empty(), "no test is named for:\n{}", unknown.join("\n"));
    let unused: Vec<_> = COMMANDS.iter().zip(used).filter(|(_, used)| !used).map(|((start, _), _)| start).collect();
    assert!(unused.is_empty(), "no document says: {unused:?}");
}

#[test]
fn what_is_said_to_run_a_command_does_and_those_of_the_binary_end_well() {
    for (command, how) in COMMANDS {
        match how {
            By(file, text) => {
                let content = std::fs::read_to_string(root().join(file)).unwrap_or_default();
                assert!(content.contains(text), "{command}: {file} has no {text}");
            }
            Binary(arguments) => {
                let from_root = |word: &&str| word.replace("deploy/", &format!("{}/deploy/", root().display()));
                let (code, output, errors) = run(arguments.iter().map(from_root));
                assert!(code == Some(0) && !output.is_empty(), "{command}: {code:?} {output} {errors}");
            }
            Not(reason) => assert!(!reason.is_empty(), "{command}"),
            Demo => assert!(command.starts_with("curl "), "{command}"),
        }
    }
}

/// A `curl` line of README.md, and what its comment says of the answer.
pub(crate) struct Curl {
    pub(crate) url: String,
    /// Which port of the demo is connected to instead of the one of the URL.
    pub(crate) port: Option<u16>,
    pub(crate) expected: String,
}

/// Those of README.md.
pub(crate) fn readme_curls() -> Vec<Curl> {
    let text = std::fs::read_to_string(root().join("README.md")).expect("README.md");
    let lines = code(&text).into_iter().filter(|line| line.starts_with("curl "));
    let parsed = lines.map(|line| {
        let (command, expected) = line.split_once(" # ").unwrap_or((&line, ""));
        let words: Vec<_> = command.split_whitespace().collect();
        let known = |word: &&&str| matches!(**word, "curl" | "-i" | "-k" | "--connect-to");
        let mut rest = words.iter().skip_while(known);
        let mut first = (*rest.next().expect("a URL")).to_owned();
        let port = first.strip_prefix("::127.0.0.1:").map(|port| port.parse().expect("a port"));
        if port.is_some() {
            first = (*rest.next().expect("a URL")).to_owned();
        }
        assert!(rest.next().is_none(), "not understood: {line}");
        Curl { url: first, port, expected: expected.trim().to_owned() }
    });
    parsed.collect()
}
