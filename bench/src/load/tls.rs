//! The client's TLS: rustls on owned buffers, one session shared by the two halves of a connection on one thread.

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::rc::Rc;
use std::sync::Arc;

use monoio::BufResult;
use monoio::buf::{IoBufMut, IoVecBufMut};
use monoio::io::{AsyncReadRent, AsyncWriteRentExt, OwnedReadHalf, OwnedWriteHalf};
use monoio::net::TcpStream;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};

use crate::error::Error;

pub(crate) type Config = Arc<ClientConfig>;
pub(super) type Session = Rc<RefCell<ClientConnection>>;

const READ_BYTES: usize = 32 << 10;

/// A client that takes any certificate (the servers are ours) and never resumes, so that every connection costs the
/// server a whole handshake.
pub(crate) fn any_certificate() -> Result<Config, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::program("TLS client", error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// Drives the handshake to its end.
pub(super) async fn handshake(
    session: &Session,
    reader: &mut OwnedReadHalf<TcpStream>,
    writer: &mut OwnedWriteHalf<TcpStream>,
) -> io::Result<()> {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let records = outgoing(session)?;
        if !records.is_empty() {
            writer.write_all(records).await.0?;
        }
        if !session.borrow().is_handshaking() {
            return Ok(());
        }
        let (received, returned) = reader.read(buffer).await;
        buffer = returned;
        match received? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => accept(session, &buffer[..count], &mut Vec::new())?,
        };
    }
}

/// The records that carry `plain`.
pub(super) fn seal(session: &Session, plain: &[u8]) -> io::Result<Vec<u8>> {
    session.borrow_mut().writer().write_all(plain)?;
    outgoing(session)
}

fn outgoing(session: &Session) -> io::Result<Vec<u8>> {
    let mut session = session.borrow_mut();
    let mut records = Vec::new();
    while session.wants_write() {
        session.write_tls(&mut records)?;
    }
    Ok(records)
}

/// Takes received records; what they carried goes to the end of `plain`. Says whether the peer has closed.
fn accept(session: &Session, mut records: &[u8], plain: &mut Vec<u8>) -> io::Result<bool> {
    let mut session = session.borrow_mut();
    let mut closed = false;
    while !records.is_empty() && !closed {
        session.read_tls(&mut records)?;
        let state = session.process_new_packets().map_err(io::Error::other)?;
        // Emptied each time: the session takes no more records while it holds much plain text.
        let start = plain.len();
        plain.resize(start + state.plaintext_bytes_to_read(), 0);
        session.reader().read_exact(&mut plain[start..])?;
        closed = state.peer_has_closed();
    }
    Ok(closed)
}

/// The plain bytes of one TLS connection.
pub(super) struct TlsReader {
    reader: OwnedReadHalf<TcpStream>,
    session: Session,
    records: Vec<u8>,
    plain: Vec<u8>,
    /// How much of `plain` has been handed out.
    taken: usize,
}

impl TlsReader {
    pub(super) fn new(reader: OwnedReadHalf<TcpStream>, session: Session) -> Self {
        Self { reader, session, records: vec![0; READ_BYTES], plain: Vec::new(), taken: 0 }
    }

    /// Waits until `plain` has bytes to hand out, or the connection has ended (then it has none).
    async fn fill(&mut self) -> io::Result<()> {
        while self.taken == self.plain.len() {
            self.plain.clear();
            self.taken = 0;
            let records = std::mem::take(&mut self.records);
            let (received, records) = self.reader.read(records).await;
            self.records = records;
            let count = received?;
            if count == 0 || accept(&self.session, &self.records[..count], &mut self.plain)? {
                return Ok(());
            }
        }
        Ok(())
    }
}

impl AsyncReadRent for TlsReader {
    async fn read<T: IoBufMut>(&mut self, buffer: T) -> BufResult<usize, T> {
        if let Err(error) = self.fill().await {
            return (Err(error), buffer);
        }
        let mut available = &self.plain[self.taken..];
        let (read, buffer) = AsyncReadRent::read(&mut available, buffer).await;
        self.taken += read.as_ref().copied().unwrap_or(0);
        (read, buffer)
    }

    async fn readv<T: IoVecBufMut>(&mut self, buffers: T) -> BufResult<usize, T> {
        if let Err(error) = self.fill().await {
            return (Err(error), buffers);
        }
        let mut available = &self.plain[self.taken..];
        let (read, buffers) = available.readv(buffers).await;
        self.taken += read.as_ref().copied().unwrap_or(0);
        (read, buffers)
    }
}

/// Signatures are checked, so that the handshake does its whole work; who signed is not.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
