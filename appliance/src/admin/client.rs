//! A small client of the admin API, for the commands that ask a running instance.

use std::time::Duration;

use axum::body::{Body, Bytes};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::cli::AdminAddress;

/// Bound of a whole exchange.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Largest answer that is read.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No admin listener to be asked.
    #[error("the admin listener is off")]
    Off,
    /// Nobody there.
    #[error("cannot reach the admin listener: {0}")]
    Connect(#[source] std::io::Error),
    /// The exchange broke.
    #[error("the admin listener gave no proper answer: {0}")]
    Exchange(Box<dyn std::error::Error + Send + Sync>),
    /// It took too long.
    #[error("the admin listener did not answer within 30 s")]
    Timeout,
    /// Not 200.
    #[error("the admin listener answered {status}: {message}")]
    Status {
        /// The status.
        status: u16,
        /// Its body.
        message: String,
    },
}

/// The body of `GET target`.
pub async fn get(address: &AdminAddress, target: &str) -> Result<Bytes, ClientError> {
    let exchange = async {
        match address {
            AdminAddress::Off => Err(ClientError::Off),
            AdminAddress::Tcp(address) => {
                let stream = TcpStream::connect(address).await.map_err(ClientError::Connect)?;
                exchange(stream, &address.to_string(), target).await
            }
            AdminAddress::Unix(path) => {
                let stream = UnixStream::connect(path).await.map_err(ClientError::Connect)?;
                exchange(stream, "localhost", target).await
            }
        }
    };
    tokio::time::timeout(TIMEOUT, exchange).await.unwrap_or(Err(ClientError::Timeout))
}

async fn exchange<S>(stream: S, host: &str, target: &str) -> Result<Bytes, ClientError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broken = |error: hyper::Error| ClientError::Exchange(error.into());
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    // Ends with the exchange; what goes wrong on it is seen there.
    drop(tokio::spawn(connection));
    let request = http::Request::get(target).header("host", host).body(Body::empty());
    let request = request.map_err(|error| ClientError::Exchange(error.into()))?;
    let response = sender.send_request(request).await.map_err(broken)?;
    let status = response.status();
    let body = axum::body::to_bytes(Body::new(response.into_body()), ANSWER_BYTES_MAX).await;
    let body = body.map_err(|error| ClientError::Exchange(error.into()))?;
    if status.is_success() {
        return Ok(body);
    }
    Err(ClientError::Status { status: status.as_u16(), message: String::from_utf8_lossy(&body).trim().to_owned() })
}
