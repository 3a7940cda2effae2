//! The head of a response as the client gets it, and what is to be done to the body that the head speaks of.

use ringress_config::snapshot::Policies;

use super::super::field::{Changes, FieldId};
use super::super::respond::{Respond, Written, write_response};
use super::Exchange;
use crate::coding::{self, Coding, Encoder, Verdict};
use crate::policy::{Rewritten, Words};
use crate::relay::response::{Pace, Treatment};
use crate::upstream::Session;
use crate::worker::Scratch;

/// A head, ready to go.
pub(super) struct Head {
    /// Its bytes.
    pub(super) out: Vec<u8>,
    /// What it says of the body.
    pub(super) written: Written,
    /// What is to be done to the body.
    pub(super) treatment: Option<Box<Treatment>>,
}

/// What compression makes of a response.
struct Recoded {
    encoder: Option<(Coding, Encoder)>,
    varies: bool,
    /// The ETag of the coded form: it stands for other bytes than the upstream's.
    etag: Option<Vec<u8>>,
}

impl Exchange<'_> {
    /// The head of the response as the client gets it.
    pub(super) fn write_head(&self, over_tls: bool, scratch: &Scratch, inbox: &[u8], received: &[u8]) -> Head {
        let mut out = self.core.buffers.passing(received.len());
        let hsts = self.snapshot.settings.tls.hsts.as_deref().filter(|_| over_tls);
        let policies = self.route.and_then(|route| route.policies.as_deref());
        let (asked_for, mut own) = (&self.shaping.response, Changes::default());
        let has_words = || Rewritten::is_of(&scratch.response);
        if let Some(words) = policies.and_then(|policies| policies.upstream_words.as_ref()).filter(|_| has_words()) {
            let rewritten = match &self.shaping.words {
                Some(rendered) => Rewritten::of(rendered, &scratch.response, received),
                None => Rewritten::of(&Words::of(words, |_, _| {}), &scratch.response, received),
            };
            rewritten.join(asked_for, &mut own);
        }
        self.tell_server(&mut own, scratch.response.has(FieldId::Server));
        if let Some(cookie) = self.hint.session().and_then(Session::set_cookie) {
            own.add(b"Set-Cookie", cookie.as_bytes());
        }
        self.shaping.add_cookies(scratch.response.status, &mut own);
        let recoded = self.recode(scratch, inbox, received);
        recoded.iter().for_each(|recoded| recoded.join(&mut own));
        let encoder = recoded.as_ref().and_then(|recoded| recoded.encoder.as_ref());
        let written = self.core.with_date(|date| {
            write_response(
                &mut out,
                &scratch.response,
                received,
                &Respond {
                    version: scratch.request.version,
                    keep_alive: self.keep_alive && !self.core.draining(),
                    trailers: scratch.request.takes_trailers(inbox),
                    date,
                    hsts: hsts.map(str::as_bytes),
                    keep_server: self.snapshot.settings.fields.server,
                    recoded: encoder.is_some(),
                    changes: [asked_for, &own],
                },
            )
        });
        if let Some(noted) = &self.noted {
            noted.answered(&scratch.response, received);
            noted.sends(&out);
        }
        let encoder = recoded.and_then(|recoded| recoded.encoder).map(|(_, encoder)| encoder);
        Head { out, written, treatment: treatment(encoder, policies) }
    }

    /// Decides on compression, where it is switched on.
    fn recode(&self, scratch: &Scratch, inbox: &[u8], received: &[u8]) -> Option<Recoded> {
        let compression = self.snapshot.settings.compression.as_ref()?;
        if self.shaping.response.stop(b"Content-Encoding") {
            return None;
        }
        let (request, response) = (&scratch.request, &scratch.response);
        let Verdict { varies, coding } = coding::decide(compression, (request, inbox), (response, received));
        let metrics = &self.core.metrics;
        let encoder = coding.and_then(|(coding, level)| {
            let lent = self.core.encoders.lend(coding, level);
            let counter = if lent.is_some() { &metrics.compressed } else { &metrics.compression_skipped };
            counter.increment();
            Some((coding, lent?))
        });
        // What the operator says of it holds.
        let is_ours = encoder.is_some() && !self.shaping.response.stop(b"ETag");
        let strong = response.find(received, FieldId::Etag).filter(|etag| is_ours && etag.starts_with(b"\""));
        let says_so = response.fields().iter().any(|field| {
            let words = || field.value.of(received).split(|b| *b == b',').map(<[u8]>::trim_ascii);
            field.id == FieldId::Vary && words().any(|w| w == b"*" || w.eq_ignore_ascii_case(b"accept-encoding"))
        });
        let etag = strong.map(|etag| [b"W/", etag].concat());
        Some(Recoded { encoder, varies: varies && !says_so, etag })
    }
}

impl Recoded {
    /// Adds what the head says to the changes that are made to it.
    fn join(&self, changes: &mut Changes<'_>) {
        if self.varies {
            changes.add(b"Vary", b"Accept-Encoding");
        }
        if let Some((coding, _)) = &self.encoder {
            changes.add(b"Content-Encoding", coding.name());
            // Ranges would be of the coded form.
            changes.remove(b"Accept-Ranges");
        }
        if let Some(etag) = &self.etag {
            changes.set(b"ETag", etag);
        }
    }
}

fn treatment(encoder: Option<Encoder>, policies: Option<&Policies>) -> Option<Box<Treatment>> {
    let pace = policies.and_then(|policies| policies.rate).map(Pace::new);
    (encoder.is_some() || pace.is_some()).then(|| Box::new(Treatment { encoder, pace }))
}
