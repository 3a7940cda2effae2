//! Every bound of the data path that is not a setting of the operator, unit last.

use std::time::Duration;

/// A TLS handshake, from the first byte to the last.
pub(crate) const HANDSHAKE: Duration = Duration::from_secs(10);
/// Bytes that a peer of HTTP/2 may send on one stream before they are read (nginx' `http2_body_preread_size`).
pub(crate) const H2_STREAM_WINDOW: u32 = 64 << 10;
/// The same for all streams of a client's connection: what a flood of unread bodies costs at most.
pub(crate) const H2_CONNECTION_WINDOW: u32 = 128 << 10;
/// What h2 may hold beside the bytes of small DATA frames that are not read, 256 for each, before it ends a client's
/// connection: as many frames as come in one receive.
pub(crate) const H2_CLIENT_FRAMES_BYTES: usize = 1 << 20;
/// The same of a session with an upstream, and all its streams may wait for their clients: none may keep the others waiting.
pub(crate) const H2_UPSTREAM_FRAMES_BYTES: usize = 32 << 20;
/// Bytes that an upstream may send on a session before they are read.
pub(crate) const H2_UPSTREAM_WINDOW: u32 = H2_STREAMS_PER_SESSION * H2_STREAM_WINDOW;
/// DATA frames that say nothing which a peer may send at once without h2 being told, and in each second after that; those
/// beyond are up to h2, which ends the connection at the 101st.
pub(crate) const H2_EMPTY_BURST: u64 = 1000;
pub(crate) const H2_EMPTY_PER_SECOND: u64 = 200;
/// Streams of a connection on which such frames are known for what they are: more than are open at a time, as those that
/// were broken off from here are among them.
pub(crate) const H2_OPEN_REMEMBERED: usize = 256;
/// Streams of a session that were reset here, and of which late frames are let pass for [`H2_RESET_REMEMBERED`].
pub(crate) const H2_RESETS_REMEMBERED: usize = 1024;
/// More than a round trip, with what an upstream has in its buffers.
pub(crate) const H2_RESET_REMEMBERED: Duration = Duration::from_secs(10);
/// What answers may hold that HTTP/2 clients let wait from the start, on one core; the oldest are ended beyond it.
pub(crate) const H2_STALLED_BYTES_MAX: usize = 12 << 20;
/// The same with the answers whose clients took some and said so, slow ones mostly: so much at least,
pub(crate) const H2_STALLED_ALL_BYTES_MIN: usize = 16 << 20;
/// and so much for each HTTP/2 connection of the core where that is more: one answer that waits with a small piece.
pub(crate) const H2_STALLED_BYTES_PER_CONNECTION: usize = 20 << 10;
/// Where clients go on taking, if slowly, it is so many times that,
pub(crate) const H2_STALLED_STEADY_TIMES: usize = 4;
/// which is told by one that takes something so long after it first waited.
pub(crate) const H2_STALLED_STEADY: Duration = Duration::from_secs(3);
/// However much these hold, answers that have waited for less time may hold so much.
pub(crate) const H2_STALLED_NEW_BYTES: usize = 2 << 20;
/// What a core gives to HTTP/2 connections whose sockets are full before each stream and connection waits for its own to
/// leave.
pub(crate) const H2_UNSENT_BYTES_FREE: usize = 2 << 20;
/// More than so many bytes of an answer leave only for a client that grants more than HTTP/2 does unasked.
pub(crate) const H2_UNASKED_BYTES: u64 = 65_535;
/// Answers and bodies that a core waits for with a large buffer each, ready for a piece of the body; others have a small
/// one.
pub(crate) const AWAITED_WITH_ROOM_MAX: usize = 256;
/// Streams that a core opens on one session with an upstream before it opens another session.
pub(crate) const H2_STREAMS_PER_SESSION: u32 = 100;
/// Sessions of a core with one endpoint.
pub(crate) const H2_SESSIONS_MAX: usize = 16;
/// After the goodbye to an idle HTTP/2 connection.
pub(crate) const H2_GOODBYE: Duration = Duration::from_secs(5);
/// TLS handshakes of one core at a time; more are turned away.
pub(crate) const HANDSHAKES_MAX: usize = 16 << 10;
/// Of these, those that wait for their turn to be computed: a second's work or so. More are turned away.
pub(crate) const HANDSHAKES_IN_LINE_MAX: usize = 2048;
/// Of these, those that wait for the client's first byte with a buffer. Others wait for readiness, so that a flood of
/// silent connections costs no buffer each.
pub(crate) const HANDSHAKES_WITH_BUFFER_MAX: usize = 256;
/// Times that TLS answers by itself (key updates) while a connection waits for a request.
pub(crate) const ANSWERS_PER_READ_MAX: u32 = 16;
/// TLS that is passed on may be silent for so long: its protocol is not known.
pub(crate) const PASSTHROUGH_IDLE: Duration = Duration::from_secs(3600);
/// A connection that is silent for so long gives its buffers back and waits for readiness.
pub(crate) const IDLE_WITH_BUFFER: Duration = Duration::from_secs(1);
/// After an upgrade the old process keeps a silent connection for so long: its client may be sending a request just now,
/// and is told with the answer. A client that is silent for longer hardly meets the end.
pub(crate) const REPLACED_IDLE: Duration = Duration::from_secs(5);
/// A core that ends waits so long for the others to stop accepting, as they may hand it connections.
pub(crate) const STOP_ACCEPTING: Duration = Duration::from_secs(1);
/// A listener that goes waits so long for connections that have begun: a round trip, and less than the second after which
/// a client that was turned away asks again.
pub(crate) const LISTENER_LEAVES: Duration = Duration::from_millis(500);
/// One whose queue is not empty by then waits on, so long at most.
pub(crate) const LISTENER_LEAVES_MAX: Duration = Duration::from_secs(5);
/// An address that could not be listened on is tried again after so long; a little less than the time between two looks.
pub(crate) const LISTEN_AGAIN: Duration = Duration::from_millis(900);
/// At its start a process tries an address that is taken for so long, every 50th part of it.
pub(crate) const LISTEN_AT_START: Duration = Duration::from_millis(500);
/// Connections of one core that may wait for a request with a buffer. Those beyond it wait for readiness at once, so
/// that a crowd of connections never costs a buffer each, not even for the second above.
pub(crate) const WAITING_WITH_BUFFER_MAX: usize = 512;
/// Longest gap between two writes to a client (nginx' `send_timeout`).
pub(crate) const CLIENT_SEND: Duration = Duration::from_secs(60);
/// After the last answer of a connection that still sends: read on and drop, so that the answer is not lost to a reset.
pub(crate) const LINGER: Duration = Duration::from_secs(5);
/// Bytes dropped while lingering.
pub(crate) const LINGER_BYTES_MAX: usize = 1 << 20;
/// Request body kept in memory before the upstream is contacted (`proxy-request-buffering: on`).
pub(crate) const BUFFERED_BODY_BYTES_MAX: u64 = 1 << 20;
/// All request bodies kept in memory by one core, each counted with the copy of it that is sent.
pub(crate) const BUFFERED_BODIES_BYTES_MAX: usize = 24 << 20;
/// All that a core reads of responses ahead of their clients (`proxy-buffering: on`); beyond it they are streamed.
pub(crate) const READ_AHEAD_BYTES_MAX: usize = 24 << 20;
/// Bodies of HTTP/2 clients that a core receives at a time before it takes out of h2, and counts, what nobody reads.
pub(crate) const H2_BODIES_UNCOUNTED: usize = 64;
/// What these may hold together before no connection with a request that does not read its body is received from.
pub(crate) const H2_UNREAD_BYTES_MAX: usize = 2 << 20;
/// Where they hold as much, those are ended of which nothing was read for so many seconds.
pub(crate) const H2_UNREAD_SECONDS_MAX: usize = 10;
/// Copies of requests (`mirror-target`) that a core has under way; further requests are not copied.
pub(crate) const MIRRORS_MAX: usize = 256;
/// Bodies of these copies.
pub(crate) const MIRRORED_BYTES_MAX: usize = 16 << 20;
/// Bytes of the answer to a copy that are read before its connection is closed.
pub(crate) const MIRROR_ANSWER_BYTES_MAX: usize = 1 << 20;
/// Active health checks that a core has under way; further ones wait.
pub(crate) const CHECKS_MAX: usize = 64;
/// Bytes of the answer to a gRPC health check.
pub(crate) const CHECK_ANSWER_BYTES_MAX: usize = 4 << 10;
/// Clusters with health checks that `/metrics` shows.
pub(crate) const CHECKED_CLUSTERS_SHOWN_MAX: usize = 1000;
/// Ingresses without endpoints that metrics name.
pub(crate) const ORPHANS_SHOWN_MAX: usize = 1000;
/// Answers of external authentication that are kept (`auth-cache-key`).
pub(crate) const AUTH_ANSWERS_MAX: usize = 16 << 10;
/// Bytes of all these answers (nginx' zone has as many).
pub(crate) const AUTH_ANSWERS_BYTES_MAX: usize = 10 << 20;
/// Bytes of one; a larger answer is not kept.
pub(crate) const AUTH_ANSWER_BYTES_MAX: usize = 16 << 10;
/// Encoders of the responses that one core compresses at a time; further responses go as they came.
pub(crate) const ENCODERS_BYTES_MAX: usize = 64 << 20;
/// Bytes of a response that are compressed before others of the core have their turn.
pub(crate) const ENCODED_PER_TURN_BYTES: usize = 16 << 10;
/// Bytes of a target, a name or any other text in the span of a request; the rest is cut.
pub(crate) const SPAN_WORD_BYTES_MAX: usize = 1 << 10;
/// Descriptors that no worker may take: health, admin, API server, files, ports of TCP and UDP services.
pub(crate) const RESERVED_DESCRIPTORS: u64 = 64;
/// The same, for each core.
pub(crate) const RESERVED_DESCRIPTORS_PER_CORE: u64 = 8;
/// Sockets that a core may have however few descriptors there are.
pub(crate) const SOCKETS_MIN: u64 = 16;
/// How often a client is looked at whose upstream is silent.
pub(crate) const CLIENT_LOOK: Duration = Duration::from_millis(500);
/// Opening a connection to an endpoint of a TCP service; the next one is tried then.
pub(crate) const STREAM_CONNECT: Duration = Duration::from_secs(5);
/// UDP sessions of one core; a client beyond it is not served until one has ended.
pub(crate) const UDP_SESSIONS_MAX: u64 = 4096;
/// Bytes of a datagram, as large as there can be one.
pub(crate) const DATAGRAM_BYTES_MAX: usize = 64 << 10;
/// Datagrams of one socket taken in before others have their turn.
pub(crate) const DATAGRAMS_PER_TURN: usize = 64;
/// From asking an error backend to the head of its page; then the client gets the plain status.
pub(crate) const ERROR_PAGE: Duration = Duration::from_secs(10);
/// Interim responses that an upstream may send for one request.
pub(crate) const INTERIM_RESPONSES_MAX: u32 = 16;
/// Bytes of a response head; `proxy-buffer-size` lowers it for a route.
pub(crate) const RESPONSE_HEAD_BYTES_MAX: usize = ringress_config::snapshot::RESPONSE_HEAD_BYTES_MAX as usize;
/// Accepted connections that may wait for the core they were handed to.
pub(crate) const HANDED_OVER_MAX: usize = 4096;
/// Connections that one listener takes in before others of its core have their turn.
/// With 64, a quarter of the time went into turns at 11,000 connections a second.
pub(crate) const ACCEPTS_PER_TURN: u32 = 1024;
/// The same where each begins with a handshake. With 32, a flood on epoll left a client 174 of its 200 requests a second.
pub(crate) const HANDSHAKES_PER_TURN: u32 = 16;
/// That turn: the shortest time that makes the core look what else is ready. A million connections a second are left, or
/// 16,000 handshakes.
pub(crate) const ACCEPT_TURN: Duration = Duration::from_millis(1);
/// Pause of an accept loop that ran out of descriptors or memory.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Connections of one client on a core from which on its idle ones are the first to give way when the core is full: more
/// than a browser has.
pub(crate) const CROWD_CONNECTIONS_MIN: u32 = 16;
/// Idle connections that are looked at to find such a client: one that has a tenth of them is missed once in thirty times.
pub(crate) const CROWD_SAMPLES: usize = 32;
/// A core tells the log of clients with too many connections no more often than so, milliseconds.
pub(crate) const CLIENT_REFUSALS_TOLD_MS: u64 = 10_000;
/// Length of a listener's queue.
pub(crate) const BACKLOG: i32 = 4096;
