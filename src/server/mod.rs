//! Assembly: opens the parts in order, mounts routes, starts, drains and stops.
