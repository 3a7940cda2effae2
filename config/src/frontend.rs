//! Front ends turn objects into intents. Ingress is the first; Gateway API routes will be others that make the same
//! intents.

pub(crate) mod ingress;
