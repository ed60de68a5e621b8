//! TLS: whom a server must prove to be, and who this side is.

use std::fmt;
use std::io;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::error::Error;
use crate::input;

/// What is given of certificates, in PEM.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Certificates {
    /// The authorities that are believed, in place of the system's.
    pub ca: Option<String>,
    /// This side's own certificate, and those that vouch for it.
    pub cert: Option<String>,
    /// Its private key.
    pub key: Option<String>,
    /// The name that the server's certificate must have, in place of its host's.
    pub server_name: Option<String>,
}

/// How TLS is spoken.
#[derive(Clone)]
pub struct Tls {
    connector: TlsConnector,
    server_name: Option<ServerName<'static>>,
}

impl Tls {
    /// Reads the certificates.
    pub fn new(given: &Certificates) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        match &given.ca {
            Some(pem) => {
                for certificate in certificates("ca", pem)? {
                    roots.add(certificate).map_err(|_| unreadable("ca", "a certificate"))?;
                }
            }
            None => {
                // Those that the system has and this library cannot read are no reason to refuse the others.
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        let provider = Arc::new(ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|_| Error::Internal("TLS has no protocol version".into()))?
            .with_root_certificates(roots);
        let config = match (&given.cert, &given.key) {
            (None, None) => config.with_no_client_auth(),
            (Some(cert), Some(key)) => {
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
                    .map_err(|_| unreadable("key", "an unencrypted private key"))?;
                config
                    .with_client_auth_cert(certificates("cert", cert)?, key)
                    .map_err(|_| input::contradiction("`tls.cert` and `tls.key` do not belong together".into()))?
            }
            _ => {
                return Err(input::contradiction(
                    "`tls.cert` and `tls.key` go together: give both of them, or neither".into(),
                ));
            }
        };
        let server_name = given.server_name.clone().map(ServerName::try_from).transpose();
        let server_name = server_name.map_err(|_| {
            input::contradiction("`tls.serverName` must be a host's name or address as a certificate has it".into())
        })?;
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), server_name })
    }

    /// Speaks TLS over a stream to `host`.
    pub async fn over<S>(&self, host: Option<&str>, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let of_host = || {
            let host = host.unwrap_or("localhost").to_owned();
            ServerName::try_from(host).map_err(|_| io::Error::other("its host can be in no certificate"))
        };
        let name = self.server_name.clone().map_or_else(of_host, Ok)?;
        self.connector.connect(name, stream).await
    }
}

fn certificates(option: &str, pem: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    all.ok().filter(|all| !all.is_empty()).ok_or_else(|| unreadable(option, "a certificate"))
}

/// Says nothing of what was given: it may be a private key.
fn unreadable(option: &str, what: &str) -> Error {
    input::contradiction(format!("`tls.{option}` must hold {what} in PEM, as in '-----BEGIN …', and cannot be read"))
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}
