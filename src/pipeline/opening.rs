//! What a night needs before it begins: clients, persona, id; and what it keeps of the keys.

use chrono::{DateTime, Utc};

use super::evidence::CERTIFICATES;
use crate::clock::World;
use crate::dataset::publish::sha256_of;
use crate::error::{ExitCode, Failure};
use crate::extract::{self, Apis};
use crate::job::{Job, Pii};
use crate::journal::{Entry, Journal, JournalError};
use crate::persona::Persona;
use crate::wechat::mp::Mp;
use crate::wechat::pay_v2::PayV2;
use crate::wechat::pay_v3::{PayV3, certificates};

/// The clients of the configured APIs; keys that are none end here.
pub(super) fn connect(job: &Job, world: &World) -> Result<Apis, Failure> {
    let wrong = |error: crate::wechat::SetupError| {
        let hint = error.hint();
        let failure = Failure::new(ExitCode::Rejected, error.to_string());
        match hint {
            Some(hint) => failure.hinting(hint),
            None => failure,
        }
    };
    let pay_v3 = job.pay_v3.as_ref().map(|settings| PayV3::new(settings, world.clone())).transpose().map_err(wrong)?;
    let pay_v2 = job.pay_v2.as_ref().map(|settings| PayV2::new(settings, world.clone())).transpose().map_err(wrong)?;
    let mp = job.mp.as_ref().map(|settings| Mp::new(settings, world.clone())).transpose().map_err(wrong)?;
    Ok(Apis { pay_v3, pay_v2, mp, ..Apis::default() })
}

/// The platform certificates of tonight, so that its evidence stays verifiable.
pub(super) async fn keep_certificates(apis: &Apis, journal: &Journal) -> Result<(), JournalError> {
    let Some(pay_v3) = &apis.pay_v3 else { return Ok(()) };
    for answer in pay_v3.certificate_answers().await {
        let key = sha256_of(&answer.body);
        let page = extract::journal_page(&certificates(), &answer);
        journal.stage(CERTIFICATES)?.append(Entry { key, pages: vec![page] })?;
    }
    Ok(())
}

/// How the job publishes openids.
pub(super) fn persona(job: &Job) -> Persona {
    match &job.pii {
        Pii::Hmac(key) => Persona::hmac(key.expose().as_bytes()),
        Pii::Raw => Persona::raw(),
    }
}

/// `20261119T020304Z-1f9a0c3e`.
pub(super) fn run_id(world: &World, started_at: DateTime<Utc>) -> String {
    let mut bytes = [0u8; 4];
    world.random.fill(&mut bytes);
    format!("{}-{}", started_at.format("%Y%m%dT%H%M%SZ"), hex::encode(bytes))
}
