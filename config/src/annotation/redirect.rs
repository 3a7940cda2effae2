//! Group redirect: plain http to https.

use crate::intent::HttpsPolicy;
use crate::value::{self, Source};

pub(super) fn read(source: &mut impl Source, https: &mut HttpsPolicy) {
    for (name, field) in [
        ("ssl-redirect", &mut https.redirect),
        ("force-ssl-redirect", &mut https.force),
        ("preserve-trailing-slash", &mut https.keep_slash),
    ] {
        if let Some(value) = source.get(name, value::bool) {
            *field = value;
        }
    }
}
