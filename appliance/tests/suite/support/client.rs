//! A blocking HTTP/1.1 client, plain or TLS, strict about what it is answered.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WantsClientCert};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CipherSuite, ClientConfig, ClientConnection, ConfigBuilder, DigitallySignedStruct, HandshakeKind, SignatureScheme,
    StreamOwned, SupportedProtocolVersion,
};
use socket2::{Domain, Socket, Type};

use super::PATIENCE;
use super::certificates::Certificate;

/// One answer, its body complete.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// In the order sent, names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// The only value of `name`; fails the test when there are two.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let value = values.next();
        assert!(values.next().is_none(), "{name} twice: {:?}", self.headers);
        value
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The server said that it closes the connection after this answer.
    pub(crate) fn closes(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

/// A connection to the product.
pub(crate) struct Connection {
    stream: BufReader<Stream>,
}

pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Connection {
    pub(crate) fn plain(address: SocketAddr) -> io::Result<Self> {
        Ok(Self { stream: BufReader::new(Stream::Plain(connect(address)?)) })
    }

    /// A client at another address of this machine.
    pub(crate) fn from(source: Ipv4Addr, address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddr::from((source, 0)).into())?;
        socket.connect_timeout(&address.into(), PATIENCE)?;
        Ok(Self { stream: BufReader::new(Stream::Plain(prepared(socket.into())?)) })
    }

    /// TLS with this server name, or none; any certificate is taken, see [`Self::peer_certificate`].
    pub(crate) fn tls(address: SocketAddr, name: Option<&str>) -> io::Result<Self> {
        Self::tls_with(address, name, rustls::ALL_VERSIONS)
    }

    /// The same with TLS 1.2 only.
    pub(crate) fn tls_1_2(address: SocketAddr, name: &str) -> io::Result<Self> {
        Self::tls_with(address, Some(name), &[&rustls::version::TLS12])
    }

    fn tls_with(
        address: SocketAddr,
        name: Option<&str>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> io::Result<Self> {
        Self::tls_by(address, name, tls_config(versions))
    }

    /// TLS with a client certificate.
    pub(crate) fn tls_as(address: SocketAddr, name: &str, own: &Certificate) -> io::Result<Self> {
        Self::tls_by(address, Some(name), tls_config_as(own))
    }

    /// TLS by any configuration, which may be used again to resume the session; for HTTP/1.1 if it names no protocol.
    pub(crate) fn tls_by(address: SocketAddr, name: Option<&str>, mut config: ClientConfig) -> io::Result<Self> {
        if config.alpn_protocols.is_empty() {
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
        }
        config.enable_sni = name.is_some();
        Self::tls_over(connect(address)?, name, config)
    }

    /// TLS behind bytes in the clear.
    pub(crate) fn tls_behind(address: SocketAddr, before: &[u8], name: &str) -> io::Result<Self> {
        let mut stream = connect(address)?;
        stream.write_all(before)?;
        Self::tls_over(stream, Some(name), tls_config(rustls::ALL_VERSIONS))
    }

    fn tls_over(stream: TcpStream, name: Option<&str>, config: ClientConfig) -> io::Result<Self> {
        let stream = tls_session(stream, name, config)?;
        Ok(Self { stream: BufReader::new(Stream::Tls(Box::new(stream))) })
    }

    /// Whether an earlier session was resumed.
    pub(crate) fn is_resumed(&self) -> bool {
        match self.stream.get_ref() {
            Stream::Plain(_) => false,
            Stream::Tls(stream) => stream.conn.handshake_kind() == Some(HandshakeKind::Resumed),
        }
    }

    /// Suite and group of the key exchange, by their names.
    pub(crate) fn negotiated(&self) -> (String, String) {
        match self.stream.get_ref() {
            Stream::Plain(_) => panic!("a plain connection negotiates nothing"),
            Stream::Tls(stream) => {
                let suite = stream.conn.negotiated_cipher_suite().expect("a suite").suite();
                let group = stream.conn.negotiated_key_exchange_group().expect("a group").name();
                (format!("{suite:?}"), format!("{group:?}"))
            }
        }
    }

    /// The server's own certificate, DER.
    pub(crate) fn peer_certificate(&self) -> Vec<u8> {
        match self.stream.get_ref() {
            Stream::Plain(_) => panic!("a plain connection has no certificate"),
            Stream::Tls(stream) => stream.conn.peer_certificates().expect("a certificate")[0].to_vec(),
        }
    }

    pub(crate) fn get(&mut self, host: &str, target: &str) -> io::Result<Response> {
        self.request("GET", host, target, &[], b"")
    }

    /// Sends a request with a body of known length (none when empty) and reads the answer.
    pub(crate) fn request(
        &mut self,
        method: &str,
        host: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Response> {
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        self.send(head.as_bytes())?;
        self.send(body)?;
        self.response(method == "HEAD")
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)?;
        self.stream.get_mut().flush()
    }

    /// Reads an answer; `bodiless` when it answers HEAD.
    pub(crate) fn response(&mut self, bodiless: bool) -> io::Result<Response> {
        let (status, headers) = self.head()?;
        let mut response = Response { status, headers, body: Vec::new() };
        if bodiless || status < 200 || status == 204 || status == 304 {
            return Ok(response);
        }
        if response.header("transfer-encoding").is_some_and(|value| value == "chunked") {
            self.chunked(&mut response.body)?;
        } else if let Some(length) = response.header("content-length") {
            let length = length.parse().map_err(io::Error::other)?;
            self.exactly(length, &mut response.body)?;
        } else {
            self.stream.read_to_end(&mut response.body)?;
        }
        Ok(response)
    }

    /// Status and headers only; the body is left to [`Self::read_exact`].
    pub(crate) fn head(&mut self) -> io::Result<(u16, Vec<(String, String)>)> {
        let status_line = self.line()?;
        let status = status_line
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3)?.parse().ok())
            .ok_or_else(|| io::Error::other(format!("not a status line: {status_line:?}")))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok((status, headers));
            }
            let (name, value) =
                line.split_once(':').ok_or_else(|| io::Error::other(format!("not a header: {line:?}")))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    /// Bytes up to the length of `buffer`, all of them.
    pub(crate) fn read_exact(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.stream.read_exact(buffer)
    }

    /// Whether the connection ends (cleanly or by a reset) before anything more comes.
    pub(crate) fn is_closed(&mut self) -> bool {
        match self.stream.read(&mut [0]) {
            Ok(0) => true,
            Ok(_) => false,
            Err(error) => !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
        }
    }

    /// The socket below.
    pub(crate) fn socket(&self) -> &TcpStream {
        self.stream.get_ref().socket()
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match line.strip_suffix("\r\n") {
            Some(line) => Ok(line.to_owned()),
            None => Err(io::Error::other(format!("line without CRLF: {line:?}"))),
        }
    }

    fn exactly(&mut self, length: u64, body: &mut Vec<u8>) -> io::Result<()> {
        let read = (&mut self.stream).take(length).read_to_end(body)?;
        if (read as u64) < length { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    /// Reads one chunk; false for the last, which is empty.
    pub(crate) fn chunk(&mut self, body: &mut Vec<u8>) -> io::Result<bool> {
        let size = u64::from_str_radix(&self.line()?, 16).map_err(io::Error::other)?;
        self.exactly(size, body)?;
        let end = self.line()?;
        if end.is_empty() { Ok(size > 0) } else { Err(io::Error::other(format!("after a chunk: {end:?}"))) }
    }

    fn chunked(&mut self, body: &mut Vec<u8>) -> io::Result<()> {
        while self.chunk(body)? {}
        Ok(())
    }
}

/// A TLS session that offers `h2` alone.
pub(crate) fn h2_session(address: SocketAddr) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let mut config = tls_config(rustls::ALL_VERSIONS);
    config.alpn_protocols = vec![b"h2".to_vec()];
    tls_session(connect(address)?, Some("a.test"), config)
}

/// A TLS session, its handshake done.
fn tls_session(
    stream: TcpStream,
    name: Option<&str>,
    config: ClientConfig,
) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let name = ServerName::try_from(name.unwrap_or("unnamed.test").to_owned()).map_err(io::Error::other)?;
    let session = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(session, stream);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}

pub(crate) fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    prepared(TcpStream::connect_timeout(&address, PATIENCE)?)
}

fn prepared(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

impl Stream {
    /// The socket below.
    pub(crate) fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => &stream.sock,
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(buffer),
            Self::Tls(stream) => stream.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

/// A request on a connection of its own, plain.
pub(crate) fn try_once(address: SocketAddr, method: &str, host: &str, target: &str) -> io::Result<Response> {
    Connection::plain(address)?.request(method, host, target, &[("Connection", "close")], b"")
}

/// The same; fails the test when there is no answer.
pub(crate) fn once(address: SocketAddr, method: &str, host: &str, target: &str) -> Response {
    try_once(address, method, host, target).unwrap_or_else(|error| panic!("{method} {host}{target}: {error}"))
}

/// A GET over TLS on a connection of its own, the server name being the host.
pub(crate) fn get_tls(address: SocketAddr, host: &str, target: &str) -> Response {
    Connection::tls(address, Some(host))
        .and_then(|mut connection| connection.get(host, target))
        .unwrap_or_else(|error| panic!("GET https://{host}{target}: {error}"))
}

/// Takes any certificate and shows this one.
pub(crate) fn tls_config_as(own: &Certificate) -> ClientConfig {
    let key = PrivateKeyDer::from_pem_slice(own.key_pem.as_bytes()).expect("a key");
    builder(rustls::ALL_VERSIONS).with_client_auth_cert(own.chain(), key).expect("a pair that belongs together")
}

/// Takes any certificate; sessions are resumed.
pub(crate) fn tls_config_that_resumes(versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    builder(versions).with_no_client_auth()
}

/// Takes any certificate; TLS 1.2 with this suite only.
pub(crate) fn tls_config_of_suite(suite: CipherSuite) -> ClientConfig {
    tls_config_of_suites(&[suite])
}

/// The same with several, best first.
pub(crate) fn tls_config_of_suites(suites: &[CipherSuite]) -> ClientConfig {
    let mut provider = aws_lc_rs::default_provider();
    let known = std::mem::take(&mut provider.cipher_suites);
    provider.cipher_suites =
        suites.iter().filter_map(|wanted| known.iter().find(|suite| suite.suite() == *wanted)).copied().collect();
    builder_of(provider, &[&rustls::version::TLS12]).with_no_client_auth()
}

/// Takes any certificate and notes what was stapled to it.
pub(crate) fn tls_config_that_notes_staples(
    versions: &[&'static SupportedProtocolVersion],
    seen: Arc<Mutex<Vec<u8>>>,
) -> ClientConfig {
    let mut config = tls_config(versions);
    let verifier = AnyCertificate(Arc::new(aws_lc_rs::default_provider()), seen);
    config.dangerous().set_certificate_verifier(Arc::new(verifier));
    config
}

fn builder(versions: &[&'static SupportedProtocolVersion]) -> ConfigBuilder<ClientConfig, WantsClientCert> {
    builder_of(aws_lc_rs::default_provider(), versions)
}

fn builder_of(
    provider: CryptoProvider,
    versions: &[&'static SupportedProtocolVersion],
) -> ConfigBuilder<ClientConfig, WantsClientCert> {
    let provider = Arc::new(provider);
    ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .expect("the provider knows TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider, Arc::default())))
}

fn tls_config(versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    let mut config = builder(versions).with_no_client_auth();
    config.resumption = Resumption::disabled();
    config
}

/// Takes any certificate, as tests compare the one they got; signatures are checked all the same. Notes what was stapled.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>, Arc<Mutex<Vec<u8>>>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        *self.1.lock().expect("no panic") = ocsp_response.to_vec();
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
