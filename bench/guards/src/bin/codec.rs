//! Cost of the HTTP/1 codec per exchange, for a counter of instructions:
//!
//! ```text
//! make binaries
//! valgrind --tool=callgrind target/release/codec 1000 wrk
//! ```
//!
//! Counts do not depend on how busy the machine is, times do; run by itself it prints nanoseconds per exchange.

use std::hint::black_box;
use std::time::Instant;

use ringress::http::edge::{EdgeFields, Scheme};
use ringress::http::field::Changes;
use ringress::http::forward::{FieldPolicy, Forward, new_request_id, write_request};
use ringress::http::head::{HeadLimits, Progress, Version};
use ringress::http::request::RequestHead;
use ringress::http::respond::{Respond, write_response};
use ringress::http::response::{Asked, ResponseHead};
use ringress_config::snapshot::UpstreamHop;

const WRK_REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:18080\r\n\r\n";

const NGINX_RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Tue, 15 Nov 1994 08:12:31 GMT\r\n\
    Content-Type: application/octet-stream\r\nContent-Length: 128\r\nConnection: keep-alive\r\n\r\n";

const BROWSER_REQUEST: &[u8] = b"GET /static/app/main.js?v=20260101&lang=en HTTP/1.1\r\nHost: www.example.com\r\n\
    Connection: keep-alive\r\nsec-ch-ua: \"Chromium\";v=\"130\", \"Google Chrome\";v=\"130\", \"Not?A_Brand\";v=\"99\"\r\n\
    sec-ch-ua-mobile: ?0\r\nsec-ch-ua-platform: \"Linux\"\r\nUpgrade-Insecure-Requests: 1\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8\r\n\
    Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-User: ?1\r\nSec-Fetch-Dest: document\r\n\
    Referer: https://www.example.com/index.html\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-US,en;q=0.9,de;q=0.8\r\n\
    Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; consent=yes; _ga=GA1.2.1234567890.1700000000\r\n\
    Cache-Control: max-age=0\r\nIf-None-Match: \"5f3c-abc123\"\r\nIf-Modified-Since: Mon, 01 Jan 2024 00:00:00 GMT\r\n\
    Priority: u=0, i\r\n\r\n";

const APP_RESPONSE: &[u8] =
    b"HTTP/1.1 200 OK\r\nDate: Tue, 15 Nov 1994 08:12:31 GMT\r\nContent-Type: text/html; charset=utf-8\r\n\
    Transfer-Encoding: chunked\r\nConnection: keep-alive\r\nVary: Accept-Encoding\r\nX-Powered-By: Express\r\n\
    Cache-Control: private, no-cache, max-age=0\r\nETag: W/\"5f3c-abc123\"\r\nSet-Cookie: a=b; Path=/; HttpOnly\r\n\
    Set-Cookie: c=d; Path=/; Secure\r\nX-Frame-Options: DENY\r\nX-Content-Type-Options: nosniff\r\n\r\n";

/// What a connection keeps between requests.
struct Side {
    limits: HeadLimits,
    request: RequestHead,
    response: ResponseHead,
    edge: EdgeFields,
    random: fastrand::Rng,
    upstream: Vec<u8>,
    client: Vec<u8>,
    scratch: Vec<u8>,
}

impl Side {
    fn new() -> Self {
        let mut edge = EdgeFields::default();
        edge.render([127, 0, 0, 1].into(), Scheme::Http, 80);
        Self {
            limits: HeadLimits::default(),
            request: RequestHead::default(),
            response: ResponseHead::default(),
            edge,
            random: fastrand::Rng::with_seed(1),
            upstream: Vec::with_capacity(4096),
            client: Vec::with_capacity(4096),
            scratch: Vec::new(),
        }
    }

    #[inline(never)]
    fn parse_request(&mut self, buf: &[u8]) -> usize {
        assert_eq!(self.request.parse(buf, &self.limits), Ok(Progress::Complete));
        self.request.normalised_path(buf, &mut self.scratch).map_or(0, <[u8]>::len)
    }

    #[inline(never)]
    fn forward(&mut self, buf: &[u8]) -> usize {
        self.upstream.clear();
        let id = new_request_id(&mut self.random);
        let authority = self.request.authority(buf);
        let forward = Forward {
            host: authority,
            forwarded_host: authority,
            target: None,
            request_id: &id,
            edge: &self.edge,
            framing: self.request.framing,
            policy: FieldPolicy::default(),
            changes: Changes::NONE,
            hop: UpstreamHop::default(),
            trace: None,
            address_field: None,
            host_field: None,
        };
        write_request(&mut self.upstream, &self.request, buf, &forward);
        self.upstream.len()
    }

    #[inline(never)]
    fn parse_response(&mut self, buf: &[u8]) -> usize {
        assert_eq!(self.response.parse(buf, &self.limits, Asked::default()), Ok(Progress::Complete));
        self.response.consumed
    }

    #[inline(never)]
    fn respond(&mut self, buf: &[u8]) -> usize {
        self.client.clear();
        let respond = Respond {
            version: Version::Http11,
            keep_alive: true,
            trailers: false,
            date: b"Tue, 15 Nov 1994 08:12:31 GMT",
            hsts: None,
            keep_server: false,
            recoded: false,
            changes: [Changes::NONE; 2],
        };
        write_response(&mut self.client, &self.response, buf, &respond);
        self.client.len()
    }
}

#[inline(never)]
fn exchange(side: &mut Side, request: &[u8], response: &[u8]) -> usize {
    side.parse_request(request) + side.forward(request) + side.parse_response(response) + side.respond(response)
}

fn main() {
    let rounds = std::env::args().filter_map(|arg| arg.parse::<u32>().ok()).next().unwrap_or(1_000_000);
    let only = std::env::args().skip(1).find(|arg| !arg.starts_with('-') && arg.parse::<u32>().is_err());
    let mut side = Side::new();
    for (name, request, response) in
        [("wrk and nginx", WRK_REQUEST, NGINX_RESPONSE), ("browser and app", BROWSER_REQUEST, APP_RESPONSE)]
    {
        if only.as_deref().is_some_and(|only| !name.starts_with(only)) {
            continue;
        }
        let start = Instant::now();
        let bytes: usize = (0..rounds).map(|_| exchange(&mut side, black_box(request), black_box(response))).sum();
        let each = start.elapsed() / rounds;
        println!("{name}: {each:?} per exchange, {} bytes written", bytes / rounds as usize);
    }
}
