//! Hit ratios over capacities, as a picture.

mod axis;
mod canvas;

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use plotters::coord::Shift;
use plotters::coord::ranged1d::Ranged;
use plotters::prelude::{
    ChartBuilder, Circle, Color, DashedLineSeries, DrawingArea, DrawingBackend, IntoDrawingArea, LineSeries,
    PathElement, RGBColor, SVGBackend, SeriesLabelPosition, WHITE,
};
use plotters::style::{BLACK, FontStyle, IntoFont};

use self::axis::{Capacities, place};
use self::canvas::Canvas;
use super::Limit;

/// The hit ratios of strategies on one trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// What stands above it.
    pub title: String,
    /// The share of requests that a cache without bounds would answer.
    pub ceiling: f64,
    /// A curve for each strategy, over capacities that are all entries, or all bytes.
    pub curves: Vec<Curve>,
}

/// How often a strategy hits.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// The strategy.
    pub name: String,
    /// Hit ratios, of 0 to 1, by rising capacities.
    pub points: Vec<(Limit, f64)>,
}

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum PlotError {
    /// The name of the file says no format that pictures can be written in.
    #[error("{}: a plot is written to a file that ends with .svg or .png", path.display())]
    Format {
        /// What was named.
        path: PathBuf,
    },
    /// The picture could not be made.
    #[error("can not draw a plot: {0}")]
    Draw(String),
    /// The file can not be written.
    #[error("can not write to {}: {error}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
}

/// The size of one chart, in pixels.
const WIDTH: u32 = 1000;
const HEIGHT: u32 = 600;

/// Colors that people who are blind to some of them tell apart (Okabe and Ito, *Color Universal Design*, 2008), and two
/// more.
const COLORS: [RGBColor; 9] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(110, 110, 110),
    RGBColor(120, 70, 30),
    RGBColor(100, 60, 160),
];
const GRID: RGBColor = RGBColor(225, 225, 225);
const TEXT: (&str, u32) = ("sans-serif", 16);
const TITLE: (&str, u32, FontStyle) = ("sans-serif", 20, FontStyle::Bold);

/// Which pictures can be written.
#[derive(Clone, Copy, Debug)]
enum Picture {
    Svg,
    Png,
}

impl Picture {
    fn of_name(path: &Path) -> Result<Self, PlotError> {
        match path.extension().and_then(OsStr::to_str).map(str::to_lowercase).as_deref() {
            Some("svg") => Ok(Self::Svg),
            Some("png") => Ok(Self::Png),
            _ => Err(PlotError::Format { path: path.to_owned() }),
        }
    }
}

/// A file that charts are to be drawn to: an SVG or a PNG, as its name says.
#[derive(Clone, Debug)]
pub struct PlotFile {
    path: PathBuf,
    picture: Picture,
}

impl PlotFile {
    /// A file of this name; nothing is written yet.
    ///
    /// # Errors
    /// [`PlotError::Format`]: the name ends otherwise.
    pub fn new(path: impl Into<PathBuf>) -> Result<Self, PlotError> {
        let path = path.into();
        Ok(Self { picture: Picture::of_name(&path)?, path })
    }

    /// The file's name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Draws charts, one below the other.
    ///
    /// # Errors
    /// [`PlotError`]: it can not be drawn, or not be written.
    pub fn draw(&self, charts: &[Chart]) -> Result<(), PlotError> {
        let size = (WIDTH, HEIGHT * charts.len().max(1) as u32);
        let bytes = match self.picture {
            Picture::Svg => {
                let mut svg = String::new();
                draw(SVGBackend::with_string(&mut svg, size), charts)?;
                svg.into_bytes()
            }
            Picture::Png => {
                let mut canvas = Canvas::new(size);
                draw(&mut canvas, charts)?;
                canvas.to_png().map_err(|error| PlotError::Draw(error.to_string()))?
            }
        };
        fs::write(&self.path, bytes).map_err(|error| PlotError::Write { path: self.path.clone(), error })
    }
}

fn draw<B: DrawingBackend>(backend: B, charts: &[Chart]) -> Result<(), PlotError> {
    let root = backend.into_drawing_area();
    let drawn = root.fill(&WHITE).map_err(|error| error.to_string()).and_then(|()| {
        for (area, chart) in root.split_evenly((charts.len().max(1), 1)).iter().zip(charts) {
            chart.draw(area)?;
        }
        root.present().map_err(|error| error.to_string())
    });
    drawn.map_err(PlotError::Draw)
}

impl Chart {
    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Result<(), String> {
        let limits = self.curves.iter().flat_map(|curve| curve.points.iter().map(|(limit, _)| *limit));
        let Some(axis) = Capacities::new(limits) else { return Ok(()) };
        let (description, Range { start: left, end: right }) = (axis.description(), axis.range());
        let (bottom, top) = self.range();
        let mut builder = ChartBuilder::on(area);
        builder.margin(20).x_label_area_size(55).y_label_area_size(75).caption(&self.title, TITLE);
        let mut chart = builder.build_cartesian_2d(axis, bottom..top).map_err(|error| error.to_string())?;
        let mut mesh = chart.configure_mesh();
        mesh.bold_line_style(GRID).light_line_style(WHITE.mix(0.0)).axis_style(BLACK).label_style(TEXT);
        mesh.x_labels(10).y_labels(11).y_label_formatter(&|y| format!("{y:.0}"));
        mesh.x_desc(description).y_desc("hit ratio in %");
        mesh.draw().map_err(|error| error.to_string())?;

        let ceiling = 100.0 * self.ceiling;
        let line = DashedLineSeries::new([(left, ceiling), (right, ceiling)], 8, 6, BLACK.mix(0.6).stroke_width(1));
        let drawn = chart.draw_series(line).map_err(|error| error.to_string())?;
        drawn
            .label(format!("unbounded: {ceiling:.2}"))
            .legend(|(x, y)| PathElement::new([(x, y), (x + 20, y)], BLACK.mix(0.6)));
        for (index, curve) in self.curves.iter().enumerate() {
            let color = COLORS[index % COLORS.len()];
            let points = curve.points.iter().map(|(limit, ratio)| (place(*limit), 100.0 * ratio));
            let line = LineSeries::new(points.clone(), color.stroke_width(2));
            let drawn = chart.draw_series(line).map_err(|error| error.to_string())?;
            drawn
                .label(&curve.name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], color.stroke_width(2)));
            // Who has the color of another has dots with a hole.
            let dot = if index < COLORS.len() { color.filled() } else { color.stroke_width(2) };
            let dots = points.map(|point| Circle::new(point, 4, dot));
            chart.draw_series(dots).map_err(|error| error.to_string())?;
        }
        let mut legend = chart.configure_series_labels();
        legend.position(SeriesLabelPosition::LowerRight).margin(15).label_font(TEXT.into_font());
        legend.background_style(WHITE.mix(0.9)).border_style(GRID);
        legend.draw().map_err(|error| error.to_string())
    }

    /// The percents from which and up to which the chart goes: multiples of 5 around what is in it.
    fn range(&self) -> (f64, f64) {
        let ratios = self.curves.iter().flat_map(|curve| curve.points.iter().map(|(_, ratio)| 100.0 * ratio));
        let (least, most) = ratios.fold((100.0 * self.ceiling, 100.0 * self.ceiling), |(least, most), ratio| {
            (ratio.min(least), ratio.max(most))
        });
        let bottom = (least / 5.0).floor() * 5.0;
        let top = (most / 5.0).ceil() * 5.0;
        (bottom.min(95.0), top.max(bottom.min(95.0) + 5.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(title: &str) -> Chart {
        let curve = |name: &str, ratios: [f64; 3]| Curve {
            name: name.into(),
            points: [687, 1375, 3439].map(Limit::Entries).into_iter().zip(ratios).collect(),
        };
        let curves = vec![curve("lru", [0.6, 0.6848, 0.7769]), curve("fifo", [0.5625, 0.6454, 0.7433])];
        Chart { title: title.into(), ceiling: 0.8561, curves }
    }

    #[test]
    fn a_plot_names_its_curves_and_its_axes() {
        let folder = tempfile::tempdir().unwrap();
        let file = PlotFile::new(folder.path().join("out.svg")).unwrap();
        file.draw(&[chart("one"), chart("two & more")]).unwrap();
        let svg = fs::read_to_string(file.path()).unwrap();
        for text in [
            "one",
            "two &amp; more",
            "capacity in entries",
            "hit ratio in %",
            "lru",
            "fifo",
            "687",
            "1375",
            "3439",
            "unbounded: 85.61",
        ] {
            assert!(svg.contains(&format!("\n{text}\n")), "{text} is not in {svg}");
        }
    }

    #[test]
    fn a_png_is_as_large_as_the_svg_and_not_white() {
        let folder = tempfile::tempdir().unwrap();
        let file = PlotFile::new(folder.path().join("out.PNG")).unwrap();
        file.draw(&[chart("one"), chart("two")]).unwrap();
        let decoder = png::Decoder::new(io::BufReader::new(fs::File::open(file.path()).unwrap()));
        let mut reader = decoder.read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let frame = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((frame.width, frame.height), (WIDTH, 2 * HEIGHT));
        let blue = pixels.chunks(3).filter(|pixel| *pixel == [0, 114, 178]).count();
        assert!(blue > 500, "the first curve has {blue} pixels");
    }

    #[test]
    fn what_is_neither_svg_nor_png_is_refused() {
        for name in ["out.pdf", "out", "svg"] {
            assert!(PlotFile::new(name).unwrap_err().to_string().contains(".svg or .png"), "{name}");
        }
    }

    #[test]
    fn any_ratios_have_a_range() {
        for (ceiling, ratio, range) in
            [(1.0, 1.0, (95.0, 100.0)), (0.0, 0.0, (0.0, 5.0)), (0.8561, 0.5625, (55.0, 90.0)), (0.9, 0.0, (0.0, 90.0))]
        {
            let curves = vec![Curve { name: "a".into(), points: vec![(Limit::Bytes(9), ratio)] }];
            let chart = Chart { title: String::new(), ceiling, curves };
            assert_eq!(chart.range(), range);
            draw(&mut Canvas::new((WIDTH, HEIGHT)), &[chart]).unwrap();
        }
    }
}
