//! What a request costs and what annotations add, in instructions, as time is noise on a shared machine. Counted by
//! callgrind on the epoll driver, which is the one that valgrind knows, in one worker.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::output;
use crate::support::client::Connection;
use crate::support::manifests::{file, ingress, service};
use crate::support::origin::{Next, Origin};
use crate::support::process::{Driver, Ringress};

/// Requests of a round, on one connection: few, so that most rounds end before what the core does once a second.
const REQUESTS: usize = 10;

/// Client and origin take so long that the proxy has begun to wait for them: how often it waits is the scheduler's matter
/// otherwise, and each wait costs.
const PACE: Duration = Duration::from_millis(4);

/// What is counted: whatever tasks do, into which the compiler may have put everything about a request. What the process does
/// besides by the clock is no part of a request; counted in, the same binary took from 15,000 to 25,000 on a calm and a busy
/// machine.
const COUNTED: &str = "--toggle-collect=monoio::task::raw::poll*";

/// Rounds by turns; the smallest of each kind counts: one that has not met what the core does once a second.
const ROUNDS: u32 = 20;

/// Rounds begin by so much later than the ones before them: in step with the second, all of one kind would meet what the core
/// does then, and none of the other.
const STEP: Duration = Duration::from_millis(61);

/// A whole request without annotations, from its first byte to the last one of its answer; [`TOLERANCE_PERCENT`] more fail.
/// `bench/guard.py` counts the parts that are called by name, this is what shows a little more here and there. Who adds on
/// purpose commits another figure and says why; so does who saves, as the room would be used up unseen.
const PLAIN: u64 = 10_000;

/// As for the figures of `bench/instructions.txt`. A build without its profile (`packaging/pgo`) takes 13,052.
const TOLERANCE_PERCENT: u64 = 5;

/// What twenty annotations may add, auth and limits apart: the goal. 2,739 to 2,822 were counted.
const EXTRA_MAX: u64 = 3_000;

/// Twenty, of the kinds that act on every request.
const ANNOTATIONS: [(&str, &str); 20] = [
    ("proxy-body-size", "8m"),
    ("proxy-connect-timeout", "10"),
    ("proxy-read-timeout", "120"),
    ("proxy-send-timeout", "120"),
    ("proxy-next-upstream", "error"),
    ("proxy-next-upstream-tries", "2"),
    ("proxy-cookie-path", "/ /app/"),
    ("proxy-redirect-from", "http://in.test/"),
    ("proxy-redirect-to", "/app/"),
    ("rewrite-target", "/$1"),
    ("x-forwarded-prefix", "/app"),
    ("ssl-redirect", "false"),
    ("upstream-vhost", "in.test"),
    ("enable-cors", "true"),
    ("cors-allow-origin", "https://a.test"),
    ("cors-allow-headers", "X-One"),
    ("cors-max-age", "600"),
    ("ringress.io/request-headers-set", "X-Tenant: $host"),
    ("ringress.io/response-headers-set", "X-Frame-Options: DENY"),
    ("ringress.io/deny-paths", "/admin"),
];

#[test]
fn what_a_request_costs_and_twenty_annotations_add_is_bounded() {
    let origin = Origin::with(|request, peer| {
        peer.read_body(request)?;
        std::thread::sleep(PACE);
        peer.answer(200, &[], b"one")?;
        Ok(Next::Keep)
    });
    let mut objects: Vec<Value> = service("one", &[origin.address]);
    objects.push(ingress("plain").prefix("plain.test", "/", "one").build());
    let rule = ingress("full").path("full.test", "ImplementationSpecific", "/(.*)", "one");
    let full = ANNOTATIONS.iter().fold(rule, |rule, (name, value)| rule.annotation(name, value));
    objects.push(full.build());
    let ringress = Ringress::on(Driver::Epoll)
        .workers(1)
        .through(&["valgrind", "--quiet", "--tool=callgrind", "--callgrind-out-file=/dev/null", COUNTED])
        .manifest("all.json", file(objects))
        .start();
    assert_eq!(ringress.status()["rejected"], Value::Array(Vec::new()), "every annotation acts");
    let mut fewest = [u64::MAX; 2];
    // The first round fills caches and pools.
    for round in 0..=ROUNDS {
        for (host, fewest) in ["plain.test", "full.test"].into_iter().zip(&mut fewest) {
            std::thread::sleep(STEP * (round % 8));
            let took = count(&ringress, host);
            if round > 0 {
                *fewest = took.min(*fewest);
            }
        }
    }
    let [plain, full] = fewest.map(|took| took / REQUESTS as u64);
    println!("instructions of a request: {plain} without annotations, {full} with twenty");
    assert!(full <= plain + EXTRA_MAX, "{} more than without", full - plain);
    // Of the release build on the architecture that was counted.
    if cfg!(target_arch = "x86_64") && std::env::var_os("RINGRESS_BIN").is_some() {
        let most = PLAIN + PLAIN * TOLERANCE_PERCENT / 100;
        assert!(plain <= most, "a request takes {plain} instructions, {most} are allowed: find out why");
        assert!(plain > PLAIN / 2, "{plain} instructions: what is counted has other names now");
    }
}

/// Instructions of the requests of a round.
fn count(ringress: &Ringress, host: &str) -> u64 {
    let mut connection = Connection::plain(ringress.http).expect("connect");
    let mut ask = || {
        std::thread::sleep(PACE);
        assert_eq!(connection.get(host, "/page?a=b").expect("an answer").status, 200);
    };
    ask();
    let before = instructions(ringress.pid());
    (0..REQUESTS).for_each(|_| ask());
    instructions(ringress.pid()) - before
}

/// Instructions of a process so far.
fn instructions(pid: u32) -> u64 {
    let text = output(Command::new("callgrind_control").arg("-e").arg(pid.to_string()));
    // A line for each thread, `Th 2   12,345`, after one that names the events; or one for all.
    let number = |line: &str| line.split_whitespace().last()?.replace(',', "").parse::<u64>().ok();
    let counts: Vec<u64> = text.lines().filter(|line| line.trim_start().starts_with("Th")).filter_map(number).collect();
    assert!(!counts.is_empty(), "{text}");
    counts.iter().sum()
}
