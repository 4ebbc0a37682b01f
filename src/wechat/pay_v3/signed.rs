//! One v3 call before it is sent: every attempt is signed anew. Judges no answer.

use std::hash::Hash;

use bytes::Bytes;

use super::account::Account;
use super::sign::Attempt;
use crate::http::{HttpClient, Outgoing};
use crate::wechat::endpoint::Endpoint;
use crate::wechat::request::Request;

/// A call with its account and client.
pub(super) struct Signed<'a> {
    pub(super) http: &'a HttpClient,
    pub(super) account: &'a Account,
    endpoint: &'static Endpoint,
    target: &'a str,
    body: &'a Bytes,
}

impl<'a> Signed<'a> {
    pub(super) fn new<T>(http: &'a HttpClient, account: &'a Account, request: &'a Request<T>) -> Signed<'a> {
        Signed { http, account, endpoint: request.endpoint, target: &request.target, body: &request.body }
    }

    pub(super) fn method(&self) -> &'static str {
        self.endpoint.method.as_str()
    }

    /// The path in the endpoint table: for messages, without openids.
    pub(super) fn path(&self) -> &'static str {
        self.endpoint.path
    }

    pub(super) fn is_repeatable(&self) -> bool {
        self.endpoint.is_repeatable()
    }

    /// What identifies the request, the same for every attempt.
    pub(super) fn question(&self) -> impl Hash {
        (self.method(), self.target, self.body)
    }

    /// Builds one signed attempt.
    pub(super) fn sign(&self) -> Outgoing {
        let world = self.http.world();
        let (timestamp, nonce) = (world.clock.now().timestamp(), world.nonce());
        let attempt = Attempt { method: self.method(), target: self.target, timestamp, nonce: &nonce, body: self.body };
        let authorization = self.account.signer.authorization(&attempt);
        let mut headers = vec![("authorization", authorization)];
        if let Some(serial) = self.account.keyring.preferred_serial() {
            headers.push(("wechatpay-serial", serial));
        }
        if !self.body.is_empty() {
            headers.push(("content-type", "application/json".to_owned()));
        }
        let method = self.endpoint.method.into();
        Outgoing { method, target: self.target.to_owned(), headers, body: self.body.clone() }
    }
}
