//! The table of copies, and the curve of a split, from the records of a log.

use crate::core::placement::Placement;
use crate::record::copy::{AGREEMENTS, CopyPoint, Until};
use crate::record::log::Record;
use crate::record::row::CopyRow;

/// Returns what the records tell of each number of queries of a placement, in order: the last of most seeds.
pub fn copy_curve<'a>(records: &'a [Record], placement: &Placement) -> Vec<&'a CopyPoint> {
    let mut points: Vec<&CopyPoint> = Vec::new();
    for record in records {
        if let Record::Copy(point) = record
            && point.placement == *placement
        {
            let same = |earlier: &&mut &CopyPoint| earlier.queries == point.queries;
            match points.iter_mut().find(same) {
                Some(earlier) if earlier.seeds.len() > point.seeds.len() => {}
                Some(earlier) => *earlier = point,
                None => points.push(point),
            }
        }
    }
    points.sort_by_key(|point| point.queries);
    points
}

/// Returns the rows of the table, placement by placement.
pub fn copy_rows(model: &str, placements: &[Placement], records: &[Record]) -> Vec<CopyRow> {
    let curves = placements
        .iter()
        .map(|placement| copy_curve(records, placement));
    curves.flat_map(|curve| rows_of(model, &curve)).collect()
}

fn rows_of(model: &str, curve: &[&CopyPoint]) -> Vec<CopyRow> {
    let until = AGREEMENTS.map(|agreement| Until::of(curve, agreement).cell());
    let row = |point: &&CopyPoint| {
        let copy_agreement = point.ends(|of| Some(of.copy.agreement)).unzip();
        let copy_accuracy = point.ends(|of| Some(of.copy.accuracy)).unzip();
        let own_agreement = point.ends(|of| of.own.map(|own| own.agreement)).unzip();
        let own_accuracy = point.ends(|of| of.own.map(|own| own.accuracy)).unzip();
        CopyRow {
            model: model.into(),
            placement: point.placement.to_string(),
            queries: point.queries,
            seeds: point.seeds.len(),
            copy_agreement: point.mean(|of| Some(of.copy.agreement)),
            copy_agreement_least: copy_agreement.0,
            copy_agreement_most: copy_agreement.1,
            copy_accuracy: point.mean(|of| Some(of.copy.accuracy)),
            copy_accuracy_least: copy_accuracy.0,
            copy_accuracy_most: copy_accuracy.1,
            own_agreement: point.mean(|of| of.own.map(|own| own.agreement)),
            own_agreement_least: own_agreement.0,
            own_agreement_most: own_agreement.1,
            own_accuracy: point.mean(|of| of.own.map(|own| own.accuracy)),
            own_accuracy_least: own_accuracy.0,
            own_accuracy_most: own_accuracy.1,
            ceiling_agreement: point.ceiling,
            queries_until_90: until[0].clone(),
            queries_until_95: until[1].clone(),
            queries_until_99: until[2].clone(),
            server_weights: point.weights,
            ordinary_images: point.ordinary,
            judged_images: point.judged,
            copy_s: point.seconds,
            reason: point.reason.clone(),
        }
    };
    curve.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_points_replace_earlier_ones_and_unknown_is_empty() {
        let records = [
            CopyPoint::fixture(100, &[]),
            CopyPoint::fixture(10, &[0.25, 0.75]),
            CopyPoint::fixture(100, &[0.96]),
        ];
        let records = records.map(Record::Copy);
        let placement: Placement = "CS".parse().expect("letters");
        let known = copy_rows("m", std::slice::from_ref(&placement), &records);
        let agreements = known.iter().map(|row| (row.queries, row.copy_agreement));
        assert_eq!(
            agreements.collect::<Vec<_>>(),
            [(10, Some(0.5)), (100, Some(0.96))]
        );
        assert_eq!(known[0].copy_agreement_least, Some(0.25));
        assert_eq!(known[0].copy_accuracy_most, Some(0.375));
        assert_eq!(known[0].queries_until_95, "100");
        assert_eq!(known[0].queries_until_99, "> 100");
        let unknown = &copy_rows("m", &[placement], &records[..1])[0];
        assert_eq!((unknown.copy_agreement, unknown.seeds), (None, 0));
        assert_eq!(unknown.queries_until_90, "");
    }
}
