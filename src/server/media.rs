//! The UDP port of rooms.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::Context as _;

use crate::config::RtcConfig;
use crate::sfu::{Options, Sfu};

/// Starts the media plane beside a server that listens on `http`: on the same address if only this machine can reach that,
/// else on all. The default port may be taken, as by another server of a developer's machine: a free one does then. A port
/// that somebody asked for is what a firewall lets through, so nothing else does.
///
/// # Errors
/// When the port cannot be bound.
pub(super) fn start(config: &RtcConfig, http: IpAddr) -> anyhow::Result<Sfu> {
    let ip = if http.is_loopback() {
        http
    } else {
        Ipv4Addr::UNSPECIFIED.into()
    };
    let on_port = |port| {
        Sfu::start(&Options {
            bind: SocketAddr::new(ip, port),
            public_ips: config.public_ips.clone(),
            ..Options::default()
        })
    };
    let wanted = config.port.unwrap_or(RtcConfig::PORT);
    match on_port(wanted) {
        Err(error) if config.port.is_none() && error.kind() == io::ErrorKind::AddrInUse => {
            let sfu = on_port(0).context("cannot open a UDP port for rooms")?;
            tracing::warn!(
                wanted,
                port = sfu.addr().port(),
                "the UDP port of rooms is taken by another program: another port is used"
            );
            Ok(sfu)
        }
        started => started.with_context(|| {
            format!(
                "cannot open the UDP port for rooms (--rtc-port) on {}",
                SocketAddr::new(ip, wanted)
            )
        }),
    }
}
