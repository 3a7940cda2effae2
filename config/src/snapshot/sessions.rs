//! What session cookies call a cluster and its endpoints, by the rules of ingress-nginx (its `balancer/sticky*.lua`):
//! cookies that it issued go on working here, and the other way round.

use md5::{Digest as _, Md5};

use super::Endpoint;

/// What a persistent cookie calls an endpoint.
pub type EndpointKey = [u8; 16];

/// The names of one cluster and its endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sessions {
    token: Box<str>,
    /// Beside the cluster's endpoints.
    endpoints: Box<[EndpointKey]>,
}

impl Sessions {
    /// The names of a cluster called `name` with these endpoints.
    pub(crate) fn new(name: &str, endpoints: &[Endpoint]) -> Self {
        let inner = hex(&Md5::digest(name).into());
        let key = |endpoint: &Endpoint| Md5::digest(format!("{name}{}", endpoint.address)).into();
        let token = hex(&Md5::digest(inner + name).into()).into();
        Self { token, endpoints: endpoints.iter().map(key).collect() }
    }

    /// What stands behind the `|` of a cookie that this cluster issued.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The endpoint of a key, if it is still one.
    pub fn find(&self, key: EndpointKey) -> Option<usize> {
        self.endpoints.iter().position(|known| *known == key)
    }

    /// The key of an endpoint.
    pub fn key(&self, endpoint: usize) -> Option<EndpointKey> {
        self.endpoints.get(endpoint).copied()
    }
}

fn hex(digest: &EndpointKey) -> String {
    format!("{:032x}", u128::from_be_bytes(*digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with another implementation of MD5.
    #[test]
    fn names_are_those_of_ingress_nginx() {
        let endpoints = [Endpoint { address: ([10, 0, 0, 1], 8080).into() }];
        let sessions = Sessions::new("default-web-80", &endpoints);
        assert_eq!(sessions.token(), "6cde5721ec2c7e2bce07cff7d0e4ac37");
        assert_eq!(hex(&sessions.key(0).unwrap()), "0aa3b49d3795ad62718deaa56ec75fae");
        assert_eq!(sessions.find(sessions.key(0).unwrap()), Some(0));
        assert_eq!((sessions.find([0; 16]), sessions.key(1)), (None, None));
    }
}
