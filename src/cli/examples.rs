//! Example commands for the `--help` of each command.

pub(super) const TOP: &str = "\
Examples:
  coupon-recon init my-shop                     a commented job file and a key to start from
  coupon-recon check my-shop/job.toml           every problem at once
  coupon-recon run my-shop/job.toml --dry-run   what the night would request and write
  coupon-recon run my-shop/job.toml             reconcile yesterday
  coupon-recon breaks my-shop/job.toml --date 2026-11-20

";

pub(super) const RUN: &str = "\
Examples:
  coupon-recon run job.toml                                        yesterday, as cron does
  coupon-recon run job.toml --date 2026-11-20 --summary            one day, with a summary to read
  coupon-recon run job.toml --from 2026-11-01 --to 2026-11-20      a backfill, oldest day first
  coupon-recon run job.toml --dry-run                              how many calls, how long, which partitions
  coupon-recon run job.toml --wait 2h                              wait for a bill that is late
  coupon-recon run job.toml --stage datacube,cards                 some stages; the others keep what they have
  coupon-recon run job.toml --replay --date 2026-11-20             from the journal, without a network
  coupon-recon run job.toml --date 2026-11-20 --engine spark --emit-script night.py   for a Spark without Spark Connect
  coupon-recon run job.toml --date 2026-11-20 --engine spark --take-script   publish, after `spark-submit night.py`
  coupon-recon run job.toml --interval-start 2026-11-20T12:00:00+08:00 \\
                            --interval-end 2026-11-21T12:00:00+08:00   an orchestrator's data interval

Running it again is safe: what is journalled is not requested again, and the same inputs give the same bytes.";

pub(super) const BREAKS: &str = "\
Examples:
  coupon-recon breaks job.toml --date 2026-11-20
  coupon-recon breaks job.toml --date 2026-11-20 --since 2026-11-01    their history
  coupon-recon breaks job.toml --date 2026-11-20 --fail-on 'open_fen>100000,severity:high.count>0'
  coupon-recon breaks job.toml --date 2026-11-20 --fail-on 'rule:SU01.fen>0,age_days>7'

Exits with 3 when a limit is exceeded, and with 75 when nothing is published for the date.";

pub(super) const PLAN: &str = "\
Examples:
  coupon-recon plan job.toml --date 2026-11-20 --out plan.json     then read it and remove unwanted calls
  coupon-recon plan job.toml --date 2026-11-20 --rule SU01,SU07    subsidies missing or not returned
  coupon-recon plan job.toml --date 2026-11-20 | jq '.calls[].does'

It proposes calls for AO03 (redeem the coupon), AO14 (return it), SU01, SU10 and SU11 (pay the subsidy), and SU07 (return it).
Breaks that a person has to look into are listed by rule, with what to do. Nothing is sent.";

pub(super) const APPLY: &str = "\
Examples:
  coupon-recon apply plan.json --approve \"$(sha256sum < plan.json | cut -d' ' -f1)\"

The digest says which plan was approved: a plan that changed since is refused, and so is one whose breaks were
republished. Calls are made one after the other, and their answers are journalled. If the plan is applied again, calls
that are done are not made again.";

pub(super) const VERIFY: &str = "\
Examples:
  coupon-recon verify job.toml --date 2026-11-20
  coupon-recon verify job.toml --date 2026-11-20 --signatures

Exits with 5 when something is not as it was published, one line on stdout for each finding, and with 75 when nothing is
published for the date.";

pub(super) const RULES: &str = "\
Examples:
  coupon-recon rules                        the same as `rules list`
  coupon-recon rules list
  coupon-recon rules show AO08
  coupon-recon rules test my-rules

`rules test` exits with 5 when a case fails.";

pub(super) const CHECK: &str = "\
Examples:
  coupon-recon check job.toml
  coupon-recon --now 2026-11-21T12:00:00+08:00 check job.toml --base-url http://127.0.0.1:18080

Sends each API one cheap request. `run --dry-run` sends none and shows what a night would do. Exits with 2 for the
job file, 69 for a host that does not answer, 75 for a quota, 77 for a key that is rejected, 4 for anything else; of several, with the highest.";

pub(super) const API: &str = "\
Examples:
  coupon-recon api --list
  coupon-recon api GET /v3/marketing/busifavor/stocks/1288880000000001 --job job.toml
  coupon-recon api GET /v3/bill/tradebill -f bill_date=2026-11-20 -f bill_type=ALL --job job.toml
  coupon-recon api POST /card/batchget -f offset=0 -f count=10 --job job.toml

Exits with 4 when WeChat refuses the call, 69 when it does not answer, 77 when it rejects the keys.";

pub(super) const INIT: &str = "\
Examples:
  coupon-recon init my-shop
  coupon-recon check my-shop/job.toml

Existing files are never overwritten.";

pub(super) const GENERATE: &str = "\
Examples:
  coupon-recon generate shop
  coupon-recon generate shop --users 5000 --nights 7 --seed 42";

pub(super) const SIMULATE: &str = "\
Examples:
  coupon-recon --now 2026-11-21T12:00:00+08:00 simulate shop
  coupon-recon --now 2026-11-21T12:00:00+08:00 simulate shop --listen 127.0.0.1:0 -- \\
    coupon-recon --now 2026-11-21T12:00:00+08:00 run shop/job.toml --date 2026-11-20 --base-url '{base_url}' --summary";

pub(super) const COMPLETIONS: &str = "\
Examples:
  coupon-recon completions bash > ~/.local/share/bash-completion/completions/coupon-recon
  coupon-recon completions zsh  > ~/.zfunc/_coupon-recon
  coupon-recon completions fish > ~/.config/fish/completions/coupon-recon.fish";

pub(super) const MAN: &str = "\
Examples:
  coupon-recon man ~/.local/share/man/man1
  man coupon-recon-run";
