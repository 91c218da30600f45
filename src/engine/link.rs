//! What an operation reads through: the transaction it belongs to, a connection of its caller's, or one from the pool.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::{Engine, Error};
use crate::model::Schema;
use crate::store::{Conn, ReadGuard, Tx};

/// Where queries go.
pub enum Link<'a> {
    /// A connection from the pool, borrowed when it is first needed.
    Pool(&'a Engine),
    /// A connection of the caller's.
    Conn(&'a mut Conn),
    /// The transaction of the caller's; whoever takes part in the operation belongs to it too.
    Tx(&'a mut Tx),
}

/// A connection that was borrowed or lent.
pub enum Linked<'a> {
    Lent(ReadGuard),
    Own(&'a mut Conn),
}

impl Link<'_> {
    /// A connection to read with.
    ///
    /// # Errors
    /// `Busy` when none gets free in time.
    pub async fn conn(&mut self) -> Result<Linked<'_>, Error> {
        Ok(match self {
            Self::Pool(engine) => Linked::Lent(engine.read().await?),
            Self::Conn(conn) => Linked::Own(conn),
            Self::Tx(tx) => Linked::Own(tx),
        })
    }

    /// The collections as the operation has them.
    #[must_use]
    pub fn schema(&self, engine: &Engine) -> Arc<Schema> {
        match self {
            Self::Tx(tx) => Arc::clone(tx.schema()),
            Self::Pool(_) | Self::Conn(_) => engine.schema(),
        }
    }

    /// The transaction, if there is one.
    pub fn tx(&mut self) -> Option<&mut Tx> {
        match self {
            Self::Tx(tx) => Some(tx),
            Self::Pool(_) | Self::Conn(_) => None,
        }
    }
}

impl<'a> From<&'a mut Tx> for Link<'a> {
    fn from(tx: &'a mut Tx) -> Self {
        Self::Tx(tx)
    }
}

impl<'a> From<&'a mut Conn> for Link<'a> {
    fn from(conn: &'a mut Conn) -> Self {
        Self::Conn(conn)
    }
}

impl Deref for Linked<'_> {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        match self {
            Self::Lent(guard) => guard,
            Self::Own(conn) => conn,
        }
    }
}

impl DerefMut for Linked<'_> {
    fn deref_mut(&mut self) -> &mut Conn {
        match self {
            Self::Lent(guard) => guard,
            Self::Own(conn) => conn,
        }
    }
}
