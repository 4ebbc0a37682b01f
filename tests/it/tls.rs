//! Authorities, certificates and a gate with TLS before the simulator, for tests of who trusts whom.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WantsServerCert;
use rustls::{ConfigBuilder, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::support::Wechat;

/// An authority that signs certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub pem: String,
    pub der: CertificateDer<'static>,
}

/// A certificate and its key.
pub struct Identity {
    pub certificate: rcgen::Certificate,
    pub key: KeyPair,
}

/// A gate that stands before a server.
pub struct Gate {
    pub url: String,
    visitors: Arc<AtomicUsize>,
}

impl Authority {
    pub fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let (pem, der) = (certificate.pem(), certificate.der().clone());
        Authority { issuer: Issuer::new(params, key), pem, der }
    }

    /// A certificate for a name.
    pub fn sign(&self, name: &str) -> Identity {
        self.sign_with(name, |_| ())
    }

    /// The same, with what `change` makes of it.
    pub fn sign_with(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        change(&mut params);
        Identity { certificate: params.signed_by(&key, &self.issuer).unwrap(), key }
    }
}

impl Identity {
    /// A certificate that only its owner vouches for.
    pub fn self_signed(name: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        Identity { certificate: CertificateParams::new([name.to_owned()]).unwrap().self_signed(&key).unwrap(), key }
    }
}

impl Gate {
    /// How many connections there were, let through or not.
    pub fn visitors(&self) -> usize {
        self.visitors.load(Ordering::Relaxed)
    }
}

/// A server that shows `identity`.
pub fn config_of(builder: ConfigBuilder<ServerConfig, WantsServerCert>, identity: &Identity) -> ServerConfig {
    let key = PrivateKeyDer::try_from(identity.key.serialize_der()).unwrap();
    builder.with_single_cert(vec![identity.certificate.der().clone()], key).unwrap()
}

/// Opens a gate to `wechat` at a free port of `localhost`.
pub fn stand_before(wechat: &Wechat, config: ServerConfig) -> Gate {
    let behind = wechat.running().base_url().replace("http://", "");
    let listener = wechat.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let visitors = Arc::new(AtomicUsize::new(0));
    wechat.spawn(stand(listener, TlsAcceptor::from(Arc::new(config)), behind, visitors.clone()));
    Gate { url, visitors }
}

async fn stand(listener: TcpListener, acceptor: TlsAcceptor, behind: String, visitors: Arc<AtomicUsize>) {
    while let Ok((visitor, _)) = listener.accept().await {
        visitors.fetch_add(1, Ordering::Relaxed);
        let (acceptor, behind) = (acceptor.clone(), behind.clone());
        tokio::spawn(async move {
            // A refused client was told so in the handshake, and one that refuses tells us.
            let Ok(mut visitor) = acceptor.accept(visitor).await else { return };
            let Ok(mut server) = TcpStream::connect(behind).await else { return };
            let _ = tokio::io::copy_bidirectional(&mut visitor, &mut server).await;
        });
    }
}
