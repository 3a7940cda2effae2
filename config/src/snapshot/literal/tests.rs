use super::*;
use crate::testing::route;

fn table(places: &[Literal<'static>]) -> LiteralTable {
    let text = |place: &Literal<'static>| match place {
        Literal::Exact(path) => format!("={path}"),
        Literal::Below(path) => (*path).to_owned(),
    };
    LiteralTable::new(places.iter().enumerate().map(|(n, place)| (*place, Arc::new(route(n, &text(place))))))
}

fn find(table: &LiteralTable, path: &str) -> String {
    match table.find(path.as_bytes()) {
        PathMatch::Route(route) => route.path.to_string(),
        PathMatch::AddSlash(route) => format!("slash {}", route.path),
        PathMatch::None => "none".into(),
    }
}

#[test]
fn exact_beats_prefix_and_the_longest_prefix_wins() {
    let table = table(&[
        Literal::Below("/"),
        Literal::Below("/a/"),
        Literal::Exact("/a"),
        Literal::Below("/a/b/c/"),
        Literal::Exact("/a/b"),
    ]);
    for (path, expected) in [
        ("/", "/"),
        ("/x", "/"),
        ("/a", "=/a"),
        ("/a/", "/a/"),
        ("/a/b", "=/a/b"),
        ("/a/b/", "/a/"),
        ("/a/b/x", "/a/"),
        ("/a/b/c/d/e", "/a/b/c/"),
        ("/ab", "/"),
        ("/a/bc", "/a/"),
        ("/A", "/"),
    ] {
        assert_eq!(find(&table, path), expected, "{path}");
    }
}

#[test]
fn a_place_with_a_final_slash_asks_for_it() {
    let table = table(&[
        Literal::Below("/"),
        Literal::Below("/p/"),
        Literal::Exact("/e/"),
        Literal::Below("/both/"),
        Literal::Exact("/both"),
    ]);
    assert_eq!(find(&table, "/p"), "slash /p/");
    assert_eq!(find(&table, "/e"), "slash =/e/");
    assert_eq!(find(&table, "/e/"), "=/e/");
    assert_eq!(find(&table, "/e/x"), "/");
    assert_eq!(find(&table, "/both"), "=/both");
}

#[test]
fn what_is_no_path_matches_nothing() {
    let table = table(&[Literal::Below("/")]);
    for path in ["", "*", "a/b"] {
        assert_eq!(find(&table, path), "none", "{path}");
    }
    assert_eq!(find(&LiteralTable::default(), "/"), "none");
}

#[test]
fn root_alone_is_exact_or_everything() {
    let exact = table(&[Literal::Exact("/")]);
    assert_eq!((find(&exact, "/").as_str(), find(&exact, "/a").as_str()), ("=/", "none"));
}

#[test]
fn thousands_of_siblings_are_found() {
    let paths: Vec<String> = (0..5000).map(|n| format!("/p{n}/")).collect();
    let places = paths.iter().enumerate().map(|(n, path)| (Literal::Below(path), Arc::new(route(n, path))));
    let table = LiteralTable::new(places);
    for path in &paths {
        assert_eq!(find(&table, &format!("{path}x")), *path);
    }
    assert_eq!(find(&table, "/p5000/x"), "none");
}
