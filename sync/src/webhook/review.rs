//! `AdmissionReview` of `admission.k8s.io/v1`: the question read, the answer written. Pure.

use std::sync::Arc;

use ringress_config::compile::Review;
use ringress_config::diagnostics::Finding;
use ringress_config::model::{Ingress, Object, decode};
use serde_json::{Value, json};

const API_VERSION: &str = "admission.k8s.io/v1";

/// Warnings in one answer, the last of which may be that there are more; the API server cuts what is more than 4 KiB in
/// all.
const WARNINGS_MAX: usize = 15;

/// Longest warning that every client shows.
const WARNING_BYTES_MAX: usize = 256;

/// Longest reason of a refusal.
const REASON_BYTES_MAX: usize = 4 << 10;

/// What is asked.
#[derive(Debug)]
pub(super) struct Question {
    uid: String,
    about: About,
}

#[derive(Debug)]
enum About {
    /// An Ingress that is to be written.
    Ingress(Arc<Ingress>, Vec<Finding>),
    /// An Ingress that cannot be read.
    Unreadable(Vec<Finding>),
    /// Something that is nobody's business here: a deletion, another kind.
    Else,
}

impl Question {
    /// From a request's body. The error says what is wrong with it.
    pub(super) fn read(body: &[u8]) -> Result<Self, &'static str> {
        let mut review: Value = serde_json::from_slice(body).map_err(|_| "the body is not JSON")?;
        if review["kind"] != "AdmissionReview" || review["apiVersion"] != API_VERSION {
            return Err("the body is not an AdmissionReview of admission.k8s.io/v1");
        }
        let mut request = review["request"].take();
        let uid = request["uid"].as_str().filter(|uid| !uid.is_empty()).ok_or("the request has no uid")?.to_owned();
        let is_write = matches!(request["operation"].as_str(), Some("CREATE" | "UPDATE"));
        let kind = &request["kind"];
        let is_ingress = kind["group"] == "networking.k8s.io" && kind["kind"] == "Ingress";
        let is_part = request["subResource"].as_str().is_some_and(|part| !part.is_empty());
        let mut object = request["object"].take();
        // What is on its way out must be able to lose its finalizers.
        let is_going = !object["metadata"]["deletionTimestamp"].is_null();
        if !is_write || !is_ingress || is_part || is_going {
            return Ok(Self { uid, about: About::Else });
        }
        let version = request["kind"]["version"].as_str().unwrap_or("v1");
        object["apiVersion"] = json!(format!("networking.k8s.io/{version}"));
        object["kind"] = json!("Ingress");
        if object["metadata"]["namespace"].is_null() {
            object["metadata"]["namespace"] = request["namespace"].take();
        }
        if object["metadata"]["name"].is_null() {
            // With `generateName` the API server makes the name after the webhook.
            object["metadata"]["name"] = json!(object["metadata"]["generateName"].as_str().unwrap_or_default());
        }
        let decoded = decode(object, None);
        let about = match decoded.object {
            Some(Object::Ingress(ingress)) => About::Ingress(ingress, decoded.findings),
            _ => About::Unreadable(decoded.findings),
        };
        Ok(Self { uid, about })
    }

    /// The Ingress that has to be reviewed.
    pub(super) fn ingress(&self) -> Option<Arc<Ingress>> {
        match &self.about {
            About::Ingress(ingress, _) => Some(Arc::clone(ingress)),
            About::Unreadable(_) | About::Else => None,
        }
    }

    /// The answer to what needs no review.
    pub(super) fn answer_alone(&self) -> Value {
        match &self.about {
            About::Unreadable(findings) => self.response(findings, &[]),
            About::Ingress(..) | About::Else => self.response(&[], &[]),
        }
    }

    /// The answer after a review.
    pub(super) fn answer(&self, review: &Review) -> Value {
        let read = match &self.about {
            About::Ingress(_, findings) => findings.as_slice(),
            About::Unreadable(_) | About::Else => &[],
        };
        let warnings: Vec<Finding> = read.iter().chain(&review.warnings).cloned().collect();
        match matches!(self.about, About::Unreadable(_)) {
            true => self.answer_alone(),
            false => self.response(&review.refused, &warnings),
        }
    }

    fn response(&self, refused: &[Finding], warnings: &[Finding]) -> Value {
        let is_refused = !refused.is_empty() || matches!(self.about, About::Unreadable(_));
        let mut response = json!({"uid": self.uid, "allowed": !is_refused});
        if is_refused {
            let reasons: Vec<String> = refused.iter().map(text).collect();
            let message = if reasons.is_empty() { "it cannot be read".to_owned() } else { reasons.join("; ") };
            response["status"] =
                json!({"code": 400, "reason": "BadRequest", "message": cut(&message, REASON_BYTES_MAX)});
        }
        if !warnings.is_empty() {
            response["warnings"] = json!(bounded(warnings));
        }
        json!({"apiVersion": API_VERSION, "kind": "AdmissionReview", "response": response})
    }
}

/// As many as every client shows.
fn bounded(warnings: &[Finding]) -> Vec<String> {
    let shown = if warnings.len() > WARNINGS_MAX { WARNINGS_MAX - 1 } else { warnings.len() };
    let texts = warnings.iter().take(shown).map(|finding| cut(&text(finding), WARNING_BYTES_MAX).to_owned());
    let left_out = (warnings.len() > shown)
        .then(|| format!("{} more warnings: `ringress check` and the status API have all", warnings.len() - shown));
    texts.chain(left_out).collect()
}

/// Field and message; of which object is known to who asked.
fn text(finding: &Finding) -> String {
    match finding.field.is_empty() {
        true => finding.message.to_string(),
        false => format!("{}: {}", finding.field, finding.message),
    }
}

fn cut(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(change: impl FnOnce(&mut Value)) -> Result<Question, &'static str> {
        let mut review = json!({"apiVersion": API_VERSION, "kind": "AdmissionReview", "request": {
            "uid": "u", "operation": "CREATE", "namespace": "n", "dryRun": true,
            "kind": {"group": "networking.k8s.io", "version": "v1", "kind": "Ingress"},
            "object": {"metadata": {"name": "i"}, "spec": {"rules": [{"host": "a.test"}]}}}});
        change(&mut review);
        Question::read(review.to_string().as_bytes())
    }

    #[test]
    fn an_ingress_is_read_with_the_namespace_of_the_request() {
        let question = question(|_| {}).unwrap();
        assert_eq!(question.ingress().unwrap().meta.key.to_string(), "n/i");
        let answer = question.answer(&Review::default());
        assert_eq!(answer["response"], json!({"uid": "u", "allowed": true}));
    }

    #[test]
    fn what_is_no_business_of_ours_is_allowed() {
        let changes: [fn(&mut Value); 4] = [
            |review| review["request"]["operation"] = json!("DELETE"),
            |review| review["request"]["kind"]["kind"] = json!("IngressClass"),
            |review| review["request"]["subResource"] = json!("status"),
            |review| review["request"]["object"]["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z"),
        ];
        for change in changes {
            let question = question(change).unwrap();
            assert!(question.ingress().is_none());
            assert_eq!(question.answer_alone()["response"]["allowed"], true);
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused_or_an_error() {
        let unreadable = question(|review| review["request"]["object"]["spec"]["rules"] = json!(7)).unwrap();
        assert_eq!(unreadable.answer_alone()["response"]["allowed"], false);
        assert!(question(|review| review["kind"] = json!("Pod")).is_err());
        assert!(question(|review| review["apiVersion"] = json!("admission.k8s.io/v1beta1")).is_err());
        assert!(question(|review| review["request"]["uid"] = json!(null)).is_err());
        assert!(Question::read(b"{").is_err());
    }

    #[test]
    fn reasons_and_warnings_are_bounded() {
        let question = question(|_| {}).unwrap();
        let object = ringress_config::model::ObjectRef {
            kind: ringress_config::model::Kind::Ingress,
            key: ringress_config::model::ObjectKey::new("n", "i"),
        };
        let many = vec![Finding::warning(&object, "f", "ü".repeat(9000)); 100];
        let answer = question.answer(&Review { refused: many.clone(), warnings: many });
        assert!(answer["response"]["status"]["message"].as_str().unwrap().len() <= REASON_BYTES_MAX);
        let warnings = answer["response"]["warnings"].as_array().unwrap();
        assert_eq!(warnings.len(), WARNINGS_MAX);
        assert!(warnings.iter().all(|warning| warning.as_str().unwrap().len() <= WARNING_BYTES_MAX));
        assert!(warnings[WARNINGS_MAX - 1].as_str().unwrap().starts_with("86 more warnings"), "{warnings:?}");
    }
}
