//! From events to a report: the part that a live run and a replay share.

use jiff::Timestamp;

use crate::event::Event;
use crate::report::convert::{self, ConvertError};
use crate::report::document::{Named, Report};
use crate::report::log::{Header, Trailer};
use crate::report::{Material, Summary, assemble};
use crate::rule::{Finding, Findings, RuleSet};
use crate::verdict::{self, Exception, Policy};

/// By what a verdict is reached.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// At least one; the worst decides.
    pub policies: Vec<(Named, Policy)>,
    pub exceptions: Vec<Exception>,
    /// Ends exceptions; nothing else depends on it.
    pub now: Timestamp,
}

/// Takes in the events of one recording, in their order.
pub struct Judge<'r> {
    findings: Findings<'r>,
    summary: Summary,
}

impl<'r> Judge<'r> {
    /// Has seen no event of the run that `header` tells of.
    pub fn new(rules: &'r RuleSet, header: &Header) -> Judge<'r> {
        Judge { findings: Findings::new(rules), summary: Summary::new(&header.subject.layers) }
    }

    /// Takes in one event; `found` hears of each finding that is new. True where there was one.
    pub fn observe(&mut self, event: &Event, found: &mut dyn FnMut(&Finding)) -> bool {
        self.summary.observe(event);
        let new = self.findings.observe(event);
        new.iter().for_each(|finding| found(finding));
        !new.is_empty()
    }

    /// Makes the report. Without a trailer the recording breaks off: what it holds is judged, but
    /// nothing is known of what it does not hold, so no family counts as seen.
    pub fn report(
        self,
        header: &Header,
        trailer: Option<Trailer>,
        judgement: &Judgement,
    ) -> Result<Report, ConvertError> {
        let trailer = trailer.unwrap_or_else(|| Trailer::missing(header));
        let subject = trailer.subject;
        let list = self.findings.finish();
        let coverage = convert::lowered(convert::coverage(&trailer.coverage), &list.given_up);
        let (findings, findings_omitted) = convert::findings(&list, &subject.layers);
        let case =
            convert::facts(&header.created, &subject, &trailer.run, &coverage, &findings, findings_omitted)?;
        let decide = |(named, policy): &(Named, Policy)| {
            (named.clone(), verdict::decide(policy, &judgement.exceptions, &case, judgement.now))
        };
        let report = assemble(Material {
            header,
            subject,
            run: trailer.run,
            coverage,
            findings,
            findings_omitted,
            behaviour: self.summary.finish(),
            verdicts: judgement.policies.iter().map(decide).collect(),
        });
        Ok(report.expect("a judgement has at least one policy"))
    }
}
