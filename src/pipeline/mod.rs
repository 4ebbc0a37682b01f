//! A night: stages in order, publish, exit code.
