//! Reads as much at a time as one record of TLS has. rustls asks for 4 KiB, which would be a system call for each 4 KiB of a
//! body.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::io::poll_read_buf;

/// How much is read at a time.
const AT_ONCE: usize = 16 << 10;

/// A stream that is read in larger pieces than it is asked for.
pub(crate) struct Gathered<S> {
    stream: S,
    /// What was read. It takes no memory while nothing arrives.
    read: Vec<u8>,
    /// How much of it was handed on.
    given: usize,
}

impl<S> Gathered<S> {
    pub(super) const fn new(stream: S) -> Self {
        Self { stream, read: Vec::new(), given: 0 }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gathered<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { stream, read, given } = self.get_mut();
        if *given == read.len() {
            read.clear();
            *given = 0;
            read.reserve_exact(AT_ONCE);
            let arrived = poll_read_buf(Pin::new(stream), context, read);
            if read.is_empty() {
                *read = Vec::new();
            }
            ready!(arrived)?;
        }
        let rest = &read[*given..];
        let next = &rest[..rest.len().min(to.remaining())];
        to.put_slice(next);
        *given += next.len();
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gathered<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    /// Whatever sizes it is read in, down to a byte and beyond what it reads itself.
    #[tokio::test]
    async fn all_bytes_come_in_their_order_and_then_the_end() {
        let sent: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        for size in [1, 7, 4_096, AT_ONCE, 3 * AT_ONCE] {
            let (mut client, server) = duplex(3 * AT_ONCE + 1);
            let mut server = Gathered::new(server);
            let writes = async {
                client.write_all(&sent).await.unwrap();
                drop(client);
            };
            let reads = async {
                let (mut got, mut piece) = (Vec::new(), vec![0; size]);
                while let length @ 1.. = server.read(&mut piece).await.unwrap() {
                    got.extend_from_slice(&piece[..length]);
                }
                got
            };
            let ((), got) = tokio::join!(writes, reads);
            assert!(got == sent, "{size}");
            assert_eq!(server.read.capacity(), 0, "the end takes no memory");
        }
    }

    /// A connection that waits for its client takes no memory for it, and what is written goes on.
    #[tokio::test]
    async fn a_stream_that_waits_takes_no_memory() {
        let (mut client, server) = duplex(AT_ONCE);
        let mut server = Gathered::new(server);
        client.write_all(b"ab").await.unwrap();
        assert_eq!(server.read_u8().await.unwrap(), b'a');
        assert_eq!(server.read_u8().await.unwrap(), b'b');
        let mut context = Context::from_waker(std::task::Waker::noop());
        let mut byte = [0];
        assert!(Pin::new(&mut server).poll_read(&mut context, &mut ReadBuf::new(&mut byte)).is_pending());
        assert_eq!(server.read.capacity(), 0);
        server.write_all(b"answer").await.unwrap();
        let mut answer = [0; 6];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"answer");
    }
}
