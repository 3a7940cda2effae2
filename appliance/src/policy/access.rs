//! Who may pass (reference 3.10, 3.13, 3.15): address lists, then password, then an external service; with
//! `satisfy any` the first that passes is enough. Nothing here fails open.

pub(super) mod external;
pub(crate) mod password;

use std::rc::Rc;

use ringress_config::snapshot::{Access, BasicAuth, Route};

use super::{Answer, Request, Shaping};
use crate::http::field::FieldId;
use crate::worker::Core;

/// Lets a request pass, or says how it is refused. Where there is a page to sign in at, that is where every challenge leads,
/// whoever makes it.
pub(super) async fn run<'s>(
    core: &Rc<Core>,
    access: &'s Access,
    route: &Route,
    request: &Request<'_>,
    shaping: &mut Shaping<'s>,
) -> Result<(), Answer> {
    let passes = judge(core, access, route, request, shaping).await;
    passes.map_err(|answer| {
        let external = access.external.as_ref().filter(|_| answer.status == 401);
        let signin = external.and_then(|external| external::signin(external, route, request));
        signin.map_or(answer, |location| Answer::redirect(302, location))
    })
}

async fn judge<'s>(
    core: &Rc<Core>,
    access: &'s Access,
    route: &Route,
    request: &Request<'_>,
    shaping: &mut Shaping<'s>,
) -> Result<(), Answer> {
    if access.basic.is_some() {
        // Whichever check lets the request pass, the password is not the backend's.
        shaping.request.remove(b"Authorization");
    }
    let address = access.address_passes(request.client);
    match address {
        Some(true) if access.satisfy_any => return Ok(()),
        Some(false) if !access.satisfy_any || (access.basic.is_none() && access.external.is_none()) => {
            return Err(Answer::status(403));
        }
        _ => {}
    }
    let mut refused = address.filter(|passes| !passes).map(|_| Answer::status(403));
    if let Some(basic) = &access.basic {
        match check_password(core, basic, request).await {
            Ok(()) if access.satisfy_any => return Ok(()),
            Ok(()) => {}
            Err(answer) if access.satisfy_any => refused = Some(answer),
            Err(answer) => return Err(answer),
        }
    }
    if let Some(external) = &access.external {
        // Boxed: a request of its own, and its state would make every connection's larger.
        match Box::pin(external::ask(core, external, route, request, shaping)).await {
            Ok(()) => return Ok(()),
            // As with nginx, a challenge stays: the client may yet know the password.
            Err(answer) => {
                return Err(refused.filter(|before| before.status == 401 && answer.status == 403).unwrap_or(answer));
            }
        }
    }
    match refused {
        Some(answer) if access.satisfy_any => Err(answer),
        _ => Ok(()),
    }
}

async fn check_password(core: &Rc<Core>, basic: &BasicAuth, request: &Request<'_>) -> Result<(), Answer> {
    let challenge = || {
        let realm = basic.realm.replace(['\\', '"'], "");
        Err(Answer::status(401).with_field(b"WWW-Authenticate", format!("Basic realm=\"{realm}\"").as_bytes()))
    };
    let Some((user, password)) = credentials(request) else { return challenge() };
    let known = basic.users.iter().find(|(name, _)| name.as_bytes() == user);
    let Some((_, hash)) = known else { return challenge() };
    match password::verify(core, hash, password).await {
        Some(true) => Ok(()),
        Some(false) => challenge(),
        None => Err(Answer::status(503)),
    }
}

/// User and password of `Authorization: Basic`.
pub(super) fn credentials(request: &Request<'_>) -> Option<(Vec<u8>, Vec<u8>)> {
    use base64::Engine;
    let value = request.head.find(request.bytes, FieldId::Authorization)?;
    let (scheme, encoded) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"Basic ") {
        return None;
    }
    let mut pair = base64::engine::general_purpose::STANDARD.decode(encoded.trim_ascii()).ok()?;
    let colon = memchr::memchr(b':', &pair)?;
    let password = pair.split_off(colon + 1);
    pair.pop();
    Some((pair, password))
}
