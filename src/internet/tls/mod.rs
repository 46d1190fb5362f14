//! TLS as the world speaks it: a certificate for every name, and what the client said of itself.
//!
//! Not here: sockets ([`super::serve`]).

pub mod authority;
pub mod bare;
pub mod hello;
mod ja4;
mod secrets;

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello as Asked, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{AlertDescription, ServerConfig};

use super::testimony::{Handshake, TEXT_MAX, Tls};
use hello::ClientHello;

pub use authority::Authority;
pub use ja4::ja4;
pub use secrets::Secrets;

/// Application protocols that something here speaks, in the order of our liking.
const PROTOCOLS: [&[u8]; 4] = [b"h2", b"http/1.1", b"http/1.0", b"dot"];
/// Of the protocols that a client offers, so many are told.
const PROTOCOLS_MAX: usize = 32;

/// Makes the server's side of handshakes.
pub struct Terms {
    authority: Authority,
    provider: Arc<CryptoProvider>,
    secrets: Arc<Secrets>,
}

impl Terms {
    pub fn new(authority: Authority) -> Terms {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        Terms { authority, provider, secrets: Arc::default() }
    }

    /// What it takes to read the sessions in a capture.
    pub fn secrets(&self) -> Arc<Secrets> {
        Arc::clone(&self.secrets)
    }

    /// The certificate with which the server answers that this client asks for.
    pub fn key(&self, hello: &ClientHello, address: IpAddr) -> Option<Arc<CertifiedKey>> {
        self.authority.certify(hello.server_name.as_deref(), address)
    }

    /// The server that this client asks for, at this address. `None`: no server can be what it asks for.
    pub fn server(&self, hello: &ClientHello, address: IpAddr) -> Option<Arc<ServerConfig>> {
        let key = self.key(hello, address)?;
        let versions = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .ok()?;
        let mut config = versions.with_no_client_auth().with_cert_resolver(Arc::new(One(key)));
        // What nobody here speaks is not refused: whoever asks for it shall say what it has to say.
        let spoken = PROTOCOLS.iter().filter(|known| hello.alpn.iter().any(|asked| asked == *known));
        config.alpn_protocols = spoken.map(|known| known.to_vec()).collect();
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.key_log = self.secrets();
        Some(Arc::new(config))
    }
}

#[derive(Debug)]
struct One(Arc<CertifiedKey>);

impl ResolvesServerCert for One {
    fn resolve(&self, _: Asked<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

/// What to tell of a client.
pub fn told(hello: &ClientHello, outcome: Handshake) -> Tls {
    let cut = |text: &Vec<u8>| text[..text.len().min(TEXT_MAX)].to_vec();
    Tls {
        server_name: hello.server_name.as_ref().map(cut),
        alpn: hello.alpn.iter().take(PROTOCOLS_MAX).map(cut).collect(),
        ja4: ja4(hello),
        outcome,
    }
}

/// How a handshake ended that ended with this error.
pub fn outcome(error: &io::Error) -> Handshake {
    let error = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match error {
        Some(rustls::Error::AlertReceived(alert)) => Handshake::Refused { alert: alert_name(*alert) },
        _ => Handshake::Broken,
    }
}

/// As RFC 8446, 6 writes it; `alert_` and the number where it has none.
fn alert_name(alert: AlertDescription) -> String {
    let number = u8::from(alert);
    let known = ALERTS.iter().find(|(known, _)| *known == number);
    known.map_or_else(|| format!("alert_{number}"), |(_, name)| (*name).to_owned())
}

#[rustfmt::skip]
const ALERTS: &[(u8, &str)] = &[
    (0, "close_notify"), (10, "unexpected_message"), (20, "bad_record_mac"), (22, "record_overflow"),
    (40, "handshake_failure"), (42, "bad_certificate"), (43, "unsupported_certificate"),
    (44, "certificate_revoked"), (45, "certificate_expired"), (46, "certificate_unknown"),
    (47, "illegal_parameter"), (48, "unknown_ca"), (49, "access_denied"), (50, "decode_error"),
    (51, "decrypt_error"), (70, "protocol_version"), (71, "insufficient_security"), (80, "internal_error"),
    (86, "inappropriate_fallback"), (90, "user_canceled"), (109, "missing_extension"),
    (110, "unsupported_extension"), (112, "unrecognized_name"), (113, "bad_certificate_status_response"),
    (115, "unknown_psk_identity"), (116, "certificate_required"), (120, "no_application_protocol"),
];
