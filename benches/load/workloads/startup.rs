//! Start-up time and idle memory, on a data directory that was used before.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use crate::report::{Figure, median};
use crate::site;
use crate::target::Program;

const STARTS: usize = 10;
/// How long a started server may tidy up before its memory counts as idle.
const IDLE_AFTER: Duration = Duration::from_secs(3);

/// Starts the programs in turn, [`STARTS`] times each.
pub(crate) async fn measure(programs: &[Program], root: &Path) -> Result<Vec<Figure>> {
    let mut dirs = Vec::new();
    for program in programs {
        let dir = site::dir_of(root, program, "empty")?;
        site::prepare_empty(program, &dir)?;
        dirs.push(dir);
    }
    let mut times_ms = vec![Vec::new(); programs.len()];
    let mut idle_mb = vec![f64::NAN; programs.len()];
    for round in 0..STARTS {
        for (index, (program, dir)) in programs.iter().zip(&dirs).enumerate() {
            let server = program.start(dir)?;
            if let Some(times) = times_ms.get_mut(index) {
                times.push(server.start_time.as_secs_f64() * 1e3);
            }
            if round + 1 == STARTS {
                server.settle(IDLE_AFTER).await;
                if let Some(idle) = idle_mb.get_mut(index) {
                    *idle = server.resident_mb();
                }
            }
            server.stop()?;
        }
    }
    Ok(vec![
        Figure {
            name: "start-up",
            what: "ms from spawning the process to the first 200 of /api/health, median of 10, files in the page cache",
            values: times_ms.iter().map(|times| median(times)).collect(),
        },
        Figure {
            name: "idle memory",
            what: "MB resident after start-up",
            values: idle_mb,
        },
    ])
}
