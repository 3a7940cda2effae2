//! JSON files: one value, such as the output of `kubectl get -o json`.

use super::{JSON_FILE_BYTES_MAX, Reader};

pub(super) fn read(text: &[u8], to: &mut Reader<'_>) {
    if text.len() > JSON_FILE_BYTES_MAX {
        return to.unreadable(format!("{} bytes, more than the {JSON_FILE_BYTES_MAX} of a JSON file", text.len()));
    }
    match serde_json::from_slice(text) {
        Ok(value) => to.value(value, 0),
        Err(error) => to.unreadable(format!("is no JSON: {error}")),
    }
}
