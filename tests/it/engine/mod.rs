//! What modules and scripts attach to the engine.

mod hooks;
