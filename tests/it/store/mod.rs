//! What the store promises beyond the API.

mod durability;
