//! Names of certificates as text, in the form of RFC 2253 as OpenSSL writes it: upstreams and patterns compare it.

use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{FromDer as _, X509Certificate, X509Name};

/// Subject and issuer of a certificate; `None` when it cannot be read.
pub(super) fn of(certificate: &CertificateDer<'_>) -> Option<(String, String)> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some((text(parsed.subject()), text(parsed.issuer())))
}

/// A name, DER, as text; `None` when it cannot be read.
pub(super) fn of_name(name: &[u8]) -> Option<String> {
    X509Name::from_der(name).ok().map(|(_, parsed)| text(&parsed))
}

/// Whether a certificate names itself as its issuer.
pub(super) fn is_self_issued(certificate: &CertificateDer<'_>) -> bool {
    X509Certificate::from_der(certificate).is_ok_and(|(_, c)| c.subject().as_raw() == c.issuer().as_raw())
}

/// The last part first, parts between commas, joint parts between `+`.
fn text(name: &X509Name<'_>) -> String {
    let parts: Vec<_> = name.iter_rdn().collect();
    let mut out = String::new();
    for part in parts.into_iter().rev() {
        if !out.is_empty() {
            out.push(',');
        }
        let joint: Vec<_> = part.iter().collect();
        for (index, attribute) in joint.into_iter().rev().enumerate() {
            if index > 0 {
                out.push('+');
            }
            let id = attribute.attr_type().to_id_string();
            let value = attribute.as_slice();
            match (short_name(&id), attribute.as_str()) {
                (Some(name), Ok(value)) => {
                    out.push_str(name);
                    out.push('=');
                    escape(value, &mut out);
                }
                // What has no name or is no plain text stands as its bytes.
                (name, _) => {
                    out.push_str(name.unwrap_or(&id));
                    out.push_str("=#");
                    value.iter().for_each(|byte| out.push_str(&format!("{byte:02X}")));
                }
            }
        }
    }
    out
}

/// Attributes by OpenSSL's short names.
fn short_name(id: &str) -> Option<&'static str> {
    Some(match id {
        "2.5.4.3" => "CN",
        "2.5.4.4" => "SN",
        "2.5.4.5" => "serialNumber",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "street",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "2.5.4.12" => "title",
        "2.5.4.13" => "description",
        "2.5.4.15" => "businessCategory",
        "2.5.4.17" => "postalCode",
        "2.5.4.41" => "name",
        "2.5.4.42" => "GN",
        "2.5.4.43" => "initials",
        "2.5.4.44" => "generationQualifier",
        "2.5.4.46" => "dnQualifier",
        "2.5.4.65" => "pseudonym",
        "2.5.4.97" => "organizationIdentifier",
        "1.2.840.113549.1.9.1" => "emailAddress",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.25" => "DC",
        _ => return None,
    })
}

/// Nothing of a value can end it, look like another part, or leave its header line.
fn escape(value: &str, out: &mut String) {
    let last = value.chars().count().saturating_sub(1);
    for (index, c) in value.chars().enumerate() {
        match c {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' => out.extend(['\\', c]),
            '#' if index == 0 => out.push_str("\\#"),
            ' ' if index == 0 || index == last => out.push_str("\\ "),
            ' '..='~' => out.push(c),
            _ => c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| out.push_str(&format!("\\{byte:02X}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

    use super::*;

    fn names(parts: &[(DnType, &str)]) -> String {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = DistinguishedName::new();
        parts.iter().for_each(|(kind, value)| params.distinguished_name.push(kind.clone(), *value));
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        of(certificate.der()).unwrap().0
    }

    #[test]
    fn the_last_part_stands_first() {
        let parts = [(DnType::CountryName, "CH"), (DnType::OrganizationName, "Acme"), (DnType::CommonName, "alice")];
        assert_eq!(names(&parts), "CN=alice,O=Acme,C=CH");
        assert_eq!(names(&[(DnType::CustomDnType(vec![1, 2, 3, 4]), "x")]), "1.2.3.4=#78");
    }

    #[test]
    fn a_value_can_neither_look_like_another_part_nor_leave_its_line() {
        assert_eq!(names(&[(DnType::CommonName, "bob,CN=alice")]), "CN=bob\\,CN=alice");
        assert_eq!(names(&[(DnType::CommonName, " #é\r\nx; ")]), "CN=\\ #\\C3\\A9\\0D\\0Ax\\;\\ ");
        assert_eq!(names(&[(DnType::CommonName, "#1")]), "CN=\\#1");
    }
}
