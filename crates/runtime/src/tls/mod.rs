//! The serving certificate: read from files or issued by the replica itself, checked, and replaced as a whole when it
//! changes.
//!
//! A mounted Secret changes by a swap of symbolic links, which a watch on the files does not see; so the contents are
//! compared every second. A pair that is half written, does not match, or is expired never replaces a valid one, and
//! open connections stay as they are.

mod build;
mod metrics;
mod source;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

pub use self::build::ServedCertificate;
use self::build::{Current, build};
use self::metrics::TlsMetrics;
use self::source::{Contents, contents};
pub use self::source::{Pair, PairFiles, PairSource, TlsError, TlsSources};
use super::https::Acceptor;
use super::metrics::Metrics;
use super::supervise::Supervisor;

/// The name of the task in metrics of turns and panics.
pub(crate) const TASK: &str = "certificate";

/// How often the files are compared with what is served.
const POLL: Duration = Duration::from_secs(1);

/// The TLS side of the server.
pub struct Tls {
    sources: TlsSources,
    /// `None` until there is a certificate.
    current: ArcSwapOption<Current>,
    metrics: Arc<TlsMetrics>,
}

impl Tls {
    /// Loads the certificate. A bad pair is an error here, so that a bad mount fails at start. A pair that does not
    /// exist yet, or is not valid now, is no error.
    pub fn load(sources: TlsSources, registry: &Metrics) -> Result<Arc<Self>, TlsError> {
        let metrics = Arc::new(TlsMetrics::default());
        registry.add(Arc::clone(&metrics) as _);
        let current = match contents(&sources).and_then(|contents| build(&sources, contents)) {
            Ok(current) => {
                metrics.serves(&current.served);
                Some(Arc::new(current))
            }
            Err(TlsError::NotYet) => None,
            // This machine's clock may be wrong: the API server's will show.
            Err(error @ TlsError::NotValid { .. }) => {
                tracing::error!(%error, "no certificate is served until that changes");
                metrics.reloaded("refused");
                metrics.set_refused(true);
                None
            }
            Err(error) => return Err(error),
        };
        Ok(Arc::new(Self { sources, current: ArcSwapOption::new(current), metrics }))
    }

    /// The certificate that is served now.
    pub fn served(&self) -> Option<ServedCertificate> {
        self.current.load().as_ref().map(|current| current.served)
    }

    /// Whether a certificate is served that is valid now.
    pub(crate) fn is_valid(&self) -> bool {
        self.served().is_some_and(|served| served.is_valid_at(self.sources.clock.now()))
    }

    /// Follows the source until the task is dropped.
    pub(crate) async fn keep_fresh(&self, tasks: &Supervisor) {
        let mut refused = None;
        loop {
            tokio::time::sleep(POLL).await;
            match self.refresh(refused.as_ref()) {
                Refreshed::AsItWas => {}
                Refreshed::Good => refused = None,
                Refreshed::Refused(attempt) => refused = Some(attempt),
            }
            tasks.turned(TASK);
        }
    }

    /// Compares the source with what is served, and replaces that when the source is valid. A pair that was refused
    /// before is not logged again.
    fn refresh(&self, refused: Option<&Attempt>) -> Refreshed {
        let attempt = match contents(&self.sources) {
            Err(TlsError::NotYet) => return Refreshed::AsItWas,
            attempt => attempt.map_err(|error| error.to_string()),
        };
        let refreshed = self.replace(attempt, refused);
        // For as long as the files are there, not only when they were written.
        self.metrics.set_refused(!matches!(refreshed, Refreshed::Good));
        refreshed
    }

    fn replace(&self, attempt: Attempt, refused: Option<&Attempt>) -> Refreshed {
        let current = self.current.load();
        if attempt.as_ref().is_ok_and(|contents| current.as_ref().is_some_and(|current| *contents == current.contents))
        {
            return Refreshed::Good;
        }
        // Tried again each time: a certificate that is not valid yet becomes so without any change of its file.
        let built =
            attempt.clone().and_then(|contents| build(&self.sources, contents).map_err(|error| error.to_string()));
        match built {
            Ok(current) => {
                tracing::info!(not_after = current.served.not_after, "certificate replaced");
                self.metrics.reloaded("replaced");
                self.metrics.serves(&current.served);
                self.current.store(Some(Arc::new(current)));
                Refreshed::Good
            }
            Err(_) if refused == Some(&attempt) => Refreshed::AsItWas,
            Err(error) => {
                tracing::error!(error, "the last good certificate stays in use");
                self.metrics.reloaded("refused");
                Refreshed::Refused(attempt)
            }
        }
    }
}

/// What was read, or why it could not be.
type Attempt = Result<Contents, String>;

enum Refreshed {
    AsItWas,
    Good,
    Refused(Attempt),
}

impl Acceptor for Tls {
    type Stream = TlsStream<TcpStream>;

    async fn accept(&self, stream: TcpStream) -> io::Result<Self::Stream> {
        accept(self, |current| &current.acceptor, stream).await
    }
}

/// The same certificate for callers without one.
pub(crate) struct ToAnyone(pub(crate) Arc<Tls>);

impl Acceptor for ToAnyone {
    type Stream = TlsStream<TcpStream>;

    async fn accept(&self, stream: TcpStream) -> io::Result<Self::Stream> {
        accept(&self.0, |current| &current.to_anyone, stream).await
    }
}

/// Before there is a certificate, every handshake is refused at once.
async fn accept(tls: &Tls, which: fn(&Current) -> &TlsAcceptor, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
    let current = tls.current.load_full();
    let current = current.ok_or_else(|| io::Error::new(io::ErrorKind::NotConnected, TlsError::NotYet))?;
    which(&current).accept(stream).await
}
