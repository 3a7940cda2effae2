//! The dashboard: one page without anything from elsewhere.
//!
//! It shows what the API says, fetched by the page itself, and sets names of objects as text only. Its policy names the
//! hash of its one script and its one style sheet, so that nothing else could run even if a name were taken for markup.

use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const PAGE: &str = include_str!("dashboard.html");

static POLICY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "default-src 'none'; connect-src 'self'; script-src '{}'; style-src '{}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'",
        hash_of("script"),
        hash_of("style")
    )
});

/// The page.
pub(super) async fn page() -> Response {
    let headers = [
        (header::CONTENT_SECURITY_POLICY, POLICY.as_str()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, Html(PAGE)).into_response()
}

/// The hash of what the page's only element of this name holds, as a policy names it (CSP level 3, 2.3.1).
fn hash_of(element: &str) -> String {
    let (start, end) = (format!("<{element}>"), format!("</{element}>"));
    let content =
        PAGE.split_once(&start).and_then(|(_, rest)| rest.split_once(&end)).map_or("", |(content, _)| content);
    format!("sha256-{}", STANDARD.encode(digest(&SHA256, content.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_allows_what_the_page_holds_and_nothing_else() {
        for element in ["script", "style"] {
            assert_eq!(PAGE.matches(&format!("<{element}")).count(), 1, "one {element}, so that one hash is enough");
            let empty = format!("sha256-{}", STANDARD.encode(digest(&SHA256, b"")));
            assert_ne!(hash_of(element), empty, "{element}");
            assert!(POLICY.contains(&hash_of(element)));
        }
        assert!(!POLICY.contains("unsafe"), "{}", *POLICY);
        assert!(!PAGE.contains("innerHTML") && !PAGE.contains(" style=") && !PAGE.contains(" onclick="));
    }

    #[test]
    fn the_page_needs_nothing_from_elsewhere() {
        for word in [" src=", "href=", "@import", "url(", "//cdn"] {
            assert!(!PAGE.contains(word), "{word}");
        }
    }
}
