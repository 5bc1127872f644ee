//! Grey images in the format PGM: a line `P5`, the width and the height, the word `255`, and a byte
//! for each pixel.

/// A grey image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Image {
    width: usize,
    height: usize,
    /// Invariant: as many as `width` times `height`, row by row.
    pixels: Vec<u8>,
}

impl Image {
    /// An image that gets brighter from the left to the right.
    pub(crate) fn gradient(width: usize, height: usize) -> Self {
        let shade = |x: usize| u8::try_from(x * 255 / width).unwrap_or(u8::MAX);
        let pixels = (0..height).flat_map(|_| (0..width).map(shade)).collect();
        Self { width, height, pixels }
    }

    /// Reads an image, or says what is wrong with it.
    pub(crate) fn read(file: &[u8]) -> Result<Self, String> {
        // Only the header is text: four words, each with one blank behind it.
        let mut parts = file.splitn(5, u8::is_ascii_whitespace);
        let mut word = || parts.next().and_then(|word| str::from_utf8(word).ok());
        if word() != Some("P5") {
            return Err("this is not an image".into());
        }
        let [width, height, brightest] = [word(), word(), word()];
        let number = |word: Option<&str>| word?.parse::<usize>().ok();
        let (Some(width), Some(height), Some("255")) = (number(width), number(height), brightest)
        else {
            return Err("the header of the image is damaged".into());
        };
        let pixels = parts.next().unwrap_or_default();
        match width.checked_mul(height) {
            Some(expected) if expected == pixels.len() => {
                Ok(Self { width, height, pixels: pixels.to_vec() })
            }
            _ => Err(format!("{} pixels are not {width} x {height}", pixels.len())),
        }
    }

    pub(crate) fn write(&self) -> Vec<u8> {
        let mut file = format!("P5\n{} {}\n255\n", self.width, self.height).into_bytes();
        file.extend_from_slice(&self.pixels);
        file
    }

    /// Half as wide and half as high, each pixel the mean of four. What is odd loses its last row
    /// or column.
    pub(crate) fn halved(&self) -> Self {
        let (width, height) = (self.width / 2, self.height / 2);
        let at = |x: usize, y: usize| u16::from(self.pixels[y * self.width + x]);
        let mean = |x: usize, y: usize| {
            let sum = at(x, y) + at(x + 1, y) + at(x, y + 1) + at(x + 1, y + 1);
            u8::try_from(sum / 4).unwrap_or(u8::MAX)
        };
        let rows = (0..height).map(|row| 2 * row);
        let pixels = rows.flat_map(|y| (0..width).map(move |column| mean(2 * column, y)));
        Self { width, height, pixels: pixels.collect() }
    }

    pub(crate) fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }
}
