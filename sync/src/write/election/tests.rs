use super::*;

const TTL: Duration = Duration::from_secs(30);
const SECOND: Duration = Duration::from_secs(1);

/// The one Lease of a server, with versions as the API has them.
#[derive(Default)]
struct Server {
    lease: Option<Value>,
    version: u64,
}

impl Server {
    fn read(&self) -> Option<Lease> {
        self.lease.as_ref().map(Lease::read)
    }

    fn write(&mut self, spec: Value, version: Option<&str>) -> Option<Lease> {
        let current = self.lease.as_ref().map(|lease| lease["metadata"]["resourceVersion"].clone());
        if current.as_ref().map(|version| version.as_str().unwrap_or_default()) != version {
            return None;
        }
        self.version += 1;
        self.lease = Some(json!({"metadata": {"resourceVersion": self.version.to_string()}, "spec": spec}));
        self.read()
    }
}

/// One turn of a candidate whose requests take no time.
fn turn(election: &mut Election, server: &mut Server, now: Instant, wall: &str) {
    if election.leads(now).is_none() {
        election.saw(server.read(), now);
    }
    let answer = match election.step(now, wall) {
        Step::Look | Step::Wait => return,
        Step::Create(spec) => server.write(spec, None),
        Step::Replace(spec, version) => server.write(spec, Some(&version)),
    };
    match answer {
        Some(lease) => election.won(lease, now, now),
        None => election.lost(),
    }
}

fn candidate(name: &str) -> Election {
    Election::new(name.to_owned(), TTL)
}

#[test]
fn the_first_leads_and_the_second_waits_as_long_as_it_renews() {
    let (mut server, start) = (Server::default(), Instant::now());
    let (mut a, mut b) = (candidate("a"), candidate("b"));
    for second in 0..200 {
        let now = start + SECOND * second;
        turn(&mut a, &mut server, now, &second.to_string());
        turn(&mut b, &mut server, now, &second.to_string());
        assert!(a.leads(now).is_some() && b.leads(now).is_none(), "second {second}");
    }
}

#[test]
fn a_holder_that_falls_silent_is_followed_after_the_whole_time_and_has_stopped_at_half_of_it() {
    let (mut server, start) = (Server::default(), Instant::now());
    let (mut a, mut b) = (candidate("a"), candidate("b"));
    turn(&mut a, &mut server, start, "0");
    let mut led = None;
    for second in 0..60 {
        let now = start + SECOND * second;
        turn(&mut b, &mut server, now, "x");
        assert!(a.leads(now).is_none() || b.leads(now).is_none(), "two at second {second}");
        if b.leads(now).is_some() {
            led.get_or_insert(second);
        }
    }
    assert_eq!(led, Some(30));
    assert_eq!(a.leads(start + TTL / 2), None);
    turn(&mut a, &mut server, start + SECOND * 61, "61");
    assert_eq!(a.leads(start + SECOND * 61), None, "who comes back finds another");
}

#[test]
fn times_of_day_that_differ_by_years_change_nothing() {
    let (mut server, start) = (Server::default(), Instant::now());
    let (mut a, mut b) = (candidate("a"), candidate("b"));
    for second in 0..100 {
        let now = start + SECOND * second;
        turn(&mut a, &mut server, now, &format!("1999-01-01T00:00:{:02}.000000Z", second % 60));
        turn(&mut b, &mut server, now, &format!("2099-01-01T00:00:{:02}.000000Z", second % 60));
        assert!(a.leads(now).is_some() && b.leads(now).is_none());
    }
}

#[test]
fn a_clock_that_runs_nearly_twice_as_fast_finds_no_second_leader() {
    // The candidate's clock runs fast: it sees the time pass sooner than the silent holder does.
    let (mut server, start) = (Server::default(), Instant::now());
    let (mut a, mut b) = (candidate("a"), candidate("b"));
    turn(&mut a, &mut server, start, "0");
    for tenth in 0_u32..600 {
        let true_now = start + SECOND * tenth / 10;
        let fast = start + SECOND * tenth * 19 / 100;
        turn(&mut b, &mut server, fast, "x");
        assert!(a.leads(true_now).is_none() || b.leads(fast).is_none(), "two after {tenth} tenths");
    }
    assert!(b.leads(start + SECOND * 600 * 19 / 100).is_some());
}

#[test]
fn an_answer_that_comes_late_counts_from_the_question() {
    let (mut server, start) = (Server::default(), Instant::now());
    let mut a = candidate("a");
    a.saw(server.read(), start);
    let Step::Create(spec) = a.step(start, "0") else { panic!("the first creates") };
    let lease = server.write(spec, None).unwrap();
    a.won(lease, start, start + SECOND * 14);
    assert_eq!(a.leads(start + SECOND * 14), Some(start + TTL / 2));
    assert_eq!(a.leads(start + SECOND * 15), None);
}

#[test]
fn a_foreign_write_ends_the_lead_at_once() {
    let (mut server, start) = (Server::default(), Instant::now());
    let (mut a, mut b) = (candidate("a"), candidate("b"));
    turn(&mut a, &mut server, start, "0");
    // An operator hands the Lease to somebody else.
    b.saw(server.read(), start - TTL);
    turn(&mut b, &mut server, start + SECOND, "1");
    let held = server.version.to_string();
    server.write(json!({"holderIdentity": "c", "leaseDurationSeconds": 30}), Some(&held)).unwrap();
    turn(&mut a, &mut server, start + SECOND * 2, "2");
    assert_eq!(a.leads(start + SECOND * 2), None);
    turn(&mut a, &mut server, start + SECOND * 3, "3");
    assert_eq!(a.step(start + SECOND * 3, "3"), Step::Wait);
}

#[test]
fn a_lease_that_was_given_back_is_taken_at_once() {
    let (mut server, start) = (Server::default(), Instant::now());
    let (mut a, mut b) = (candidate("a"), candidate("b"));
    turn(&mut a, &mut server, start, "0");
    turn(&mut b, &mut server, start, "0");
    let (spec, version) = a.give_back("1").expect("it has it");
    assert_eq!(a.leads(start), None);
    server.write(spec, Some(&version)).unwrap();
    turn(&mut b, &mut server, start + SECOND, "1");
    assert!(b.leads(start + SECOND).is_some());
    assert_eq!(server.lease.unwrap()["spec"]["leaseTransitions"], 1);
    assert_eq!(b.give_back("2").map(|(spec, _)| spec["holderIdentity"].clone()), Some(json!("")));
}

#[test]
fn an_own_record_is_taken_up_again_after_an_outage() {
    let (mut server, start) = (Server::default(), Instant::now());
    let mut a = candidate("a");
    turn(&mut a, &mut server, start, "0");
    let later = start + SECOND * 100;
    assert_eq!(a.leads(later), None);
    turn(&mut a, &mut server, later, "100");
    assert!(a.leads(later).is_some());
}
