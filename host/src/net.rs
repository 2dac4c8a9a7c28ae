//! Connections that the host opens: plain, or secured with TLS against the certificates that the system trusts.

use std::io;
use std::sync::{Arc, OnceLock};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

/// A connection, of whatever kind.
pub(crate) trait Connection: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Connection for T {}

/// Secures a connection to the server of this name (a host name, or an address without brackets).
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] for a name that no certificate can have; otherwise what the handshake failed with.
pub(crate) async fn secure(connection: TcpStream, server: &str) -> io::Result<Box<dyn Connection>> {
    let name =
        ServerName::try_from(server.to_owned()).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    // The certificates are files.
    let config = tokio::task::spawn_blocking(config).await.map_err(io::Error::other)??;
    Ok(Box::new(TlsConnector::from(config).connect(name, connection).await?))
}

/// How TLS is spoken; read from the system when it is first asked for.
fn config() -> io::Result<Arc<ClientConfig>> {
    static CONFIG: OnceLock<Result<Arc<ClientConfig>, String>> = OnceLock::new();
    let made = CONFIG.get_or_init(|| {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        let (trusted, _) = roots.add_parsable_certificates(found.certs);
        if trusted == 0 {
            let why = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
            return Err(format!(
                "this system trusts no certificate authority{why}; install its certificates (in Debian: ca-certificates), \
                 or set SSL_CERT_FILE"
            ));
        }
        let provider = Arc::new(crypto::ring::default_provider());
        let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let versions = versions.map_err(|error| error.to_string())?;
        Ok(Arc::new(versions.with_root_certificates(roots).with_no_client_auth()))
    });
    made.clone().map_err(io::Error::other)
}
