//! One line of a TCP or UDP session.

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use ringress_config::model::Transport;
use ringress_config::snapshot::{ClusterKey, LogFormat, StreamVariable};

use super::line::{Clock, Seconds, Trail, render, time};

/// A session that ended.
pub(crate) struct Session<'a> {
    pub(crate) transport: Transport,
    /// The client, by its PROXY header where one is read.
    pub(crate) peer: SocketAddr,
    /// Where it came to.
    pub(crate) local: SocketAddr,
    /// 200, 400 without a PROXY header where one is due, 502 when no endpoint answered.
    pub(crate) status: u16,
    /// To the client.
    pub(crate) bytes_sent: u64,
    /// From the client.
    pub(crate) bytes_received: u64,
    pub(crate) duration: Duration,
    pub(crate) cluster: Option<&'a ClusterKey>,
    pub(crate) trail: &'a Trail,
}

/// Appends the line of a session. `room` is for one value.
pub(super) fn write(
    line: &mut Vec<u8>,
    room: &mut Vec<u8>,
    format: &LogFormat<StreamVariable>,
    clock: &Clock,
    session: &Session<'_>,
) {
    render(
        line,
        room,
        format,
        |_| true,
        |variable, value| {
            let written = of_session(*variable, session, clock, value);
            // A Vec takes everything.
            debug_assert!(written.is_ok());
        },
    );
}

fn of_session(
    variable: StreamVariable,
    session: &Session<'_>,
    clock: &Clock,
    value: &mut Vec<u8>,
) -> std::io::Result<()> {
    match variable {
        StreamVariable::RemoteAddr => write!(value, "{}", session.peer.ip().to_canonical()),
        StreamVariable::RemotePort => write!(value, "{}", session.peer.port()),
        StreamVariable::ServerAddr => write!(value, "{}", session.local.ip().to_canonical()),
        StreamVariable::ServerPort => write!(value, "{}", session.local.port()),
        StreamVariable::TimeLocal => value.write_all(clock.local().as_bytes()),
        StreamVariable::TimeIso8601 => value.write_all(clock.iso().as_bytes()),
        StreamVariable::Msec => write!(value, "{}", Seconds(clock.now())),
        StreamVariable::Protocol => value.write_all(name(session.transport).as_bytes()),
        StreamVariable::Status => write!(value, "{}", session.status),
        StreamVariable::BytesSent => write!(value, "{}", session.bytes_sent),
        StreamVariable::BytesReceived => write!(value, "{}", session.bytes_received),
        StreamVariable::SessionTime => write!(value, "{}", Seconds(session.duration)),
        StreamVariable::UpstreamAddr => session.trail.list(value, |attempt, out| write!(out, "{}", attempt.address)),
        // What one side sends the other one gets.
        StreamVariable::UpstreamBytesSent if session.trail.last().is_some() => {
            write!(value, "{}", session.bytes_received)
        }
        StreamVariable::UpstreamBytesReceived if session.trail.last().is_some() => {
            write!(value, "{}", session.bytes_sent)
        }
        StreamVariable::UpstreamConnectTime => session.trail.list(value, |attempt, out| time(attempt.connect, out)),
        StreamVariable::UpstreamName => match session.cluster {
            Some(ClusterKey { service, port, .. }) => {
                let transport = name(session.transport).to_ascii_lowercase();
                write!(value, "{transport}-{}-{}-{port}", service.namespace, service.name)
            }
            None => Ok(()),
        },
        StreamVariable::Hostname => value.write_all(rustix::system::uname().nodename().to_bytes()),
        StreamVariable::Pid => write!(value, "{}", std::process::id()),
        StreamVariable::UpstreamBytesSent | StreamVariable::UpstreamBytesReceived | StreamVariable::Missing => Ok(()),
    }
}

fn name(transport: Transport) -> &'static str {
    match transport {
        Transport::Tcp => "TCP",
        Transport::Udp => "UDP",
    }
}

#[cfg(test)]
mod tests {
    use ringress_config::model::ObjectKey;
    use ringress_config::snapshot::{Escape, PortKey};

    use super::*;

    /// The line of a session, or of one that found no endpoint.
    fn line(format: &str, escape: Escape, found: bool) -> String {
        let mut trail = Trail::default();
        trail.begin("10.0.0.1:53".parse().unwrap());
        trail.fail(502, Duration::ZERO);
        if found {
            trail.begin("10.0.0.2:53".parse().unwrap());
            trail.open().unwrap().connect = Some(Duration::from_millis(7));
        }
        let (service, transport) = (ObjectKey::new("kube-system", "dns"), Transport::Udp);
        let cluster = ClusterKey { service, port: PortKey::Number(53), transport };
        let session = Session {
            transport,
            peer: "[::ffff:192.0.2.1]:4711".parse().unwrap(),
            local: "192.0.2.9:5353".parse().unwrap(),
            status: if found { 200 } else { 502 },
            bytes_sent: 80,
            bytes_received: 40,
            duration: Duration::from_micros(1_043_999),
            cluster: Some(&cluster),
            trail: if found { &trail } else { &Trail::default() },
        };
        let (mut line, mut value) = (Vec::new(), Vec::new());
        let (format, unknown) = LogFormat::parse(format, escape);
        assert!(unknown.iter().all(|name| name == "geoip"), "{unknown:?}");
        write(&mut line, &mut value, &format, &Clock::default(), &session);
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn a_session_is_told_in_the_reference_s_words() {
        let text = "$remote_addr:$remote_port $server_addr:$server_port $protocol $status $bytes_sent/$bytes_received \
                    $session_time $proxy_upstream_name $upstream_addr $upstream_connect_time \
                    $upstream_bytes_sent/$upstream_bytes_received $geoip";
        assert_eq!(
            line(text, Escape::Hex, true),
            "192.0.2.1:4711 192.0.2.9:5353 UDP 200 80/40 1.043 udp-kube-system-dns-53 10.0.0.1:53, 10.0.0.2:53 -, 0.007 \
             40/80 -\n"
        );
        let without = "$status $upstream_addr $upstream_bytes_sent $upstream_connect_time";
        assert_eq!(line(without, Escape::Hex, false), "502 - - -\n");
        assert_eq!(line(without, Escape::Json, false), "502   \n");
    }
}
