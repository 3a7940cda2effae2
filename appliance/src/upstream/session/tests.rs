use ringress_config::model::{ObjectKey, Transport};
use ringress_config::snapshot::{Balancing, ClusterId, ClusterKey, Endpoint, PortKey};

use super::*;

fn affinity() -> Affinity {
    Affinity {
        cookie: "C".into(),
        persistent: false,
        path: None,
        domain: None,
        max_age: None,
        expires: None,
        same_site: None,
        conditional_same_site_none: false,
        secure: false,
        change_on_failure: false,
    }
}

fn cluster() -> Cluster {
    let key =
        ClusterKey { service: ObjectKey::new("default", "web"), port: PortKey::Number(80), transport: Transport::Tcp };
    let endpoints: Vec<_> = [1, 2].map(|port| Endpoint { address: ([127, 0, 0, 1], port).into() }).into();
    let balancing = Balancing { has_sessions: true, ..Balancing::default() };
    Cluster::new(ClusterId(0), 1, key, endpoints.into(), balancing)
}

/// The field for a client that gets a cookie with the key 7.
fn field(affinity: &Affinity, path: &str, is_https: bool, agent: Option<&str>) -> String {
    let cluster = cluster();
    let session = Session::new(affinity, None).issuing(&cluster, path, is_https, agent.map(str::as_bytes));
    session.issued.set(Some(Issued::Ring(7)));
    let text = session.set_cookie().unwrap();
    let token = cluster.places().sessions.as_ref().unwrap().token();
    text.strip_prefix(&format!("C=0000000000000007|{token}")).expect("key and cluster").to_owned()
}

#[test]
fn a_cookie_has_the_attributes_that_were_asked_for() {
    assert_eq!(field(&affinity(), "/a", false, None), "; Path=/a; HttpOnly");
    assert_eq!(field(&affinity(), "/a", true, None), "; Path=/a; Secure; HttpOnly");
    let all = Affinity {
        path: Some("/p".into()),
        domain: Some("a.test".into()),
        max_age: Some(60),
        same_site: Some("Lax".into()),
        secure: true,
        ..affinity()
    };
    assert_eq!(field(&all, "/a", false, None), "; Max-Age=60; Domain=a.test; Path=/p; Secure; HttpOnly; SameSite=Lax");
}

#[test]
fn a_pattern_that_would_end_the_attribute_is_no_path() {
    assert_eq!(field(&affinity(), "/a;b", false, None), "; Path=/; HttpOnly");
}

#[test]
fn expires_is_a_date_whatever_the_number() {
    for seconds in [60, -60, i64::MAX, i64::MIN] {
        let text = field(&Affinity { expires: Some(seconds), ..affinity() }, "/", false, None);
        let date = text.strip_prefix("; Expires=").and_then(|rest| rest.split(';').next()).unwrap();
        assert!(httpdate::parse_http_date(date).is_ok(), "{text}");
    }
}

#[test]
fn same_site_none_is_left_out_where_it_is_misread() {
    let none = Affinity { same_site: Some("None".into()), conditional_same_site_none: true, ..affinity() };
    let lax = Affinity { same_site: Some("Lax".into()), ..none.clone() };
    for (agent, sent) in [
        (None, true),
        (Some("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/120.0 Safari/537.36"), true),
        (Some("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/51.0 Safari/537.36"), false),
        (Some("Mozilla/5.0 (iPhone; CPU iPhone OS 12_4 like Mac OS X) Version/12.0 Safari"), false),
        (Some("Mozilla/5.0 (iPad; CPU OS 12_4 like Mac OS X) Version/12.0 Safari"), false),
        (Some("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_14_6) Version/12.1 Safari/605"), false),
        (Some("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_14_6) Chrome/90.0 Safari/537"), true),
    ] {
        assert_eq!(field(&none, "/", true, agent).contains("SameSite=None"), sent, "{agent:?}");
        assert!(field(&lax, "/", true, agent).contains("SameSite=Lax"), "{agent:?}");
    }
}

#[test]
fn a_cookie_is_read_as_ingress_nginx_wrote_it() {
    let place = |affinity: &Affinity, value: &[u8]| Session::new(affinity, Some(value)).place;
    let balanced = affinity();
    let hash = Ring::hash(b"1732478458.123.45.678901");
    for value in
        [&b"1732478458.123.45.678901|abc"[..], b"1732478458.123.45.678901", b"\"1732478458.123.45.678901|abc\""]
    {
        assert_eq!(place(&balanced, value), Some(Place::Ring(hash)));
    }
    assert_eq!(place(&balanced, b"|abc"), None);
    let persistent = Affinity { persistent: true, ..affinity() };
    assert_eq!(
        place(&persistent, b"000102030405060708090a0b0c0d0e0f|x").unwrap(),
        Place::Endpoint(std::array::from_fn(|at| u8::try_from(at).unwrap()))
    );
    for value in [&b""[..], b"0", b"zz0102030405060708090a0b0c0d0e0f", b"+00102030405060708090a0b0c0d0e0f"] {
        assert_eq!(place(&persistent, value), None);
    }
}

#[test]
fn a_cookie_says_which_cluster_issued_it() {
    let cluster = cluster();
    let sessions = cluster.places().sessions.as_ref().unwrap();
    assert!(is_of(format!("key|{}", sessions.token()).as_bytes(), sessions));
    assert!(!is_of(b"key|other", sessions) && !is_of(b"key", sessions));
}
