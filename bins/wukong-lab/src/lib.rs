//! The lab as a library: the end-to-end tests start it the way the command does.
