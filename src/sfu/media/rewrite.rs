//! Sequence numbers and timestamps as one subscriber sees them: one stream without seams, whatever was switched, paused or left out.
//!
//! A run is a stretch of packets of one source. Within a run numbers are only shifted: what the publisher's network lost stays
//! missing, so that the subscriber asks for it, and a late packet gets the number that was left for it. What is left out on
//! purpose ([`Rewriter::skip`]) leaves no number. A new run begins right after the last one.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How far behind the newest a packet may come: its number is still known then.
const WINDOW: i64 = 1024;
/// A jump ahead by more than this is a source that began anew, not loss (RFC 3550, appendix A.1).
const JUMP_MAX: i64 = 3_000;
/// Changes of the shift that late packets can be mapped by; before the oldest of them packets are refused.
const SHIFTS_MAX: usize = 32;
/// How long packets that were under way when a source was left, or a run cut, are told from new ones.
const LEFT_MEMORY: Duration = Duration::from_secs(1);

/// From this incoming number on, `by` is taken off.
#[derive(Clone, Copy, Debug)]
struct Shift {
    from: i64,
    by: i64,
}

/// A stretch of packets of one source. Numbers are counted on over wraps.
#[derive(Debug)]
struct Run {
    source_ssrc: u32,
    first: i64,
    highest: i64,
    /// Whether the packet `highest` was left out.
    ended_by_skip: bool,
    /// Added to timestamps.
    ticks: u32,
    /// Oldest first; never empty.
    shifts: VecDeque<Shift>,
    /// Which of the last [`WINDOW`] numbers came or were left out, a bit each.
    seen: [u64; WINDOW as usize / 64],
    /// The number after that of a refused packet: if it comes next, the source began anew.
    stray: Option<u16>,
}

/// A subscriber's view on a track.
#[derive(Debug)]
pub(crate) struct Rewriter {
    clock_rate: u32,
    run: Option<Run>,
    /// The source before the last switch, its highest number, and when it was left.
    left: Option<(u32, u16, Instant)>,
    /// The newest outgoing timestamp, and when its first packet came.
    newest: Option<(u32, Instant)>,
    runs: u32,
    is_cut: bool,
}

impl Rewriter {
    /// The clock rate is that of the track's codec, in ticks per second.
    pub(crate) fn new(clock_rate: u32) -> Self {
        Self {
            clock_rate,
            run: None,
            left: None,
            newest: None,
            runs: 0,
            is_cut: false,
        }
    }

    /// The outgoing sequence number and timestamp of a packet that is to be forwarded. `None` where it must not be: it is a
    /// duplicate, was left out before, is too old, or comes from before the last switch. A packet of another source is a switch,
    /// so the caller chooses the source, and switches at a key frame.
    pub(crate) fn forward(
        &mut self,
        source_ssrc: u32,
        seq: u16,
        timestamp: u32,
        at: Instant,
    ) -> Option<(u16, u32)> {
        let is_new_run = match &mut self.run {
            None => true,
            Some(run) if run.source_ssrc != source_ssrc => {
                if self.left.is_some_and(|(ssrc, highest, when)| {
                    ssrc == source_ssrc
                        && at.saturating_duration_since(when) < LEFT_MEMORY
                        && distance(highest, seq) <= 0
                }) {
                    return None;
                }
                true
            }
            Some(run) if self.is_cut => {
                // Packets from before the cut may still be under way.
                if distance(run.highest as u16, seq) <= 0
                    && self
                        .newest
                        .is_some_and(|(_, when)| at.saturating_duration_since(when) < LEFT_MEMORY)
                {
                    return None;
                }
                true
            }
            Some(run) => run.is_anew(seq),
        };
        if is_new_run {
            return Some(self.begin(source_ssrc, seq, timestamp, at));
        }
        let run = self.run.as_mut()?;
        let index = run.index(seq);
        if index < run.first || run.is_seen(index) {
            return None;
        }
        let by = run.shift_at(index)?;
        let is_newest = index > run.highest;
        run.take(index, false);
        let out = timestamp.wrapping_add(run.ticks);
        if is_newest
            && self
                .newest
                .is_none_or(|(newest, _)| out.wrapping_sub(newest).cast_signed() > 0)
        {
            self.newest = Some((out, at));
        }
        Some(((index - by) as u16, out))
    }

    /// Leaves out a packet of the current source for good: no number is kept for it. Packets of other sources have no numbers
    /// here, and nothing happens.
    pub(crate) fn skip(&mut self, source_ssrc: u32, seq: u16) {
        if self.is_cut {
            return;
        }
        if let Some(run) = &mut self.run
            && run.source_ssrc == source_ssrc
            && !run.is_anew(seq)
        {
            let index = run.index(seq);
            if index >= run.first {
                run.leave_out(index);
            }
        }
    }

    /// Ends the run: the next packet, also of the same source, follows the last one without a gap. For pauses, so that nothing
    /// has to be told of each packet that is not forwarded.
    pub(crate) fn cut(&mut self) {
        self.is_cut = self.run.is_some();
    }

    /// How many runs there were. It changes when [`Self::forward`] began a new one.
    pub(crate) fn runs(&self) -> u32 {
        self.runs
    }

    fn begin(&mut self, source_ssrc: u32, seq: u16, timestamp: u32, at: Instant) -> (u16, u32) {
        let first = i64::from(seq) + (1 << 16);
        let out_seq = match &self.run {
            Some(run) => run.next_out(),
            None => seq,
        };
        let out_timestamp = match self.newest {
            Some((newest, when)) => newest.wrapping_add(self.ticks_since(when, at)),
            None => timestamp,
        };
        if let Some(run) = &self.run
            && run.source_ssrc != source_ssrc
        {
            self.left = Some((run.source_ssrc, run.highest as u16, at));
        }
        self.newest = Some((out_timestamp, at));
        let mut run = Run {
            source_ssrc,
            first,
            highest: first,
            ended_by_skip: false,
            ticks: out_timestamp.wrapping_sub(timestamp),
            shifts: VecDeque::from([Shift {
                from: first,
                by: first - i64::from(out_seq),
            }]),
            seen: [0; WINDOW as usize / 64],
            stray: None,
        };
        run.mark(first);
        self.run = Some(run);
        self.runs = self.runs.wrapping_add(1);
        self.is_cut = false;
        (out_seq, out_timestamp)
    }

    /// Wall time in ticks, at least 1.
    fn ticks_since(&self, when: Instant, at: Instant) -> u32 {
        let ticks = at.saturating_duration_since(when).as_micros() * u128::from(self.clock_rate)
            / 1_000_000;
        // Timestamps wrap, and so does the time between two.
        (ticks as u32).max(1)
    }
}

impl Run {
    fn index(&self, seq: u16) -> i64 {
        self.highest + distance(self.highest as u16, seq)
    }

    /// Whether the source began anew with this number: it jumped far ahead, or twice in a row far back.
    fn is_anew(&mut self, seq: u16) -> bool {
        let ahead = distance(self.highest as u16, seq);
        if (-WINDOW < ahead) && (ahead <= JUMP_MAX) {
            self.stray = None;
            return false;
        }
        ahead > JUMP_MAX || self.stray.replace(seq.wrapping_add(1)) == Some(seq)
    }

    fn is_seen(&self, index: i64) -> bool {
        let (word, bit) = place(index);
        index <= self.highest - WINDOW
            || (index <= self.highest && self.seen.get(word).is_some_and(|word| word & bit != 0))
    }

    fn mark(&mut self, index: i64) {
        let (word, bit) = place(index);
        if let Some(word) = self.seen.get_mut(word) {
            *word |= bit;
        }
    }

    fn unmark(&mut self, index: i64) {
        let (word, bit) = place(index);
        if let Some(word) = self.seen.get_mut(word) {
            *word &= !bit;
        }
    }

    /// Notes that a packet came; those between it and the highest are missing.
    fn take(&mut self, index: i64, is_skip: bool) {
        if index > self.highest {
            if index - self.highest >= WINDOW {
                self.seen.fill(0);
            } else {
                for missing in self.highest + 1..index {
                    self.unmark(missing);
                }
            }
            self.highest = index;
            self.ended_by_skip = is_skip;
        }
        self.mark(index);
    }

    fn leave_out(&mut self, index: i64) {
        if index <= self.highest {
            // Numbers after it are given already: its own stays empty.
            if !self.is_seen(index) {
                self.mark(index);
            }
            return;
        }
        // Between two that are left out nothing can be missed.
        let from = if self.ended_by_skip {
            self.highest + 1
        } else {
            index
        };
        let (last_from, by) = self
            .shifts
            .back()
            .map_or((self.first, 0), |shift| (shift.from, shift.by));
        let shift = Shift {
            from: index + 1,
            by: by + index + 1 - from,
        };
        if last_from == from && self.shifts.len() > 1 {
            // Nothing was forwarded since the last change: late packets never use it.
            self.shifts.pop_back();
        } else if self.shifts.len() == SHIFTS_MAX {
            self.shifts.pop_front();
        }
        self.shifts.push_back(shift);
        self.take(index, true);
        for left_out in from.max(index - WINDOW + 1)..index {
            self.mark(left_out);
        }
    }

    /// What is taken off an incoming number; `None` where that is no longer known.
    fn shift_at(&self, index: i64) -> Option<i64> {
        self.shifts
            .iter()
            .rev()
            .find(|shift| shift.from <= index)
            .map(|shift| shift.by)
    }

    /// The outgoing number after the highest one.
    fn next_out(&self) -> u16 {
        let by = self.shifts.back().map_or(0, |shift| shift.by);
        (self.highest + 1 - by) as u16
    }
}

/// How far `to` is ahead of `from`; behind it where negative.
fn distance(from: u16, to: u16) -> i64 {
    i64::from(to.wrapping_sub(from).cast_signed())
}

fn place(index: i64) -> (usize, u64) {
    let slot = index.rem_euclid(WINDOW) as usize;
    (slot / 64, 1 << (slot % 64))
}

#[cfg(test)]
mod tests;
