//! One attempt, retry, rate limit, failover, paging: knows HTTP, not WeChat.
