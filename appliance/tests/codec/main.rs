//! The HTTP/1 codec, and what is read before it, against everything at once: random bytes, random messages, a second
//! reader, other decoders.

mod checks;
mod differential;
mod messages;
mod openings;
mod random;
mod seeds;
mod strict;
