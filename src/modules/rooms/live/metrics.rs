//! What is counted of live rooms and of the media plane.

use super::registry::LiveRooms;
use crate::base::metric::Metric;

impl LiveRooms {
    /// The figures of all rooms, and of the media plane below them.
    pub(crate) fn metrics(&self) -> Vec<Metric> {
        let rooms = self.figures();
        let mut metrics = vec![
            Metric::gauge("rotunda_rooms", "Rooms with a live session.", rooms.rooms),
            Metric::gauge(
                "rotunda_room_participants",
                "Participants in live rooms.",
                rooms.participants,
            ),
            Metric::counter(
                "rotunda_room_joins_total",
                "Participants who came into rooms.",
                rooms.joined,
            ),
            Metric::counter(
                "rotunda_room_messages_received_total",
                "Messages of participants.",
                rooms.messages_received,
            ),
            Metric::counter(
                "rotunda_room_messages_refused_total",
                "Messages of participants that were answered with an error.",
                rooms.messages_refused,
            ),
            Metric::counter(
                "rotunda_room_messages_stored_total",
                "Chats of participants that were stored.",
                rooms.messages_stored,
            ),
            Metric::counter(
                "rotunda_room_messages_sent_total",
                "Messages handed to the media plane, each for every receiver.",
                rooms.messages_sent,
            ),
        ];
        if let Some(sfu) = &self.parts.ground.sfu {
            metrics.extend(of_media(sfu.metrics()));
        }
        metrics
    }
}

fn of_media(sfu: crate::sfu::Metrics) -> [Metric; 11] {
    [
        Metric::gauge(
            "rotunda_sfu_sessions",
            "Sessions of the media plane.",
            sfu.sessions,
        ),
        Metric::gauge(
            "rotunda_sfu_peers",
            "Connections of the media plane.",
            sfu.peers,
        ),
        Metric::counter(
            "rotunda_sfu_packets_received_total",
            "Datagrams received.",
            sfu.packets_received,
        ),
        Metric::counter(
            "rotunda_sfu_bytes_received_total",
            "Bytes of datagrams received.",
            sfu.bytes_received,
        ),
        Metric::counter(
            "rotunda_sfu_packets_sent_total",
            "Datagrams sent.",
            sfu.packets_sent,
        ),
        Metric::counter(
            "rotunda_sfu_bytes_sent_total",
            "Bytes of datagrams sent.",
            sfu.bytes_sent,
        ),
        Metric::counter(
            "rotunda_sfu_packets_forwarded_total",
            "RTP packets handed to subscribers.",
            sfu.packets_forwarded,
        ),
        Metric::counter(
            "rotunda_sfu_packets_dropped_total",
            "Datagrams that the socket or a session did not take.",
            sfu.packets_dropped,
        ),
        Metric::counter(
            "rotunda_sfu_packets_unknown_total",
            "Datagrams of no connection.",
            sfu.packets_unknown,
        ),
        Metric::counter(
            "rotunda_sfu_nacks_received_total",
            "Packets that subscribers missed.",
            sfu.nacks_received,
        ),
        Metric::counter(
            "rotunda_sfu_key_frames_requested_total",
            "Key frames asked of publishers.",
            sfu.key_frames_requested,
        ),
    ]
}
