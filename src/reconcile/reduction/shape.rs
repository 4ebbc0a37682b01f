//! The shape of a rule's query: the base tables it mentions, and the conditions that are necessary for their rows, so
//! that a row that fails one cannot change the result.
//!
//! - A condition in WHERE or in the ON of an inner join binds every table that no outer join fills with nulls: where it
//!   is not true, the joined row is gone.
//! - The ON of a LEFT JOIN only binds its right side: a row that fails it is joined to nothing.
//! - A condition on a subquery's column applies to the tables inside if that column is a column of a row there or a
//!   grouping column: then the whole group stays or goes. Aggregates are opaque.
//! - Anything else (CTEs, LIMIT, RIGHT and FULL joins, subqueries inside expressions) leaves the rule without a shape:
//!   it reads whole tables.

use std::collections::BTreeSet;

use sqlparser::ast::{Query, Select, SelectItem, SetExpr, SetOperator, Statement, TableFactor};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;

use super::expression::term;
use super::scope::{Relation, Scope};
use super::syntax::{alias_of, columns, count_factors, count_relations, groups, is_understood, joined_on, plain_name};
use super::term::{Mention, Term};

/// The meaning of a name in a FROM.
pub(in crate::reconcile) enum Meaning {
    /// A view, with its SQL.
    View(String),
    /// A table with one row of known values.
    OneRow(Vec<(String, Term)>),
    /// A base table, with the names of its columns.
    Table(Vec<String>),
}

/// A condition of one block of the query.
#[derive(Debug, Clone)]
pub(in crate::reconcile) struct Fact {
    pub(super) condition: Term,
    /// The mentions whose rows do not matter where it is not true.
    pub(super) binds: BTreeSet<Mention>,
    /// Facts of one block hold for the same joined rows.
    pub(super) block: usize,
}

/// `LEFT JOIN by ON by.keys = of.columns … WHERE by.present IS NULL`: rows of `of` whose key is in `by` do not matter.
#[derive(Debug, Clone)]
pub(in crate::reconcile) struct Absence {
    pub(super) of: Mention,
    pub(super) columns: Vec<String>,
    pub(super) by: Mention,
    pub(super) keys: Vec<String>,
    /// The conditions for a row of `by` to be joined.
    pub(super) conditions: Vec<Term>,
    /// A column that must not be null in any such row; otherwise nothing can be concluded.
    pub(super) present: Option<String>,
}

/// The groups of a block that counts rows.
#[derive(Debug, Clone)]
pub(super) struct GroupCount {
    /// The grouping terms.
    pub(super) groups: Vec<Term>,
    /// The mentions that are joined to the counted rows.
    pub(super) mentions: BTreeSet<Mention>,
    /// Those of them that every row requires.
    pub(super) strict: BTreeSet<Mention>,
    pub(super) block: usize,
}

/// A table named in a FROM, in textual order.
#[derive(Debug, Clone)]
pub(in crate::reconcile) enum Factor {
    /// A table with one row, or one about which nothing is concluded.
    Plain(String),
    /// A base table.
    Mention(Mention),
    /// A view: its name, its SQL, and the tables it names.
    View(String, String, Vec<Factor>),
}

/// What is known about a query.
#[derive(Debug, Default)]
pub(in crate::reconcile) struct Shape {
    pub(super) factors: Vec<Factor>,
    /// The base table of each mention.
    pub(super) tables: Vec<String>,
    pub(super) facts: Vec<Fact>,
    pub(super) absences: Vec<Absence>,
    pub(super) group_counts: Vec<GroupCount>,
    /// The rule contains `*`: then even an unnamed column may make two rows distinct.
    pub(super) reads_all: bool,
}

/// A relation added by a LEFT JOIN.
struct Joined {
    relation: Relation,
    facts: std::ops::Range<usize>,
    on: Vec<Term>,
}

impl Shape {
    /// The shape of a query; `None` if it is not understood. `meaning` resolves names.
    pub(in crate::reconcile) fn parse(sql: &str, meaning: &mut dyn FnMut(&str) -> Option<Meaning>) -> Option<Shape> {
        let mut reader = Reader { shape: Shape::default(), blocks: 0, depth: 0, meaning };
        reader.text(sql)?;
        Some(reader.shape)
    }

    /// The mentions in a view or a table.
    pub(super) fn mentions_in(factor: &Factor) -> Vec<Mention> {
        match factor {
            Factor::Plain(_) => Vec::new(),
            Factor::Mention(mention) => vec![*mention],
            Factor::View(_, _, factors) => factors.iter().flat_map(Shape::mentions_in).collect(),
        }
    }
}

struct Reader<'m> {
    shape: Shape,
    blocks: usize,
    /// The nesting depth of views.
    depth: usize,
    meaning: &'m mut dyn FnMut(&str) -> Option<Meaning>,
}

impl Reader<'_> {
    fn text(&mut self, sql: &str) -> Option<Relation> {
        let mut statements = Parser::parse_sql(&GenericDialect {}, sql).ok()?;
        let Statement::Query(query) = statements.pop()? else { return None };
        if !statements.is_empty() || count_relations(&query) != count_factors(&query.body)? {
            return None;
        }
        self.query(&query)
    }

    fn query(&mut self, query: &Query) -> Option<Relation> {
        let is_bare = query.with.is_none() && query.limit_clause.is_none() && query.fetch.is_none();
        if !is_bare || !query.pipe_operators.is_empty() {
            return None;
        }
        self.body(&query.body)
    }

    fn body(&mut self, body: &SetExpr) -> Option<Relation> {
        match body {
            SetExpr::Select(select) => self.select(select),
            SetExpr::Query(query) => self.query(query),
            SetExpr::SetOperation { left, op: SetOperator::Union, right, .. } => {
                let (left, right) = (self.body(left)?, self.body(right)?);
                let columns = left.columns.into_iter().map(|(name, _)| (name, Term::Unknown)).collect();
                let mentions = &left.mentions | &right.mentions;
                Some(Relation { columns, strict: BTreeSet::new(), mentions, is_plain: false })
            }
            _ => None,
        }
    }

    fn select(&mut self, select: &Select) -> Option<Relation> {
        let [from] = select.from.as_slice() else { return self.without_from(select) };
        if !is_understood(select) {
            return None;
        }
        let is_wild = |item: &SelectItem| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..));
        self.shape.reads_all |= self.depth == 0 && select.projection.iter().any(is_wild);
        self.blocks += 1;
        let block = self.blocks;
        let (name, first) = self.factor(&from.relation)?;
        let (mut strict, mut is_plain) = (first.strict.clone(), first.is_plain && from.joins.is_empty());
        let (mut scope, mut conditions, mut left) = (Scope { relations: vec![(name, first)] }, Vec::new(), Vec::new());
        for join in &from.joins {
            let before = self.shape.facts.len();
            let (name, relation) = self.factor(&join.relation)?;
            let facts = before..self.shape.facts.len();
            let (is_left, on) = joined_on(join)?;
            let seen = if is_left { relation.clone().filled_with_nulls() } else { relation.clone() };
            scope.relations.push((name, seen));
            let on: Vec<_> = on.into_iter().flat_map(|on| term(on, &scope).conjuncts()).collect();
            if is_left {
                self.learn(&on, &relation.strict, block);
                left.push(Joined { relation, facts, on });
            } else {
                strict.extend(&relation.strict);
                conditions.extend(on);
            }
        }
        conditions.extend(select.selection.iter().flat_map(|condition| term(condition, &scope).conjuncts()));
        self.learn(&conditions, &strict, block);
        let absences: Vec<_> = left.iter().flat_map(|joined| self.absences_by(joined, &conditions, &strict)).collect();
        self.shape.absences.extend(absences);
        is_plain &= select.having.is_none();
        let mentions: BTreeSet<_> =
            scope.relations.iter().flat_map(|(_, relation)| &relation.mentions).copied().collect();
        let groups = groups(select, &scope)?;
        let columns = columns(select, &scope, &groups, self.shape.group_counts.len())?;
        let groups = groups.into_iter().map(|(_, term)| term).collect();
        self.shape.group_counts.push(GroupCount { groups, mentions: mentions.clone(), strict: strict.clone(), block });
        Some(Relation { columns, strict, mentions, is_plain })
    }

    /// A row of constants.
    fn without_from(&self, select: &Select) -> Option<Relation> {
        if !select.from.is_empty() {
            return None;
        }
        let columns = columns(select, &Scope::default(), &[], 0)?;
        let columns = columns.into_iter().map(|(name, _)| (name, Term::Unknown)).collect();
        Some(Relation { columns, strict: BTreeSet::new(), mentions: BTreeSet::new(), is_plain: false })
    }

    fn learn(&mut self, conditions: &[Term], binds: &BTreeSet<Mention>, block: usize) {
        let fact = |condition: &Term| Fact { condition: condition.clone(), binds: binds.clone(), block };
        self.shape.facts.extend(conditions.iter().map(fact));
    }

    fn factor(&mut self, factor: &TableFactor) -> Option<(String, Relation)> {
        match factor {
            TableFactor::Table { name, alias, args: None, sample: None, version: None, .. } => {
                let table = plain_name(name)?;
                Some((alias_of(alias.as_ref())?.unwrap_or_else(|| table.clone()), self.named(&table)?))
            }
            TableFactor::Derived { lateral: false, subquery, alias, sample: None } => {
                Some((alias_of(alias.as_ref())?.unwrap_or_default(), self.query(subquery)?))
            }
            _ => None,
        }
    }

    fn named(&mut self, table: &str) -> Option<Relation> {
        match (self.meaning)(table)? {
            Meaning::View(sql) => {
                let outside = std::mem::take(&mut self.shape.factors);
                self.depth += 1;
                let relation = self.text(&sql);
                self.depth -= 1;
                let inside = std::mem::replace(&mut self.shape.factors, outside);
                self.shape.factors.push(Factor::View(table.to_owned(), sql, inside));
                relation
            }
            Meaning::OneRow(columns) => {
                self.shape.factors.push(Factor::Plain(table.to_owned()));
                Some(Relation { columns, strict: BTreeSet::new(), mentions: BTreeSet::new(), is_plain: false })
            }
            Meaning::Table(columns) => {
                let mention = self.shape.tables.len();
                self.shape.tables.push(table.to_owned());
                self.shape.factors.push(Factor::Mention(mention));
                let columns = columns.into_iter().map(|name| (name.clone(), Term::Column(mention, name))).collect();
                let mentions = BTreeSet::from([mention]);
                Some(Relation { columns, strict: mentions.clone(), mentions, is_plain: true })
            }
        }
    }

    /// What follows from the condition that the right side of a LEFT JOIN is missing.
    fn absences_by(&self, joined: &Joined, conditions: &[Term], strict: &BTreeSet<Mention>) -> Vec<Absence> {
        let &[by] = joined.relation.mentions.iter().collect::<Vec<_>>().as_slice() else { return Vec::new() };
        let own: Vec<_> = self.shape.facts[joined.facts.clone()].iter().map(|fact| fact.condition.clone()).collect();
        let sides: Option<Vec<_>> = joined.on.iter().map(|on| sides(on, *by)).collect();
        let Some(sides) = sides.filter(|sides| !sides.is_empty()) else { return Vec::new() };
        let of = sides[0].0;
        let is_one = sides.iter().all(|(other, _, _)| *other == of) && strict.contains(&of);
        if !(is_one && joined.relation.is_plain && own.iter().all(|condition| condition.speaks_only_of(*by))) {
            return Vec::new();
        }
        let (columns, keys): (Vec<_>, Vec<_>) = sides.into_iter().map(|(_, column, key)| (column, key)).unzip();
        let absence = |present: Option<String>| Absence {
            of,
            columns: columns.clone(),
            by: *by,
            keys: keys.clone(),
            conditions: own.clone(),
            present: present.filter(|column| !keys.contains(column)),
        };
        let missing = conditions.iter().filter_map(|condition| match condition {
            Term::IsNull(term) => match term.as_ref() {
                Term::Column(mention, column) if mention == by => Some(Some(column.clone())),
                Term::There(mention) if mention == by => Some(None),
                _ => None,
            },
            _ => None,
        });
        missing.take(1).map(absence).collect()
    }
}

/// An equality between a column of another mention and one of `by`: that mention, its column, the key.
fn sides(on: &Term, by: Mention) -> Option<(Mention, String, String)> {
    let [(one, column), (other, key)] = on.as_link()?;
    match (one == by, other == by) {
        (false, true) => Some((one, column.to_owned(), key.to_owned())),
        (true, false) => Some((other, key.to_owned(), column.to_owned())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tables `a`, `b`, `c` of columns `k`, `x`, `y`; a view `v` of `a`; `one`, whose only row has x = 7.
    fn shape(sql: &str) -> Option<Shape> {
        Shape::parse(sql, &mut |name| match name {
            "a" | "b" | "c" => Some(Meaning::Table(["k", "x", "y"].map(str::to_owned).to_vec())),
            "v" => Some(Meaning::View("SELECT t.*, t.x + 1 AS z FROM a t".to_owned())),
            "one" => Some(Meaning::OneRow(vec![("x".to_owned(), Term::Integer(7))])),
            _ => None,
        })
    }

    /// The conditions that the facts put on the rows of each mention alone.
    fn demands(sql: &str) -> Vec<(String, usize)> {
        let shape = shape(sql).unwrap();
        let count = |mention: Mention| {
            let binding = shape.facts.iter().filter(|fact| fact.binds.contains(&mention));
            binding.filter(|fact| fact.condition.demand_on(mention).is_some()).count()
        };
        shape.tables.iter().enumerate().map(|(mention, table)| (table.clone(), count(mention))).collect()
    }

    fn expect(sql: &str, expected: &[(&str, usize)]) {
        let expected: Vec<_> = expected.iter().map(|(table, count)| ((*table).to_owned(), *count)).collect();
        assert_eq!(demands(sql), expected, "{sql}");
    }

    #[test]
    fn where_binds_what_is_not_filled_with_nulls_and_a_left_join_s_own_condition_its_right_side_alone() {
        let joined = "SELECT a.k AS k FROM a LEFT JOIN b ON b.k = a.k AND b.x = 1 AND a.y = 2";
        expect(&format!("{joined} WHERE a.x = 1 AND b.y = 2"), &[("a", 1), ("b", 1)]);
        expect("SELECT a.k AS k FROM a JOIN b ON b.k = a.k AND b.x = 1 WHERE a.x = 1", &[("a", 1), ("b", 1)]);
    }

    #[test]
    fn a_condition_goes_through_views_and_group_keys_and_not_through_sums_unions_and_windows() {
        expect("SELECT v.k AS k FROM v CROSS JOIN one WHERE v.z > one.x", &[("a", 1)]);
        let grouped = "FROM (SELECT k, MAX(x) AS x FROM a WHERE y = 1 GROUP BY k) g";
        expect(&format!("SELECT g.k AS k {grouped} WHERE g.k = 1"), &[("a", 2)]);
        expect(&format!("SELECT g.k AS k {grouped} WHERE g.x = 1"), &[("a", 1)]);
        expect("SELECT u.k AS k FROM (SELECT k FROM a UNION SELECT k FROM b) u WHERE u.k = 1", &[("a", 0), ("b", 0)]);
        let ranked = "SELECT k, ROW_NUMBER() OVER (PARTITION BY k ORDER BY x DESC NULLS LAST) AS n FROM a";
        expect(&format!("SELECT r.k AS k FROM ({ranked}) r WHERE r.k = 1"), &[("a", 0)]);
    }

    #[test]
    fn a_constant_of_an_outer_join_may_be_null() {
        let marked = "SELECT a.k AS k FROM a LEFT JOIN (SELECT k, 1 AS is_there FROM b) m ON m.k = a.k";
        expect(&format!("{marked} WHERE COALESCE(m.is_there, 0) = a.x"), &[("a", 0), ("b", 0)]);
        let absences = shape(&format!("{marked} WHERE m.is_there IS NULL")).unwrap().absences;
        assert_eq!((absences.len(), absences[0].of, absences[0].by), (1, 0, 1));
        assert!(shape(&format!("{marked} WHERE a.x IS NULL")).unwrap().absences.is_empty());
    }

    #[test]
    fn an_absence_needs_every_row_of_the_key_to_count() {
        let filtered = "SELECT a.k AS k FROM a LEFT JOIN b ON b.k = a.k AND b.x = a.x AND b.y > 3 WHERE b.k IS NULL";
        assert!(shape(filtered).unwrap().absences.is_empty());
        let absence =
            shape("SELECT a.k AS k FROM a LEFT JOIN b ON b.k = a.k WHERE b.x IS NULL").unwrap().absences.remove(0);
        assert_eq!(absence.present.as_deref(), Some("x"), "a row of the key with a null in x is as good as none");
    }

    #[test]
    fn what_is_not_understood_has_no_shape() {
        for sql in [
            "WITH w AS (SELECT k FROM a) SELECT k AS k FROM w",
            "SELECT k AS k FROM a LIMIT 3",
            "SELECT a.k AS k FROM a RIGHT JOIN b ON b.k = a.k",
            "SELECT a.k AS k FROM a JOIN b USING (k)",
            "SELECT k AS k FROM a WHERE x IN (SELECT x FROM b)",
            "SELECT k AS k FROM a WHERE EXISTS (SELECT x FROM b)",
            "SELECT k AS k FROM a EXCEPT SELECT k FROM b",
            "SELECT k AS k FROM nowhere",
        ] {
            assert!(shape(sql).is_none(), "{sql}");
        }
    }

    #[test]
    fn a_star_in_the_rule_reads_every_column_and_one_in_a_view_does_not() {
        assert!(shape("SELECT DISTINCT * FROM a").unwrap().reads_all);
        assert!(!shape("SELECT k AS k FROM v").unwrap().reads_all);
    }
}
