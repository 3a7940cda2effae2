//! HPACK (RFC 7541) as far as the tests need it: literals out, and in whatever a server sends to a client whose dynamic
//! table is empty (`SETTINGS_HEADER_TABLE_SIZE` 0).

/// Names of the static table; an index has the value of [`static_value`] too.
const STATIC: [&str; 61] = [
    ":authority",
    ":method",
    ":method",
    ":path",
    ":path",
    ":scheme",
    ":scheme",
    ":status",
    ":status",
    ":status",
    ":status",
    ":status",
    ":status",
    ":status",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "accept",
    "access-control-allow-origin",
    "age",
    "allow",
    "authorization",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "etag",
    "expect",
    "expires",
    "from",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "last-modified",
    "link",
    "location",
    "max-forwards",
    "proxy-authenticate",
    "proxy-authorization",
    "range",
    "referer",
    "refresh",
    "retry-after",
    "server",
    "set-cookie",
    "strict-transport-security",
    "transfer-encoding",
    "user-agent",
    "vary",
    "via",
    "www-authenticate",
];

/// The printable part of the Huffman code, which is canonical: bits of a code, symbols in order.
const HUFFMAN: [(u32, &str); 10] = [
    (5, "012aceiost"),
    (6, " %-./3456789=A_bdfghlmnpru"),
    (7, ":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz"),
    (8, "&*,;XZ"),
    (10, "!\"()?"),
    (11, "'+|"),
    (12, "#>"),
    (13, "\0$@[]~"),
    (14, "^}"),
    (15, "<`{"),
];

pub(crate) type Fields = Vec<(String, String)>;

/// A block of literals that enter no table.
pub(crate) fn encode<N: AsRef<[u8]>, V: AsRef<[u8]>>(fields: impl IntoIterator<Item = (N, V)>) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        string(&mut block, name.as_ref());
        string(&mut block, value.as_ref());
    }
    block
}

fn string(block: &mut Vec<u8>, text: &[u8]) {
    integer(block, 0x7f, text.len());
    block.extend_from_slice(text);
}

/// An integer whose prefix has all bits of `most`, no bits above it being set.
pub(crate) fn integer(block: &mut Vec<u8>, most: u8, mut value: usize) {
    if value < usize::from(most) {
        return block.push(value.to_le_bytes()[0]);
    }
    block.push(most);
    value -= usize::from(most);
    while value >= 0x80 {
        block.push(0x80 | value.to_le_bytes()[0]);
        value >>= 7;
    }
    block.push(value.to_le_bytes()[0]);
}

/// The fields of a block. `None` when it is none, or refers to the dynamic table.
pub(crate) fn decode(mut block: &[u8]) -> Option<Fields> {
    let mut fields = Vec::new();
    while let Some(&first) = block.first() {
        let most = match first {
            0x80.. => 0x7f,
            0x40.. => 0x3f,
            0x20.. => 0x1f,
            _ => 0x0f,
        };
        let index = take_integer(&mut block, most)?;
        match most {
            // A change of the table's size.
            0x1f => continue,
            0x7f => fields.push((static_name(index)?, static_value(index).to_owned())),
            _ => {
                let name = if index == 0 { take_string(&mut block)? } else { static_name(index)? };
                fields.push((name, take_string(&mut block)?));
            }
        }
    }
    Some(fields)
}

fn static_name(index: usize) -> Option<String> {
    STATIC.get(index.checked_sub(1)?).map(|&name| name.to_owned())
}

fn static_value(index: usize) -> &'static str {
    match index {
        2 => "GET",
        3 => "POST",
        4 => "/",
        5 => "/index.html",
        6 => "http",
        7 => "https",
        8 => "200",
        9 => "204",
        10 => "206",
        11 => "304",
        12 => "400",
        13 => "404",
        14 => "500",
        16 => "gzip, deflate",
        _ => "",
    }
}

fn take_integer(block: &mut &[u8], most: u8) -> Option<usize> {
    let (first, mut rest) = block.split_first()?;
    let mut value = usize::from(first & most);
    if value == usize::from(most) {
        for shift in (0..28).step_by(7) {
            let (byte, behind) = rest.split_first()?;
            rest = behind;
            value += usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
    }
    *block = rest;
    Some(value)
}

fn take_string(block: &mut &[u8]) -> Option<String> {
    let huffman = block.first()? & 0x80 != 0;
    let length = take_integer(block, 0x7f)?;
    let (text, rest) = block.split_at_checked(length)?;
    *block = rest;
    if huffman { huffman_decoded(text) } else { Some(String::from_utf8_lossy(text).into_owned()) }
}

fn huffman_decoded(text: &[u8]) -> Option<String> {
    let mut decoded = String::new();
    let (mut code, mut bits) = (0_usize, 0);
    for bit in text.iter().flat_map(|byte| (0..8).rev().map(move |shift| usize::from(byte >> shift & 1))) {
        (code, bits) = (code << 1 | bit, bits + 1);
        if let Some(symbol) = symbol(code, bits) {
            decoded.push(symbol);
            (code, bits) = (0, 0);
        }
    }
    // What is left is padding: less than a byte of ones.
    (bits < 8 && code == (1 << bits) - 1).then_some(decoded)
}

fn symbol(code: usize, bits: u32) -> Option<char> {
    let (mut first, mut length) = (0, 5);
    for (of, symbols) in HUFFMAN {
        first <<= of - length;
        length = of;
        if of == bits {
            return symbols.chars().nth(code.checked_sub(first)?);
        }
        first += symbols.len();
    }
    None
}
