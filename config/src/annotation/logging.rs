//! Group logging: paths without lines in the access log.

use super::Annotations;
use crate::snapshot::Policies;
use crate::value::{self, Source as _};

pub(super) fn read(annotations: &mut Annotations<'_>, filters: &mut Policies) {
    filters.unlogged = annotations.get("enable-access-log", value::bool) == Some(false);
    filters.log_share = annotations.get("ringress.io/access-log-sampling", value::log_share);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::LogShare;
    use crate::testing::{annotated, reference};

    #[test]
    fn annotation_enable_access_log_is_on_unless_it_says_false() {
        for (value, unlogged, findings) in [("false", true, 0), ("true", false, 0), ("", false, 0), ("no", false, 1)] {
            let (ingress, object) = (annotated(&[("enable-access-log", value)]), reference());
            let mut annotations = Annotations::new(&ingress, &object, "nginx.ingress.kubernetes.io");
            let mut filters = Policies::default();
            read(&mut annotations, &mut filters);
            assert_eq!((filters.unlogged, annotations.into_findings().len()), (unlogged, findings), "{value}");
        }
    }
    #[test]
    fn annotation_ringress_io_access_log_sampling_is_a_percentage() {
        for (value, share, findings) in
            [("0", LogShare::of_percent("0"), 0), ("12.5", LogShare::of_percent("12.5"), 0), ("all", None, 1)]
        {
            let (ingress, object) = (annotated(&[("ringress.io/access-log-sampling", value)]), reference());
            let mut annotations = Annotations::new(&ingress, &object, "nginx.ingress.kubernetes.io");
            let mut filters = Policies::default();
            read(&mut annotations, &mut filters);
            assert_eq!((filters.log_share, annotations.into_findings().len()), (share, findings), "{value}");
        }
    }
}
