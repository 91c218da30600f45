use proptest::prelude::*;

use super::*;

const VIDEO: u32 = 90_000;

struct Stream {
    rewriter: Rewriter,
    start: Instant,
}

impl Stream {
    fn new() -> Self {
        Self {
            rewriter: Rewriter::new(VIDEO),
            start: Instant::now(),
        }
    }

    /// A packet of a source whose timestamps are 90 times its milliseconds.
    fn at(&mut self, ssrc: u32, seq: u16, ms: u32) -> Option<(u16, u32)> {
        let at = self.start + Duration::from_millis(u64::from(ms));
        self.rewriter.forward(ssrc, seq, ms.wrapping_mul(90), at)
    }

    fn seq(&mut self, ssrc: u32, seq: u16, ms: u32) -> Option<u16> {
        self.at(ssrc, seq, ms).map(|(seq, _)| seq)
    }
}

#[test]
fn numbers_wrap_without_a_seam() {
    let mut stream = Stream::new();
    let sent: Vec<_> = (0..10)
        .map(|index| stream.seq(1, 65_530_u16.wrapping_add(index), 0))
        .collect();
    let expected: Vec<_> = (0..10)
        .map(|index| Some(65_530_u16.wrapping_add(index)))
        .collect();
    assert_eq!(sent, expected);
}

#[test]
fn a_switch_goes_on_where_the_last_source_ended() {
    let mut stream = Stream::new();
    assert_eq!(stream.at(1, 100, 0), Some((100, 0)));
    assert_eq!(stream.at(1, 101, 40), Some((101, 3_600)));
    // The other layer counts on its own; the time between is the time that passed.
    assert_eq!(stream.at(2, 9_000, 50), Some((102, 4_500)));
    assert_eq!(stream.at(2, 9_001, 80), Some((103, 7_200)));
    assert_eq!(stream.rewriter.runs(), 2);
}

#[test]
fn the_timestamp_advances_even_when_no_time_passed() {
    let mut stream = Stream::new();
    let at = stream.start;
    assert_eq!(
        stream.rewriter.forward(1, 1, u32::MAX, at),
        Some((1, u32::MAX))
    );
    assert_eq!(stream.rewriter.forward(2, 700, 5, at), Some((2, 0)));
}

#[test]
fn packets_left_out_leave_no_gap_and_lost_ones_do() {
    let mut stream = Stream::new();
    assert_eq!(stream.seq(1, 10, 0), Some(10));
    stream.rewriter.skip(1, 11);
    assert_eq!(stream.seq(1, 12, 0), Some(11));
    // 13 is lost.
    assert_eq!(stream.seq(1, 14, 0), Some(13));
    stream.rewriter.skip(1, 15);
    stream.rewriter.skip(1, 16);
    assert_eq!(stream.seq(1, 17, 0), Some(14));
    // It comes after all, as do those that were left out.
    assert_eq!(stream.seq(1, 13, 0), Some(12));
    assert_eq!(stream.seq(1, 11, 0), None);
    assert_eq!(stream.seq(1, 15, 0), None);
}

#[test]
fn what_is_lost_between_two_left_out_is_not_missed() {
    let mut stream = Stream::new();
    assert_eq!(stream.seq(1, 10, 0), Some(10));
    stream.rewriter.skip(1, 11);
    stream.rewriter.skip(1, 14);
    assert_eq!(stream.seq(1, 15, 0), Some(11));
    assert_eq!(stream.seq(1, 12, 0), None);
}

#[test]
fn what_is_left_out_late_keeps_its_number_empty() {
    let mut stream = Stream::new();
    assert_eq!(stream.seq(1, 10, 0), Some(10));
    assert_eq!(stream.seq(1, 12, 0), Some(12));
    stream.rewriter.skip(1, 11);
    assert_eq!(stream.seq(1, 11, 0), None);
    assert_eq!(stream.seq(1, 13, 0), Some(13));
}

#[test]
fn packets_of_other_sources_cannot_be_left_out() {
    let mut stream = Stream::new();
    stream.rewriter.skip(1, 5);
    assert_eq!(stream.seq(1, 10, 0), Some(10));
    stream.rewriter.skip(2, 11);
    assert_eq!(stream.seq(1, 11, 0), Some(11));
}

#[test]
fn duplicates_are_refused() {
    let mut stream = Stream::new();
    assert!(stream.seq(1, 10, 0).is_some());
    assert!(stream.seq(1, 12, 0).is_some());
    assert!(stream.seq(1, 11, 0).is_some());
    for seq in 10..13 {
        assert_eq!(stream.seq(1, seq, 0), None);
    }
}

#[test]
fn packets_from_before_the_switch_are_refused() {
    let mut stream = Stream::new();
    assert!(stream.seq(1, 10, 0).is_some());
    assert_eq!(stream.seq(2, 500, 10), Some(11));
    assert_eq!(
        stream.seq(2, 499, 11),
        None,
        "before the new source's first"
    );
    assert_eq!(stream.seq(1, 9, 12), None, "late, of the old source");
    assert_eq!(stream.seq(2, 501, 13), Some(12));
    assert_eq!(stream.seq(1, 11, 14), Some(13), "a switch back");
}

#[test]
fn a_switch_back_after_a_long_time_may_have_any_number() {
    let mut stream = Stream::new();
    assert!(stream.seq(1, 40_000, 0).is_some());
    assert!(stream.seq(2, 500, 10).is_some());
    assert_eq!(stream.seq(1, 20_000, 5_000), Some(40_002));
}

#[test]
fn a_cut_is_followed_without_a_gap() {
    let mut stream = Stream::new();
    assert_eq!(stream.at(1, 10, 0), Some((10, 0)));
    stream.rewriter.cut();
    assert_eq!(stream.at(1, 9, 5), None, "still under way");
    stream.rewriter.skip(1, 11);
    assert_eq!(stream.at(1, 2_000, 20_000), Some((11, 1_800_000)));
    assert_eq!(stream.at(1, 2_001, 20_040), Some((12, 1_803_600)));
    stream.rewriter.cut();
    assert_eq!(
        stream.seq(1, 1_500, 30_000),
        Some(13),
        "any number after a while"
    );
}

#[test]
fn a_source_that_begins_anew_is_followed() {
    let mut stream = Stream::new();
    assert_eq!(stream.seq(1, 100, 0), Some(100));
    assert_eq!(
        stream.seq(1, 10_000, 10),
        Some(101),
        "too far ahead for loss"
    );
    assert_eq!(stream.seq(1, 10_001, 10), Some(102));
    assert_eq!(stream.seq(1, 5_000, 20), None, "far back: once is a stray");
    assert_eq!(stream.seq(1, 10_002, 20), Some(103));
    assert_eq!(stream.seq(1, 5_001, 30), None);
    assert_eq!(stream.seq(1, 5_002, 30), Some(104), "twice is a new start");
}

#[test]
fn loss_of_thousands_does_not_confuse_duplicates() {
    let mut stream = Stream::new();
    for seq in 0..200 {
        assert_eq!(stream.seq(1, seq, 0), Some(seq));
    }
    assert_eq!(stream.seq(1, 2_500, 0), Some(2_500));
    // Late ones whose places in the window are those of the first.
    for seq in 2_048..2_248 {
        assert_eq!(stream.seq(1, seq, 0), Some(seq));
        assert_eq!(stream.seq(1, seq, 0), None);
    }
}

/// What a packet of a stream meets.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Forwarded,
    LeftOut,
    Lost,
}

fn fates() -> impl Strategy<Value = Vec<Fate>> {
    let fate = prop_oneof![
        6 => Just(Fate::Forwarded),
        1 => Just(Fate::LeftOut),
        1 => Just(Fate::Lost),
    ];
    proptest::collection::vec(fate, 1..400)
}

proptest! {
    #[test]
    fn in_order_packets_rise_and_only_loss_leaves_gaps(first in any::<u16>(), fates in fates()) {
        let mut rewriter = Rewriter::new(VIDEO);
        let at = Instant::now();
        prop_assert_eq!(rewriter.forward(1, first, 0, at), Some((first, 0)));
        let mut expected = first;
        let mut lost = 0;
        let mut after_skip = false;
        for (index, fate) in fates.into_iter().enumerate() {
            let seq = first.wrapping_add(1 + index as u16);
            match fate {
                Fate::Forwarded => {
                    expected = expected.wrapping_add(1 + lost);
                    lost = 0;
                    after_skip = false;
                    prop_assert_eq!(
                        rewriter.forward(1, seq, index as u32, at),
                        Some((expected, index as u32))
                    );
                }
                Fate::LeftOut => {
                    // What was lost between two that are left out is left out too.
                    if !after_skip {
                        expected = expected.wrapping_add(lost);
                    }
                    lost = 0;
                    after_skip = true;
                    rewriter.skip(1, seq);
                }
                Fate::Lost => lost += 1,
            }
        }
    }

    #[test]
    fn shuffled_packets_get_the_numbers_they_would_have_in_order(
        first in any::<u16>(),
        delays in proptest::collection::vec(0_usize..40, 1..300),
    ) {
        let mut order: Vec<usize> = (0..delays.len()).collect();
        order.sort_by_key(|index| (index + delays[*index], *index));
        let mut rewriter = Rewriter::new(VIDEO);
        let at = Instant::now();
        let mut lowest = None;
        for index in order {
            let seq = first.wrapping_add(index as u16);
            let begins = *lowest.get_or_insert(index);
            let out = rewriter.forward(1, seq, 0, at);
            prop_assert_eq!(out.is_some(), index >= begins);
            if let Some((out, _)) = out {
                prop_assert_eq!(out, seq);
            }
            prop_assert_eq!(rewriter.forward(1, seq, 0, at), None);
        }
    }

    #[test]
    fn any_input_gives_no_number_twice(
        packets in proptest::collection::vec(
            (0_u32..3, any::<u16>(), any::<u32>(), 0_u64..100, 0_u8..12), 0..120),
    ) {
        let mut rewriter = Rewriter::new(VIDEO);
        let mut at = Instant::now();
        let mut sent = std::collections::HashSet::new();
        for (ssrc, seq, timestamp, ms, kind) in packets {
            at += Duration::from_millis(ms);
            match kind {
                0 => rewriter.cut(),
                1 => rewriter.skip(ssrc, seq),
                _ => if let Some((out, _)) = rewriter.forward(ssrc, seq % 500, timestamp, at) {
                    prop_assert!(sent.insert(out), "{out} twice");
                },
            }
        }
    }
}
