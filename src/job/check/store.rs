//! Checks where the lake is: a folder of this machine, or a bucket with its keys and its work folder.
//! Contacts no store; `coupon-recon check` does.

use std::path::{Path, PathBuf};

use super::Checker;
use super::api::RETRY_DEADLINE;
use super::given::Given;
use crate::job::bucket::{BucketSettings, Credentials};
use crate::job::file::{JobSection, StoreSection};
use crate::job::problem::Place;
use crate::job::value::{Section, Written};
use crate::secret::Secret;
use crate::sha256::sha256_of;

const BUCKETS_ARE_NAMED: &str = "3 to 63 lower-case letters, digits, dots and hyphens";

/// The keys of `[store]` that say where the keys of the bucket are.
const KEYS: [&str; 5] =
    ["credentials", "access_key_id_env", "access_key_id_file", "secret_access_key_env", "secret_access_key_file"];

impl Checker<'_> {
    /// The folder a night works in, and the bucket behind it when the lake is `s3://…`.
    pub(super) fn lake(
        &mut self,
        job: &JobSection,
        store: Option<&Written<StoreSection>>,
    ) -> Option<(PathBuf, Option<BucketSettings>)> {
        let text = self.text(&job.lake)?;
        let place = &job.lake.as_ref()?.place;
        match text.split_once("://") {
            Some(("s3", rest)) => {
                let bucket = self.bucket(rest, place, job, store.map(|store| &store.value));
                let folder = self.work_dir(job, &text);
                Some((folder?, Some(bucket?)))
            }
            Some((scheme, _)) => {
                let problem =
                    format!("`{}` is on `{scheme}://`: it must be a folder or `s3://bucket/prefix`", place.key);
                let hint = "most object stores speak S3: give `s3://…` and their address as `store.endpoint`";
                self.problems.add_with_hint(place, problem, hint);
                None
            }
            None => {
                for lone in [store.map(|it| &it.place), job.work_dir.as_ref().map(|it| &it.place)].into_iter().flatten()
                {
                    let problem = format!("`{}` is for a lake in a bucket, but `job.lake` is a folder", lone.key);
                    self.problems.add_with_hint(
                        lone,
                        problem,
                        "leave it out, or give `job.lake = \"s3://bucket/prefix\"`",
                    );
                }
                Some((self.one_for_all_days(place, &text), None))
            }
        }
    }

    fn bucket(
        &mut self,
        rest: &str,
        place: &Place,
        job: &JobSection,
        store: Option<&StoreSection>,
    ) -> Option<BucketSettings> {
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.trim_end_matches('/');
        let is_named_well = (3..=63).contains(&bucket.len())
            && bucket.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || b".-".contains(&it));
        if !is_named_well {
            self.problems.add(place, format!("`{}`: `{bucket}` is not a bucket name ({BUCKETS_ARE_NAMED})", place.key));
        }
        let is_clean = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains(['?', '#', '%']);
        if !prefix.is_empty() && !prefix.split('/').all(is_clean) {
            let text = format!(
                "`{}`: `{prefix}` is not a prefix: parts between single slashes, without ?, # and %",
                place.key
            );
            self.problems.add(place, text);
        }
        let endpoint = store.and_then(|it| it.endpoint.as_ref());
        let endpoint = endpoint.and_then(|written| self.url(written));
        let region = store.and_then(|it| self.text(&it.region));
        let region =
            region.or_else(|| self.environment("AWS_REGION")).or_else(|| self.environment("AWS_DEFAULT_REGION"));
        let path_style = store.and_then(|it| it.path_style.as_ref()).map(|written| written.value);
        Some(BucketSettings {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            path_style: path_style.unwrap_or(endpoint.is_some() || bucket.contains('.')),
            endpoint,
            region: region.unwrap_or_else(|| "us-east-1".to_owned()),
            credentials: self.credentials(place, store)?,
            retry_deadline: self.seconds(&job.retry_deadline_seconds, RETRY_DEADLINE),
        })
    }

    /// Credentials from the job file, else from the usual variables, else the role of the machine if
    /// requested.
    fn credentials(&mut self, lake: &Place, store: Option<&StoreSection>) -> Option<Credentials> {
        let Some(store) = store else { return self.usual_keys(lake) };
        let keys = [
            &store.access_key_id_env,
            &store.access_key_id_file,
            &store.secret_access_key_env,
            &store.secret_access_key_file,
        ];
        let tokens = [&store.session_token_env, &store.session_token_file];
        let is_role = self.choice(&store.credentials, false, &[("keys", false), ("role", true)]);
        if is_role {
            self.refuse_without_effect(keys.into_iter().chain(tokens), "with `credentials = \"role\"`");
            return Some(Credentials::Role);
        }
        if keys.iter().all(|key| key.is_none()) {
            if !self.is_told_of_keys() {
                self.refuse_without_effect(tokens, "without `store.access_key_id_env` or `store.access_key_id_file`");
            }
            return self.usual_keys(lake);
        }
        let place = store.place();
        let id = self.required_secret(
            "access_key_id",
            place,
            Given::by(&store.access_key_id_env, &store.access_key_id_file),
        );
        let secret = self.required_secret(
            "secret_access_key",
            place,
            Given::by(&store.secret_access_key_env, &store.secret_access_key_file),
        );
        let token = match (&store.session_token_env, &store.session_token_file) {
            (None, None) => None,
            (env, file) => Some(self.required_secret("session_token", place, Given::by(env, file))?),
        };
        Some(Credentials::Keys { id: id?, secret: secret?, token })
    }

    /// A secret that is named and would be passed over: the night would go to the store with other credentials.
    fn refuse_without_effect<'w>(&mut self, named: impl IntoIterator<Item = &'w Option<Written<String>>>, when: &str) {
        for Written { place, .. } in named.into_iter().flatten() {
            self.problems.add(place, format!("`{}` has no effect {when}", place.key));
        }
    }

    fn usual_keys(&mut self, lake: &Place) -> Option<Credentials> {
        let id = self.environment("AWS_ACCESS_KEY_ID");
        let secret = self.environment("AWS_SECRET_ACCESS_KEY");
        let (Some(id), Some(secret)) = (id, secret) else {
            if self.is_told_of_keys() {
                return None;
            }
            let text = format!("`{}` is in a bucket, but there are no keys for it", lake.key);
            let hint = "export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give `store.access_key_id_file` and \
                        `store.secret_access_key_file`, or `store.credentials = \"role\"`";
            self.problems.add_with_hint(lake, text, hint);
            return None;
        };
        let token = self.environment("AWS_SESSION_TOKEN").map(Secret::new);
        Some(Credentials::Keys { id: Secret::new(id), secret: Secret::new(secret), token })
    }

    /// Whether `[store]` is meant to give keys and does not, for a reason that is told already.
    fn is_told_of_keys(&self) -> bool {
        let file = Place::default();
        self.problems.is_told(&file, &["store"]) || self.problems.is_told(&file.child("store", None), &KEYS)
    }

    /// `job.work_dir`, else a folder in the user's cache named after the lake and the job file.
    fn work_dir(&mut self, job: &JobSection, lake: &str) -> Option<PathBuf> {
        if job.work_dir.is_some() {
            return self.path(&job.work_dir);
        }
        let place = &job.lake.as_ref()?.place;
        let home = || self.environment("HOME").map(|home| Path::new(&home).join(".cache"));
        let cache = self.environment("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
        let Some(cache) = cache.filter(|cache| cache.is_absolute()) else {
            if self.problems.is_told(job.place(), &["work_dir"]) {
                return None;
            }
            let text = format!("`{}` is in a bucket, but there is no cache folder to work in", place.key);
            self.problems.add_with_hint(
                place,
                text,
                "give `job.work_dir = \"path\"`: a folder with room for the look-back",
            );
            return None;
        };
        let name = job.name.as_ref().map_or("", |name| name.value.trim());
        let identity = sha256_of(format!("{lake}\n{name}").as_bytes());
        Some(cache.join("coupon-recon").join(&identity[..16]))
    }

    fn environment(&self, name: &str) -> Option<String> {
        (self.env)(name).filter(|value| !value.trim().is_empty())
    }
}
