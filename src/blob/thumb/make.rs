//! Makes a thumb of an image in memory. Blocks for as long as decoding takes.

use std::io::Cursor;

use image::codecs::gif::GifEncoder;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType as PngFilter, PngEncoder};
use image::imageops::{self, FilterType};
use image::metadata::Orientation;
use image::{
    DynamicImage, Frame, ImageDecoder, ImageError, ImageReader, ImageResult, Limits, RgbaImage,
};

use super::ThumbError;
use super::size::{Rect, ThumbSize};

/// Images with more pixels are not decoded, so that a small file cannot take a lot of memory: four bytes per pixel.
const PIXELS_MAX: u64 = 50_000_000;
/// What a decoder may take besides.
const DECODER_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// PocketBase's.
const JPEG_QUALITY: u8 = 95;
/// 1 is the best and slowest choice of a GIF's colours, 30 the fastest.
const GIF_SPEED: i32 = 10;
/// An image is first shrunk by averaging blocks to so many times the thumb's sides, which is a lot faster than the
/// filter, then filtered.
const SHRINK_FIRST: u32 = 3;

pub(super) struct Made {
    pub(super) content: Vec<u8>,
    pub(super) content_type: &'static str,
}

/// The thumb of an image whose stored media type is `content_type`: JPEG and GIF stay what they are, all others become
/// PNG. Of animations the first frame counts. The camera's orientation is applied.
pub(super) fn thumb(
    content: &[u8],
    content_type: &str,
    size: ThumbSize,
) -> Result<Made, ThumbError> {
    let image = decode(content)?;
    let plan = size
        .plan((image.width(), image.height()))
        .ok_or(ThumbError::TooLarge)?;
    let image = cut(image, plan.cut);
    let image = match plan.scale {
        Some(sides) => scale(image, sides),
        None => image,
    };
    let image = cut(image, plan.cut_after);
    encode(image, content_type).map_err(unreadable)
}

fn unreadable(error: ImageError) -> ThumbError {
    match error {
        ImageError::Limits(_) => ThumbError::TooLarge,
        error => ThumbError::Unreadable(error.to_string()),
    }
}

fn decode(content: &[u8]) -> Result<DynamicImage, ThumbError> {
    let mut reader = ImageReader::new(Cursor::new(content));
    let mut limits = Limits::default();
    limits.max_alloc = Some(DECODER_BYTES_MAX);
    reader.limits(limits);
    let reader = reader
        .with_guessed_format()
        .map_err(|error| unreadable(error.into()))?;
    let mut decoder = reader.into_decoder().map_err(unreadable)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > PIXELS_MAX {
        return Err(ThumbError::TooLarge);
    }
    if width == 0 || height == 0 {
        return Err(ThumbError::Unreadable("the image is empty".to_owned()));
    }
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder).map_err(unreadable)?;
    image.apply_orientation(orientation);
    Ok(image)
}

fn cut(image: DynamicImage, rect: Option<Rect>) -> DynamicImage {
    match rect {
        Some(rect) => image.crop_imm(rect.x, rect.y, rect.width, rect.height),
        None => image,
    }
}

fn scale(image: DynamicImage, (width, height): (u32, u32)) -> DynamicImage {
    if image.color().has_alpha() {
        let mut image = image.into_rgba8();
        premultiply(&mut image);
        let mut image = scale_buffer(&image, (width, height));
        unmultiply(&mut image);
        image.into()
    } else {
        scale_buffer(&image.into_rgb8(), (width, height)).into()
    }
}

fn scale_buffer<P>(
    image: &image::ImageBuffer<P, Vec<u8>>,
    (width, height): (u32, u32),
) -> image::ImageBuffer<P, Vec<u8>>
where
    P: image::Pixel<Subpixel = u8> + 'static,
{
    let (rough_width, rough_height) = (
        width.saturating_mul(SHRINK_FIRST),
        height.saturating_mul(SHRINK_FIRST),
    );
    if rough_width < image.width() && rough_height < image.height() {
        let rough = imageops::thumbnail(image, rough_width, rough_height);
        return imageops::resize(&rough, width, height, FilterType::Triangle);
    }
    imageops::resize(image, width, height, FilterType::Triangle)
}

/// Weighs colours by their opacity, or transparent pixels would bleed their invisible colour into the edges.
fn premultiply(image: &mut RgbaImage) {
    for pixel in image.pixels_mut() {
        let [colours @ .., alpha] = &mut pixel.0;
        for colour in colours {
            *colour = ((u16::from(*colour) * u16::from(*alpha) + 127) / 255) as u8;
        }
    }
}

fn unmultiply(image: &mut RgbaImage) {
    for pixel in image.pixels_mut() {
        let [colours @ .., alpha] = &mut pixel.0;
        let alpha = u16::from(*alpha);
        for colour in colours {
            let whole = (u16::from(*colour) * 255 + alpha / 2).checked_div(alpha);
            *colour = whole.unwrap_or(0).min(255) as u8;
        }
    }
}

fn encode(image: DynamicImage, content_type: &str) -> ImageResult<Made> {
    let mut content = Vec::new();
    let content_type = match content_type {
        "image/jpeg" => {
            let encoder = JpegEncoder::new_with_quality(&mut content, JPEG_QUALITY);
            image.into_rgb8().write_with_encoder(encoder)?;
            "image/jpeg"
        }
        "image/gif" => {
            let frame = Frame::new(image.into_rgba8());
            GifEncoder::new_with_speed(&mut content, GIF_SPEED).encode_frame(frame)?;
            "image/gif"
        }
        _ => {
            let encoder = PngEncoder::new_with_quality(
                &mut content,
                CompressionType::Default,
                PngFilter::Adaptive,
            );
            image.write_with_encoder(encoder)?;
            "image/png"
        }
    };
    Ok(Made {
        content,
        content_type,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{ImageFormat, Rgb, RgbImage, Rgba};

    fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
        let mut out = Cursor::new(Vec::new());
        image.into().write_to(&mut out, format).unwrap();
        out.into_inner()
    }

    fn made(content: &[u8], content_type: &str, size: &str) -> (DynamicImage, &'static str) {
        let made = thumb(content, content_type, size.parse().unwrap()).unwrap();
        (
            image::load_from_memory(&made.content).unwrap(),
            made.content_type,
        )
    }

    /// Red above, blue below.
    fn flag(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |_, y| match y < height / 2 {
            true => Rgb([255, 0, 0]),
            false => Rgb([0, 0, 255]),
        })
    }

    #[test]
    fn formats_stay_or_become_png() {
        for (format, stored, expected) in [
            (ImageFormat::Png, "image/png", "image/png"),
            (ImageFormat::Jpeg, "image/jpeg", "image/jpeg"),
            (ImageFormat::Gif, "image/gif", "image/gif"),
            (ImageFormat::WebP, "image/webp", "image/png"),
        ] {
            let (image, content_type) = made(&encoded(flag(300, 200), format), stored, "30x0");
            assert_eq!(content_type, expected);
            assert_eq!((image.width(), image.height()), (30, 20));
            let top = image.to_rgb8().get_pixel(15, 2).0;
            assert!(top[0] > 230 && top[2] < 30, "{format:?} {top:?}");
        }
    }

    #[test]
    fn the_kept_edge_shows() {
        let content = encoded(flag(100, 400), ImageFormat::Png);
        let colour = |size| {
            made(&content, "image/png", size)
                .0
                .to_rgb8()
                .get_pixel(10, 10)
                .0
        };
        assert_eq!(colour("20x20t"), [255, 0, 0]);
        assert_eq!(colour("20x20b"), [0, 0, 255]);
        let (image, _) = made(&content, "image/png", "20x20f");
        assert_eq!((image.width(), image.height()), (5, 20));
    }

    #[test]
    fn transparent_pixels_do_not_colour_their_neighbours() {
        let image = RgbaImage::from_fn(400, 400, |x, _| match (x / 2) % 2 {
            0 => Rgba([0, 0, 255, 255]),
            _ => Rgba([255, 0, 0, 0]),
        });
        let (image, _) = made(&encoded(image, ImageFormat::Png), "image/png", "25x25");
        let [red, _, blue, alpha] = image.to_rgba8().get_pixel(12, 12).0;
        assert!(red < 5 && blue > 250, "{red} {blue}");
        assert!((100..155).contains(&alpha), "{alpha}");
    }

    /// A JPEG with an EXIF orientation (a TIFF header and one entry, TIFF 6.0 and EXIF 2.3).
    fn oriented(image: RgbImage, orientation: u8) -> Vec<u8> {
        let jpeg = encoded(image, ImageFormat::Jpeg);
        let mut exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
        exif.extend_from_slice(&[orientation, 0, 0, 0, 0, 0, 0]);
        let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
        [&jpeg[..2], &[0xff, 0xe1], &length, &exif, &jpeg[2..]].concat()
    }

    #[test]
    fn the_cameras_orientation_is_applied() {
        // 3: the camera was upside down. 6: it was turned.
        let (image, _) = made(&oriented(flag(200, 100), 3), "image/jpeg", "20x0");
        assert!(image.to_rgb8().get_pixel(10, 1).0[2] > 200);
        let (image, _) = made(&oriented(flag(200, 100), 6), "image/jpeg", "20x0");
        assert_eq!((image.width(), image.height()), (20, 40));
    }

    #[test]
    fn bombs_are_refused_before_they_are_decoded() {
        // A PNG header that promises 60,000 x 60,000 pixels; the decoder never gets to the missing rest.
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
        png.extend_from_slice(&60_000u32.to_be_bytes());
        png.extend_from_slice(&60_000u32.to_be_bytes());
        png.extend_from_slice(&[8, 6, 0, 0, 0]);
        let sum = crc32fast::hash(&png[12..]).to_be_bytes();
        png.extend_from_slice(&sum);
        png.extend_from_slice(b"\0\0\0\0IDAT");
        png.extend_from_slice(&crc32fast::hash(b"IDAT").to_be_bytes());
        let result = thumb(&png, "image/png", "10x10".parse().unwrap());
        assert!(matches!(result, Err(ThumbError::TooLarge)));
    }

    #[test]
    fn broken_images_are_errors() {
        let whole = encoded(flag(50, 50), ImageFormat::Png);
        for content in [&b""[..], b"hello", &whole[..60], b"GIF89a"] {
            let result = thumb(content, "image/png", "10x10".parse().unwrap());
            assert!(matches!(result, Err(ThumbError::Unreadable(_))));
        }
    }
}
