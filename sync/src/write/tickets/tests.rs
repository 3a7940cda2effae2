use super::*;

const START: u64 = 1_000_000;

fn secret(values: &[(&str, usize)]) -> Secret {
    let data: Map<String, Value> =
        values.iter().map(|(name, size)| ((*name).to_owned(), json!(STANDARD.encode(vec![1; *size])))).collect();
    let object =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": "n", "name": "s"}, "data": data});
    let Some(Object::Secret(secret)) = decode(object, None).object else { panic!("no Secret") };
    Secret::clone(&secret)
}

fn keys(times: &[u64]) -> Secret {
    let names: Vec<String> = times.iter().map(|time| format!("key-{time}")).collect();
    secret(&names.iter().map(|name| (name.as_str(), KEY_BYTES)).collect::<Vec<_>>())
}

fn names(remove: &[Arc<str>]) -> Vec<&str> {
    remove.iter().map(|name| &**name).collect()
}

#[test]
fn an_empty_secret_gets_a_key_that_seals_at_once() {
    assert_eq!(plan(&secret(&[]), START), Plan::Write { remove: Vec::new(), add: Some(START) });
    let Plan::Write { remove, add } = plan(&secret(&[("key-5", 3), ("key-x", 32)]), START) else { panic!("broken") };
    assert_eq!((names(&remove), add), (vec!["key-5", "key-x"], Some(START)));
}

#[test]
fn a_secret_of_something_else_is_left_alone() {
    assert_eq!(plan(&secret(&[("tls.crt", 9), ("key-5", 32)]), START), Plan::Foreign);
}

#[test]
fn a_new_key_is_there_before_it_seals_and_an_old_one_for_as_long_as_a_ticket_may_live() {
    let (mut times, mut now, end) = (vec![START], START, START + 10 * PERIOD_SECONDS);
    while now < end {
        match plan(&keys(&times), now) {
            Plan::Rest(time) => now += time.as_secs().max(1),
            Plan::Write { remove, add } => {
                for name in names(&remove) {
                    let from: u64 = name["key-".len()..].parse().expect("a time");
                    let at = times.iter().position(|&time| time == from).expect("it is there");
                    assert!(times[at + 1] + AFTER_SECONDS <= now, "a ticket could still need {name} at {now}");
                    times.remove(at);
                }
                if let Some(from) = add {
                    assert!(from >= now + AHEAD_SECONDS && from == times[times.len() - 1] + PERIOD_SECONDS);
                    times.push(from);
                }
                assert!(times.len() <= 5, "{times:?}");
            }
            Plan::Foreign => panic!("these are keys"),
        }
    }
    assert!(times[0] > START && times[times.len() - 1] >= end - PERIOD_SECONDS);
}

#[test]
fn after_a_time_without_leader_the_next_key_seals_once_all_can_have_it() {
    let now = START + 3 * PERIOD_SECONDS;
    assert_eq!(plan(&keys(&[START]), now), Plan::Write { remove: Vec::new(), add: Some(now + AHEAD_SECONDS) });
}

#[test]
fn a_key_of_a_clock_that_is_far_ahead_does_not_stop_the_rotation() {
    let ahead = START + 1_000_000;
    let Plan::Write { remove, add } = plan(&keys(&[START, ahead]), START + 1) else { panic!("astray") };
    assert_eq!((names(&remove), add), (vec!["key-2000000"], Some(START + 1)));
    let Plan::Write { remove, add } = plan(&keys(&[START, u64::MAX]), START + 1) else { panic!("astray") };
    assert_eq!((names(&remove), add), (vec!["key-18446744073709551615"], Some(START + 1)));
}
