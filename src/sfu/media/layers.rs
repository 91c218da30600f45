//! Which layer each subscriber gets of each video track.
//!
//! [`TrackLayers`] knows what a publisher sends, [`allocate`] spreads an estimate over the tracks of one subscriber, and
//! [`Allocator`] makes of it decisions over time: down at once, up only after a while, and sometimes up on trial, since an
//! estimate never rises far above what is sent. The change itself waits for a key frame: see [`switch`](super::switch).

use std::time::{Duration, Instant};

use super::meter::Rate;
use crate::session::{Choice, Layer, Source};

/// A layer is gone when it is silent for this long while another one is not.
const SILENCE_MAX: Duration = Duration::from_secs(1);
const RATE_WINDOW: Duration = Duration::from_secs(2);

/// Bits per second of each layer, low to high; `None` where it is not sent. A track without layers has its only stream at
/// [`Layer::Full`].
pub(crate) type Rates = [Option<u64>; 3];

/// What a publisher sends of one track.
#[derive(Debug)]
pub(crate) struct TrackLayers {
    start: Instant,
    layers: [Option<Sent>; 3],
}

#[derive(Debug)]
struct Sent {
    rate: Rate,
    last: Instant,
}

impl TrackLayers {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            start: now,
            layers: [None, None, None],
        }
    }

    /// A packet of a layer came.
    pub(crate) fn add(&mut self, layer: Layer, bytes: usize, at: Instant) {
        let at_us = self.micros(at);
        if let Some(slot) = self.layers.get_mut(layer as usize) {
            let sent = slot.get_or_insert_with(|| Sent {
                rate: Rate::new(RATE_WINDOW),
                last: at,
            });
            sent.last = sent.last.max(at);
            sent.rate.add(at_us, bytes);
        }
    }

    /// What is there now. A track that is silent as a whole (a screen that does not change, a camera that is off) keeps its layers.
    pub(crate) fn rates(&mut self, now: Instant) -> Rates {
        let now_us = self.micros(now);
        let newest = self.layers.iter().flatten().map(|sent| sent.last).max();
        let mut rates = [None; 3];
        for (rate, sent) in rates.iter_mut().zip(&mut self.layers) {
            if let (Some(sent), Some(newest)) = (sent, newest)
                && newest.saturating_duration_since(sent.last) < SILENCE_MAX
            {
                *rate = Some(sent.rate.bps(now_us));
            }
        }
        rates
    }

    fn micros(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.start).as_micros() as u64
    }
}

/// What a subscriber would like of one track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Demand {
    /// Any number that stays with the track.
    pub(crate) track: u64,
    pub(crate) source: Source,
    pub(crate) choice: Choice,
    pub(crate) rates: Rates,
}

impl Demand {
    /// The layers that may be given, low to high, each with its cost: never less than a lower one's.
    fn steps(&self) -> ([(Layer, u64); 3], usize) {
        let mut steps = [(Layer::Quarter, 0); 3];
        let mut count = 0;
        let mut cost = 0;
        let highest = match self.choice {
            Choice::Off => return (steps, 0),
            Choice::Auto => Layer::Full,
            Choice::Layer(layer) => layer,
        };
        for (layer, rate) in Layer::ALL.into_iter().zip(self.rates) {
            if let Some(rate) = rate
                && (layer <= highest || count == 0)
                && let Some(step) = steps.get_mut(count)
            {
                cost = rate.max(cost);
                *step = (layer, cost);
                count += 1;
            }
        }
        (steps, count)
    }

    fn cost(&self, layer: Option<Layer>) -> u64 {
        let (steps, count) = self.steps();
        steps
            .iter()
            .take(count)
            .find(|(step, _)| Some(*step) == layer)
            .map_or(0, |(_, cost)| *cost)
    }

    fn can_have(&self, layer: Option<Layer>) -> bool {
        let (steps, count) = self.steps();
        layer.is_none_or(|layer| steps.iter().take(count).any(|(step, _)| *step == layer))
    }
}

/// Spreads an estimate: audio first, then the lowest layer for everyone, then more, screens before cameras and cameras in turn.
/// Within a kind, tracks with lower numbers are served first. `None` pauses a track that does not fit.
pub(crate) fn allocate(estimate_bps: u64, audio_bps: u64, videos: &[Demand]) -> Vec<Option<Layer>> {
    Plan::new(videos).fill(estimate_bps.saturating_sub(audio_bps))
}

/// An allocation in the making.
struct Plan<'a> {
    videos: &'a [Demand],
    /// How many steps each track has got.
    taken: Vec<usize>,
    /// The tracks in the order in which they are served.
    order: Vec<usize>,
}

impl<'a> Plan<'a> {
    fn new(videos: &'a [Demand]) -> Self {
        let mut order: Vec<usize> = (0..videos.len()).collect();
        order.sort_by_key(|index| {
            videos
                .get(*index)
                .map(|video| (video.source != Source::Screen, video.track))
        });
        Self {
            videos,
            taken: vec![0; videos.len()],
            order,
        }
    }

    fn holding(videos: &'a [Demand], given: &[Option<Layer>]) -> Self {
        let mut plan = Self::new(videos);
        for ((video, given), taken) in videos.iter().zip(given).zip(&mut plan.taken) {
            let (steps, count) = video.steps();
            *taken = steps
                .iter()
                .take(count)
                .position(|(step, _)| Some(*step) == *given)
                .map_or(0, |position| position + 1);
        }
        plan
    }

    /// What the next step of a track costs on top.
    fn next(&self, index: usize) -> Option<u64> {
        let video = self.videos.get(index)?;
        let taken = *self.taken.get(index)?;
        let (steps, count) = video.steps();
        if taken >= count {
            return None;
        }
        let (_, cost) = steps.get(taken)?;
        let before = taken
            .checked_sub(1)
            .and_then(|before| steps.get(before))
            .map_or(0, |(_, cost)| *cost);
        Some(cost - before)
    }

    fn fill(mut self, budget: u64) -> Vec<Option<Layer>> {
        let mut left = budget;
        for (index, level) in self.turns() {
            if self.taken.get(index) == Some(&level)
                && let Some(cost) = self.next(index)
                && cost <= left
            {
                left -= cost;
                self.take(index);
            }
        }
        self.layers()
    }

    fn has_paused(&self) -> bool {
        self.videos
            .iter()
            .zip(&self.taken)
            .any(|(video, taken)| *taken == 0 && video.steps().1 > 0)
    }

    /// The first track in the order of serving that can have more within a budget, and what that costs.
    fn next_turn(&self, budget: u64) -> Option<(usize, u64)> {
        self.turns()
            .into_iter()
            .filter(|(index, level)| self.taken.get(*index) == Some(level))
            .filter_map(|(index, _)| Some((index, self.next(index)?)))
            .find(|(_, cost)| *cost <= budget)
    }

    /// Each track with each of its steps, in the order of serving.
    fn turns(&self) -> Vec<(usize, usize)> {
        let is_screen = |index: usize| {
            self.videos
                .get(index)
                .is_some_and(|video| video.source == Source::Screen)
        };
        let count = |index: usize| self.videos.get(index).map_or(0, |video| video.steps().1);
        let mut turns = Vec::with_capacity(self.order.len() * 3);
        turns.extend(self.order.iter().map(|index| (*index, 0)));
        for level in 1..3 {
            turns.extend(
                self.order
                    .iter()
                    .filter(|index| is_screen(**index))
                    .map(|index| (*index, level)),
            );
        }
        for level in 1..3 {
            turns.extend(
                self.order
                    .iter()
                    .filter(|index| !is_screen(**index))
                    .map(|index| (*index, level)),
            );
        }
        turns.retain(|(index, level)| *level < count(*index));
        turns
    }

    fn take(&mut self, index: usize) {
        if let Some(taken) = self.taken.get_mut(index) {
            *taken += 1;
        }
    }

    fn layers(&self) -> Vec<Option<Layer>> {
        self.videos
            .iter()
            .zip(&self.taken)
            .map(|(video, taken)| {
                let (steps, count) = video.steps();
                let last = taken.checked_sub(1)?;
                steps.iter().take(count).nth(last).map(|(layer, _)| *layer)
            })
            .collect()
    }
}

/// Room that an estimate must leave before more is sent.
const HEADROOM_PERCENT: u64 = 115;
/// How long there must be room, and while nothing ever went wrong.
const UP_AFTER: Duration = Duration::from_secs(1);
const UP_AFTER_AT_FIRST: Duration = Duration::from_millis(300);
/// How long after it went wrong a track may be paused. A low estimate alone is no reason.
const SUSPECT: Duration = Duration::from_secs(10);
/// How long too much may be sent while nothing goes wrong: rates swing.
const DOWN_AFTER: Duration = Duration::from_millis(500);
/// How long nothing may have gone wrong before more is tried.
const QUIET: Duration = Duration::from_millis(1_500);
const TRIAL_MAX: Duration = Duration::from_secs(5);
/// How long a trial takes once something went wrong before: a queue grows slowly where it is only a little too much.
const TRIAL_MIN: Duration = Duration::from_secs(3);
/// What goes wrong this soon after a trial is its fault.
const BLAME: Duration = Duration::from_secs(10);
/// Between trials; it doubles with each that fails.
const PAUSE_MIN: Duration = Duration::from_secs(2);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// A trial sends at most this many times the estimate: one step more, and steps while nothing ever went wrong.
const TRIAL_REACH: u64 = 3;
const TRIAL_REACH_AT_FIRST: u64 = 2;

/// More than the estimate allows, since when, and what there was before.
#[derive(Debug)]
struct Trial {
    since: Instant,
    /// By track.
    before: Vec<(u64, Option<Layer>)>,
}

impl Trial {
    /// What there was before, where it is still to be had.
    fn before(&self, videos: &[Demand]) -> Option<Vec<Option<Layer>>> {
        videos
            .iter()
            .map(|video| {
                let (_, layer) = self
                    .before
                    .iter()
                    .find(|(track, _)| *track == video.track)?;
                video.can_have(*layer).then_some(*layer)
            })
            .collect()
    }
}

/// The layers of one subscriber over time.
#[derive(Debug)]
pub(crate) struct Allocator {
    given: Vec<(Demand, Option<Layer>)>,
    setbacks: u32,
    calm_since: Option<Instant>,
    wrong_at: Option<Instant>,
    over_since: Option<Instant>,
    under_since: Option<Instant>,
    trial: Option<Trial>,
    /// When the last trial was found good.
    won: Option<Instant>,
    next_trial: Option<Instant>,
    pause: Duration,
}

impl Allocator {
    pub(crate) fn new() -> Self {
        Self {
            given: Vec::new(),
            setbacks: 0,
            calm_since: None,
            wrong_at: None,
            over_since: None,
            under_since: None,
            trial: None,
            won: None,
            next_trial: None,
            pause: PAUSE_MIN,
        }
    }

    /// The layers that each track is to be sent in, in the order of the demands; `None` pauses it. To be asked a few times per
    /// second, and at once when demands change. `setbacks` counts how often the estimate fell.
    pub(crate) fn update(
        &mut self,
        now: Instant,
        estimate_bps: u64,
        setbacks: u32,
        audio_bps: u64,
        videos: &[Demand],
    ) -> Vec<Option<Layer>> {
        let budget = estimate_bps.saturating_sub(audio_bps);
        let went_wrong = setbacks != self.setbacks;
        self.setbacks = setbacks;
        if went_wrong {
            self.wrong_at = Some(now);
        }
        if let Some(won) = self.won {
            if now.saturating_duration_since(won) >= BLAME {
                self.won = None;
                self.pause = PAUSE_MIN;
            } else if went_wrong {
                self.won = None;
                self.lose(now);
            }
        }
        if went_wrong || self.calm_since.is_none() {
            self.calm_since = Some(now);
        }
        let given = self.carry_over(videos);
        let next = match given {
            Some(given) => self.go_on(now, budget, went_wrong, videos, given),
            // Other tracks or other choices: nothing to hold on to.
            None => {
                self.over_since = None;
                self.under_since = None;
                self.trial = None;
                let all = vec![Some(Layer::Full); videos.len()];
                let least = self.least(now, videos, &all);
                allocate(room(budget).max(least), 0, videos)
            }
        };
        self.given = videos.iter().copied().zip(next.iter().copied()).collect();
        next
    }

    /// What the tracks have now, where they and what is wanted of them are as before.
    fn carry_over(&self, videos: &[Demand]) -> Option<Vec<Option<Layer>>> {
        if videos.len() != self.given.len() {
            return None;
        }
        let is_of = |video: &Demand, before: &Demand| video.track == before.track;
        videos
            .iter()
            .zip(&self.given)
            .map(|(video, at_its_place)| {
                // They come in the order of before, unless the caller's table was laid out anew.
                let (before, given) = if is_of(video, &at_its_place.0) {
                    at_its_place
                } else {
                    self.given.iter().find(|(before, _)| is_of(video, before))?
                };
                (video.choice == before.choice && video.can_have(*given)).then_some(*given)
            })
            .collect()
    }

    fn go_on(
        &mut self,
        now: Instant,
        budget: u64,
        went_wrong: bool,
        videos: &[Demand],
        given: Vec<Option<Layer>>,
    ) -> Vec<Option<Layer>> {
        let spent = cost(videos, &given);
        if let Some(trial) = self.trial.take() {
            let taken = now.saturating_duration_since(trial.since);
            let is_long = self.setbacks == 0 || taken >= TRIAL_MIN;
            if !went_wrong && spent <= budget && is_long {
                // The estimate has come up to it.
                self.won = Some(now);
                self.next_trial = Some(now + self.up_after());
            } else if went_wrong || taken >= TRIAL_MAX {
                self.lose(now);
                return match trial.before(videos) {
                    Some(before) if cost(videos, &before) <= budget => before,
                    _ => {
                        let least = self.least(now, videos, &given);
                        allocate(budget.max(least), 0, videos)
                    }
                };
            } else {
                self.trial = Some(trial);
                return given;
            }
        }
        if spent > budget {
            self.under_since = None;
            let since = *self.over_since.get_or_insert(now);
            if went_wrong || now.saturating_duration_since(since) >= DOWN_AFTER {
                self.over_since = None;
                let least = self.least(now, videos, &given);
                return allocate(budget.max(least), 0, videos);
            }
            return given;
        }
        self.over_since = None;
        let better = allocate(room(budget), 0, videos);
        if cost(videos, &better) > spent || count(&better) > count(&given) {
            let since = *self.under_since.get_or_insert(now);
            if now.saturating_duration_since(since) >= self.up_after() {
                self.under_since = None;
                return better;
            }
            return given;
        }
        self.under_since = None;
        self.attempt(now, budget, spent, videos, given)
    }

    /// What is sent in any case while there is no evidence that it is too much: the lowest layer of all that have one.
    fn least(&self, now: Instant, videos: &[Demand], given: &[Option<Layer>]) -> u64 {
        let is_suspect = self
            .wrong_at
            .is_some_and(|at| now.saturating_duration_since(at) < SUSPECT);
        if is_suspect {
            return 0;
        }
        videos
            .iter()
            .zip(given)
            .filter(|(_, layer)| layer.is_some())
            .filter_map(|(video, _)| {
                video
                    .steps()
                    .0
                    .first()
                    .copied()
                    .filter(|_| video.steps().1 > 0)
            })
            .map(|(_, cost)| cost)
            .sum()
    }

    fn lose(&mut self, now: Instant) {
        self.next_trial = Some(now + self.pause);
        self.pause = (self.pause * 2).min(PAUSE_MAX);
    }

    fn up_after(&self) -> Duration {
        if self.setbacks == 0 {
            UP_AFTER_AT_FIRST
        } else {
            UP_AFTER
        }
    }

    /// One step more than the estimate allows, when all has been well for a while.
    fn attempt(
        &mut self,
        now: Instant,
        budget: u64,
        spent: u64,
        videos: &[Demand],
        given: Vec<Option<Layer>>,
    ) -> Vec<Option<Layer>> {
        let quiet = if self.setbacks == 0 {
            UP_AFTER_AT_FIRST
        } else {
            QUIET
        };
        let is_quiet = self
            .calm_since
            .is_some_and(|since| now.saturating_duration_since(since) >= quiet);
        if !is_quiet || self.next_trial.is_some_and(|at| now < at) {
            return given;
        }
        let mut plan = Plan::holding(videos, &given);
        let within = |reach: u64, spent: u64| budget.saturating_mul(reach).saturating_sub(spent);
        // A track that is paused is tried however little the estimate is: nothing else could raise it.
        let reach = if plan.has_paused() {
            u64::MAX
        } else {
            within(TRIAL_REACH, spent)
        };
        let Some((index, cost)) = plan.next_turn(reach) else {
            return given;
        };
        plan.take(index);
        let mut spent = spent + cost;
        while self.setbacks == 0
            && let Some((index, cost)) = plan.next_turn(within(TRIAL_REACH_AT_FIRST, spent))
        {
            plan.take(index);
            spent += cost;
        }
        self.trial = Some(Trial {
            since: now,
            before: videos.iter().map(|video| video.track).zip(given).collect(),
        });
        plan.layers()
    }
}

/// What may be spent on more than there is.
fn room(budget: u64) -> u64 {
    budget.saturating_mul(100) / HEADROOM_PERCENT
}

fn cost(videos: &[Demand], given: &[Option<Layer>]) -> u64 {
    videos
        .iter()
        .zip(given)
        .map(|(video, layer)| video.cost(*layer))
        .sum()
}

fn count(given: &[Option<Layer>]) -> usize {
    given.iter().flatten().count()
}

#[cfg(test)]
mod tests;
