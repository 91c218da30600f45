//! The notation of thumb sizes, and what part of an image a thumb shows.

use std::fmt;
use std::str::FromStr;

/// A thumb has no more pixels than this.
const PIXELS_MAX: u64 = 25_000_000;
/// Images smaller than this on a side are scaled before they are cut, since cutting first is inexact on them.
const CUT_FIRST_SIDE_MIN: u32 = 100;

/// How an image is brought to a thumb's shape when both sides are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fit {
    /// Fill the thumb, cutting what is too much on both sides: `WxH`.
    Center,
    /// Fill the thumb, keeping the upper edge: `WxHt`.
    Top,
    /// Fill the thumb, keeping the lower edge: `WxHb`.
    Bottom,
    /// Show all, within the thumb's sides; smaller images stay as they are: `WxHf`.
    Inside,
}

/// A thumb's size in pixels, in PocketBase's notation: `100x50`, `100x50t`, `100x50b`, `100x50f`; `0x50` and `100x0` keep
/// the image's proportions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ThumbSize {
    width: u32,
    height: u32,
    fit: Fit,
}

/// The text is no thumb size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("thumb sizes are WxH, WxHt, WxHb, WxHf, 0xH or Wx0")]
pub struct BadThumbSize;

impl FromStr for ThumbSize {
    type Err = BadThumbSize;

    fn from_str(text: &str) -> Result<Self, BadThumbSize> {
        let (sides, fit) = match text.as_bytes().last() {
            Some(b't') => (text.strip_suffix('t'), Fit::Top),
            Some(b'b') => (text.strip_suffix('b'), Fit::Bottom),
            Some(b'f') => (text.strip_suffix('f'), Fit::Inside),
            _ => (Some(text), Fit::Center),
        };
        let (width, height) = sides
            .and_then(|sides| sides.split_once('x'))
            .ok_or(BadThumbSize)?;
        let (width, height) = (side(width)?, side(height)?);
        if width == 0 && height == 0 {
            return Err(BadThumbSize);
        }
        Ok(Self { width, height, fit })
    }
}

fn side(text: &str) -> Result<u32, BadThumbSize> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let value = digits.then(|| text.parse().ok()).flatten();
    value.ok_or(BadThumbSize)
}

impl fmt::Display for ThumbSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fit = match self.fit {
            Fit::Center => "",
            Fit::Top => "t",
            Fit::Bottom => "b",
            Fit::Inside => "f",
        };
        write!(f, "{}x{}{fit}", self.width, self.height)
    }
}

/// The steps that make a thumb: cut, scale, cut. All in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Part of the image to begin with.
    pub(super) cut: Option<Rect>,
    /// Size to scale to; nothing when it is right already.
    pub(super) scale: Option<(u32, u32)>,
    /// Part of the scaled image that remains.
    pub(super) cut_after: Option<Rect>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rect {
    pub(super) x: u32,
    pub(super) y: u32,
    pub(super) width: u32,
    pub(super) height: u32,
}

impl ThumbSize {
    /// The key of the thumb of a file in a folder, as PocketBase names it.
    pub fn key(self, folder: &str, file: &str) -> String {
        format!("{folder}/thumbs_{file}/{}", self.file_name(file))
    }

    /// The thumb's file name, which downloads show.
    pub fn file_name(self, file: &str) -> String {
        format!("{self}_{file}")
    }

    /// How to make the thumb of an image with the given sides, neither of them zero; nothing when it would be too large.
    pub(super) fn plan(self, (width, height): (u32, u32)) -> Option<Plan> {
        let image = (width, height);
        let plan = if self.width == 0 || self.height == 0 {
            scaled(image, self.keep_proportions(image))
        } else if self.fit == Fit::Inside {
            scaled(image, self.inside(image))
        } else {
            self.fill(image)
        };
        let (width, height) = plan.scale.unwrap_or(image);
        (u64::from(width) * u64::from(height) <= PIXELS_MAX).then_some(plan)
    }

    fn keep_proportions(self, (width, height): (u32, u32)) -> (u32, u32) {
        let (width, height) = (f64::from(width), f64::from(height));
        // Casts of floats saturate, so absurd sizes end in the check of the plan.
        let round = |side: f64| (side + 0.5).floor().max(1.0) as u32;
        match self.width {
            0 => (round(f64::from(self.height) * width / height), self.height),
            _ => (self.width, round(f64::from(self.width) * height / width)),
        }
    }

    fn inside(self, image: (u32, u32)) -> (u32, u32) {
        let (width, height) = image;
        if width <= self.width && height <= self.height {
            return image;
        }
        let proportion = f64::from(width) / f64::from(height);
        if proportion > f64::from(self.width) / f64::from(self.height) {
            (
                self.width,
                ((f64::from(self.width) / proportion) as u32).max(1),
            )
        } else {
            (
                ((f64::from(self.height) * proportion) as u32).max(1),
                self.height,
            )
        }
    }

    fn fill(self, image: (u32, u32)) -> Plan {
        let (width, height) = image;
        let target = (self.width, self.height);
        let is_taller =
            u64::from(width) * u64::from(self.height) < u64::from(self.width) * u64::from(height);
        if width >= CUT_FIRST_SIDE_MIN && height >= CUT_FIRST_SIDE_MIN {
            let part = |a: u32, b: u32, c: u32| {
                ((f64::from(a) * f64::from(b) / f64::from(c)).max(1.0) + 0.5) as u32
            };
            let shape = match is_taller {
                true => (width, part(width, self.height, self.width)),
                false => (part(height, self.width, self.height), height),
            };
            return Plan {
                cut: self.cut(image, shape),
                ..scaled(shape, target)
            };
        }
        let covering = match is_taller {
            true => Self { height: 0, ..self },
            false => Self { width: 0, ..self },
        };
        let covering = covering.keep_proportions(image);
        Plan {
            cut_after: self.cut(covering, target),
            ..scaled(image, covering)
        }
    }

    /// The part of `whole` with the sides of `part` at the edge that is kept; nothing when that is all of it.
    fn cut(self, whole: (u32, u32), part: (u32, u32)) -> Option<Rect> {
        let (width, height) = (part.0.min(whole.0), part.1.min(whole.1));
        let spare = whole.1 - height;
        let y = match self.fit {
            Fit::Top => 0,
            Fit::Bottom => spare,
            Fit::Center | Fit::Inside => spare / 2,
        };
        let rect = Rect {
            x: (whole.0 - width) / 2,
            y,
            width,
            height,
        };
        ((width, height) != whole).then_some(rect)
    }
}

fn scaled(from: (u32, u32), to: (u32, u32)) -> Plan {
    Plan {
        cut: None,
        scale: (from != to).then_some(to),
        cut_after: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plan(size: &str, image: (u32, u32)) -> Plan {
        size.parse::<ThumbSize>().unwrap().plan(image).unwrap()
    }

    /// The sides of the thumb a plan makes.
    fn result(plan: Plan, image: (u32, u32)) -> (u32, u32) {
        let cut = plan.cut.map_or(image, |rect| (rect.width, rect.height));
        let scaled = plan.scale.unwrap_or(cut);
        plan.cut_after
            .map_or(scaled, |rect| (rect.width, rect.height))
    }

    #[test]
    fn sizes_are_read_and_printed() {
        for text in [
            "100x50", "100x50t", "100x50b", "100x50f", "0x50", "100x0", "1x1",
        ] {
            assert_eq!(text.parse::<ThumbSize>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "x",
            "100",
            "100x",
            "x50",
            "0x0",
            "0x0f",
            "-1x5",
            "+1x5",
            "1x5c",
            "1x5tt",
            "1 x5",
            "1.5x1",
            "1X1",
            "99999999999x1",
        ] {
            assert!(text.parse::<ThumbSize>().is_err(), "{text}");
        }
    }

    #[test]
    fn one_side_keeps_the_proportions() {
        assert_eq!(result(plan("0x50", (300, 200)), (300, 200)), (75, 50));
        assert_eq!(result(plan("70x0", (300, 200)), (300, 200)), (70, 47));
        assert_eq!(result(plan("10x0", (10_000, 2)), (10_000, 2)), (10, 1));
        assert_eq!(result(plan("600x0", (300, 200)), (300, 200)), (600, 400));
    }

    #[test]
    fn fitting_inside_never_enlarges() {
        assert_eq!(result(plan("70x50f", (300, 300)), (300, 300)), (50, 50));
        assert_eq!(result(plan("70x50f", (300, 100)), (300, 100)), (70, 23));
        assert_eq!(plan("70x50f", (30, 20)).scale, None);
    }

    #[test]
    fn filling_cuts_at_the_named_edge() {
        let cut = |size, image| plan(size, image).cut.unwrap();
        let whole = (200, 400);
        for (size, y) in [("100x100", 100), ("100x100t", 0), ("100x100b", 200)] {
            let rect = Rect {
                x: 0,
                y,
                width: 200,
                height: 200,
            };
            assert_eq!(cut(size, whole), rect, "{size}");
        }
        assert_eq!(cut("100x100t", (400, 200)).x, 100);
        // Small images are scaled to cover the thumb, then cut.
        let small = plan("100x100", (50, 20));
        assert_eq!((small.cut, small.scale), (None, Some((250, 100))));
        assert_eq!(
            small.cut_after,
            Some(Rect {
                x: 75,
                y: 0,
                width: 100,
                height: 100
            })
        );
        assert_eq!(plan("100x50", (100, 50)), scaled((1, 1), (1, 1)));
    }

    #[test]
    fn absurd_sizes_are_refused() {
        let size: ThumbSize = "4000000000x0".parse().unwrap();
        assert_eq!(size.plan((1, 4_000_000_000)), None);
        assert_eq!(
            "50000x50000".parse::<ThumbSize>().unwrap().plan((500, 500)),
            None
        );
    }

    proptest! {
        #[test]
        fn plans_stay_within_the_image(
            width in 0u32..3000, height in 1u32..3000, fit in "[tbf]?", image_width in 1u32..5000, image_height in 1u32..5000,
        ) {
            let size: ThumbSize = format!("{width}x{height}{fit}").parse().unwrap();
            let image = (image_width, image_height);
            let Some(plan) = size.plan(image) else {
                return Ok(());
            };
            let inside = |rect: Rect, whole: (u32, u32)| {
                rect.width > 0 && rect.height > 0 && rect.x + rect.width <= whole.0 && rect.y + rect.height <= whole.1
            };
            if let Some(rect) = plan.cut {
                prop_assert!(inside(rect, image));
            }
            if let Some(rect) = plan.cut_after {
                prop_assert!(inside(rect, plan.scale.unwrap_or(image)));
            }
            let made = result(plan, image);
            prop_assert!(made.0 > 0 && made.1 > 0);
            if width > 0 && fit != "f" {
                prop_assert_eq!(made, (width, height));
            }
        }
    }
}
