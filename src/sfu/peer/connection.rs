//! Making a peer's connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rtc::peer_connection::RTCPeerConnectionBuilder;
use rtc::peer_connection::configuration::setting_engine::SctpMaxMessageSize;
use rtc::peer_connection::transport::{CandidateConfig, CandidateHostConfig, RTCIceCandidate};
use webrtc::peer_connection::{
    RTCCertificate, RTCConfigurationBuilder, RTCPeerConnection, SettingEngineBuilder, crypto,
};

use crate::Error;
use crate::interceptors::bandwidth::Downlink;
use crate::interceptors::registry;

/// The longest message of a data channel, in bytes (`a=max-message-size`).
pub(crate) const MESSAGE_MAX: usize = 256 * 1024;
/// What the connection puts together. The bound for messages lies below, so that a longer one is seen and not just dropped.
pub(super) const MESSAGE_TAKEN: usize = MESSAGE_MAX + 16 * 1024;
/// What a peer may have sent that is not put together or not taken yet, in bytes.
pub(super) const RECEIVE_BUFFER: u32 = 1024 * 1024;
/// Of an SCTP packet, in bytes: fits where tunnels take their share.
const SCTP_MTU: u32 = 1200;

/// What all connections share: keys are made once.
#[derive(Clone)]
pub(crate) struct Identity {
    certificate: RTCCertificate,
    provider: Arc<dyn crypto::RTCCryptoProvider>,
}

impl Identity {
    /// Makes a key and its certificate (ECDSA P-256, self-signed; the fingerprint in the description stands for it).
    pub(crate) fn generate() -> Result<Self, Error> {
        let provider = crypto::default_provider().map_err(internal)?;
        let scheme = rtc::crypto::SignatureScheme::EcdsaP256Sha256;
        let certificate = RTCCertificate::generate(provider.crypto(), scheme, Default::default())
            .map_err(internal)?;
        Ok(Self {
            certificate,
            provider,
        })
    }
}

/// The ICE name and password of one connection.
pub(crate) struct Credentials {
    pub(crate) ufrag: String,
    pub(crate) pwd: String,
}

impl Credentials {
    /// New ones (RFC 8445 section 5.3: at least 24 and 128 bits of randomness).
    pub(crate) fn random() -> Self {
        Self {
            ufrag: random_text(12),
            pwd: random_text(32),
        }
    }
}

fn random_text(length: usize) -> String {
    use rand::Rng as _;
    let mut rng = rand::rng();
    (0..length)
        .map(|_| char::from(rng.sample(rand::distr::Alphanumeric)))
        .collect()
}

/// A connection without sections, with the server's candidates.
pub(crate) fn connect(
    identity: &Identity,
    credentials: &Credentials,
    candidates: &[SocketAddr],
    now: Instant,
) -> Result<(RTCPeerConnection, Arc<Downlink>), Error> {
    let media = registry::media_engine().map_err(internal)?;
    let downlink = Arc::<Downlink>::default();
    let settings = SettingEngineBuilder::new()
        .with_crypto_provider(Arc::clone(&identity.provider))
        .with_lite(true)
        .with_ice_credentials(credentials.ufrag.clone(), credentials.pwd.clone())
        .with_multicast_dns_mode(rtc::ice::mdns::MulticastDnsMode::Disabled)
        // The session watches for silence: the agent counts checks only.
        .with_ice_timeouts(
            Some(Duration::ZERO),
            Some(Duration::ZERO),
            Some(Duration::ZERO),
        )
        .with_sctp_max_message_size(SctpMaxMessageSize::Bounded(MESSAGE_TAKEN as u32))
        .with_sctp_max_receive_buffer_size(RECEIVE_BUFFER)
        .with_sctp_mtu(SCTP_MTU)
        .build();
    let configuration = RTCConfigurationBuilder::new()
        .with_certificates(vec![identity.certificate.clone()])
        .build();
    let mut connection = RTCPeerConnectionBuilder::new()
        .with_configuration(configuration)
        .with_media_engine(media)
        .with_setting_engine(settings)
        .with_interceptor_registry(registry::registry(&downlink))
        .build(now)
        .map_err(internal)?;
    for candidate in candidates {
        let host = CandidateHostConfig {
            base_config: CandidateConfig {
                network: "udp".to_owned(),
                address: candidate.ip().to_string(),
                port: candidate.port(),
                component: 1,
                ..CandidateConfig::default()
            },
            ..CandidateHostConfig::default()
        };
        let host = host.new_candidate_host().map_err(internal)?;
        let init = RTCIceCandidate::from(&host).to_json().map_err(internal)?;
        connection.add_local_candidate(init).map_err(internal)?;
    }
    connection
        .add_local_candidate(Default::default())
        .map_err(internal)?;
    Ok((connection, downlink))
}

/// A fault that no client's input explains.
pub(crate) fn internal(cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Internal(Box::new(cause))
}
