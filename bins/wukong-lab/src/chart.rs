//! A chart of lines, as SVG.

use anyhow::{Result, anyhow};
use plotters::prelude::*;

const SIZE: (u32, u32) = (720, 420);
const FONT: &str = "sans-serif";
/// Above and beside the outermost values.
const MARGIN: f64 = 1.15;

/// A line: its name and its points.
pub(crate) type Series = (&'static str, Vec<(f64, f64)>);

/// A chart of lines that begin at zero.
pub(crate) struct Chart<'a> {
    pub title: &'static str,
    /// What the horizontal axis counts.
    pub counted: &'static str,
    /// Writes a value of the vertical axis.
    pub show: &'a dyn Fn(f64) -> String,
}

impl Chart<'_> {
    /// Returns the chart of these lines as SVG.
    ///
    /// # Errors
    /// If it cannot be drawn.
    pub fn svg(&self, series: &[Series]) -> Result<String> {
        let mut svg = String::new();
        self.draw(series, &mut svg)
            .map_err(|error| anyhow!("the chart {:?}: {error}", self.title))?;
        Ok(svg)
    }

    fn draw(
        &self,
        series: &[Series],
        svg: &mut String,
    ) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
        let points = || series.iter().flat_map(|(_, values)| values);
        let most = |of: fn(&(f64, f64)) -> f64| points().map(of).fold(0.0, f64::max);
        let (widest, highest) = (most(|point| point.0), most(|point| point.1));
        let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&root)
            .caption(self.title, (FONT, 18))
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(70)
            .build_cartesian_2d(
                0.0..widest * MARGIN,
                0.0..(highest * MARGIN).max(f64::MIN_POSITIVE),
            )?;
        chart
            .configure_mesh()
            .x_desc(self.counted)
            .x_label_formatter(&|value| format!("{value:.0}"))
            .y_label_formatter(&|value| (self.show)(*value))
            .light_line_style(TRANSPARENT)
            .draw()?;
        for (number, (name, values)) in series.iter().enumerate() {
            let colour = Palette99::pick(number).to_rgba();
            chart
                .draw_series(
                    LineSeries::new(values.iter().copied(), colour.stroke_width(2)).point_size(4),
                )?
                .label(*name)
                .legend(move |(x, y)| {
                    PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2))
                });
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK.mix(0.2))
            .draw()?;
        root.present()
    }
}
