//! A line of the state.

use std::sync::Arc;

use ringress_config::model::{Age, Object, Origin, decode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::encode;

/// What a line may be. The first that fits is taken; an object as a whole comes last.
#[derive(Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub(super) enum Line {
    /// The end proves that nothing is missing: the number of lines before it without the head.
    End { end: usize },
    /// An earlier version that acts because the newest one, which is among the objects, is refused or broken.
    Held {
        held: Value,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        place: Option<Place>,
    },
    /// What a file of a folder defines.
    Filed { filed: Value, place: Place, accepted: bool },
    /// A certificate on disk.
    Disk { disk: Value },
    /// An object of an API server.
    Object(Value),
}

/// Where a folder has an object, which is a part of its age.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Place {
    file: Arc<str>,
    #[serde(default)]
    document: u32,
    #[serde(default)]
    item: u32,
}

impl Place {
    fn of(object: &Object) -> Option<Self> {
        match &object.meta().age {
            Age::Read(Origin { path, document, item }) => {
                Some(Self { file: Arc::clone(path), document: *document, item: *item })
            }
            Age::Created(_) | Age::Unknown => None,
        }
    }

    pub(super) fn file(&self) -> &Arc<str> {
        &self.file
    }

    fn origin(&self) -> Origin {
        Origin { path: Arc::clone(&self.file), document: self.document, item: self.item }
    }
}

impl Line {
    pub(super) fn held(object: &Object) -> Self {
        Self::Held { held: encode::manifest(object), place: Place::of(object) }
    }

    pub(super) fn filed(file: &Arc<str>, object: &Object, accepted: bool) -> Self {
        let place = Place::of(object).unwrap_or_else(|| Place { file: Arc::clone(file), document: 0, item: 0 });
        Self::Filed { filed: encode::manifest(object), place, accepted }
    }
}

/// The object that was written.
pub(super) fn object(value: Value, place: Option<&Place>) -> Option<Object> {
    decode(value, place.map(Place::origin)).object
}
