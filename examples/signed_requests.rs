//! Sends random APIv3 requests to a listener that refuses them all, for an outsider to verify what
//! was on the wire: `signed_requests JOB BASE_URL COUNT SEED`. Prints per request the texts that went
//! into it, as a line of JSON. Expects refusals and reads no answers.

use std::path::Path;

use coupon_recon::clock::World;
use coupon_recon::job;
use coupon_recon::wechat::Request;
use coupon_recon::wechat::pay_v3::PayV3;
use coupon_recon::wechat::pay_v3::busifavor::{self, CouponFilter};
use rand::Rng;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What breaks careless encoders: separators, escapes, blanks, Chinese, beyond the basic plane.
const PIECES: [&str; 24] = [
    "A", "z", "0", "_", "-", ".", "~", " ", "|", "%", "%2F", "/", "?", "#", "&", "=", "+", "'", "\"", "\\", "券",
    "满减", "é", "🎫",
];

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [job, base_url, count, seed] = arguments.as_slice() else {
        return Err("usage: signed_requests JOB BASE_URL COUNT SEED".into());
    };
    let job = job::load(Path::new(job), &|_| None)?;
    let mut settings = job.pay_v3.ok_or("the job has no [pay_v3]")?;
    settings.limits.base_url = base_url.parse()?;
    settings.limits.rate_per_second = 1000;
    let client = PayV3::new(&settings, World::real())?;
    let mut dice = ChaCha8Rng::seed_from_u64(seed.parse()?);
    for number in 0..count.parse()? {
        let texts = [text(&mut dice), text(&mut dice), text(&mut dice)];
        send(&client, number, &texts).await;
        println!("{}", serde_json::to_string(&texts[..used(number)])?);
    }
    Ok(())
}

/// Requests take turns; this is how many of the three texts each takes.
fn used(number: u32) -> usize {
    if number % 5 == 4 { 2 } else { 3 }
}

async fn send(client: &PayV3, number: u32, [a, b, c]: &[String; 3]) {
    match number % 5 {
        0 => sent(client, busifavor::user_coupon(a, b, c)).await,
        1 => {
            let filter = CouponFilter { appid: b.clone(), coupon_state: Some(c.clone()), ..CouponFilter::default() };
            sent(client, busifavor::user_coupons(a, &filter, 0, 20)).await
        }
        2 => sent(client, busifavor::associate(a, b, c, "N1")).await,
        3 => sent(client, busifavor::delete_coupon_code(a, b, c)).await,
        _ => sent(client, busifavor::pay_receipts(a, b, None)).await,
    }
}

/// The listener refuses what it verified: an answer here would be a mistake of the test.
async fn sent<T>(client: &PayV3, request: Request<T>) {
    let status = client.send(&request).await.err().and_then(|error| error.trace().status);
    assert_eq!(status, Some(404), "the listener must have refused `{}`", request.target);
}

fn text(dice: &mut ChaCha8Rng) -> String {
    let length = dice.gen_range(1..8);
    let text: String = (0..length).map(|_| PIECES[dice.gen_range(0..PIECES.len())]).collect();
    // A segment of one or two dots is a step of the path, encoded or not: the client does not send it.
    if text.chars().all(|it| it == '.') { "A".to_owned() } else { text }
}
