//! The pure core of the operator: compose, classify, diagnose, decide.
#![deny(missing_docs)]
