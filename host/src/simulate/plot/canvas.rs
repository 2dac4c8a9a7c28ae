use std::convert::Infallible;

use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};
use plotters::style::FontStyle;
use plotters::style::text_anchor::{HPos, VPos};
use plotters_backend::{BackendColor, BackendCoord, BackendTextStyle, DrawingBackend, DrawingErrorKind};

/// A picture of pixels. Its letters come with the program, as no system need have any.
#[derive(Debug)]
pub(super) struct Canvas {
    width: u32,
    height: u32,
    /// Red, green and blue, a byte each.
    pixels: Vec<u8>,
}

type Drawn = Result<(), DrawingErrorKind<Infallible>>;

impl Canvas {
    /// A black picture.
    pub(super) fn new((width, height): (u32, u32)) -> Self {
        Self { width, height, pixels: vec![0; (width * height * 3) as usize] }
    }

    pub(super) fn to_png(&self) -> Result<Vec<u8>, png::EncodingError> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.width, self.height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&self.pixels)?;
        writer.finish()?;
        Ok(bytes)
    }
}

impl DrawingBackend for &mut Canvas {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    fn ensure_prepared(&mut self) -> Drawn {
        Ok(())
    }

    fn present(&mut self) -> Drawn {
        Ok(())
    }

    fn draw_pixel(&mut self, (x, y): BackendCoord, color: BackendColor) -> Drawn {
        let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else { return Ok(()) };
        if x < self.width && y < self.height {
            let at = ((y * self.width + x) * 3) as usize;
            let (red, green, blue) = color.rgb;
            for (under, over) in self.pixels[at..at + 3].iter_mut().zip([red, green, blue]) {
                let mixed = f64::from(*under) * (1.0 - color.alpha) + f64::from(over) * color.alpha;
                *under = mixed.round() as u8;
            }
        }
        Ok(())
    }

    fn draw_text<S: BackendTextStyle>(&mut self, text: &str, style: &S, at: BackendCoord) -> Drawn {
        let (weight, height) = font(style);
        let (width, tall) = self.estimate_text_size(text, style)?;
        let left = match style.anchor().h_pos {
            HPos::Left => 0,
            HPos::Center => -(width as i32) / 2,
            HPos::Right => -(width as i32),
        };
        let top = match style.anchor().v_pos {
            VPos::Top => 0,
            VPos::Center => -(tall as i32) / 2,
            VPos::Bottom => -(tall as i32),
        };
        for (index, character) in text.chars().enumerate() {
            let Some(letter) = get_raster(character, weight, height).or(get_raster('?', weight, height)) else {
                continue;
            };
            let begin = left + (index * letter.width()) as i32;
            for (y, row) in letter.rows().enumerate() {
                for (x, &intensity) in row.iter().enumerate().filter(|(_, intensity)| **intensity > 0) {
                    let (dx, dy) = style.transform().transform(begin + x as i32, top + y as i32);
                    let color = style.color();
                    let color = BackendColor { alpha: color.alpha * f64::from(intensity) / 255.0, ..color };
                    self.draw_pixel((at.0 + dx, at.1 + dy), color)?;
                }
            }
        }
        Ok(())
    }

    fn estimate_text_size<S: BackendTextStyle>(
        &self,
        text: &str,
        style: &S,
    ) -> Result<(u32, u32), DrawingErrorKind<Infallible>> {
        let (weight, height) = font(style);
        Ok(((get_raster_width(weight, height) * text.chars().count()) as u32, height.val() as u32))
    }
}

/// The letters that come closest to a style.
fn font(style: &impl BackendTextStyle) -> (FontWeight, RasterHeight) {
    let weight = if matches!(style.style(), FontStyle::Bold) { FontWeight::Bold } else { FontWeight::Regular };
    let height = if style.size() < 18.0 { RasterHeight::Size16 } else { RasterHeight::Size20 };
    (weight, height)
}
