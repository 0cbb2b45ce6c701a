//! What makes up a server.

mod ask;
pub mod webhook_server;
