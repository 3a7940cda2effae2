//! Group auth-basic: passwords from a Secret (reference 3.13).

use std::sync::Arc;

use super::Annotations;
use crate::model::Secret;
use crate::snapshot::{Access, BasicAuth};
use crate::value::{Expected, Source as _};

type Users = Arc<[(Box<str>, Box<str>)]>;

/// Where the users stand in the Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// `htpasswd` text under the key `auth`.
    File,
    /// Every key is a user.
    Map,
}

pub(super) fn read(annotations: &mut Annotations<'_>, access: &mut Access) {
    let Some(is_basic) = annotations.get("auth-type", is_basic) else { return };
    let form = annotations.get("auth-secret-type", form).unwrap_or(Form::File);
    let realm = annotations.get("auth-realm", realm).unwrap_or_default();
    if !is_basic {
        annotations.deny("auth-type", "digest cannot be had".into());
        return;
    }
    if annotations.text("auth-secret").is_none() {
        annotations.deny("auth-type", "is set and auth-secret names no Secret".into());
        return;
    }
    let Some(secret) = annotations.secret("auth-secret") else { return };
    let users = match form {
        Form::File => file(secret).map(|(users, strays)| {
            if strays > 0 {
                let message = format!("{strays} lines of data.auth of Secret {} name nobody: no `:`", secret.meta.key);
                annotations.warn("auth-secret", message);
            }
            users
        }),
        Form::Map => map(secret),
    };
    match users {
        Ok(users) => access.basic = Some(BasicAuth { realm, users }),
        Err(fault) => annotations.deny("auth-secret", format!("{fault} of Secret {}", secret.meta.key)),
    }
}

fn is_basic(text: &str) -> Result<bool, Expected> {
    match text {
        "basic" => Ok(true),
        "digest" => Ok(false),
        _ => Err("basic or digest"),
    }
}

fn form(text: &str) -> Result<Form, Expected> {
    match text {
        "auth-file" => Ok(Form::File),
        "auth-map" => Ok(Form::Map),
        _ => Err("auth-file or auth-map"),
    }
}

fn realm(text: &str) -> Result<Box<str>, Expected> {
    let odd = |c: char| c.is_control() || "\"\\$;{}".contains(c);
    if text.contains(odd) { Err("text without \" \\ $ ; { }") } else { Ok(text.into()) }
}

/// The users of a Secret's file, and how many lines name none, or what is wrong. The text never becomes part of the fault.
fn file(secret: &Secret) -> Result<(Users, usize), String> {
    let text = secret.data.get("auth").and_then(|text| std::str::from_utf8(text).ok());
    let text = text.ok_or("there is no text in data.auth")?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    // As nginx has it: a line that names nobody lets nobody in, and costs the others nothing.
    let mut strays = 0;
    let user = |line: &str| {
        let named = line.split_once(':');
        strays += usize::from(named.is_none());
        let (name, rest) = named?;
        Some((name.into(), rest.split(':').next().unwrap_or_default().into()))
    };
    let users = lines.filter_map(user).collect();
    Ok((users, strays))
}

/// The users of a Secret whose keys are their names, or what is wrong with which key.
fn map(secret: &Secret) -> Result<Users, String> {
    let user = |(name, hash): (&Arc<str>, &Arc<[u8]>)| {
        let hash = std::str::from_utf8(hash).map_err(|_| format!("there is no text in data.{name}"))?;
        Ok(((&**name).into(), hash.trim().into()))
    };
    secret.data.iter().map(user).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{OneSecret, annotated, reference};

    fn basic(pairs: &[(&str, &str)], data: &[(&str, &str)]) -> (Option<BasicAuth>, Option<u16>, usize) {
        let objects = OneSecret::new("users", data);
        let (ingress, object) = (annotated(pairs), reference());
        let annotations = Annotations::new(&ingress, &object, "nginx.ingress.kubernetes.io");
        let mut annotations = annotations.with_objects(&objects, false);
        let mut access = Access::default();
        read(&mut annotations, &mut access);
        let deny = annotations.outcome().deny;
        (access.basic, deny, annotations.into_parts().1.len())
    }

    const TYPE: (&str, &str) = ("auth-type", "basic");

    #[test]
    fn annotation_auth_secret_is_an_htpasswd_file_or_a_map() {
        let file = "# staff\nann:$apr1$a$b\n\nbob:{SHA}x=:Bob\n";
        let pairs = [TYPE, ("auth-secret", "users"), ("auth-realm", "Keep out")];
        let (found, deny, references) = basic(&pairs, &[("auth", file)]);
        let found = found.unwrap();
        assert_eq!((&*found.realm, deny, references), ("Keep out", None, 1));
        assert_eq!(*found.users, [("ann".into(), "$apr1$a$b".into()), ("bob".into(), "{SHA}x=".into())]);
        let pairs = [TYPE, ("auth-secret", "default/users"), ("auth-secret-type", "auth-map")];
        let (found, deny, _) = basic(&pairs, &[("ann", "{SHA}x=\n")]);
        assert_eq!((&*found.unwrap().users, deny), (&[("ann".into(), "{SHA}x=".into())][..], None));
    }

    #[test]
    fn annotation_auth_never_fails_open() {
        let auth = [("auth", "ann:x")];
        for pairs in [
            &[TYPE][..],
            &[TYPE, ("auth-secret", "other")],
            &[TYPE, ("auth-secret", "elsewhere/users")],
            &[("auth-type", "digest"), ("auth-secret", "users")],
        ] {
            assert_eq!(basic(pairs, &auth).1, Some(503), "{pairs:?}");
        }
        let pairs = [TYPE, ("auth-secret", "users")];
        assert_eq!(basic(&pairs, &[("other", "ann:x")]).1, Some(503));
        let (found, deny, _) = basic(&pairs, &[("auth", "ann\n")]);
        assert_eq!((found.unwrap().users.len(), deny), (0, None), "a line that names nobody lets nobody in");
    }

    #[test]
    fn annotation_auth_secret_without_type_is_nothing() {
        assert_eq!(basic(&[("auth-secret", "users")], &[]), (None, None, 0));
    }
}
