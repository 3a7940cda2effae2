//! Client certificates (reference 3.11): who is let in, and what the upstream is told.

use ringress_config::snapshot::{ClientAuth, ClientCertificate, ClientVerdict, ClientVerify, Route, Variable};

use super::shaping::Answer;
use super::{Request, template};
use crate::tls::Secured;

/// No certificate, or one that counts for nothing here.
static NO_CERTIFICATE: ClientCertificate = ClientCertificate {
    verdict: ClientVerdict::None,
    subject: String::new(),
    issuer: String::new(),
    pem: String::new(),
};

/// Lets the client pass, or answers as nginx does: 421 when the handshake was made for another host, 400 without an
/// accepted certificate, 403 for one with another name.
pub(super) fn check(auth: &ClientAuth, request: &Request<'_>, route: &Route) -> Result<(), Answer> {
    let certificate = find(auth, request).ok_or_else(|| Answer::status(421).closing())?;
    let passes = match (auth.verify, certificate.verdict) {
        (ClientVerify::Off | ClientVerify::OptionalNoCa, _) | (_, ClientVerdict::Success) => true,
        (ClientVerify::Optional, ClientVerdict::None) => true,
        (ClientVerify::On, ClientVerdict::None) => false,
        (ClientVerify::On | ClientVerify::Optional, ClientVerdict::Failed(_)) => false,
    };
    if !passes {
        return Err(refuse(auth, request, route));
    }
    match &auth.subject {
        Some(pattern) if !pattern.is_found(certificate.subject.as_bytes()) => Err(Answer::status(403)),
        _ => Ok(()),
    }
}

/// Calls `each` with the fields that tell others who the client is.
pub(super) fn tell(auth: &ClientAuth, request: &Request<'_>, mut each: impl FnMut(&'static [u8], &[u8])) {
    let certificate = find(auth, request).unwrap_or(&NO_CERTIFICATE);
    each(b"ssl-client-verify", certificate.verdict.text().as_bytes());
    // nginx sends no field without a value.
    let named: [(&'static [u8], &str, bool); 3] = [
        (b"ssl-client-subject-dn", &certificate.subject, true),
        (b"ssl-client-issuer-dn", &certificate.issuer, true),
        (b"ssl-client-cert", &certificate.pem, auth.pass_certificate),
    ];
    for (name, value, _) in named.iter().filter(|(_, value, wanted)| *wanted && !value.is_empty()) {
        each(name, value.as_bytes());
    }
}

/// Appends the value of a variable about the certificate. As with nginx there is none in the clear.
pub(super) fn write(variable: &Variable, auth: Option<&ClientAuth>, request: &Request<'_>, out: &mut Vec<u8>) {
    if !request.secured.is_tls() {
        return;
    }
    let certificate = auth.and_then(|auth| find(auth, request)).unwrap_or(&NO_CERTIFICATE);
    match variable {
        Variable::ClientSubject => out.extend_from_slice(certificate.subject.as_bytes()),
        Variable::ClientIssuer => out.extend_from_slice(certificate.issuer.as_bytes()),
        _ => out.extend_from_slice(certificate.verdict.text().as_bytes()),
    }
}

/// What counts as the client's certificate here; `None` when another connection has to be made.
fn find<'a>(auth: &ClientAuth, request: &Request<'a>) -> Option<&'a ClientCertificate> {
    let identity = match request.secured {
        Secured::Not => return Some(&NO_CERTIFICATE),
        Secured::Anonymously => return None,
        Secured::As(identity) => identity,
    };
    match &identity.name {
        Some(name) if name.as_bytes() != request.head.host().name().as_bytes() => None,
        // Made by what asks for certificates now.
        _ if identity.context == Some(auth.context()) => Some(&identity.certificate),
        // A client that names no host shows no certificate that counts for this one.
        None => Some(&NO_CERTIFICATE),
        Some(_) => None,
    }
}

fn refuse(auth: &ClientAuth, request: &Request<'_>, route: &Route) -> Answer {
    let Some(page) = &auth.error_page else { return Answer::status(400).closing() };
    let mut location = Vec::new();
    template::render(page, request, route, None, &mut location);
    Answer::redirect(302, location).closing()
}
