//! The functions that filters can call.

use super::resolve::Resolver;
use super::tree::{Nulls, Operand, Scalar};
use crate::filter::{self, OperandKind};

/// How many arguments `strftime` takes.
const STRFTIME_ARGS_MAX: usize = 10;

impl Resolver<'_, '_> {
    pub(super) fn call(
        &mut self,
        name: &str,
        args: &[filter::Operand],
        mark: &'static str,
    ) -> Result<Operand, String> {
        match name {
            "geoDistance" => self.distance(args),
            "strftime" => self.strftime(args, mark),
            _ => Err(format!("unknown function {name:?}")),
        }
    }

    /// `geoDistance(lonA, latA, lonB, latB)`: kilometres. Of several values, each is tried: there is no "all of them".
    fn distance(&mut self, args: &[filter::Operand]) -> Result<Operand, String> {
        let mut scalars = Vec::with_capacity(4);
        for arg in args {
            if !matches!(arg.kind, OperandKind::Path(_) | OperandKind::Number(_)) {
                return Err("geoDistance takes fields and numbers".to_owned());
            }
            scalars.push(self.operand(arg, "!")?.scalar);
        }
        let points: Box<[Scalar; 4]> = scalars
            .try_into()
            .map_err(|_| "geoDistance takes 4 arguments".to_owned())?;
        Ok(Operand {
            nulls: Nulls::Kept,
            ..Operand::plain(Scalar::Distance(points))
        })
    }

    /// `strftime(format, [time, modifier, ...])` as SQLite's, but NULL counts as the empty text.
    fn strftime(
        &mut self,
        args: &[filter::Operand],
        mark: &'static str,
    ) -> Result<Operand, String> {
        if args.is_empty() || args.len() > STRFTIME_ARGS_MAX {
            return Err(format!("strftime takes 1 to {STRFTIME_ARGS_MAX} arguments"));
        }
        let mut scalars = Vec::with_capacity(args.len());
        let mut all = None;
        for (index, arg) in args.iter().enumerate() {
            let fits = match arg.kind {
                OperandKind::Text(_) => true,
                OperandKind::Path(_) | OperandKind::Number(_) => index == 1,
                OperandKind::Call { .. } => false,
            };
            if !fits {
                return Err(format!(
                    "strftime does not take this as argument {}",
                    index + 1
                ));
            }
            let operand = self.operand(arg, mark)?;
            if index == 1 {
                all = operand.all;
            }
            scalars.push(operand.scalar);
        }
        let all = all.map(|(rows, time)| {
            let mut second = scalars.clone();
            if let Some(slot) = second.get_mut(1) {
                *slot = time;
            }
            (rows, Scalar::Strftime(second))
        });
        Ok(Operand {
            nulls: Nulls::Folded,
            all,
            ..Operand::plain(Scalar::Strftime(scalars))
        })
    }
}
