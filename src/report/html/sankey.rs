//! The flow coupon → order → subsidy as an SVG Sankey diagram. Coupons without use, claim and subsidy
//! are stated as a number instead: they would dwarf the others.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::super::flow::{CouponEnd, FlowLine, FlowTally, OrderEnd, SubsidyEnd};
use super::escape::{Escaped, grouped, short_yuan, yuan};
use crate::money::Fen;

const NODE_WIDTH: f64 = 9.0;
const LEAST_SLOT: f64 = 36.0;
const GAP: f64 = 12.0;
const TOP: f64 = 30.0;
/// The total height of all coupons.
const FLOW_HEIGHT: f64 = 210.0;

/// Chinese, English, class.
type Name = (&'static str, &'static str, &'static str);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Coupon(CouponEnd),
    Order(OrderEnd),
    Subsidy(SubsidyEnd),
}

impl End {
    /// Where the coupons of a line are, from the first column to the last.
    fn of(line: &FlowLine) -> [End; 3] {
        [End::Coupon(line.coupon), End::Order(line.order), End::Subsidy(line.subsidy)]
    }
}

/// A node and its position.
#[derive(Debug, Clone, Copy)]
struct Node {
    x: f64,
    y: f64,
    height: f64,
    tally: FlowTally,
    /// The height of each side that links occupy.
    left: f64,
    right: f64,
}

/// Whether a coupon is in the diagram.
fn moves(line: &FlowLine) -> bool {
    line.order != OrderEnd::None || line.subsidy != SubsidyEnd::None
}

/// The number of coupons that are not in the diagram.
pub(super) fn still(flow: &[FlowLine]) -> i64 {
    flow.iter().filter(|line| !moves(line)).map(|line| line.tally.coupons).sum()
}

/// The diagram, `width` units wide; `None` when there is no coupon to draw.
pub(super) fn svg(flow: &[FlowLine], width: f64, class: &str) -> Option<String> {
    let lines: Vec<_> = flow.iter().filter(|line| moves(line)).collect();
    let total: i64 = lines.iter().map(|line| line.tally.coupons).sum();
    if total == 0 {
        return None;
    }
    let scale = FLOW_HEIGHT / total as f64;
    let mut nodes = place(&lines, width, scale);
    let height = nodes.values().map(|node| node.y + node.height.max(LEAST_SLOT)).fold(0.0, f64::max) + 8.0;
    let mut text = format!(
        "<svg class=\"chart flow {class}\" viewBox=\"0 0 {width} {height:.0}\" role=\"img\" aria-label=\"flow\">"
    );
    heads(&mut text, width);
    links(&mut text, &lines, &mut nodes, scale);
    nodes.iter().for_each(|(end, node)| draw_node(&mut text, *end, node, is_narrow(width)));
    text.push_str("</svg>");
    Some(text)
}

fn column_x(width: f64, column: usize) -> f64 {
    // Space for the labels beside the last column, relatively more on a phone.
    let step = if is_narrow(width) { 0.33 } else { 0.36 };
    width * step * column as f64
}

/// A phone, with little space for labels.
fn is_narrow(width: f64) -> bool {
    width < 600.0
}

fn place(lines: &[&FlowLine], width: f64, scale: f64) -> BTreeMap<End, Node> {
    let mut tallies: [BTreeMap<End, FlowTally>; 3] = Default::default();
    for line in lines {
        for (column, end) in tallies.iter_mut().zip(End::of(line)) {
            let tally = column.entry(end).or_default();
            *tally = tally.plus(line.tally);
        }
    }
    let mut nodes = BTreeMap::new();
    for (index, column) in tallies.iter().enumerate() {
        let mut y = TOP;
        for (end, tally) in column {
            let height = (tally.coupons as f64 * scale).max(2.0);
            let x = column_x(width, index);
            nodes.insert(*end, Node { x, y, height, tally: *tally, left: 0.0, right: 0.0 });
            y += height.max(LEAST_SLOT) + GAP;
        }
    }
    nodes
}

fn heads(text: &mut String, width: f64) {
    for (column, (zh, en)) in [("券", "Coupons"), ("订单", "Orders"), ("补差", "Subsidies")].iter().enumerate() {
        label(text, (column_x(width, column), 14.0), "head", (zh, en));
    }
}

/// Coupons that go from one node to the next, in the order of the nodes, to keep links from crossing.
fn links(text: &mut String, lines: &[&FlowLine], nodes: &mut BTreeMap<End, Node>, scale: f64) {
    let mut flows: BTreeMap<(End, End), i64> = BTreeMap::new();
    for line in lines {
        for pair in End::of(line).windows(2) {
            *flows.entry((pair[0], pair[1])).or_default() += line.tally.coupons;
        }
    }
    for ((from, to), coupons) in flows {
        let thick = coupons as f64 * scale;
        let (x0, y0) = node_of(nodes, from).leave(thick);
        let (x1, y1) = node_of(nodes, to).enter(thick);
        let (middle, thick) = (f64::midpoint(x0, x1), thick.max(1.0));
        let class = name(to).2;
        let _ = write!(
            text,
            "<path class=\"link {class}\" d=\"M{x0:.1} {y0:.1}C{middle:.1} {y0:.1} {middle:.1} {y1:.1} {x1:.1} {y1:.1}\
             V{:.1}C{middle:.1} {:.1} {middle:.1} {:.1} {x0:.1} {:.1}Z\"><title>{} → {} · {}</title></path>",
            y1 + thick,
            y1 + thick,
            y0 + thick,
            y0 + thick,
            Escaped(name(from).0),
            Escaped(name(to).0),
            grouped(coupons),
        );
    }
}

fn node_of(nodes: &mut BTreeMap<End, Node>, end: End) -> &mut Node {
    nodes.get_mut(&end).expect("links join placed nodes")
}

impl Node {
    /// Where the next link, so thick, enters on the left side.
    fn enter(&mut self, thick: f64) -> (f64, f64) {
        let start = (self.x, self.y + self.left);
        self.left += thick;
        start
    }

    /// Where the next link, so thick, leaves on the right side.
    fn leave(&mut self, thick: f64) -> (f64, f64) {
        let start = (self.x + NODE_WIDTH, self.y + self.right);
        self.right += thick;
        start
    }
}

fn draw_node(text: &mut String, end: End, node: &Node, is_narrow: bool) {
    let (zh, en, class) = name(end);
    let Node { x, y, height, .. } = node;
    let _ = write!(
        text,
        "<rect class=\"node {class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{NODE_WIDTH}\" height=\"{height:.1}\" rx=\"2\"/>"
    );
    let (x, middle) = (x + NODE_WIDTH + 6.0, y + height.max(LEAST_SLOT) / 2.0);
    let middle = if *height < LEAST_SLOT { y + 12.0 } else { middle };
    label(text, (x, middle), "name", (zh, en));
    let money = money(end, &node.tally);
    let _ =
        write!(text, "<text class=\"tick\" x=\"{x:.1}\" y=\"{:.1}\">{}", middle + 14.0, grouped(node.tally.coupons));
    if money > Fen::ZERO {
        let _ = write!(text, " · {}", if is_narrow { short_yuan(money) } else { yuan(money) });
    }
    text.push_str("</text>");
}

fn label(text: &mut String, (x, y): (f64, f64), class: &str, (zh, en): (&str, &str)) {
    for (language, words) in [("zh", zh), ("en", en)] {
        let words = Escaped(words);
        let _ = write!(text, "<text class=\"{class} {language}\" x=\"{x:.1}\" y=\"{y:.1}\">{words}</text>");
    }
}

/// The amount of a node.
fn money(end: End, tally: &FlowTally) -> Fen {
    match end {
        End::Coupon(_) | End::Order(_) => tally.discount_fen,
        End::Subsidy(SubsidyEnd::Paid) => tally.subsidy_paid_fen,
        End::Subsidy(SubsidyEnd::Returned) => tally.subsidy_returned_fen,
        End::Subsidy(_) => tally.subsidy_expected_fen,
    }
}

fn name(end: End) -> Name {
    match end {
        End::Coupon(CouponEnd::Used) => ("已核销", "used", "calm"),
        End::Coupon(CouponEnd::Unused) => ("未核销", "not used", "plain"),
        End::Coupon(CouponEnd::Expired) => ("已过期", "expired", "plain"),
        End::Coupon(CouponEnd::Deactivated) => ("已失效", "deactivated", "plain"),
        End::Coupon(CouponEnd::Unknown) => ("微信查无", "unknown", "bad"),
        End::Order(OrderEnd::Agrees) => ("订单相符", "order agrees", "good"),
        End::Order(OrderEnd::Differs) => ("订单有差异", "order differs", "warn"),
        End::Order(OrderEnd::Missing) => ("核销无订单", "no order", "bad"),
        End::Order(OrderEnd::None) => ("未用无订单", "none needed", "plain"),
        End::Subsidy(SubsidyEnd::Paid) => ("已补差", "paid", "good"),
        End::Subsidy(SubsidyEnd::Returned) => ("已回退", "returned", "calm"),
        End::Subsidy(SubsidyEnd::InFlight) => ("补差处理中", "in flight", "warn"),
        End::Subsidy(SubsidyEnd::Failed) => ("补差失败", "failed", "bad"),
        End::Subsidy(SubsidyEnd::Owed) => ("应补未补", "owed", "warn"),
        End::Subsidy(SubsidyEnd::None) => ("无需补差", "none due", "plain"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(coupon: CouponEnd, order: OrderEnd, subsidy: SubsidyEnd, coupons: i64) -> FlowLine {
        FlowLine { coupon, order, subsidy, tally: FlowTally { coupons, ..FlowTally::default() } }
    }

    #[test]
    fn coupons_that_moved_are_drawn_and_the_others_counted() {
        let flow = [
            line(CouponEnd::Used, OrderEnd::Agrees, SubsidyEnd::Paid, 90),
            line(CouponEnd::Used, OrderEnd::Missing, SubsidyEnd::None, 10),
            line(CouponEnd::Unused, OrderEnd::None, SubsidyEnd::None, 1_000_000),
        ];
        assert_eq!(still(&flow), 1_000_000);
        let drawing = svg(&flow, 360.0, "narrow").unwrap();
        assert_eq!(drawing.matches("<rect class=\"node").count(), 5);
        assert_eq!(drawing.matches("<path class=\"link").count(), 4);
        assert!(!drawing.contains("NaN"));
    }

    #[test]
    fn a_ledger_in_which_nothing_moved_has_no_drawing() {
        assert_eq!(svg(&[], 360.0, "narrow"), None);
        assert_eq!(svg(&[line(CouponEnd::Unused, OrderEnd::None, SubsidyEnd::None, 3)], 360.0, "narrow"), None);
    }
}
