//! Names in a Prometheus query. promtool checks the syntax.

/// Names in a query.
#[derive(Debug, Default, PartialEq)]
pub struct Query<'a> {
    /// Our metrics, with their matched labels.
    pub metrics: Vec<(&'a str, Vec<&'a str>)>,
    /// Labels in `by` clauses.
    pub grouped: Vec<&'a str>,
}

impl<'a> Query<'a> {
    /// Extracts the names.
    pub fn read(text: &'a str) -> Self {
        let mut query = Self::default();
        for (at, _) in text.match_indices("wukong_") {
            let rest = &text[at..];
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let (metric, after) = rest.split_at(end.unwrap_or(rest.len()));
            let matchers = after
                .strip_prefix('{')
                .and_then(|after| after.split_once('}'));
            let labels = matchers
                .into_iter()
                .flat_map(|(inside, _)| inside.split(','));
            let name = |matcher: &'a str| {
                let end = matcher.find(['=', '!']);
                matcher[..end.unwrap_or(matcher.len())].trim()
            };
            query.metrics.push((metric, labels.map(name).collect()));
        }
        for (at, by) in text.match_indices("by (") {
            if let Some((inside, _)) = text[at + by.len()..].split_once(')') {
                query.grouped.extend(inside.split(',').map(str::trim));
            }
        }
        query
    }
}

#[test]
fn names_are_found() {
    let text = r#"histogram_quantile(0.9, sum by (le, verb) (rate(wukong_a_bucket{verb!="apply",kind=~"A|B"}[5m]))) / max(wukong_b)"#;
    let query = Query {
        metrics: vec![
            ("wukong_a_bucket", vec!["verb", "kind"]),
            ("wukong_b", vec![]),
        ],
        grouped: vec!["le", "verb"],
    };
    assert_eq!(Query::read(text), query);
}
