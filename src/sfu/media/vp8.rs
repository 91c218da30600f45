//! The picture ids of VP8 (RFC 7741 section 4.2) as one subscriber sees them. Layers count on their own; a decoder that sees the
//! count jump back waits for pictures that never come.

use bytes::{Bytes, BytesMut};

const PICTURE_IDS: u16 = 1 << 15;
const SHORT_PICTURE_IDS: u16 = 1 << 7;
const KEY_INDEXES: u8 = 1 << 5;

/// Where the counts are in a payload, and their values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    /// The offset, the value, and whether it has 15 bits.
    picture_id: Option<(usize, u16, bool)>,
    tl0_picture_index: Option<(usize, u8)>,
    key_index: Option<(usize, u8)>,
}

/// The newest counts that were sent.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    picture_id: u16,
    tl0_picture_index: u8,
    key_index: u8,
}

/// A subscriber's view on the picture ids of a track.
#[derive(Debug, Default)]
pub(crate) struct PictureIds {
    run: Option<u32>,
    newest: Sent,
    /// Added to what comes in.
    picture_id_offset: u16,
    tl0_picture_index_offset: u8,
    key_index_offset: u8,
}

impl PictureIds {
    /// The payload with counts that go on over runs (`Rewriter::runs` after the packet was taken). It is copied only where the
    /// counts change.
    pub(crate) fn rewrite(&mut self, run: u32, payload: &Bytes) -> Bytes {
        let Some(counts) = Counts::read(payload) else {
            return payload.clone();
        };
        match self.run {
            Some(current) if current == run => {}
            None => {
                self.run = Some(run);
                self.newest = counts.values();
            }
            Some(_) => {
                self.run = Some(run);
                self.begin(&counts);
            }
        }
        self.note(&counts);
        if self.picture_id_offset == 0
            && self.tl0_picture_index_offset == 0
            && self.key_index_offset == 0
        {
            return payload.clone();
        }
        let mut copy = BytesMut::from(payload.as_ref());
        self.write(&counts, &mut copy);
        copy.freeze()
    }

    /// Sets the offsets so that the first counts of a new source follow the newest ones.
    fn begin(&mut self, counts: &Counts) {
        let first = counts.values();
        let newest = self.newest;
        self.picture_id_offset =
            (newest.picture_id + 1).wrapping_sub(first.picture_id) % PICTURE_IDS;
        self.tl0_picture_index_offset = newest
            .tl0_picture_index
            .wrapping_add(1)
            .wrapping_sub(first.tl0_picture_index);
        self.key_index_offset = (newest.key_index + 1).wrapping_sub(first.key_index) % KEY_INDEXES;
    }

    /// Keeps what is sent where it is newer.
    fn note(&mut self, counts: &Counts) {
        if let Some((_, value, is_long)) = counts.picture_id {
            let ids = if is_long {
                PICTURE_IDS
            } else {
                SHORT_PICTURE_IDS
            };
            let out = value.wrapping_add(self.picture_id_offset) % ids;
            if out.wrapping_sub(self.newest.picture_id) % ids < ids / 2 {
                self.newest.picture_id = out;
            }
        }
        if let Some((_, value)) = counts.tl0_picture_index {
            let out = value.wrapping_add(self.tl0_picture_index_offset);
            if out.wrapping_sub(self.newest.tl0_picture_index) < 128 {
                self.newest.tl0_picture_index = out;
            }
        }
        if let Some((_, value)) = counts.key_index {
            let out = value.wrapping_add(self.key_index_offset) % KEY_INDEXES;
            if out.wrapping_sub(self.newest.key_index) % KEY_INDEXES < KEY_INDEXES / 2 {
                self.newest.key_index = out;
            }
        }
    }

    fn write(&self, counts: &Counts, payload: &mut [u8]) {
        if let Some((at, value, is_long)) = counts.picture_id {
            let out = value.wrapping_add(self.picture_id_offset) % PICTURE_IDS;
            let [high, low] = out.to_be_bytes();
            if is_long {
                set(payload, at, high | 0x80);
                set(payload, at + 1, low);
            } else {
                set(payload, at, low & 0x7f);
            }
        }
        if let Some((at, value)) = counts.tl0_picture_index {
            set(
                payload,
                at,
                value.wrapping_add(self.tl0_picture_index_offset),
            );
        }
        if let Some((at, value)) = counts.key_index
            && let Some(byte) = payload.get_mut(at)
        {
            let out = value.wrapping_add(self.key_index_offset) % KEY_INDEXES;
            *byte = (*byte & !(KEY_INDEXES - 1)) | out;
        }
    }
}

impl Counts {
    /// `None` where there are none, or the payload ends before.
    fn read(payload: &[u8]) -> Option<Self> {
        if payload.first()? & 0x80 == 0 {
            return None;
        }
        let present = *payload.get(1)?;
        let mut counts = Self::default();
        let mut at = 2;
        if present & 0x80 != 0 {
            let high = *payload.get(at)?;
            if high & 0x80 == 0 {
                counts.picture_id = Some((at, u16::from(high), false));
                at += 1;
            } else {
                let value = u16::from_be_bytes([high & 0x7f, *payload.get(at + 1)?]);
                counts.picture_id = Some((at, value, true));
                at += 2;
            }
        }
        if present & 0x40 != 0 {
            counts.tl0_picture_index = Some((at, *payload.get(at)?));
            at += 1;
        }
        if present & 0x30 != 0 {
            let byte = *payload.get(at)?;
            if present & 0x10 != 0 {
                counts.key_index = Some((at, byte % KEY_INDEXES));
            }
        }
        Some(counts)
    }

    fn values(&self) -> Sent {
        Sent {
            picture_id: self.picture_id.map_or(0, |(_, value, _)| value),
            tl0_picture_index: self.tl0_picture_index.map_or(0, |(_, value)| value),
            key_index: self.key_index.map_or(0, |(_, value)| value),
        }
    }
}

fn set(payload: &mut [u8], at: usize, value: u8) {
    if let Some(byte) = payload.get_mut(at) {
        *byte = value;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// X; I, L, T and K present; a long picture id.
    fn payload(picture_id: u16, tl0: u8, key_index: u8) -> Bytes {
        let [high, low] = picture_id.to_be_bytes();
        Bytes::copy_from_slice(&[0x90, 0xf0, high | 0x80, low, tl0, 0xa0 | key_index, 1, 2, 3])
    }

    #[test]
    fn the_first_source_is_not_touched() {
        let mut ids = PictureIds::default();
        for picture_id in 100..110 {
            let payload = payload(picture_id, 5, 3);
            assert_eq!(
                ids.rewrite(1, &payload).as_ptr(),
                payload.as_ptr(),
                "no copy"
            );
        }
    }

    #[test]
    fn counts_go_on_over_a_switch_and_wraps() {
        let mut ids = PictureIds::default();
        ids.rewrite(1, &payload(32_766, 254, 30));
        ids.rewrite(1, &payload(32_767, 255, 31));
        assert_eq!(ids.rewrite(2, &payload(700, 9, 4)), payload(0, 0, 0));
        assert_eq!(ids.rewrite(2, &payload(700, 9, 4)), payload(0, 0, 0));
        assert_eq!(ids.rewrite(2, &payload(701, 10, 5)), payload(1, 1, 1));
        // A late packet does not move the count back.
        assert_eq!(ids.rewrite(2, &payload(700, 9, 4)), payload(0, 0, 0));
        assert_eq!(ids.rewrite(3, &payload(5, 5, 5)), payload(2, 2, 2));
    }

    #[test]
    fn short_ids_keep_their_length() {
        let short = |id: u8| Bytes::copy_from_slice(&[0x90, 0x80, id, 1]);
        let mut ids = PictureIds::default();
        ids.rewrite(1, &short(126));
        ids.rewrite(1, &short(127));
        assert_eq!(ids.rewrite(2, &short(3)), short(0));
        assert_eq!(ids.rewrite(2, &short(4)), short(1));
    }

    #[test]
    fn payloads_without_counts_stay() {
        let plain = Bytes::from_static(&[0x10, 1, 2]);
        let mut ids = PictureIds::default();
        ids.rewrite(1, &payload(7, 7, 7));
        assert_eq!(ids.rewrite(2, &plain), plain);
        assert_eq!(ids.rewrite(2, &payload(50, 50, 1)), payload(8, 8, 8));
    }

    proptest! {
        #[test]
        fn any_bytes_keep_their_length(
            payloads in proptest::collection::vec(
                (any::<u32>(), proptest::collection::vec(any::<u8>(), 0..12)), 0..20),
        ) {
            let mut ids = PictureIds::default();
            for (run, payload) in payloads {
                let payload = Bytes::from(payload);
                prop_assert_eq!(ids.rewrite(run % 3, &payload).len(), payload.len());
            }
        }
    }
}
