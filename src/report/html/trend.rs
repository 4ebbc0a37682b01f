//! The trend as an SVG chart: money at risk as a line, new and resolved breaks as bars. Days without a
//! night are gaps.

use std::fmt::Write;

use chrono::{Datelike, Days, NaiveDate};

use super::super::trend::TrendDay;
use super::escape::{Both, grouped, yuan};

/// Minimum number of days on the axis, so that a new job does not show one bar as wide as the page.
const LEAST_DAYS: u64 = 7;
const TOP: f64 = 26.0;
const LINE_HEIGHT: f64 = 96.0;
const BARS_MIDDLE: f64 = 176.0;
const BARS_HEIGHT: f64 = 34.0;
const HEIGHT: f64 = 236.0;

/// The coordinates of the chart.
struct Axis {
    first: NaiveDate,
    slot: f64,
    left: f64,
    width: f64,
}

impl Axis {
    fn of(trend: &[TrendDay], width: f64) -> Axis {
        let last = trend.last().map_or(NaiveDate::MIN, |day| day.date);
        let first = trend.first().map_or(last, |day| day.date).min(last - Days::new(LEAST_DAYS - 1));
        let days = (last - first).num_days() + 1;
        Axis { first, slot: (width - 8.0) / days as f64, left: 4.0, width }
    }

    fn middle(&self, date: NaiveDate) -> f64 {
        self.left + ((date - self.first).num_days() as f64 + 0.5) * self.slot
    }
}

/// The chart, `width` units wide.
pub(super) fn svg(trend: &[TrendDay], width: f64, class: &str) -> String {
    let axis = Axis::of(trend, width);
    let mut text =
        format!("<svg class=\"chart {class}\" viewBox=\"0 0 {width} {HEIGHT}\" role=\"img\" aria-label=\"trend\">");
    line(&mut text, trend, &axis);
    bars(&mut text, trend, &axis);
    days(&mut text, trend, &axis);
    text.push_str("</svg>");
    text
}

fn line(text: &mut String, trend: &[TrendDay], axis: &Axis) {
    let most = trend.iter().map(|day| day.open.at_risk_fen.0).max().unwrap_or(0).max(1);
    let y = |day: &TrendDay| TOP + LINE_HEIGHT * (1.0 - day.open.at_risk_fen.0 as f64 / most as f64);
    let floor = TOP + LINE_HEIGHT;
    for (height, class) in [(TOP, "grid faint"), (floor, "grid")] {
        let _ = write!(text, "<path class=\"{class}\" d=\"M0 {height:.1}H{:.1}\"/>", axis.width);
    }
    for run in runs(trend) {
        let points: String = run.iter().map(|day| format!("L{:.1} {:.1}", axis.middle(day.date), y(day))).collect();
        let (first, last) = (axis.middle(run[0].date), axis.middle(run[run.len() - 1].date));
        let line = points.replacen('L', "M", 1);
        let _ = write!(text, "<path class=\"area\" d=\"M{first:.1} {floor:.1}{points}L{last:.1} {floor:.1}Z\"/>");
        let _ = write!(text, "<path class=\"line\" d=\"{line}\"/>");
    }
    for day in trend {
        let is_last = Some(day.date) == trend.last().map(|last| last.date);
        let _ = write!(
            text,
            "<circle class=\"dot{}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"{}\"><title>{} · {}</title></circle>",
            if is_last { " last" } else { "" },
            axis.middle(day.date),
            y(day),
            if is_last { 4 } else { 2 },
            day.date,
            yuan(day.open.at_risk_fen),
        );
    }
    if let Some(last) = trend.last() {
        let (x, y) = (axis.middle(last.date).min(axis.width - 2.0), y(last) - 10.0);
        let _ = write!(
            text,
            "<text class=\"value\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"end\">{}</text>",
            yuan(last.open.at_risk_fen)
        );
    }
}

/// Runs of consecutive days.
fn runs(trend: &[TrendDay]) -> impl Iterator<Item = &[TrendDay]> {
    trend.chunk_by(|one, next| one.date + Days::new(1) == next.date)
}

fn bars(text: &mut String, trend: &[TrendDay], axis: &Axis) {
    let most = trend.iter().map(|day| day.new_rows.max(day.resolved_rows)).max().unwrap_or(0).max(1) as f64;
    let wide = (axis.slot * 0.62).clamp(2.0, 26.0);
    for day in trend {
        let x = axis.middle(day.date) - wide / 2.0;
        for (rows, class, is_up) in [(day.new_rows, "came", true), (day.resolved_rows, "went", false)] {
            let high = BARS_HEIGHT * rows as f64 / most;
            let y = if is_up { BARS_MIDDLE - high } else { BARS_MIDDLE };
            let _ = write!(
                text,
                "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{wide:.1}\" height=\"{high:.1}\" rx=\"1\">\
                 <title>{} · {}</title></rect>",
                day.date,
                grouped(rows),
            );
        }
    }
    let _ = write!(text, "<path class=\"grid\" d=\"M0 {BARS_MIDDLE}H{:.1}\"/>", axis.width);
    if let Some(last) = trend.last() {
        let x = axis.middle(last.date);
        let above = BARS_MIDDLE - BARS_HEIGHT * last.new_rows as f64 / most - 5.0;
        let below = BARS_MIDDLE + BARS_HEIGHT * last.resolved_rows as f64 / most + 13.0;
        for (y, sign, rows) in [(above, '+', last.new_rows), (below, '−', last.resolved_rows)] {
            let _ = write!(
                text,
                "<text class=\"tick\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{sign}{}</text>",
                grouped(rows)
            );
        }
    }
}

/// Every day if there is space, otherwise every seventh, counted from the last.
fn days(text: &mut String, trend: &[TrendDay], axis: &Axis) {
    let Some(last) = trend.last().map(|day| day.date) else { return };
    let step = if axis.slot > 40.0 { 1 } else { 7 };
    let shown = axis.first.iter_days().take_while(|date| *date <= last);
    for date in shown.filter(|date| (last - *date).num_days() % step == 0) {
        let x = axis.middle(date).clamp(16.0, axis.width - 16.0);
        let _ = write!(
            text,
            "<text class=\"tick\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}-{:02}</text>",
            HEIGHT - 4.0,
            date.month(),
            date.day()
        );
    }
}

/// The legend of the colours.
pub(super) fn legend() -> String {
    format!(
        "<p class=\"legend\"><span class=\"key area\"></span>{} <span class=\"key came\"></span>{} \
         <span class=\"key went\"></span>{}</p>",
        Both("风险金额", "at risk"),
        Both("新增笔数", "new"),
        Both("解决笔数", "resolved")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Fen;
    use crate::reconcile::BreakTally;

    fn day(day: u32, fen: i64) -> TrendDay {
        let date = NaiveDate::from_ymd_opt(2026, 11, day).unwrap();
        TrendDay { date, open: BreakTally { rows: 1, at_risk_fen: Fen(fen) }, new_rows: 1, resolved_rows: 0 }
    }

    #[test]
    fn a_day_without_a_night_is_a_gap_in_the_line() {
        let drawing = svg(&[day(1, 100), day(2, 200), day(4, 50)], 360.0, "narrow");
        assert_eq!(drawing.matches("class=\"line\"").count(), 2);
        assert_eq!(drawing.matches("<circle").count(), 3);
    }

    #[test]
    fn a_young_job_has_an_axis_of_a_week() {
        assert_eq!(svg(&[day(20, 100)], 360.0, "narrow").matches("11-").count(), 7 + 3);
    }

    #[test]
    fn a_night_without_breaks_draws_no_nonsense() {
        let nothing = TrendDay { open: BreakTally::default(), new_rows: 0, ..day(20, 0) };
        let drawing = svg(&[nothing], 360.0, "narrow");
        assert!(!drawing.contains("NaN") && !drawing.contains("inf"), "{drawing}");
    }
}
