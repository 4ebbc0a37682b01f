//! Probes a server before the client does: whether it accepts connections, and which certificate it presents. The official
//! client retries a server it does not trust for ten minutes and never says why. Sends only a TLS handshake.

use std::io::{self, ErrorKind::TimedOut, ErrorKind::WouldBlock};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use super::error::SparkError;
use crate::job::Remote;

/// Time limit for accepting a connection.
const KNOCK: Duration = Duration::from_secs(5);
/// The protocol for ALPN: Spark Connect is HTTP/2.
const HTTP_2: &[u8] = b"h2";

/// Whether the address accepts connections.
pub(super) fn knock(remote: &Remote) -> Result<TcpStream, SparkError> {
    let unreachable = |why: String| SparkError::Unreachable { remote: remote.shown(), why };
    let addresses = remote.endpoint().to_socket_addrs().map_err(|error| unreachable(error.to_string()))?;
    let mut why = "the name has no address".to_owned();
    for address in addresses {
        match TcpStream::connect_timeout(&address, KNOCK) {
            Ok(stream) => return Ok(stream),
            Err(error) => why = error.to_string(),
        }
    }
    Err(unreachable(why))
}

/// Connects and, if the address requires TLS, checks that the server supports it and presents a certificate that this
/// machine trusts: with the same authorities as the client.
pub(super) fn shake_hands(remote: &Remote, limit: Duration) -> Result<(), SparkError> {
    let mut stream = knock(remote)?;
    if !remote.uses_ssl() {
        return Ok(());
    }
    let mut connection = caller(remote)?;
    let limited = stream.set_read_timeout(Some(limit)).and_then(|()| stream.set_write_timeout(Some(limit)));
    let shaken = limited.and_then(|()| {
        while connection.is_handshaking() {
            connection.complete_io(&mut stream)?;
        }
        Ok(())
    });
    shaken.map_err(|error| refused(remote, &error))?;
    match connection.alpn_protocol() {
        Some(HTTP_2) => Ok(()),
        _ => Err(no_server(remote, "the port speaks TLS, but not HTTP/2 over it (ALPN `h2`)")),
    }
}

/// The client side of a TLS handshake.
fn caller(remote: &Remote) -> Result<ClientConnection, SparkError> {
    let untrusted = |why: String| SparkError::Untrusted { remote: remote.shown(), why };
    let name = ServerName::try_from(remote.endpoint().0.to_owned()).map_err(|error| untrusted(error.to_string()))?;
    let mut authorities = RootCertStore::empty();
    authorities.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if authorities.is_empty() {
        return Err(untrusted("this machine trusts no certificate authority at all".to_owned()));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| untrusted(error.to_string()))?;
    let mut config = config.with_root_certificates(authorities).with_no_client_auth();
    config.alpn_protocols = vec![HTTP_2.to_vec()];
    ClientConnection::new(Arc::new(config), name).map_err(|error| untrusted(error.to_string()))
}

/// A failed handshake: because of the certificate, or because the server does not use TLS.
fn refused(remote: &Remote, error: &io::Error) -> SparkError {
    match error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(problem)) => {
            SparkError::Untrusted { remote: remote.shown(), why: problem.to_string() }
        }
        Some(problem) => no_server(remote, &problem.to_string()),
        None if matches!(error.kind(), WouldBlock | TimedOut) => no_server(remote, "the port is open and silent"),
        None => no_server(remote, &error.to_string()),
    }
}

/// A server that accepts a connection but sends nothing intelligible is not a Spark Connect server, or is addressed in
/// the wrong way.
pub(super) fn no_server(remote: &Remote, what_was_seen: &str) -> SparkError {
    let advice = match remote.uses_ssl() {
        true => "the address says `use_ssl=true`: does that port speak TLS?",
        false => "if that port speaks TLS, the address must say `use_ssl=true`",
    };
    let why = format!("no Spark Connect server answered ({what_was_seen}); {advice}");
    SparkError::Unreachable { remote: remote.shown(), why }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use rcgen::{CertificateParams, KeyPair};
    use rustls::pki_types::PrivateKeyDer;
    use rustls::{ServerConfig, ServerConnection};

    use super::*;

    /// The address of a server with a self-signed certificate, for a single connection.
    fn server() -> Remote {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key);
        let config = Arc::new(config.unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let (mut visitor, _) = listener.accept().unwrap();
            let mut connection = ServerConnection::new(config).unwrap();
            while connection.is_handshaking() && connection.complete_io(&mut visitor).is_ok() {}
        });
        Remote::parse(&format!("sc://localhost:{port}/;use_ssl=true;token=hunter2")).unwrap()
    }

    #[test]
    fn a_certificate_that_nobody_vouches_for_is_told_as_that_and_without_the_token() {
        let remote = server();
        let error = shake_hands(&remote, Duration::from_secs(60)).unwrap_err();
        let told = error.to_string();
        assert!(matches!(error, SparkError::Untrusted { .. }), "{told}");
        assert!(told.starts_with(&format!("the certificate of {} is not trusted: ", remote.shown())), "{told}");
        assert!(!told.contains("hunter2"), "{told}");
    }

    #[test]
    fn what_answers_something_else_than_tls_is_no_server_we_can_speak_to() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let (mut visitor, _) = listener.accept().unwrap();
            io::Write::write_all(&mut visitor, b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        });
        let remote = Remote::parse(&format!("sc://127.0.0.1:{port}/;use_ssl=true;token=hunter2")).unwrap();
        let told = shake_hands(&remote, Duration::from_secs(60)).unwrap_err().to_string();
        assert!(told.contains("no Spark Connect server answered") && told.contains("speak TLS?"), "{told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}
