//! The webhook's question about every Ingress of a case, held against what is found once it is there.

use std::collections::BTreeSet;

use ringress_config::compile::Compiler;
use ringress_config::diagnostics::Finding;
use ringress_config::model::Object;

/// Asks about each Ingress while it is there and while it is not. Every remark is a warning in advance, unless the Ingress
/// is refused. How many remarks that were.
pub(crate) fn every_ingress(compiler: &mut Compiler, objects: &[Object]) -> Result<usize, String> {
    let mut remarks = 0;
    for object in objects {
        let Object::Ingress(ingress) = object else { continue };
        compiler.compile();
        let there = compiler.review(ingress, &[]);
        compiler.remove(&object.reference());
        compiler.compile();
        let absent = compiler.review(ingress, &[]);
        compiler.upsert(object.clone());
        let found = compiler.compile().findings;
        let found: BTreeSet<_> =
            found.iter().filter(|finding| finding.object == object.reference()).map(text).collect();
        for (state, review) in [("there", there), ("absent", absent)] {
            let warned: BTreeSet<_> = review.warnings.iter().map(text).collect();
            if review.refused.is_empty() && warned != found {
                return Err(format!("{}, {state}: warned of {warned:#?}, found {found:#?}", object.reference()));
            }
            remarks += if review.refused.is_empty() { warned.len() } else { 0 };
        }
    }
    Ok(remarks)
}

fn text(finding: &Finding) -> String {
    finding.to_string()
}
