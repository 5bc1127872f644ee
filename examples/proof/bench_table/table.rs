//! The table, in Markdown. It is printed as it grows, since a full run takes minutes.

use crate::{
    concern::{self, Concern},
    figure::Ratio,
    heap::Heap,
    machine,
    rounds::Figures,
    row::Row,
    scale::Scale,
    verdict::{Measured, Verdict},
};

/// What has been printed so far.
pub(crate) struct Table {
    verdicts: Vec<Verdict>,
}

impl Table {
    /// Prints the heading.
    pub(crate) fn begin(scale: Scale) -> Self {
        let [system, mimalloc] = Heap::ALL.map(Heap::name);
        let (scale, rounds) = (scale.name(), scale.rounds());
        println!(
            "## What leveret costs: {scale} run, at most {rounds} rounds, {}\n",
            machine::text()
        );
        if !concern::IDS_LEFT_OUT.is_empty() {
            let ids = concern::IDS_LEFT_OUT.join(", ");
            println!("**Left out: the durable rows {ids}, which need `--features persist`.**\n");
        }
        println!(
            "Median [min–max] of the rounds; ratios are medians of those within each round. Rows \
             of one thread count its time on a processor, rows of several the time that passes. \
             Judged with {system} unless the row says otherwise.\n"
        );
        print!("| # | what | against ");
        for heap in [system, mimalloc] {
            print!("| leveret, {heap} | rival, {heap} | ratio, {heap} ");
        }
        println!("| target (stretch) | verdict |\n|{}", "---|".repeat(11));
        Self { verdicts: Vec::new() }
    }

    /// Prints the rows of a concern, with what each allocator's child gave.
    pub(crate) fn add(&mut self, concern: &Concern, figures: &[Option<Figures>; 2]) {
        for row in &concern.rows {
            let measured: [_; 2] =
                figures.each_ref().map(|figures| Measured::of(row, figures.as_ref()?));
            let judged = Heap::ALL.iter().position(|heap| *heap == row.judged_with);
            let judged = judged.and_then(|index| measured[index].as_ref());
            let verdict = judged.map_or(Verdict::Failed, |measured| measured.verdict(row));
            let [system, mimalloc] = measured.map(|measured| cells(row, measured.as_ref()));
            println!(
                "| {} | {} | {} | {system} | {mimalloc} | {} | {verdict} |",
                concern.id,
                row.what,
                row.against,
                target(row)
            );
            self.verdicts.push(verdict);
        }
    }

    /// Prints how many targets were met, and says whether everything could be measured.
    pub(crate) fn end(self) -> bool {
        println!(
            "\n{} rows: {} met and {} beyond the stretch, {} missed, {} noisy, {} only reported, \
             {} failed",
            self.verdicts.len(),
            self.count(Verdict::Met),
            self.count(Verdict::Stretch),
            self.count(Verdict::Missed),
            self.count(Verdict::Noisy),
            self.count(Verdict::Reported),
            self.count(Verdict::Failed),
        );
        self.count(Verdict::Failed) == 0
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.verdicts.iter().filter(|each| **each == verdict).count()
    }
}

/// Three cells: leveret, its rival, the ratio.
fn cells(row: &Row, measured: Option<&Measured>) -> String {
    let Some(Measured { ours, rival, ratio }) = measured else {
        return "not read | | ".to_owned();
    };
    let rival = rival.map(|rival| rival.text(row.unit)).unwrap_or_default();
    let ratio = ratio.map(|ratio| Ratio(ratio).to_string()).unwrap_or_default();
    format!("{} | {rival} | {ratio}", ours.text(row.unit))
}

fn target(row: &Row) -> String {
    let text = |figure| bound(row, figure);
    match (row.target, row.stretch) {
        (None, _) => "—".to_owned(),
        (Some(target), None) if target.is_infinite() => "any time".to_owned(),
        (Some(target), None) => format!("≤ {}", text(target)),
        (Some(target), Some(stretch)) => format!("≤ {} ({})", text(target), text(stretch)),
    }
}

fn bound(row: &Row, figure: f64) -> String {
    match row.rival {
        Some(_) => Ratio(figure).to_string(),
        None => row.unit.text(figure),
    }
}
