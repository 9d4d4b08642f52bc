//! The operator's own metrics.

/// The operator's metrics.
pub(super) struct Metrics(pub String);

impl Metrics {
    pub fn value(&self, name: &str) -> Option<f64> {
        let values = self
            .0
            .lines()
            .filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        values.filter_map(|value| value.parse().ok()).next()
    }

    /// All reconciles so far.
    pub fn reconciles(&self) -> f64 {
        self.sum("wukong_reconciles_total{")
    }

    /// The sum of all series that start so.
    pub fn sum(&self, prefix: &str) -> f64 {
        let lines = self.0.lines().filter(|line| line.starts_with(prefix));
        lines
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_read() {
        let metrics = Metrics(
            "wukong_queue_depth 0\nwukong_vms{phase=\"Running\"} 3\nwukong_reconciles_total{outcome=\"changed\"} 2\n\
             wukong_reconciles_total{outcome=\"unchanged\"} 5\n"
                .to_owned(),
        );
        assert_eq!(metrics.value("wukong_queue_depth"), Some(0.0));
        assert_eq!(metrics.value("wukong_vms{phase=\"Running\"}"), Some(3.0));
        assert_eq!(metrics.value("wukong_queue"), None);
        assert_eq!(metrics.reconciles(), 7.0);
    }
}
