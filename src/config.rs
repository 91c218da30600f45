//! Every flag and variable once: names, type, default, bound and help.
