//! How a case went, and how all of them did, in the words of the report.

use std::fmt;

use super::expectation::Difference;

/// A case and how it went.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) name: String,
    pub(crate) verdict: Verdict,
}

/// Where a case failed, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Of the file: where it is malformed, or where its vector stands.
    Line(usize),
    /// Of a scenario.
    Step(usize),
    /// When all steps were done.
    End,
}

/// How a case went.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    Pass,
    /// What was expected and what came, on one line.
    Fail(String),
    /// The mark it was skipped for.
    Skip(String),
}

/// How many cases went which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    passed: usize,
    pub(crate) failed: usize,
    skipped: usize,
}

impl Verdict {
    pub(crate) fn fail(at: Place, difference: &Difference) -> Self {
        let place = match at {
            Place::Line(number) => format!("line {number}: "),
            Place::Step(number) => format!("step {number}: "),
            Place::End => String::new(),
        };
        let Difference { expected, got } = difference;
        Self::Fail(format!("{place}expected {expected} got {got}").replace('\n', " "))
    }
}

impl Tally {
    /// Counts one more.
    pub(crate) fn add(&mut self, verdict: &Verdict) {
        match verdict {
            Verdict::Pass => self.passed += 1,
            Verdict::Fail(_) => self.failed += 1,
            Verdict::Skip(_) => self.skipped += 1,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.verdict {
            Verdict::Pass => write!(f, "PASS {}", self.name),
            Verdict::Fail(difference) => write!(f, "FAIL {}: {difference}", self.name),
            Verdict::Skip(mark) => write!(f, "SKIP {}: {mark}", self.name),
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_read_as_promised() {
        let difference = Difference::new("1", "2\n3");
        let verdicts = [
            (Verdict::Pass, "PASS a/b"),
            (Verdict::fail(Place::Step(4), &difference), "FAIL a/b: step 4: expected 1 got 2 3"),
            (Verdict::fail(Place::Line(2), &difference), "FAIL a/b: line 2: expected 1 got 2 3"),
            (Verdict::fail(Place::End, &difference), "FAIL a/b: expected 1 got 2 3"),
            (Verdict::Skip("wire".to_owned()), "SKIP a/b: wire"),
        ];
        let mut tally = Tally::default();
        for (verdict, line) in verdicts {
            tally.add(&verdict);
            assert_eq!(Outcome { name: "a/b".to_owned(), verdict }.to_string(), line);
        }
        assert_eq!(tally.to_string(), "1 passed, 3 failed, 1 skipped");
    }
}
