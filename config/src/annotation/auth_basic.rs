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
    if form == Form::File && lines(secret).is_some_and(|mut lines| lines.any(|line| !line.contains(':'))) {
        let message = format!("Secret {} has lines without `:` in data.auth, which name nobody", secret.meta.key);
        annotations.warn("auth-secret", message);
    }
    match users(secret, form) {
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

/// What is said in the lines of a file of users.
fn lines(secret: &Secret) -> Option<impl Iterator<Item = &str>> {
    let text = std::str::from_utf8(secret.data.get("auth")?).ok()?;
    Some(text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')))
}

/// The users of a Secret, or what is wrong with which key. The text never becomes part of the fault.
fn users(secret: &Secret, form: Form) -> Result<Users, String> {
    match form {
        Form::File => {
            let lines = lines(secret).ok_or("there is no text in data.auth")?;
            // As nginx has it: a line that names nobody lets nobody in, and costs the others nothing.
            let user = |line: &str| {
                let (name, rest) = line.split_once(':')?;
                Some((name.into(), rest.split(':').next().unwrap_or_default().into()))
            };
            Ok(lines.filter_map(user).collect())
        }
        Form::Map => {
            let user = |(name, hash): (&Arc<str>, &Arc<[u8]>)| {
                let hash = std::str::from_utf8(hash).map_err(|_| format!("there is no text in data.{name}"))?;
                Ok(((&**name).into(), hash.trim().into()))
            };
            secret.data.iter().map(user).collect()
        }
    }
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
