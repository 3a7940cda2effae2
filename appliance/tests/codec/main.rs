//! The HTTP/1 codec against everything at once: random bytes, random messages, a second reader, other decoders.

mod checks;
mod differential;
mod messages;
mod random;
mod seeds;
mod strict;
